# SPDX-License-Identifier: Apache-2.0
"""The native policies: entries leave in the golden model's order."""

import numpy as np
import pytest
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.policies import Candidate
from descring_model.rollouts.policies import PolicyQueue as GoldenQueue
from descring_rollouts.policy_queue import PolicyQueue
from hypothesis import given
from hypothesis import strategies as st

NONE = contract.NONE

GROUPS = 4

QUEUE_OPERATIONS = st.one_of(
    *[st.tuples(st.just("push"), st.integers(0, 11), st.integers(-3, 3))] * 3,
    st.tuples(st.just("pop"), st.just(0), st.just(0)),
    st.tuples(st.just("pop"), st.just(0), st.just(0)),
    st.tuples(st.just("remove"), st.integers(0, 11), st.just(0)),
)


@given(
    st.integers(0, len(contract.POLICIES) - 1),
    st.sampled_from([NONE, 0, 1, 2, 5]),
    st.lists(QUEUE_OPERATIONS, min_size=30, max_size=120),
)
def test_policies_give_up_entries_in_the_golden_models_order(
    policy: int, overtake: int, operations: list[tuple[str, int, int]]
) -> None:
    """[SCHED-001..SCHED-004]"""
    native = PolicyQueue(policy, overtake, room=12, groups=GROUPS)
    golden = GoldenQueue(policy, overtake)
    for name, entry, rank in operations:
        if name == "push" and entry not in golden:
            remaining, group = abs(rank) * 7, entry % GROUPS
            native.push(entry, group=group, remaining=remaining, rank=rank)
            golden.push(entry, Candidate(group, remaining, rank))
        elif name == "push":
            with pytest.raises(RolloutError, match="QUEUE_FULL"):
                native.push(entry)
        elif name == "pop" and len(golden):
            assert native.pop() == golden.pop()
        elif name == "remove" and entry in golden:
            native.remove(entry)
            golden.remove(entry)
        else:
            with pytest.raises(RolloutError, match="QUEUE_EMPTY"):
                native.pop() if name == "pop" else native.remove(entry)
        assert native.next() == golden.next()
        assert len(native) == len(golden)
        assert (entry in native) == (entry in golden)
        if len(golden):
            assert native.overtakes_of_oldest() == golden.overtakes_of_oldest()


@pytest.mark.parametrize("policy", range(len(contract.POLICIES)))
@pytest.mark.parametrize("overtake", [NONE, 40])
def test_large_queues_keep_the_golden_models_order(policy: int, overtake: int) -> None:
    """[SCHED-001..SCHED-004]: hundreds of entries, of which some are removed from the middle."""
    rng = np.random.default_rng([policy, 23])
    room = 700
    native = PolicyQueue(policy, overtake, room=room, groups=room)
    golden = GoldenQueue(policy, overtake)
    for turn in range(6000):
        grows = turn // 1000 % 2 == 0
        entry, kind = int(rng.integers(room)), rng.random()
        if entry not in golden and kind < (0.9 if grows else 0.4):
            group, remaining = int(rng.integers(room)), int(rng.integers(1 << 20))
            rank = int(rng.integers(-(1 << 40), 1 << 40))
            native.push(entry, group=group, remaining=remaining, rank=rank)
            golden.push(entry, Candidate(group, remaining, rank))
        elif entry in golden and kind < 0.5:
            native.remove(entry)
            golden.remove(entry)
        elif len(golden):
            assert native.pop() == golden.pop(), turn
    while len(golden):
        assert native.pop() == golden.pop()
