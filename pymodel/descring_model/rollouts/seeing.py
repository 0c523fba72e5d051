# SPDX-License-Identifier: Apache-2.0
"""Names and layouts of what a run shows of itself: counters, gauges, the live page, the trace.

Plain data, as :mod:`.contract`. What is here changes no log and no result of a run.
"""

from __future__ import annotations

from descring_model.contract import Value
from descring_model.rollouts.contract import CONFIG, QUEUES, STATES, Member

COUNTERS: tuple[Value, ...] = (
    Value("PIPE-005", 0, "ticks", "every tick"),
    Value("PIPE-008", 1, "arrived", "a request enters the waiting queue"),
    Value("PIPE-009", 2, "admitted", "ADMIT"),
    Value("PIPE-012", 3, "delivered", "a rollout ends as delivered"),
    Value("PIPE-007", 4, "cancelled", "a request ends as cancelled, admitted or not"),
    Value("RWD-003", 5, "failed", "a rollout ends as failed"),
    Value("WIN-002", 6, "windows", "a window that has lines"),
    Value("WIN-001", 7, "prefill_lines", "a PREFILL line"),
    Value("WIN-001", 8, "decode_lines", "a DECODE line"),
    Value("WIN-001", 9, "reward_lines", "a REWARD line"),
    Value("PIPE-006", 10, "completions", "a completion that is processed"),
    Value("PIPE-006", 11, "legs", "a DECODE completion that is used"),
    Value("PIPE-006", 12, "tokens", "by the tokens of each such completion"),
    Value("KV-007", 13, "prompt_tokens", "by the tokens of each prompt that is written"),
    Value("RWD-002", 14, "scores", "SCORE"),
    Value("RWD-003", 15, "score_failures", "SCORER_FAILED"),
    Value("RWD-003", 16, "score_requests", "SCORE_REQUEST"),
    Value("COW-001", 17, "nodes", "NODE"),
    Value("COW-005", 18, "nodes_freed", "NODE_FREE"),
    Value("KV-002", 19, "blocks_allocated", "by the blocks of an allocation"),
    Value("KV-003", 20, "blocks_freed", "by the blocks that are freed"),
    Value("COW-006", 21, "blocks_copied", "COPY"),
    Value("PIPE-010", 22, "versions", "VERSION"),
    Value("PIPE-007", 23, "cancels_deferred", "CANCEL of a rollout in service"),
    Value("MET-002", 24, "waits_slot", "a tick in which Admit ended for want of a slot"),
    Value("MET-002", 25, "waits_credit", "of a decode credit"),
    Value("MET-002", 26, "waits_seat", "of a seat"),
    Value("MET-002", 27, "waits_blocks", "of available blocks"),
    Value("MET-003", 28, "waits_window", "a tick that left entries in decode: no room for lines"),
    Value("MET-003", 29, "waits_reward", "a tick that left entries in reward: no reward credit"),
    Value("MET-003", 30, "waits_delivery", "a tick that left entries in trajectory"),
)
"""Counters of a run, 64-bit, with the rule that moves each; meaning is what moves it by one."""
COUNTER: dict[str, int] = {item.name: item.value for item in COUNTERS}
COUNTER_WORDS = 32
"""Whole cache lines of 8 words, so that no other thread's data shares one [MET-004]."""

_HELD: tuple[tuple[str, str, str], ...] = (
    ("PIPE-008", "waiting", "requests in the waiting queue"),
    ("PIPE-006", "in_flight", "lines of windows that were not consumed"),
    ("KV-005", "blocks", "blocks in use"),
    ("KV-004", "reserved", "blocks reserved"),
    ("PIPE-004", "decode_credits", "decode credits used"),
    ("PIPE-004", "reward_credits", "reward credits used"),
    ("PIPE-004", "trajectory_credits", "trajectory credits used"),
    ("COW-001", "prefixes", "nodes"),
    ("PIPE-010", "version", "the version v"),
)

GAUGES: tuple[Value, ...] = tuple(
    Value(rule, number, name, meaning)
    for number, (rule, name, meaning) in enumerate(
        (
            *((item.rule, f"state_{item.name.lower()}", "slots in that state") for item in STATES),
            *((item.rule, f"queue_{item.name}", "entries of that queue") for item in QUEUES),
            *_HELD,
        )
    )
)
"""What is held at the end of a tick, with the rule that defines it [MET-001]."""
GAUGE: dict[str, int] = {item.name: item.value for item in GAUGES}
GAUGE_WORDS = 24

LIVE_MAGIC = b"DESCLIVE"
LIVE_VERSION = 1
LIVE_STATES: tuple[Value, ...] = (
    Value("MET-005", 0, "RUNNING", "its ticks continue"),
    Value("MET-005", 1, "ENDED", "the run has ended"),
    Value("MET-005", 2, "FAILED", "an error has ended it"),
)
LIVE_STATE: dict[str, int] = {item.name: item.value for item in LIVE_STATES}

LIVE: tuple[Member, ...] = (
    Member("magic", "S8", "`DESCLIVE`"),
    Member("version", "<u4", "1"),
    Member("state", "<u4", "one of the states below"),
    Member("sequence", "<u8", "odd while the words behind `config` change [MET-005]"),
    Member("pid", "<u8", "of the process that runs"),
    Member("started", "<u8", "nanoseconds of CLOCK_MONOTONIC at the first tick"),
    Member("requests", "<u8", "requests of the run"),
    Member("slots", "<u8", "slots of the run"),
    Member("session", "<u8", "number of the run in its process, from 1"),
)
"""Head of a live page, 64 bytes; config record, name, gauges and counters follow [MET-005]."""
LIVE_NAME_BYTES = 64

CONFIG_BYTES = sum(item.size for item in CONFIG)
HEAD_BYTES = sum(item.size for item in LIVE)
GAUGES_AT = HEAD_BYTES + CONFIG_BYTES + LIVE_NAME_BYTES
COUNTERS_AT = GAUGES_AT + 8 * GAUGE_WORDS
LIVE_BYTES = COUNTERS_AT + 8 * COUNTER_WORDS
"""Places of the parts of a live page, and its size."""
SEQUENCE_AT = 16
"""Of `sequence` in the head."""

TRACE_EVENTS: tuple[Value, ...] = (
    Value("TRC-002", 1, "ALLOC", "a rollout was admitted"),
    Value("TRC-002", 2, "POSTED", "a line was written for a window"),
    Value("TRC-002", 3, "COMMITTED", "the window was submitted: tail store and doorbell are done"),
    Value("TRC-002", 4, "CONSUMED", "the device took the line"),
    Value("TRC-002", 5, "PRODUCED", "the device wrote the line's completion"),
    Value("TRC-002", 6, "POLLED", "the host took the completion"),
    Value("TRC-002", 7, "REWARD_POSTED", "a score was requested"),
    Value("TRC-002", 8, "SCORED", "a score was used"),
    Value("TRC-002", 9, "TRAJECTORY_DONE", "a rollout was delivered"),
    Value("TRC-002", 10, "ENDED", "a rollout ended as cancelled or failed"),
    Value("TRC-002", 11, "COPIED", "a partial block was copied"),
)
TRACE_EVENT: dict[str, int] = {item.name: item.value for item in TRACE_EVENTS}

TRACE_CLOCKS: tuple[Value, ...] = (
    Value("TRC-001", 0, "HOST", "`device` is 0"),
    Value("TRC-001", 1, "RTL_CYCLE", "clock cycles since the device was opened"),
    Value("TRC-001", 2, "GPU_GLOBALTIMER", "nanoseconds of the GPU's globaltimer"),
)
TRACE_CLOCK: dict[str, int] = {item.name: item.value for item in TRACE_CLOCKS}

TRACE: tuple[Member, ...] = (
    Member("host", "<u8", "the host's time-stamp counter"),
    Member("device", "<u8", "the device's clock"),
    Member("rollout", "<u4", "number of the request"),
    Member("leg", "<u4", "which line or score of the rollout; NONE: the rollout as a whole"),
    Member("event", "<u2", "what happened"),
    Member("clock", "<u2", "what `device` is"),
    Member("detail", "<u4", "of a line its opcode; of a score 1 if final"),
)
"""One event of the trace, 32 bytes [TRC-001]."""

TRACE_HEAD: tuple[Member, ...] = (
    Member("written", "<u8", "events so far"),
    Member("mask", "<u8", "events that the ring holds, a power of two, less 1"),
    *(Member(f"zero{number}", "<u8", "0") for number in range(6)),
)
"""Head of a ring, 64 bytes; its events follow [TRC-003]."""

TRACE_PAIRS: tuple[tuple[str, str], ...] = (
    ("POSTED", "COMMITTED"),
    ("POSTED", "CONSUMED"),
    ("POSTED", "POLLED"),
    ("CONSUMED", "POLLED"),
    ("ALLOC", "REWARD_POSTED"),
    ("ALLOC", "TRAJECTORY_DONE"),
    ("REWARD_POSTED", "SCORED"),
    ("REWARD_POSTED", "TRAJECTORY_DONE"),
)
"""Latencies: from an event to the other of the same (rollout, leg) [TRC-004]."""
