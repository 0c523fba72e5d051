# SPDX-License-Identifier: Apache-2.0
"""Which block holds which tokens, from the event log of a run alone.

Blocks are allocated lowest first [KV-002], so that a log which names the first block of a node and
the block of each line determines every map. A log that disagrees is refused.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field


@dataclass
class Branch:
    """A rollout's map: the node's blocks, and its own by their place in the sequence."""

    blocks: list[int]
    own: dict[int, int] = field(default_factory=dict)


class BlockMaps:
    """Nodes and branches of a run as its log grows."""

    def __init__(self) -> None:
        self._freed: list[int] = []
        self._next = 0
        self._nodes: dict[int, list[int]] = {}
        self._branches: dict[int, Branch] = {}

    def node(self, number: int, count: int, first: int) -> None:
        """A node has allocated ``count`` blocks; the log names the first."""
        blocks = [self._take() for _ in range(count)]
        self._expect("first block of a node", blocks[0], first)
        self._nodes[number] = blocks

    def node_free(self, number: int, count: int) -> None:
        """A node has been freed, and how many blocks with it."""
        blocks = self._nodes.pop(number)
        self._expect("blocks of a node", len(blocks), count)
        self._give(blocks)

    def admit(self, request: int, node: int) -> list[int]:
        """A branch of ``node`` begins; its map, which further calls change in place."""
        branch = Branch(list(self._nodes[node]))
        self._branches[request] = branch
        return branch.blocks

    def write(self, request: int, place: int, block: int) -> None:
        """A branch writes to its block at ``place`` of the sequence, allocated if not yet its."""
        branch = self._branches[request]
        if place not in branch.own:
            branch.own[place] = self._take()
            branch.blocks[place:] = [branch.own[place]]
        self._expect("block of a line", branch.own[place], block)

    def release(self, request: int, count: int) -> None:
        """A branch has ended, and how many blocks of its own with it."""
        own = list(self._branches.pop(request).own.values())
        self._expect("own blocks of a rollout", len(own), count)
        self._give(own)

    def _take(self) -> int:
        if self._freed:
            return heapq.heappop(self._freed)
        self._next += 1
        return self._next - 1

    def _give(self, blocks: list[int]) -> None:
        for block in blocks:
            heapq.heappush(self._freed, block)

    @staticmethod
    def _expect(what: str, expected: int, got: int) -> None:
        if expected != got:
            raise ValueError(
                f"event log: expected {expected} as {what}, got {got}; the log is not that of "
                "a run from its first record on"
            )
