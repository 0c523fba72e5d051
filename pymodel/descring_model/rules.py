# SPDX-License-Identifier: Apache-2.0
"""The hardware contract's rules as prose, and the test suites that must test each of them.

``docs/contract.md`` is generated from this module and :mod:`descring_model.contract`; it is never
edited by hand. A rule's id is permanent: the id of a removed rule is not reused. The text is
normative; code and tests cite it as ``[DESC-020]``.
"""

from __future__ import annotations

from collections.abc import Iterator

from descring_model import contract
from descring_model.device_rules import DEVICE_RULES
from descring_model.rule import CORE, HOST, MODEL, RTL, SHELL, Rule

__all__ = ["CORE", "HOST", "MODEL", "RTL", "RULES", "SECTIONS", "SHELL", "Rule", "all_rules"]

SECTIONS: dict[int, tuple[str, str]] = {
    1: (
        "The descriptor, `hw_desc_t`",
        "64 bytes = 512 bits = one cache line, little-endian, 64-byte aligned.",
    ),
    2: ("Opcodes", "One namespace for every layer."),
    3: ("Flags, error codes and status", "The low byte is the result, the high byte its reason."),
    4: (
        "DECODE and ROLLOUT",
        "All arithmetic is on unsigned 32-bit values and must not wrap. The worker models the "
        "control plane: a token costs a cycle in RTL. Real attention and sampling would follow "
        "the same rule (`seq_len` counts the tokens that were generated).",
    ),
    5: ("Rings and indices", ""),
    6: ("Device life cycle", ""),
    7: ("Doorbell and MMIO registers", "32-bit registers at byte addresses."),
    8: (
        "Comparison",
        "Compared exactly: completion bytes, their order, register values at rest, token and "
        "error counts. Never compared: time, cycles, latency, the number of stalled cycles. Those "
        "are benchmarks. That there were stalled cycles (REG-060) is no time, and is checked.",
    ),
}

RULES: tuple[Rule, ...] = (
    Rule(
        "DESC-014",
        1,
        "The completion is the same 64-byte line: the device returns the submitted descriptor "
        "with only the fields changed that this page names. There is no second "
        "completion format. A status is a view over the flags (section 3).",
    ),
    Rule(
        "DESC-015",
        1,
        "In memory, byte k of the C struct is byte k of the ring slot; on a 512-bit bus it is "
        "bits `[8k+7:8k]`. No translation anywhere.",
    ),
    Rule(
        "DESC-020",
        1,
        "With flag CHECKED, bytes 60..63 are CRC-32C (Castagnoli, reflected, init and xor-out all "
        "ones: the check value of `123456789` is 0xE3069283) over bytes 0..59. It detects every "
        "error of up to four bits in the line. The device verifies it before it uses any other "
        "field.",
    ),
    Rule(
        "DESC-021",
        1,
        "Without CHECKED the field is opaque and echoed unchanged (but see DESC-025). The "
        "reference host's cookie, `kv_offset XOR delta_offset XOR (rollout_id << 32)`, is what "
        "`submit_decode` writes by default, so that its lines are byte-identical with the "
        "reference C implementation's.",
    ),
    Rule(
        "DESC-022",
        1,
        "With CHECKED, bytes 56..59 are the reference tag: the free-running ring index that the "
        "line was written at. It detects lines that are intact but stale, duplicated or "
        "misplaced. The device verifies it right after the CRC.",
    ),
    Rule(
        "DESC-023",
        1,
        "In the completion of a CHECKED line the device writes the index at which the completion "
        "is posted in its ring as the tag, and the CRC of the completed line, so that the host "
        "can make the same two checks.",
    ),
    Rule(
        "DESC-024",
        1,
        "`submit_decode(rollout_id, kv_offset, delta_offset, prefix_id, seq_len, max_tokens)` "
        "writes opcode DECODE, flags COW_PREFIX iff `prefix_id` is not 0, `kv_arena_id` and "
        "`reserved0` (GPU group) from the queue, `reward_model_id` 0 and `user_data = rollout_id` "
        "unless given.",
        (HOST,),
    ),
    Rule(
        "DESC-025",
        1,
        "A flipped CHECKED bit must not disable the check: with CTRL.REQUIRE_CHECKED a line "
        "without CHECKED completes with ERROR BAD_CHECKSUM, and every completion carries the flag "
        "CHECKED, the tag and the CRC (DESC-023), also that of a line submitted without.",
    ),
    Rule(
        "OP-ERR",
        2,
        "Any other opcode completes with ERROR, code BAD_OPCODE; never silent, never DONE. All 16 "
        "bits of the opcode count.",
    ),
    Rule(
        "OP-010",
        2,
        "REWARD writes `reserved0` := the float32 bits of `(seq_len & 255) / 255`, IEEE 754 round "
        "to nearest, ties to even.",
    ),
    Rule(
        "OP-011",
        2,
        "PREFILL writes `seq_len := max(seq_len, max_tokens)` and never stops at a reward "
        "boundary. Bookkeeping only: its cost does not grow with the length, and it counts no "
        "decoded tokens.",
    ),
    Rule(
        "FLAG-010",
        3,
        "On acceptance the device clears the device-owned bits of the submitted flags, then sets "
        "its own; host-owned and reserved bits are echoed. So a completion line can be "
        "resubmitted as it is to resume (section 4).",
    ),
    Rule(
        "FLAG-011",
        3,
        "Exactly one of NEEDS_REWARD, DONE, STOPPED, ERROR is set in a completion, and the error "
        "code is 0 unless it is ERROR.",
    ),
    Rule(
        "ERR-010",
        3,
        "An ERROR completion changes nothing but `flags` and, where the completion carries "
        "CHECKED, tag and CRC (DESC-023). The flags of a line with a bad checksum are not to be "
        "trusted, yet its completion is still well-formed.",
    ),
    Rule(
        "ERR-011",
        3,
        "The checks are made in this order and the first that fails names the error: checksum "
        "(or its absence under REQUIRE_CHECKED), tag, opcode. A line that fails one has no other "
        "effect: a STOP with a bad checksum or tag does not stop the device.",
    ),
    Rule(
        "DEC-001",
        4,
        "`seq_len >= max_tokens` on entry: zero tokens are made, `seq_len` unchanged, DONE. "
        "(`max_tokens` 0 is the same case.)",
    ),
    Rule(
        "DEC-002",
        4,
        "Otherwise tokens are made one at a time until `seq_len == max_tokens` (DONE) or "
        "`seq_len` is a multiple of 32 (NEEDS_REWARD), whichever comes first. The boundary is on "
        "absolute length, not on tokens made.",
    ),
    Rule("DEC-003", 4, "Where both hold at once, DONE wins."),
    Rule(
        "DEC-004",
        4,
        "Near 2^32 the boundary `(seq_len/32 + 1) * 32` may not fit in 32 bits; then only "
        "`max_tokens` ends the run.",
    ),
    Rule(
        "DEC-005",
        4,
        "Resume = resubmit with the returned `seq_len`. A rollout of any length is a chain of "
        "completions whose lengths join up exactly.",
    ),
    Rule(
        "DEC-006",
        4,
        "ROLLOUT makes tokens one at a time until `seq_len == max_tokens`, also across reward "
        "boundaries, and is DONE, never NEEDS_REWARD. `seq_len >= max_tokens` on entry: zero "
        "tokens, `seq_len` unchanged.",
    ),
    Rule(
        "DEC-007",
        4,
        "The completion of ROLLOUT has in `reserved0` the score of its final `seq_len`, as REWARD "
        "writes it (OP-010), also where no token was made.",
    ),
    Rule(
        "RING-001",
        5,
        "A ring has 2^k slots of 64 bytes, 1 <= k <= 16; the slot of index i is `i mod 2^k`; all "
        "slots are usable.",
    ),
    Rule(
        "RING-002",
        5,
        "Indices are free-running u32; occupancy is `(tail - head) mod 2^32`. Every comparison is "
        "on that difference, never `head >= tail`. Wrap through 2^32 is tested.",
    ),
    Rule(
        "RING-003",
        5,
        "Command ring: the host owns the tail, the device owns the head. Done ring and reward "
        "ring: the device owns the tail, the host owns the head.",
    ),
    Rule(
        "RING-004",
        5,
        "In shared memory, head and tail lie on cache lines of their own (head at 0, tail at 64, "
        "slots from 128), as in the reference `hw_ring_t`. A producer writes the line, then "
        "publishes the tail with release order; a consumer reads the tail with acquire order, "
        "then the line. A BASE register holds the address of slot 0.",
        (HOST,),
    ),
    Rule(
        "RING-005",
        5,
        "Nothing is overwritten and nothing is dropped: a full ring stalls its producer. The "
        "device counts the cycles in which a completion waited for room. At a ready/valid port a "
        "completion that is valid stays valid, and the same, until it is taken.",
    ),
    Rule("RING-006", 5, "Exactly one completion per accepted descriptor."),
    Rule(
        "RING-007",
        5,
        "Completions appear in submission order, whatever the number of workers (in-order "
        "retirement). So the completion stream is a pure function of the descriptor stream (and "
        "of the first index, for CHECKED lines), and two implementations can be compared byte by "
        "byte.",
    ),
    Rule(
        "RING-008",
        5,
        "With CTRL.SPLIT_REWARD, completions with NEEDS_REWARD go to the reward ring and all "
        "others to the done ring; each ring keeps submission order. Without it all go to the "
        "done ring. A completion whose ring is full holds back every later one, also of the "
        "other ring.",
    ),
    Rule(
        "RING-009",
        5,
        "CMD_HEAD is the index of the oldest descriptor whose completion has not been posted; a "
        "command slot is free once its completion is posted. So CMD_HEAD at rest does not depend "
        "on how far a device fetches ahead.",
    ),
    Rule(
        "RING-010",
        5,
        "A host moves DONE_HEAD (REWARD_HEAD) forward over completions that it has taken. A value "
        "behind the present head or beyond the tail (by difference) is ignored. Where the "
        "completion ring is on chip and the host takes lines through a ready/valid port, the "
        "handshake moves the head: the register reads the number of lines taken and ignores "
        "writes.",
    ),
    Rule(
        "RING-011",
        5,
        "Where the command ring is on chip and the host writes lines through a ready/valid port, "
        "line n after reset is the line of index n, and a doorbell may run ahead of the lines: a "
        "descriptor runs once it is both written and published.",
    ),
    Rule(
        "RING-012",
        5,
        "Test only: a device may take the value that all its indices have after reset from "
        "outside (`first_index`), so that the wrap through 2^32 is reached in reasonable time. A "
        "product ties it to 0.",
    ),
    Rule(
        "RING-013",
        5,
        "With CTRL.PUBLISH_TAILS a device with rings in memory also stores the indices that it "
        "owns, for hosts that poll memory, as u32 words in the layout of RING-004: the done "
        "ring's tail, with SPLIT_REWARD the reward ring's tail, then the command ring's head. "
        "It stores them after posting, in this order: the completions are visible, the registers "
        "move, the words are stored, IRQ_STATUS.COMPLETION is set. So a word is never ahead of "
        "its register, and at rest both hold the same. One store may cover many completions. The "
        "host gives the words their first value before ENABLE; the device stores none before it "
        "has posted a completion. An error response to such a store halts the device as any "
        "other (LIFE-005), and RESUME stores the words again; how many completions are posted by "
        "then is not determined. Without the bit a device may store the words, as far as they lie "
        "inside the window, or leave them alone, and nothing is compared there. With the bit or "
        "without, it writes no other byte of the 128 before slot 0. A device with rings on chip "
        "keeps the bit and does nothing else with it.",
        (MODEL, HOST, SHELL),
    ),
    *DEVICE_RULES,
)


def _data_rules() -> Iterator[Rule]:
    """The rules whose text is a row of data: fields, opcodes, flags, codes and registers."""
    for field in contract.FIELDS:
        yield Rule(field.rule, 1, f"`{field.name}`, {field.size} bytes at {field.offset}")
    for opcode in contract.OPCODES:
        yield Rule(opcode.rule, 2, f"{opcode.name} = {opcode.value}: {opcode.meaning}")
    for flag in contract.FLAGS:
        yield Rule(flag.rule, 3, f"{flag.name}, bits {flag.msb}:{flag.lsb}: {flag.meaning}")
    for code in contract.ERROR_CODES:
        yield Rule(code.rule, 3, f"{code.name} = {code.value}: {code.meaning}")
    for status in contract.STATUSES:
        yield Rule(status.rule, 3, f"status {status.name} = {status.value}", (MODEL,))
    for register in contract.REGISTERS:
        yield Rule(register.rule, 7, f"{register.name} at 0x{register.offset:02X}")


def all_rules() -> tuple[Rule, ...]:
    """Every rule of the contract, in the order of its sections."""
    rules = sorted([*_data_rules(), *RULES], key=lambda item: item.section)
    seen: set[str] = set()
    for item in rules:
        if item.rule in seen:
            raise ValueError(f"rule id {item.rule} is given twice")
        seen.add(item.rule)
    return tuple(rules)
