# SPDX-License-Identifier: Apache-2.0
"""Golden model of one ring on chip, untimed: lines enter at the tail and leave at the head."""

from __future__ import annotations

from collections import deque

from descring_model.lines import INDEX_MODULUS


class RingModel:
    """A ring of ``slots`` lines whose indices start at ``first_index`` [RING-001] [RING-012].

    It is told of what the pins showed, in any order within a cycle, and refuses what no ring may
    do. A push and a pop may share a cycle, so room is judged when the cycle is over.

    Attributes:
        head: index of the next line to leave.
        tail: index of the next line to enter.
    """

    def __init__(self, slots: int, first_index: int = 0) -> None:
        self.slots = slots
        self.head = self.tail = first_index
        self._lines: deque[bytes] = deque()
        self._cycle = 0

    @property
    def occupancy(self) -> int:
        """Lines in the ring: ``(tail - head) mod 2^32`` [RING-002]."""
        return (self.tail - self.head) % INDEX_MODULUS

    def push(self, line: bytes, cycle: int) -> int:
        """A line went in; returns its index."""
        self._begin(cycle)
        self._lines.append(line)
        index = self.tail
        self.tail = (self.tail + 1) % INDEX_MODULUS
        return index

    def pop(self, cycle: int) -> tuple[bytes, int]:
        """Return the line that must leave next, and its index.

        Raises:
            AssertionError: the ring is empty.
        """
        self._begin(cycle)
        if not self._lines:
            raise AssertionError(f"a line left an empty ring in cycle {cycle}")
        index = self.head
        self.head = (self.head + 1) % INDEX_MODULUS
        return self._lines.popleft(), index

    def settle(self) -> None:
        """Judge the last cycle: call it once no more of that cycle can come.

        Raises:
            AssertionError: there were more lines than slots [RING-005].
        """
        if self.occupancy > self.slots:
            raise AssertionError(
                f"the ring of {self.slots} slots took line {self.occupancy} in cycle {self._cycle}"
            )

    def _begin(self, cycle: int) -> None:
        if cycle != self._cycle:
            self.settle()
            self._cycle = cycle
