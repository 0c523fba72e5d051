# SPDX-License-Identifier: Apache-2.0
"""Counters and gauges of a run of the golden model [MET-001]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from descring_model.rollouts import contract, seeing, windows
from descring_model.rollouts.pipeline import Pipeline

Words = npt.NDArray[np.uint64]

_OF_EVENTS = {
    "admitted": "ADMIT",
    "windows": "WINDOW",
    "completions": "COMPLETION",
    "scores": "SCORE",
    "score_failures": "SCORER_FAILED",
    "score_requests": "SCORE_REQUEST",
    "nodes": "NODE",
    "nodes_freed": "NODE_FREE",
    "blocks_copied": "COPY",
    "versions": "VERSION",
}
"""Counters that are the number of an event."""
_OF_LINES = {
    "prefill_lines": windows.PREFILL,
    "decode_lines": windows.DECODE,
    "reward_lines": windows.REWARD,
}


def counters(pipeline: Pipeline) -> Words:
    """The counters as of the last tick's end, ``(COUNTER_WORDS,)`` uint64."""
    counts, log = pipeline.counts, pipeline.log.counts
    values = {
        **{name: log[event] for name, event in _OF_EVENTS.items()},
        **{name: counts[f"lines of {opcode}"] for name, opcode in _OF_LINES.items()},
        "tokens": pipeline.decoded,
        "blocks_allocated": pipeline.arena.allocated,
        "blocks_freed": pipeline.arena.freed,
    }
    words = np.zeros(seeing.COUNTER_WORDS, dtype=np.uint64)
    for name, number in seeing.COUNTER.items():
        words[number] = values.get(name, counts[name])
    return words


def gauges(pipeline: Pipeline) -> Words:
    """The gauges as of the last tick's end, ``(GAUGE_WORDS,)`` uint64."""
    states = [word & 0xFF for word in pipeline.slab.words]
    queues = {item.name: getattr(pipeline, item.name) for item in contract.QUEUES}
    values = {
        **{f"state_{item.name.lower()}": states.count(item.value) for item in contract.STATES},
        **{f"queue_{name}": len(queue) for name, queue in queues.items()},
        "waiting": len(pipeline.waiting),
        "in_flight": pipeline.in_flight,
        "blocks": pipeline.arena.in_use,
        "reserved": pipeline.arena.reserved,
        "decode_credits": pipeline.decode_credits.used,
        "reward_credits": pipeline.reward_credits.used,
        "trajectory_credits": pipeline.trajectory_credits.used,
        "prefixes": len(pipeline.tree.nodes),
        "version": pipeline.seats.version,
    }
    words = np.zeros(seeing.GAUGE_WORDS, dtype=np.uint64)
    for name, number in seeing.GAUGE.items():
        words[number] = values[name]
    return words
