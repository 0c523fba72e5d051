# SPDX-License-Identifier: Apache-2.0
"""The rules of life cycle and registers, sections 6 and 7 of :mod:`descring_model.rules`."""

from __future__ import annotations

from descring_model.rule import HOST, MODEL, RTL, SHELL, Rule

DEVICE_RULES: tuple[Rule, ...] = (
    Rule(
        "LIFE-001",
        6,
        "After reset: disabled, indices 0, counters 0, no interrupt, STATUS.READY.",
    ),
    Rule(
        "LIFE-002",
        6,
        "CTRL.ENABLE starts the device. A bad configuration (ring size out of range, base not "
        "64-byte aligned, a ring that does not lie wholly inside the memory window) refuses "
        "ENABLE, which then reads 0, and sets STATUS.BAD_CONFIG; nothing is read or written, "
        "nothing is locked, and the mode bits of the same write are kept. The reward ring is only "
        "checked with SPLIT_REWARD, the bases only where rings are in memory. With PUBLISH_TAILS "
        "the 128 bytes before slot 0 belong to the ring and must lie inside the window too. "
        "A device with rings on chip refuses sizes above its own, to which its RING_LOG2 resets.",
    ),
    Rule(
        "LIFE-003",
        6,
        "STOP completes, after every descriptor before it has completed; then STATUS.HALTED, and "
        "later descriptors stay in the ring untouched, neither lost nor executed, until "
        "CTRL.RESUME. RESUME without HALTED has no effect, also on a later halt; with HALTED it "
        "ends the halt whether or not ENABLE is set. A STOP whose completion waits for room has "
        "not completed, and shows in no register. Where completions leave through a ready/valid "
        "port, HALTED may show before the handshake of STOPPED, since the done ring holds the "
        "completion by then, but not before the STOP is written and published.",
    ),
    Rule(
        "LIFE-004",
        6,
        "CTRL.RESET at any moment, also mid-burst: the device finishes or abandons bus "
        "transactions legally, then reports READY; after that it writes nothing more. No "
        "completion is ever half-written. The other bits of the same write are ignored. Until "
        "READY, writes to registers are ignored and no register but STATUS has a defined value. "
        "The content of slots at the tail and behind it is undefined. A device that has waited for "
        "responses of the bus longer than its limit, which it documents, shows "
        "STATUS.RESET_TIMEOUT until READY: a response is lost unless it comes later, and only a "
        "reset of device and bus together helps. Without a bus the bit is always 0.",
    ),
    Rule(
        "LIFE-005",
        6,
        "A memory error response on the bus sets STATUS.BUS_ERROR and HALTED; the descriptor it "
        "concerned is named by CMD_HEAD; nothing is skipped. RESUME retries from there. An error "
        "of a line behind a STOP is reported only after the RESUME from that STOP; a device that "
        "prefetched a line reports its error once the line is the oldest, even if the memory has "
        "been repaired by then. Where several completions were written with one response, an "
        "error does not identify the one that failed: the device writes them again with a "
        "response each, and the first that fails is the one. If then none fails, BUS_ERROR is set "
        "and the device continues. An error of an index word (RING-013) on a device that a STOP "
        "has halted sets BUS_ERROR too, and one RESUME ends both.",
        (MODEL, SHELL),
    ),
    Rule(
        "LIFE-006",
        6,
        "RING_LOG2, the bases, SPLIT_REWARD, REQUIRE_CHECKED and PUBLISH_TAILS are locked by the "
        "first ENABLE that is not refused: from then until RESET, writes to them are ignored. The "
        "mode bits written together with ENABLE count.",
    ),
    Rule(
        "LIFE-007",
        6,
        "Clearing ENABLE pauses: descriptors already accepted complete, no other is accepted, "
        "RUNNING clears once the last has completed, and indices, configuration and HALTED are "
        "kept. Setting it again resumes. A descriptor is accepted once the device has begun to "
        "carry it out. How far a device is ahead in that is its own business, but what is "
        "published while ENABLE is 0 is not accepted.",
    ),
    Rule(
        "DB-001",
        7,
        "A descriptor is visible to the device only below the tail that a doorbell published. "
        "Writing the line alone does nothing.",
    ),
    Rule(
        "DB-002",
        7,
        "A doorbell is legal iff the new tail is not behind the accepted one and leaves at most "
        "2^k in the ring (all by difference, against CMD_HEAD at that moment). An illegal one is "
        "ignored, sets STATUS.BAD_DOORBELL and counts; nothing is lost.",
    ),
    Rule("DB-003", 7, "Duplicates are harmless; a lost doorbell is covered by the next."),
    Rule(
        "DB-004",
        7,
        "Unknown addresses read 0 and ignore writes, with an OKAY response; an address that is "
        "not a multiple of 4 is unknown; a read-only register ignores writes; bits without a "
        "meaning read 0.",
    ),
    Rule(
        "DB-005",
        7,
        "The host's doorbell write is ordered after the line it publishes (write barrier, then "
        "the store).",
        (HOST,),
    ),
    Rule(
        "DB-006",
        7,
        "A doorbell while ENABLE is 0 is illegal, except one that repeats the accepted tail. While "
        "HALTED doorbells are accepted as ever: the lines wait for RESUME.",
    ),
    Rule(
        "DB-007",
        7,
        "A register is written as a whole: on a bus that can write single bytes, a write that "
        "does not carry all four bytes of the word changes nothing, with an OKAY response.",
        (SHELL,),
    ),
    Rule(
        "DB-008",
        7,
        "The registers are words of 32 bits, and a host accesses each by itself. Where a bus makes "
        "two accesses out of one of 64 bits, the lower address first, each has its own effect: a "
        "read of 0x50 reads CNT_TOKENS_LO too, which captures the high word, and a read of 0x58 "
        "then returns it; a write to 0x48 writes IRQ_STATUS and IRQ_MASK. CNT_TOKENS is not at a "
        "multiple of 8, so no single access of 64 bits reads it.",
        (RTL,),
    ),
    Rule(
        "IRQ-001",
        7,
        "An event sets its bit of IRQ_STATUS, writing 1 clears it, and an event at the same "
        "moment wins over the clearing. Each refused ENABLE, ignored doorbell and bus error is an "
        "event, also while its bit of STATUS is still set. The interrupt is high while a bit is "
        "set in both IRQ_STATUS and IRQ_MASK.",
    ),
    Rule(
        "CNT-001",
        7,
        "CNT_DESCRIPTORS, CNT_TOKENS and CNT_ERRORS count with the posting of the completion, "
        "so that at rest they are a function of the stream. CNT_TOKENS counts the tokens of DECODE "
        "and of ROLLOUT. 32-bit counters wrap. Reading "
        "CNT_TOKENS_LO captures the high word for CNT_TOKENS_HI, so that the pair is one value.",
    ),
    Rule(
        "HASH-001",
        7,
        "CONTRACT_HASH reads the first 32 bits of SHA-256 over the canonical data of the "
        "contract; the host refuses a device whose hash differs, and reports both.",
        (MODEL, RTL, HOST),
    ),
)
