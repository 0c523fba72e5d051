# SPDX-License-Identifier: Apache-2.0
"""The single source of the rollout runtime's names, numbers and layouts.

Plain data without NumPy, as :mod:`descring_model.contract`, and no part of that contract's hash:
what a device returns for a line does not depend on this module.
"""

from __future__ import annotations

from dataclasses import dataclass

from descring_model.contract import REWARD_INTERVAL, Bits, Value

NONE = 0xFFFFFFFF
"""No limit in a limit, no rollout or block in an id, never in a tick [PIPE-002]."""

SLOTS_MAX = 1 << 16
WINDOW_MAX = 256
DEPTH_MAX = 64
REQUESTS_MAX = (1 << 31) - 1
"""Upper bounds of a run [PIPE-001]."""

BLOCK_TOKENS = REWARD_INTERVAL
TOKEN_BYTES = 256
BLOCK_BYTES = 16384
VALUE_PLANE = BLOCK_BYTES // 2
"""A KV block: 32 tokens of 128 fp16 keys, then as many values [KV-001]."""

PROMPT_TAG = 1 << 63
"""Bit of a content tag that a prompt's token wrote [KV-007]."""

SCORER_OP_010 = 0
SCORER_TOKEN_RULE = 1
SCORER_ADVANTAGE = 2
SCORER_CUSTOM = 16
"""``reward_model_id``: the device's, the two built in, and the first of the user's [RWD-001]."""

VOCABULARY = 1024
TOKEN_DIVISOR = 4
"""Of the stand-in tokens, and what the token rule counts [RWD-005]."""

LOG_MAGIC = b"DESCROLL"
LOG_VERSION = 1
LOG_HEADER_BYTES = 32
LOG_RECORD_BYTES = 32
"""The event log's file [LOG-001]."""


@dataclass(frozen=True)
class Member:
    """One member of a record: ``code`` is its NumPy type, little-endian."""

    name: str
    code: str
    meaning: str

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.code[-1])


STATES: tuple[Value, ...] = (
    Value("ROLL-002", 0, "FREE", "no rollout; the slot is in the queue free"),
    Value("ROLL-002", 1, "PREFILL_READY", "admitted; no DECODE line has been submitted"),
    Value("ROLL-002", 2, "DECODING", "from the first DECODE line on"),
    Value("ROLL-002", 3, "REWARD_PENDING", "from the request of a score until it is used"),
    Value("ROLL-002", 4, "TRAJECTORY_READY", "scored, waits for delivery"),
    Value("ROLL-002", 5, "DONE", "ended, holds nothing but the slot"),
)
STATE: dict[str, int] = {item.name: item.value for item in STATES}

EDGES: tuple[tuple[str, str], ...] = (
    ("FREE", "PREFILL_READY"),
    ("PREFILL_READY", "DECODING"),
    ("DECODING", "REWARD_PENDING"),
    ("DECODING", "DONE"),
    ("REWARD_PENDING", "DECODING"),
    ("REWARD_PENDING", "TRAJECTORY_READY"),
    ("TRAJECTORY_READY", "DONE"),
    ("DONE", "FREE"),
)
"""Legal transitions besides the cancellation of ROLL-004 [ROLL-003]."""
LIVE = ("PREFILL_READY", "DECODING", "REWARD_PENDING", "TRAJECTORY_READY")
"""The states in which a rollout can be cancelled."""

SLOT_WORD: tuple[Bits, ...] = (
    Bits("ROLL-001", 7, 0, "STATE", "slab", "a state of ROLL-002"),
    Bits("ROLL-001", 8, 8, "CANCELLED", "slab", "ended by a cancellation"),
    Bits("ROLL-001", 9, 9, "FAILED", "slab", "ended by a failed scorer"),
    Bits("ROLL-001", 31, 10, "ZERO", "slab", "always 0"),
    Bits("ROLL-001", 63, 32, "GENERATION", "slab", "1 at first; never 0"),
)

USER_DATA: tuple[Bits, ...] = (
    Bits("WIN-003", 15, 0, "SLOT", "host", "slot of the rollout"),
    Bits("WIN-003", 31, 16, "GENERATION", "host", "low 16 bits of its generation"),
    Bits("WIN-003", 47, 32, "WINDOW", "host", "low 16 bits of the window's number"),
    Bits("WIN-003", 55, 48, "INDEX", "host", "place in the window, from 0"),
    Bits("WIN-003", 63, 56, "LAST", "host", "lines of the window less 1"),
)

ERRORS: tuple[Value, ...] = (
    Value("ROLL-005", 1, "BAD_SLOT", "the handle's slot is beyond the slab"),
    Value("ROLL-005", 2, "STALE", "the handle's generation was never the slot's, or is long over"),
    Value("ROLL-005", 3, "FREED", "the rollout was freed and its slot is free since (double free)"),
    Value("ROLL-005", 4, "REUSED", "the slot has another rollout by now (ABA)"),
    Value("ROLL-005", 5, "BAD_EDGE", "no such transition"),
    Value("ROLL-005", 6, "WRONG_STATE", "the rollout is not in the state that the caller expected"),
    Value("PIPE-003", 7, "QUEUE_FULL", "push on a queue with as many entries as slots"),
    Value("PIPE-003", 8, "QUEUE_EMPTY", "pop from a queue without entries"),
    Value("PIPE-004", 9, "NO_CREDIT", "every credit of the stage has a holder"),
    Value("PIPE-004", 10, "CREDIT_UNDERFLOW", "a credit given back without a holder"),
    Value("KV-002", 11, "OUT_OF_BLOCKS", "fewer blocks are available than asked for"),
    Value("KV-003", 12, "BAD_BLOCK", "the block is beyond the arena"),
    Value("COW-007", 13, "SHARED_BLOCK", "a write to a block with another holder"),
    Value("COW-001", 14, "BAD_NODE", "no such node"),
    Value("COW-001", 15, "OUT_OF_NODES", "every node id is in use"),
    Value("COW-003", 16, "BAD_BRANCH", "no such branch"),
    Value("COW-003", 17, "OUT_OF_BRANCHES", "every branch id is in use"),
    Value("COW-001", 18, "BAD_LENGTH", "a number of tokens that cannot be"),
    Value("WIN-005", 19, "BAD_COMPLETION", "what returned is not the window that was submitted"),
    Value("PIPE-012", 20, "STALLED", "a tick without progress that nothing can end"),
    Value("PIPE-001", 21, "BAD_CONFIG", "a configuration out of range"),
    Value("PIPE-001", 22, "BAD_REQUEST", "a request out of range, or greater than the arena"),
)
ERROR: dict[str, int] = {item.name: item.value for item in ERRORS}

QUEUES: tuple[Value, ...] = (
    Value("PIPE-003", 0, "free", "slots without a rollout, first in, first out"),
    Value("PIPE-003", 1, "prefill", "admitted, their prompt not yet ingested; first in, first out"),
    Value("PIPE-003", 2, "decode", "wait for a DECODE line; by the policy"),
    Value("PIPE-003", 3, "reward", "wait for a scorer; first in, first out"),
    Value("PIPE-003", 4, "trajectory", "scored for the last time; first in, first out"),
    Value("PIPE-003", 5, "done", "ended, the slot not yet free; first in, first out"),
)

POLICIES: tuple[Value, ...] = (
    Value("SCHED-002", 0, "FIFO", "0"),
    Value("SCHED-002", 1, "SHORTEST_REMAINING", "`remaining`"),
    Value("SCHED-002", 2, "LONGEST_REMAINING", "`-remaining`"),
    Value(
        "SCHED-002",
        3,
        "PREFIX",
        "the sequence number of the first entry of its group that this queue ever had",
    ),
    Value("SCHED-002", 4, "CUSTOM", "the request's `rank`"),
)
POLICY: dict[str, int] = {item.name: item.value for item in POLICIES}

OPTIONS: tuple[Value, ...] = (
    Value("PIPE-001", 1, "SHARE", "samples of a group share the prompt's blocks"),
    Value("PIPE-001", 2, "BOUNDARY_REWARD", "a score at every reward boundary"),
    Value("PIPE-001", 4, "FINAL_REWARD", "a score of the final length"),
    Value("PIPE-001", 8, "CHECK_KV", "TRAJECTORY carries the digest of KV-008"),
)
OPTION: dict[str, int] = {item.name: item.value for item in OPTIONS}

CONFIG: tuple[Member, ...] = (
    Member("slots", "<u4", "rollouts at once, 1 to 65536"),
    Member("decode_credits", "<u4", "admitted and not ended, at least 1"),
    Member("reward_credits", "<u4", "in state REWARD_PENDING, at least 1"),
    Member("trajectory_credits", "<u4", "in state TRAJECTORY_READY, at least 1"),
    Member("kv_blocks", "<u4", "blocks of the arena, 1 to 2^31 - 1"),
    Member("window", "<u4", "most lines of a window, 1 to 256"),
    Member("depth", "<u4", "ticks from a window to its completions, 1 to 64"),
    Member("ring_slots", "<u4", "slots of the command ring, 2 to 65536, a power of two"),
    Member("policy", "<u4", "a policy of SCHED-002"),
    Member("overtake", "<u4", "the bound K of SCHED-004; 0 is FIFO"),
    Member("scorer", "<u4", "`reward_model_id` of RWD-001"),
    Member("score_ticks", "<u4", "ticks from a request to a score, 1 to 64; not of scorer 0"),
    Member("deliver", "<u4", "most deliveries a tick, at least 1"),
    Member("seats", "<u4", "trajectories of a training step, at least 1"),
    Member("staleness", "<u4", "the bound S of PIPE-010, below 2^31"),
    Member("options", "<u4", "the sum of options below"),
)
"""Configuration of a run, 64 bytes [PIPE-001]."""

REQUEST: tuple[Member, ...] = (
    Member("group", "<u4", "prompt that the samples share, below 2^31"),
    Member("sample", "<u4", "number within the group"),
    Member("prompt_tokens", "<u4", "at least 1"),
    Member("max_tokens", "<u4", "length at which decoding ends, at least prompt_tokens"),
    Member("arrival", "<u4", "tick from which it can be admitted"),
    Member("cancel", "<u4", "tick from which it is cancelled; NONE = never"),
    Member("rank", "<i8", "of policy CUSTOM"),
)
"""One rollout that is asked for, 32 bytes [PIPE-001]."""

RECORD: tuple[Member, ...] = (
    Member("tick", "<u4", "logical time"),
    Member("code", "<u2", "event of LOG-003"),
    Member("slot", "<u2", "slot of the rollout; 0 without one"),
    Member("rollout", "<u4", "number of the request; NONE = no rollout"),
    Member("a", "<u4", "see the event"),
    Member("b", "<u4", "see the event"),
    Member("c", "<u4", "see the event"),
    Member("d", "<u8", "see the event"),
)
"""One event of the log, 32 bytes [LOG-002]."""

HEADER: tuple[Member, ...] = (
    Member("magic", "S8", "`DESCROLL`"),
    Member("version", "<u4", "1"),
    Member("record_bytes", "<u4", "32"),
    Member("records", "<u8", "number of records behind the header"),
    Member("inputs", "<u8", "digest of LOG-005"),
)
"""Head of the log's file, 32 bytes [LOG-001]."""

EVENTS: tuple[Value, ...] = (
    Value("LOG-003", 1, "NODE", "a = node, b = blocks, c = first block, d = group"),
    Value(
        "LOG-003",
        2,
        "ADMIT",
        "a = generation, b = node, c = blocks reserved, d = version + step * 2^32",
    ),
    Value("LOG-003", 3, "STATE", "a = from, b = to, c = word bits 15:8 after it"),
    Value("LOG-003", 4, "COPY", "a = from block, b = to block, c = tokens copied"),
    Value(
        "LOG-003",
        5,
        "LINE",
        "a = window, b = index * 2^16 + opcode, c = block it writes or NONE, "
        "d = seq_len + max_tokens * 2^32",
    ),
    Value("LOG-003", 6, "WINDOW", "a = window, b = lines, c = lines in flight with it"),
    Value(
        "LOG-003",
        7,
        "COMPLETION",
        "a = window, b = index * 2^16 + opcode, c = flags & 0xFF1B, d = seq_len + reserved0 * 2^32",
    ),
    Value("LOG-003", 8, "SCORE_REQUEST", "a = scorer, b = 1 if final, c = seq_len"),
    Value("LOG-003", 9, "SCORE", "a = scorer, b = 1 if final, c = seq_len, d = score word"),
    Value("LOG-003", 10, "SCORER_FAILED", "a = scorer, b = 1 if final, c = seq_len"),
    Value("LOG-003", 11, "CANCEL", "a = state or 0 if not admitted, b = 1 if deferred"),
    Value(
        "LOG-003",
        12,
        "RELEASE",
        "a = own blocks freed, b = reservation left, c = blocks in use after it, "
        "d = decode credits used after it + reward credits used after it * 2^32",
    ),
    Value(
        "LOG-003",
        13,
        "TRAJECTORY",
        "a = length, b = score word of the final score or 0, c = version at admission, "
        "d = digest of KV-008 or 0",
    ),
    Value("LOG-003", 14, "VERSION", "a = the new version"),
    Value("LOG-003", 15, "NODE_FREE", "a = node, b = blocks"),
    Value(
        "LOG-003",
        16,
        "END",
        "a = delivered, b = cancelled, c = failed, d = tokens of the DECODE completions used",
    ),
)
EVENT: dict[str, int] = {item.name: item.value for item in EVENTS}
