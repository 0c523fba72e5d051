# SPDX-License-Identifier: Apache-2.0
"""The rules of what a run shows of itself: counters, gauges, the live page, the trace."""

from __future__ import annotations

from descring_model.rules import HOST, MODEL, Rule

SEEING_RULES: tuple[Rule, ...] = (
    Rule(
        "MET-001",
        9,
        "A run has the counters and gauges of the tables, unsigned 64-bit words. Counters are 0 "
        "at first and move by what the table names and nothing else; they never fall. Between two "
        "ticks, after the last one and after an abandoned run every counter and gauge equals the "
        "golden model's.",
        (MODEL, HOST),
    ),
    Rule(
        "MET-002",
        9,
        "A tick whose Admit phase ended at an entry that cannot be admitted moves one counter, of "
        "the first thing in this order that the entry lacks: a free slot, a decode credit, a "
        "seat, blocks.",
        (MODEL, HOST),
    ),
    Rule(
        "MET-003",
        9,
        "At the end of a tick's Schedule phase: `waits_window` moves if decode has entries, "
        "`waits_reward` if reward has entries and no reward credit is free. At the end of its "
        "Deliver phase: `waits_delivery` moves if trajectory has entries.",
        (MODEL, HOST),
    ),
    Rule(
        "MET-004",
        9,
        "In the native core one thread writes the counters of a run, the one that runs its ticks, "
        "in cache lines of their own, without a locked instruction. Other threads and processes "
        "read the live page.",
        (HOST,),
    ),
    Rule(
        "MET-005",
        9,
        "Live page: head, configuration record, 64 bytes of a name in UTF-8 filled up with zeros, "
        "gauges, counters. At the end of each tick the writer makes `sequence` odd, stores gauges "
        "and counters, and makes it even; a reader that finds it odd, or changed behind its copy, "
        "reads again. Looking never stops or slows a writer by more than the stores of one page a "
        "tick. The page's file is locked (flock) by its process, so a page without a holder "
        "belongs to a dead process.",
        (HOST,),
    ),
    Rule(
        "MET-006",
        9,
        "As OpenMetrics text a counter is `descring_rollouts_NAME_total`, a gauge "
        "`descring_rollouts_NAME`; states and queues are one gauge each, with a label.",
        (HOST,),
    ),
    Rule(
        "TRC-001",
        10,
        "A trace event has 32 bytes, as in the table: when, by the host's time-stamp counter and "
        "by the device's clock where there is one, and what happened to which line.",
        (HOST,),
    ),
    Rule(
        "TRC-002",
        10,
        "Events as in the table. The leg of a line is bits 55:32 of its `user_data`: window and "
        "index; of a score it is the length that it is of; of COPIED the length; of ALLOC, "
        "TRAJECTORY_DONE and ENDED it is NONE.",
        (HOST,),
    ),
    Rule(
        "TRC-003",
        10,
        "Each thread that writes events has a ring of its own: a head of 64 bytes, then the "
        "events. Event n is in place n mod the ring's size; `written` counts all, so `written` "
        "less the size, if above 0, events were overwritten. Nothing waits, and no other "
        "thread writes.",
        (HOST,),
    ),
    Rule(
        "TRC-004",
        10,
        "A latency is from an event to another of the same rollout and leg, whatever their order "
        "in the rings. With ALLOC or TRAJECTORY_DONE the rollout alone is the key, and "
        "REWARD_POSTED is that of the final score. An event whose partner is missing or was "
        "overwritten is no latency and is counted.",
        (HOST,),
    ),
    Rule(
        "TRC-005",
        10,
        "A device that cannot read the host's counter leaves `host` 0, and writes both events of a "
        "line when it posts the completion. The host fills in `host` when the trace ends: by the "
        "line through two readings of both clocks, one before the first event and one behind the "
        "last. Half the time between the host's stamps around a reading, with the step of the "
        "device's clock, bounds the error of every stamp, and is reported with the trace.",
        (HOST,),
    ),
)
