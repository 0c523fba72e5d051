# SPDX-License-Identifier: Apache-2.0
"""Queues in the order of a policy, with a bound on overtaking [SCHED-001..SCHED-004]."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

from descring_model.rollouts import contract


@dataclass(frozen=True)
class Candidate:
    """What a policy sees of an entry when it is pushed."""

    group: int
    remaining: int
    rank: int


_RANKS: dict[int, Callable[[Candidate], int]] = {
    contract.POLICY["FIFO"]: lambda entry: 0,
    contract.POLICY["SHORTEST_REMAINING"]: lambda entry: entry.remaining,
    contract.POLICY["LONGEST_REMAINING"]: lambda entry: -entry.remaining,
    contract.POLICY["CUSTOM"]: lambda entry: entry.rank,
}
_PREFIX = contract.POLICY["PREFIX"]


@dataclass(frozen=True)
class _Entry:
    key: int
    sequence: int
    departures: int
    ahead: int


class PolicyQueue:
    """Entries named by an integer key; ``next()`` looks, ``pop()`` takes, ``remove()`` withdraws.

    Attributes:
        departures: pops and removals so far.
    """

    def __init__(self, policy: int, overtake: int) -> None:
        self._policy = policy
        self._overtake = overtake
        self._sequence = 0
        self.departures = 0
        self._leaders: dict[int, int] = {}
        self._entries: dict[int, _Entry] = {}
        self._heap: list[tuple[int, int, int]] = []

    def push(self, key: int, candidate: Candidate) -> None:
        """Add ``key``; ``ValueError`` if it is in already."""
        if key in self._entries:
            raise ValueError(f"entry {key} is in the queue already")
        sequence = self._sequence
        self._sequence += 1
        if self._policy == _PREFIX:
            rank = self._leaders.setdefault(candidate.group, sequence)
        else:
            rank = _RANKS[self._policy](candidate)
        self._entries[key] = _Entry(key, sequence, self.departures, len(self._entries))
        heapq.heappush(self._heap, (rank, sequence, key))

    def next(self) -> int | None:
        """The key that the next pop returns, or None [SCHED-003]."""
        if not self._entries:
            return None
        oldest = next(iter(self._entries.values()))
        if self._overtake != contract.NONE and self.overtakes_of_oldest() >= self._overtake:
            return oldest.key
        while not self._present(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][2]

    def overtakes_of_oldest(self) -> int:
        """Younger entries that left since the oldest one was pushed [SCHED-004]."""
        oldest = next(iter(self._entries.values()))
        return self.departures - oldest.departures - oldest.ahead

    def pop(self) -> int:
        """Remove and return the next key; ``IndexError`` if there is none."""
        key = self.next()
        if key is None:
            raise IndexError("pop from a policy queue without entries")
        self.remove(key)
        return key

    def remove(self, key: int) -> None:
        """Withdraw ``key``; ``KeyError`` if it is not there."""
        del self._entries[key]
        self.departures += 1

    def _present(self, item: tuple[int, int, int]) -> bool:
        entry = self._entries.get(item[2])
        return entry is not None and entry.sequence == item[1]

    def __contains__(self, key: int) -> bool:
        return key in self._entries

    def __len__(self) -> int:
        return len(self._entries)
