# SPDX-License-Identifier: Apache-2.0
"""Policies against a list that is searched as a whole, and what each policy is for."""

import heapq
from dataclasses import dataclass

import numpy as np
import pytest
from descring_model.rollouts import contract
from descring_model.rollouts.policies import Candidate, PolicyQueue
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

POLICIES = list(contract.POLICY)


@dataclass
class Shadow:
    """One entry of the searched list, with the overtakes that it has suffered."""

    key: int
    rank: int
    overtakes: int = 0


class PolicyMachine(RuleBasedStateMachine):
    """[SCHED-001] [SCHED-002] [SCHED-003] [SCHED-004] Any policy, bound, push and departure.

    The shadow counts overtakes one by one for every entry.
    """

    @initialize(
        policy=st.sampled_from(POLICIES), overtake=st.sampled_from([0, 1, 2, 5, contract.NONE])
    )
    def start(self, policy: str, overtake: int) -> None:
        """A queue of any policy."""
        self.policy = policy
        self.overtake = overtake
        self.queue = PolicyQueue(contract.POLICY[policy], overtake)
        self.shadow: list[Shadow] = []
        self.leaders: dict[int, int] = {}
        self.pushed = 0

    @rule(group=st.integers(0, 2), remaining=st.integers(0, 9), rank=st.integers(-3, 3))
    def push(self, group: int, remaining: int, rank: int) -> None:
        """The rank is fixed here."""
        key = 1000 + self.pushed
        self.leaders.setdefault(group, self.pushed)
        ranks = {
            "FIFO": 0,
            "SHORTEST_REMAINING": remaining,
            "LONGEST_REMAINING": -remaining,
            "PREFIX": self.leaders[group],
            "CUSTOM": rank,
        }
        self.shadow.append(Shadow(key, ranks[self.policy]))
        self.queue.push(key, Candidate(group, remaining, rank))
        self.pushed += 1

    def expected(self) -> Shadow:
        """The entry that is next, from the whole list."""
        oldest = self.shadow[0]
        if self.overtake != contract.NONE and oldest.overtakes >= self.overtake:
            return oldest
        return min(self.shadow, key=lambda entry: entry.rank)

    def depart(self, entry: Shadow) -> None:
        """Count the departure against every older entry."""
        for older in self.shadow[: self.shadow.index(entry)]:
            older.overtakes += 1
        self.shadow.remove(entry)

    @precondition(lambda self: self.shadow)
    @rule()
    def pop(self) -> None:
        """The next entry leaves; looking twice changes nothing."""
        entry = self.expected()
        assert self.queue.next() == self.queue.next() == entry.key
        assert self.queue.pop() == entry.key
        self.depart(entry)

    @precondition(lambda self: self.shadow)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        """A cancelled entry leaves from anywhere."""
        entry = data.draw(st.sampled_from(self.shadow))
        self.queue.remove(entry.key)
        self.depart(entry)

    @invariant()
    def bound_holds(self) -> None:
        """Entries are the same, and by pops alone none is overtaken more than K times."""
        if not hasattr(self, "queue"):
            return
        assert len(self.queue) == len(self.shadow)
        assert all(entry.key in self.queue for entry in self.shadow)
        if self.shadow:
            assert self.queue.overtakes_of_oldest() == self.shadow[0].overtakes
        else:
            assert self.queue.next() is None
            with pytest.raises(IndexError):
                self.queue.pop()


TestPolicyMachine = PolicyMachine.TestCase


def groups_of_lengths(sigma: float, seed: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """4096 log-normal lengths in 256 groups of 16, as (length, group)."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(7.0, sigma * 0.8, 256)
    lengths = np.exp(middle[:, None] + rng.normal(0, sigma * 0.6, (256, 16)))
    return np.minimum(lengths, 32768).astype(int).ravel() + 1, np.arange(4096) // 16


def finish_times(policy: str, lengths: np.ndarray, groups: np.ndarray, overtake: int) -> np.ndarray:
    """When each rollout ends on 256 servers that take the policy's next one as they get free."""
    queue = PolicyQueue(contract.POLICY[policy], overtake)
    order = np.random.default_rng(1).permutation(len(lengths))
    for key in order:
        queue.push(int(key), Candidate(int(groups[key]), int(lengths[key]), 0))
    servers = [0] * 256
    ends = np.zeros(len(lengths))
    for _ in range(len(lengths)):
        key = queue.pop()
        ends[key] = heapq.heappop(servers) + lengths[key]
        heapq.heappush(servers, ends[key])
    assert len(queue) == 0
    return ends


@pytest.mark.parametrize(("sigma", "ratio"), [(0.6, 0.75), (1.0, 0.60), (1.4, 0.50)])
@pytest.mark.parametrize("seed", [7, 11])
def test_shortest_remaining_cuts_the_mean_completion_time(
    sigma: float, ratio: float, seed: int
) -> None:
    """[SCHED-005] Against FIFO, on lengths of three spreads."""
    lengths, groups = groups_of_lengths(sigma, seed)
    shortest = finish_times("SHORTEST_REMAINING", lengths, groups, contract.NONE)
    fifo = finish_times("FIFO", lengths, groups, contract.NONE)
    assert shortest.mean() <= ratio * fifo.mean()


@pytest.mark.parametrize("sigma", [0.6, 1.0, 1.4])
@pytest.mark.parametrize("seed", [7, 11])
def test_longest_remaining_ends_at_the_lower_bound(sigma: float, seed: int) -> None:
    """[SCHED-005] The makespan is at most 1.02 of max(longest, total / servers)."""
    lengths, groups = groups_of_lengths(sigma, seed)
    bound = max(lengths.max(), lengths.sum() / 256)
    longest = finish_times("LONGEST_REMAINING", lengths, groups, contract.NONE)
    assert bound <= longest.max() <= 1.02 * bound


@pytest.mark.parametrize("policy", ["SHORTEST_REMAINING", "LONGEST_REMAINING", "PREFIX"])
@pytest.mark.parametrize("bound", [0, 10, 300])
def test_nobody_is_overtaken_more_often_than_the_bound(policy: str, bound: int) -> None:
    """[SCHED-004] Counted entry by entry over 2000 pops of a queue that is kept at 500."""
    rng = np.random.default_rng(3)
    queue = PolicyQueue(contract.POLICY[policy], bound)
    overtaken: dict[int, int] = {}
    most = 0
    for key in range(2500):
        queue.push(key, Candidate(int(rng.integers(40)), int(rng.integers(1, 10**6)), 0))
        overtaken[key] = 0
        if key < 500:
            continue
        popped = queue.pop()
        del overtaken[popped]
        for other in overtaken:
            if other < popped:
                overtaken[other] += 1
        most = max(most, max(overtaken.values()))
    assert most == bound
