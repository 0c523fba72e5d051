# SPDX-License-Identifier: Apache-2.0
"""Shared prefixes as a tree of nodes, and copy-on-write branches [COW-001..COW-011]."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

import numpy as np

from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.kv import Arena, Tags
from descring_model.rollouts.records import blocks_of, own_blocks

_TOKENS = contract.BLOCK_TOKENS


@dataclass
class Node:
    """One shared prefix: ``tokens`` is its whole length, ``blocks`` the handles of its own."""

    parent: int
    tokens: int
    blocks: list[int]
    count: int = 0


@dataclass
class Branch:
    """One continuation of a node: ``tokens`` is its whole length, ``reserved`` what is left."""

    node: int
    tokens: int
    max_tokens: int
    reserved: int
    blocks: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Prepared:
    """The block that a branch writes next; ``copied_from`` and ``copied`` if it is a copy."""

    block: int
    copied_from: int | None = None
    copied: int = 0


@dataclass(frozen=True)
class Released:
    """What the release of a branch freed, and what was left of its reservation."""

    blocks: int
    reserved: int


class Ids:
    """Numbers from ``first`` to below ``end``; the lowest unused one is given out."""

    def __init__(self, first: int, end: int) -> None:
        self._next = first
        self._end = end
        self._returned: list[int] = []

    @property
    def left(self) -> bool:
        """Whether one is unused."""
        return bool(self._returned) or self._next < self._end

    def take(self) -> int:
        """The lowest unused number."""
        if self._returned:
            return heapq.heappop(self._returned)
        self._next += 1
        return self._next - 1

    def give_back(self, number: int) -> None:
        """Make ``number`` unused."""
        heapq.heappush(self._returned, number)


class PrefixTree:
    """Nodes and branches over one arena.

    Attributes:
        nodes: by id, from 1.
        branches: by id, from 0.
    """

    def __init__(self, arena: Arena, *, nodes: int, branches: int) -> None:
        self.arena = arena
        self.nodes: dict[int, Node] = {}
        self.branches: dict[int, Branch] = {}
        self._node_ids = Ids(1, nodes + 1)
        self._branch_ids = Ids(0, branches)
        self._idle: set[int] = set()

    def node(self, parent: int, tokens: int) -> int:
        """Make a node below ``parent`` (0: none) and return its id [COW-001].

        Raises:
            RolloutError: BAD_NODE, BAD_LENGTH, OUT_OF_NODES or OUT_OF_BLOCKS; nothing changed.
        """
        shared = self._node(parent).tokens if parent else 0
        if tokens <= shared:
            raise RolloutError(
                "BAD_LENGTH", f"expected more than the parent's {shared} tokens, got {tokens}"
            )
        if not self._node_ids.left:
            raise RolloutError("OUT_OF_NODES", f"expected fewer than {len(self.nodes)} live nodes")
        blocks = self.arena.allocate(blocks_of(tokens) - shared // _TOKENS)
        tail = shared % _TOKENS
        if tail:
            self._copy(self._last_block(parent), blocks[0], tail)
        number = self._node_ids.take()
        self.nodes[number] = Node(parent, tokens, blocks)
        self._idle.add(number)
        if parent:
            self._hold(parent)
        return number

    def fill(self, number: int, tags: Tags) -> None:
        """Write the tags of the node's own tokens, those behind its parent's [KV-007].

        Args:
            number: the node.
            tags: ``(tokens of the node less its parent's,)`` uint64.
        """
        node = self._node(number)
        first = self.nodes[node.parent].tokens if node.parent else 0
        if len(tags) != node.tokens - first:
            raise RolloutError(
                "BAD_LENGTH", f"expected {node.tokens - first} tags, got {len(tags)}"
            )
        self._write(node.blocks, first // _TOKENS, first, tags)

    def fork(self, number: int, max_tokens: int) -> int:
        """Make a branch of node ``number`` that can grow to ``max_tokens`` [COW-003].

        Raises:
            RolloutError: BAD_NODE, BAD_LENGTH, OUT_OF_BRANCHES or OUT_OF_BLOCKS; nothing changed.
        """
        node = self._node(number)
        if max_tokens < node.tokens:
            raise RolloutError(
                "BAD_LENGTH", f"expected max_tokens of at least {node.tokens}, got {max_tokens}"
            )
        if not self._branch_ids.left:
            raise RolloutError(
                "OUT_OF_BRANCHES", f"expected fewer than {len(self.branches)} live branches"
            )
        need = own_blocks(node.tokens, max_tokens)
        self.arena.reserve(need)
        self._hold(number)
        branch = self._branch_ids.take()
        self.branches[branch] = Branch(number, node.tokens, max_tokens, need)
        return branch

    def prepare(self, number: int) -> Prepared | None:
        """Make sure that the branch's next token has a block of its own [COW-006].

        Returns:
            The block, and what was copied into it if it was made now and is a copy; None for a
            branch that has its ``max_tokens``.
        """
        branch = self._branch(number)
        if branch.tokens == branch.max_tokens:
            return None
        shared = self.nodes[branch.node].tokens
        place = branch.tokens // _TOKENS - shared // _TOKENS
        if place < len(branch.blocks):
            return Prepared(branch.blocks[place] & contract.NONE)
        handle = self.arena.allocate_reserved()
        branch.reserved -= 1
        branch.blocks.append(handle)
        block = handle & contract.NONE
        tail = shared % _TOKENS
        if place or not tail:
            return Prepared(block)
        source = self._last_block(branch.node)
        self._copy(source, handle, tail)
        return Prepared(block, source & contract.NONE, tail)

    def write(self, number: int, position: int, tags: Tags) -> None:
        """Append the tags of tokens ``position`` and on to a branch.

        Raises:
            RolloutError: BAD_BRANCH; SHARED_BLOCK for a position of the node; BAD_LENGTH for any
                other than the branch's length, or beyond ``max_tokens`` [COW-007].
        """
        branch = self._branch(number)
        if position < self.nodes[branch.node].tokens:
            raise RolloutError(
                "SHARED_BLOCK", f"expected a position behind node {branch.node}, got {position}"
            )
        if position != branch.tokens or position + len(tags) > branch.max_tokens:
            raise RolloutError(
                "BAD_LENGTH",
                f"expected tokens from {branch.tokens} to at most {branch.max_tokens}, got "
                f"{position} to {position + len(tags)}",
            )
        first = self.nodes[branch.node].tokens // _TOKENS
        while len(tags):
            self.prepare(number)
            room = _TOKENS - branch.tokens % _TOKENS
            self._write(branch.blocks, first, branch.tokens, tags[:room])
            branch.tokens += len(tags[:room])
            tags = tags[room:]

    def block_map(self, number: int) -> list[int]:
        """The block of every 32 tokens of a branch, in order of position."""
        branch = self._branch(number)
        blocks = self._node_map(branch.node)
        if branch.blocks:
            blocks[self.nodes[branch.node].tokens // _TOKENS :] = branch.blocks
        return [handle & contract.NONE for handle in blocks]

    def tags_of(self, number: int) -> Tags:
        """The tag of each token of a branch, through its block map, ``(tokens,)`` uint64."""
        tokens = self._branch(number).tokens
        rows = np.array(self.block_map(number), dtype=np.int64)
        tags: Tags = self.arena.tags[rows].reshape(-1)[:tokens]
        return tags

    def release(self, number: int) -> Released:
        """End a branch; its node is idle if it was the last holder [COW-004]."""
        branch = self._branch(number)
        for handle in branch.blocks:
            self.arena.free(handle)
        self.arena.unreserve(branch.reserved)
        del self.branches[number]
        self._branch_ids.give_back(number)
        self._let(branch.node)
        return Released(len(branch.blocks), branch.reserved)

    def sweep(self) -> list[tuple[int, int]]:
        """Free every idle node; ``(id, blocks)`` of each, in the order of COW-005."""
        freed = []
        while self._idle:
            number = min(self._idle)
            node = self.nodes.pop(number)
            self._idle.remove(number)
            for handle in node.blocks:
                self.arena.free(handle)
            self._node_ids.give_back(number)
            if node.parent:
                self._let(node.parent)
            freed.append((number, len(node.blocks)))
        return freed

    def _node(self, number: int) -> Node:
        if number not in self.nodes:
            raise RolloutError("BAD_NODE", f"expected a live node, got {number}")
        return self.nodes[number]

    def _branch(self, number: int) -> Branch:
        if number not in self.branches:
            raise RolloutError("BAD_BRANCH", f"expected a live branch, got {number}")
        return self.branches[number]

    def _hold(self, number: int) -> None:
        self.nodes[number].count += 1
        self._idle.discard(number)

    def _let(self, number: int) -> None:
        node = self.nodes[number]
        node.count -= 1
        if node.count == 0:
            self._idle.add(number)

    def _node_map(self, number: int) -> list[int]:
        node = self.nodes[number]
        if not node.parent:
            return list(node.blocks)
        blocks = self._node_map(node.parent)
        blocks[self.nodes[node.parent].tokens // _TOKENS :] = node.blocks
        return blocks

    def _last_block(self, number: int) -> int:
        return self.nodes[number].blocks[-1]

    def _copy(self, source: int, target: int, tokens: int) -> None:
        tags = self.arena.tags
        tags[target & contract.NONE, :tokens] = tags[source & contract.NONE, :tokens]

    def _write(self, blocks: list[int], first_block: int, position: int, tags: Tags) -> None:
        """Write tags of tokens from ``position`` on into ``blocks``, whose first is a given one."""
        done = 0
        while done < len(tags):
            row = blocks[position // _TOKENS - first_block] & contract.NONE
            start = position % _TOKENS
            part = tags[done : done + _TOKENS - start]
            self.arena.tags[row, start : start + len(part)] = part
            position += len(part)
            done += len(part)
