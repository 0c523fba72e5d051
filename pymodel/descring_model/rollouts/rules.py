# SPDX-License-Identifier: Apache-2.0
"""The rollout runtime's rules as prose, up to the tick; see :mod:`.memory_rules` for the rest.

``docs/rollout-contract.md`` is generated from this module, :mod:`.memory_rules`,
:mod:`.seeing_rules`, :mod:`.contract` and :mod:`.seeing`. Ids are permanent, and the text is
normative, as in :mod:`descring_model.rules`.
"""

from __future__ import annotations

from descring_model.rollouts.memory_rules import MEMORY_RULES
from descring_model.rollouts.seeing_rules import SEEING_RULES
from descring_model.rules import HOST, MODEL, Rule

SECTIONS: dict[int, tuple[str, str]] = {
    1: (
        "Slab",
        "One 64-bit word a rollout, changed by compare-and-swap. Numbers are little-endian and "
        "unsigned unless stated otherwise.",
    ),
    2: (
        "Pipeline",
        "Logical time: one tick is one scheduling step. The state after a tick, and the log, are "
        "a function of configuration, requests and the contents of completions and scores, never "
        "of when they arrive.",
    ),
    3: ("Windows", "What a tick submits to the device."),
    4: ("Policies", "The order in which a queue gives up its entries."),
    5: ("KV arena", ""),
    6: (
        "Prefixes and copy-on-write",
        "A node is a shared prefix, a branch is one rollout's continuation of it.",
    ),
    7: ("Rewards", ""),
    8: ("Event log", "Byte-identical between implementations and backends for the same inputs."),
    9: (
        "Counters",
        "What a run has done and what it holds, for people and for monitoring. None is in the log, "
        "and none changes it.",
    ),
    10: ("Trace", "When things happened, which no log tells."),
}

_PIPELINE: tuple[Rule, ...] = (
    Rule(
        "ROLL-001",
        1,
        "Slot word: state in bits 7:0, flags CANCELLED (8) and FAILED (9), bits 31:10 zero, "
        "generation in 63:32. A fresh slab has state FREE and generation 1 in every slot. A handle "
        "is `generation * 2^32 + slot`; no handle is 0, since DONE -> FREE raises the generation "
        "by 1 and from 2^32 - 1 to 1.",
        (MODEL, HOST),
    ),
    Rule(
        "ROLL-002",
        1,
        "State numbers as in the table.",
        (MODEL, HOST),
    ),
    Rule(
        "ROLL-003",
        1,
        "`move(handle, from, to)` replaces the state by one compare-and-swap on the whole word, "
        "along the edges of the table only. FREE -> PREFILL_READY makes the handle of the present "
        "generation; DONE -> FREE clears the flags.",
        (MODEL, HOST),
    ),
    Rule(
        "ROLL-004",
        1,
        "`cancel(handle)` and `fail(handle)` move any live state (1 to 4) to DONE and set "
        "CANCELLED or FAILED in the same compare-and-swap. From DONE and FREE they are BAD_EDGE.",
        (MODEL, HOST),
    ),
    Rule(
        "ROLL-005",
        1,
        "Checked in this order, nothing changes on an error. BAD_SLOT: slot number not below the "
        "number of slots. Generations differ: REUSED if the slot's state is not FREE and its "
        "generation is the handle's successor or a later one (difference mod 2^32 below 2^31); "
        "FREED if it is FREE and its generation is the handle's successor; else STALE. BAD_EDGE: "
        "`from -> to` is no edge. WRONG_STATE: the word's state is not `from`. Where another "
        "thread's compare-and-swap wins, the checks start again on the new word.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-001",
        2,
        "A run has one configuration record and a list of request records, each within the ranges "
        "of the tables; the number of a request is its place in the list, and (group, sample) is "
        "unique. Anything else is BAD_CONFIG or BAD_REQUEST before the first tick, as is a "
        "request that needs more blocks than the arena has: `ceil(prompt_tokens / 32)` plus the "
        "need of COW-003; also two samples of one group with different `prompt_tokens`.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-002",
        2,
        "The value 0xFFFFFFFF in `decode_credits`, `reward_credits`, `trajectory_credits`, "
        "`overtake`, `deliver` and `seats` is no limit.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-003",
        2,
        "Six queues with room for every slot: free, prefill, decode, reward, trajectory, done. At "
        "first free holds all slots in ascending order. A push beyond the room is QUEUE_FULL, a "
        "pop from an empty one QUEUE_EMPTY. Between two phases each slot is in exactly one queue "
        "or in service, which is: its line is in a window that has not been consumed, or its "
        "score has been requested and not delivered.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-004",
        2,
        "What a rollout holds is a function of its state. PREFILL_READY and DECODING: decode "
        "credit, branch, seat. REWARD_PENDING: these and a reward credit. TRAJECTORY_READY: decode "
        "credit, branch, seat and a trajectory credit. DONE and FREE: nothing. One function moves "
        "a rollout: it gives back what the new state does not hold and takes what the new state "
        "adds. `used` of a stage is the number of holders; taking beyond the limit is NO_CREDIT, "
        "giving back below 0 CREDIT_UNDERFLOW; neither changes anything.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-005",
        2,
        "A tick runs these phases in this order: Complete, Cancel, Recycle, Arrive, Admit, Sweep, "
        "Schedule, Deliver. Ticks count from 0. A tick without an event leaves no record.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-006",
        2,
        "Complete. The window that tick `t - depth` submitted is consumed now, whenever its lines "
        "returned, and the scores that tick `t - score_ticks` requested after it. A line is "
        "processed in the order of its index, a score in the order of its request. COMPLETION is "
        "logged first. PREFILL: the prompt's tokens are written (KV-007), the node becomes READY, "
        "the rollout goes to decode. DECODE: its tokens are written and "
        "the length becomes `seq_len`; NEEDS_REWARD sends it to reward"
        " (with BOUNDARY_REWARD) or back to decode, DONE to reward (with FINAL_REWARD) or "
        "it ends as delivered. REWARD, or a score: SCORE is logged; a final one goes to "
        "trajectory and keeps its state, any other becomes DECODING and goes to decode. A rollout "
        "that is marked for cancellation ends as cancelled right after its COMPLETION or SCORE "
        "record instead; a prompt is written and its node becomes READY all the same, decoded "
        "tokens are not written.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-007",
        2,
        "Cancel. Requests with `cancel <= t` that have neither ended nor been marked are taken in "
        "the order (cancel, number); CANCEL is logged for each. Not admitted: it leaves the "
        "waiting queue (or never enters it) and counts as cancelled. In a queue: it leaves the "
        "queue and ends now. In service: it is marked, since the device may still write; "
        "b of CANCEL is 1.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-008",
        2,
        "Recycle moves each entry of done, in order, DONE -> FREE and to the tail of free. Arrive "
        "takes the requests with `arrival <= t` that have not arrived, in the order (arrival, "
        "number), into the waiting queue, which follows the policy and has no bound.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-009",
        2,
        "Admit. While the waiting queue's next entry (SCHED-003) can be admitted it is, and the "
        "phase ends at the first that cannot: no entry is passed over. It needs a free slot, a "
        "decode credit, a seat, and available blocks (KV-004): the need of COW-003 and, if its "
        "prefix has no node, `ceil(prompt_tokens / 32)` more. In this order: the entry is popped; "
        "the node is made if missing (NODE, state EMPTY); the branch is forked; the slot at the "
        "head of free becomes PREFILL_READY; the seat is taken; ADMIT is logged; the rollout goes "
        "to decode if its node is READY, else to prefill. The prefix is the group's with SHARE "
        "and the request's own without.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-010",
        2,
        "Seats. The version v is 0 at first. A seat is the lowest step w in v..v+S that has fewer "
        "than `seats` holders that are live or delivered. A cancelled or failed rollout gives its "
        "seat back. When step v has `seats` delivered ones, v rises by 1 and VERSION is logged, "
        "repeatedly if need be. So `step - version at admission <= S` for every trajectory.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-011",
        2,
        "Deliver. First the entries of trajectory that are REWARD_PENDING become TRAJECTORY_READY "
        "in order, until no trajectory credit is free. Then up to `deliver` entries that are "
        "TRAJECTORY_READY leave the head and end as delivered.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-012",
        2,
        "The end of a rollout is the one transition into DONE: STATE, then the branch, credits "
        "and seat are released (RELEASE), then, if delivered, TRAJECTORY and VERSION; the slot "
        "goes to done. A run ends after the first tick at whose end every request has ended, "
        "every slot is free and no node is left; END is the last record. A tick without a record "
        "while nothing is in flight and no arrival or cancellation is to come is STALLED, an "
        "error: no configuration within the ranges reaches it.",
        (MODEL, HOST),
    ),
    Rule(
        "PIPE-013",
        2,
        "A run that fails (a device error, a bad completion, an exception of the caller's) "
        "leaves nothing: every window in flight is drained or its device closed, every live "
        "rollout ends as cancelled, credits and blocks in use are 0, and no output file exists.",
        (MODEL, HOST),
    ),
    Rule(
        "WIN-001",
        3,
        "Schedule fills one window of at most min(`window`, `ring_slots` less the lines in "
        "flight, lines wanted). Reward first: while reward has entries, a reward credit is free "
        "and, with scorer 0, the window has room, the head becomes REWARD_PENDING (STATE) and "
        "takes a REWARD line (LINE), or with another scorer joins the tick's score batch "
        "(SCORE_REQUEST). Then prefill from head to tail: an entry whose node is READY goes to "
        "decode; one whose node is EMPTY takes a PREFILL line and its node becomes FILLING, or "
        "ends this part if the window has no room; one whose node is FILLING stays. Then decode: "
        "while it has entries and the window has room, the policy's next one becomes DECODING if "
        "it is PREFILL_READY (STATE), gets its block (COPY if copied) and takes a DECODE line.",
        (MODEL, HOST),
    ),
    Rule(
        "WIN-002",
        3,
        "A window is submitted with one store of the tail and one doorbell. Windows that have "
        "lines are numbered from 0; WINDOW is logged behind its lines. No credit is taken for a "
        "line: admission and WIN-001 have taken all.",
        (MODEL, HOST),
    ),
    Rule(
        "WIN-003",
        3,
        "`user_data` of a line: slot in bits 15:0, low 16 bits of the generation in 31:16, low 16 "
        "bits of the window's number in 47:32, index in 55:48, lines of the window less 1 in "
        "63:56.",
        (MODEL, HOST),
    ),
    Rule(
        "WIN-004",
        3,
        "The other fields: `flags` COW_PREFIX (and CHECKED as the host likes), `rollout_id` the "
        "request's number, `kv_arena_id` 0, `prefix_id` the node, `kv_offset` 16384 times the "
        "node's first block (with an engine, the offset of the rollout's record: REC-005), "
        "`delta_offset` 16384 times the block of a DECODE line and 0 without, "
        "`seq_len` 0 and `max_tokens` the prompt's tokens in a PREFILL line, `seq_len` the length "
        "and `max_tokens` the request's otherwise, `reward_model_id` the scorer, `reserved0` 0, "
        "the cookie of DESC-021.",
        (MODEL, HOST),
    ),
    Rule(
        "WIN-005",
        3,
        "A window returns as a whole. Each completion has the `user_data`, opcode and rollout of "
        "its line and one result flag: DONE for PREFILL (`seq_len` = `max_tokens`) and REWARD; "
        "for DECODE NEEDS_REWARD at the next multiple of 32 below `max_tokens`, or DONE at a "
        "`seq_len` from the submitted one up to that multiple and `max_tokens`. A missing, "
        "repeated, foreign or refused line is BAD_COMPLETION, which names window and index.",
        (MODEL, HOST),
    ),
    Rule(
        "SCHED-001",
        4,
        "The waiting queue and decode follow the policy of the run; the others are first in, "
        "first out. Every entry gets the queue's next sequence number, from 0.",
        (MODEL, HOST),
    ),
    Rule(
        "SCHED-002",
        4,
        "The rank, a signed 64-bit integer, is fixed when an entry is pushed: see the table, with "
        "`remaining` = `max_tokens` less the length, and the length `prompt_tokens` before the "
        "first leg.",
        (MODEL, HOST),
    ),
    Rule(
        "SCHED-003",
        4,
        "The next entry is the one of least (rank, sequence number) of the whole queue, unless "
        "SCHED-004 names the oldest.",
        (MODEL, HOST),
    ),
    Rule(
        "SCHED-004",
        4,
        "No entry is overtaken more than K times. The departures of a queue are pops and removals. "
        "The overtakes of its oldest entry (least sequence number) are the departures since it "
        "was pushed less the entries that were in the queue at its push: those are all gone, so "
        "the rest were younger. When they are at least K, the oldest is next.",
        (MODEL, HOST),
    ),
    Rule(
        "SCHED-005",
        4,
        "What a policy is for, at 4096 rollouts of 256 groups on 256 servers: SHORTEST_REMAINING "
        "has a mean completion time of at most 0.75, 0.60 and 0.50 of FIFO's at sigma 0.6, 1.0 "
        "and 1.4; LONGEST_REMAINING a makespan of at most 1.02 of the lower bound max(longest, "
        "total / servers); under PREFIX a prompt is ingested once a group.",
        (MODEL,),
    ),
)

RULES: tuple[Rule, ...] = (*_PIPELINE, *MEMORY_RULES, *SEEING_RULES)


def all_rules() -> tuple[Rule, ...]:
    """Every rule in the order of its section; ``ValueError`` if two have one id."""
    ids = [rule.rule for rule in RULES]
    if len(set(ids)) != len(ids):
        raise ValueError("a rule id is given twice")
    return tuple(sorted(RULES, key=lambda rule: rule.section))
