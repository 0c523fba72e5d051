# SPDX-License-Identifier: Apache-2.0
"""Helpers of the rollout runtime's tests: requests, random runs, and what a tick must keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from descring_model.rollouts import contract
from descring_model.rollouts.pipeline import Pipeline
from descring_model.rollouts.records import REQUEST_DTYPE, Records, make_config
from hypothesis import strategies as st

S = contract.STATE
NONE = contract.NONE
MASK = (1 << 64) - 1


def requests_of(lengths: Sequence[tuple[int, int]], samples: int = 1) -> Records:
    """Requests of one group for each (prompt, max_tokens), ``samples`` of each."""
    requests = np.zeros(len(lengths) * samples, dtype=REQUEST_DTYPE)
    requests["group"] = np.arange(len(requests)) // samples
    requests["sample"] = np.arange(len(requests)) % samples
    for name, place in (("prompt_tokens", 0), ("max_tokens", 1)):
        requests[name] = np.repeat([length[place] for length in lengths], samples)
    requests["cancel"] = NONE
    return requests


def token(group: int, sample: int, position: int) -> int:
    """RWD-005 in plain integers."""
    x = group * 0x9E3779B97F4A7C15 + sample * 0xC2B2AE3D27D4EB4F + position * 0x165667B19E3779F9
    x &= MASK
    x ^= x >> 29
    x = x * 0xBF58476D1CE4E5B9 & MASK
    return (x ^ x >> 32) % 1024


@st.composite
def runs(draw: st.DrawFn, max_groups: int = 5) -> tuple[Records, Records]:
    """A configuration and requests: any policy, small limits, arrivals, cancellations."""
    prompts = draw(st.lists(st.integers(1, 70), min_size=1, max_size=max_groups))
    samples = draw(st.integers(1, 4))
    requests = requests_of([(prompt, prompt) for prompt in prompts], samples)
    count = len(requests)

    def column(values: st.SearchStrategy[int]) -> list[int]:
        return draw(st.lists(values, min_size=count, max_size=count))

    requests["max_tokens"] += np.array(column(st.integers(0, 100)), dtype=np.uint32)
    requests["rank"] = column(st.integers(-2, 2))
    if draw(st.booleans()):
        requests["arrival"] = column(st.integers(0, 12))
    if draw(st.booleans()):
        requests["cancel"] = column(st.sampled_from([NONE, NONE, NONE, *range(0, 30)]))
    limit = st.sampled_from([1, 2, 3, NONE])
    needs = -(-requests["max_tokens"].astype(int) // 32) + 1
    config = make_config(
        slots=draw(st.integers(1, 6)),
        decode_credits=draw(limit),
        reward_credits=draw(limit),
        trajectory_credits=draw(limit),
        kv_blocks=int(needs.max()) + draw(st.integers(0, 12)),
        window=draw(st.integers(1, 5)),
        depth=draw(st.integers(1, 3)),
        ring_slots=draw(st.sampled_from([2, 4, 8])),
        policy=draw(st.integers(0, len(contract.POLICIES) - 1)),
        overtake=draw(st.sampled_from([0, 1, 3, NONE])),
        scorer=draw(st.sampled_from([0, 0, 1, 2, 16])),
        score_ticks=draw(st.integers(1, 3)),
        deliver=draw(limit),
        seats=draw(limit),
        staleness=draw(st.integers(0, 2)),
        options=draw(st.integers(0, 15)),
    )
    return config, requests


def check_tick(pipeline: Pipeline) -> None:
    """What holds between two ticks [PIPE-003] [PIPE-004] [KV-004]."""
    assert pipeline.tick < 5000, "a run of a few rollouts does not end"
    queues = {
        name: list(getattr(pipeline, name))
        for name in ("free", "prefill", "reward", "trajectory", "done")
    }
    queues["decode"] = [slot for slot in range(len(pipeline.slab.words)) if slot in pipeline.decode]
    served = [slot for slot, item in pipeline.rollouts.items() if item.in_service]
    places = Counter([*served, *(slot for slots in queues.values() for slot in slots)])
    assert places == dict.fromkeys(range(len(pipeline.slab.words)), 1)
    states = [word & 0xFF for word in pipeline.slab.words]
    allowed = {
        "free": {S["FREE"]},
        "prefill": {S["PREFILL_READY"]},
        "decode": {S["PREFILL_READY"], S["DECODING"]},
        "reward": {S["DECODING"]},
        "trajectory": {S["REWARD_PENDING"], S["TRAJECTORY_READY"]},
        "done": {S["DONE"]},
    }
    for name, slots in queues.items():
        assert {states[slot] for slot in slots} <= allowed[name], name
    live = [state for state in states if S["FREE"] < state < S["DONE"]]
    usage = pipeline.usage()
    assert usage.decode == len(live)
    assert usage.reward == live.count(S["REWARD_PENDING"])
    assert usage.trajectory == live.count(S["TRAJECTORY_READY"])
    tree = pipeline.tree
    assert len(tree.branches) == len(live)
    held = [handle for node in tree.nodes.values() for handle in node.blocks]
    held += [handle for branch in tree.branches.values() for handle in branch.blocks]
    assert len(set(held)) == len(held) == usage.blocks
    assert usage.reserved == sum(branch.reserved for branch in tree.branches.values())
    assert usage.blocks + usage.reserved <= pipeline.arena.blocks
