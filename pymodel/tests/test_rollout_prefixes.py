# SPDX-License-Identifier: Apache-2.0
"""Prefixes and branches against plain copies of every sequence."""

from dataclasses import dataclass

import numpy as np
import pytest
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.kv import Arena, prompt_tags, rollout_tags
from descring_model.rollouts.prefixes import PrefixTree
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

BLOCKS, NODES, BRANCHES = 24, 5, 6


@dataclass
class Sequence:
    """A node or a branch as a plain list of tags; ``above`` is its parent or node."""

    above: int
    tags: list[int]
    end: int = 0


class TreeMachine(RuleBasedStateMachine):
    """[COW-001] [COW-002] [COW-003] [COW-004] [COW-005] [COW-006] [COW-007] [COW-008] [COW-009]

    Also [KV-005]: nodes on nodes, branches, writes, releases and sweeps in any order. Each sequence
    has a copy of its own in the shadow, so a write to a shared block shows in another's content.
    """

    def __init__(self) -> None:
        super().__init__()
        self.arena = Arena(BLOCKS)
        self.tree = PrefixTree(self.arena, nodes=NODES, branches=BRANCHES)
        self.nodes: dict[int, Sequence] = {}
        self.branches: dict[int, Sequence] = {}
        self.written = 0

    def snapshot(self) -> tuple[object, ...]:
        """Everything that a failed call must leave as it is."""
        return (
            self.arena.free_blocks(),
            self.arena.reserved,
            {number: node.count for number, node in self.tree.nodes.items()},
            sorted(self.tree.branches),
            self.arena.tags.tobytes(),
        )

    def fresh(self, count: int) -> list[int]:
        """Tags that nothing has had yet."""
        self.written += count
        return list(range(self.written - count + 1, self.written + 1))

    def call(self, error: str, act: object, *arguments: int) -> int | None:
        """Run ``act``; with an ``error`` expect it, and that nothing changed."""
        assert callable(act)
        if not error:
            result = act(*arguments)
            assert isinstance(result, int)
            return result
        before = self.snapshot()
        with pytest.raises(RolloutError) as caught:
            act(*arguments)
        assert caught.value.name == error
        assert self.snapshot() == before
        return None

    @rule(data=st.data(), more=st.integers(0, 80))
    def make_node(self, data: st.DataObject, more: int) -> None:
        """A child holds its parent; blocks beyond the parent's full ones are its own."""
        parent = data.draw(st.sampled_from([0, *self.nodes, 77]))
        above = self.nodes[parent].tags if parent in self.nodes else []
        tokens = len(above) + more
        need = -(-tokens // 32) - len(above) // 32
        if parent == 77:
            error = "BAD_NODE"
        elif more == 0:
            error = "BAD_LENGTH"
        elif len(self.nodes) == NODES:
            error = "OUT_OF_NODES"
        else:
            error = "OUT_OF_BLOCKS" if need > self.arena.available else ""
        lowest = self.arena.free_blocks()[:need]
        number = self.call(error, self.tree.node, parent, tokens)
        if number is None:
            return
        assert number == min(set(range(1, NODES + 1)) - set(self.nodes))
        assert [handle & 0xFFFFFFFF for handle in self.tree.nodes[number].blocks] == lowest
        own = self.fresh(more)
        self.tree.fill(number, np.array(own, dtype=np.uint64))
        self.nodes[number] = Sequence(parent, [*above, *own])

    @rule(data=st.data(), more=st.integers(-1, 90))
    def fork(self, data: st.DataObject, more: int) -> None:
        """A fork takes a reservation and nothing else."""
        node = data.draw(st.sampled_from([*self.nodes, 77]))
        shared = self.nodes[node].tags if node in self.nodes else []
        end = len(shared) + more
        need = -(-end // 32) - len(shared) // 32 if more > 0 else 0
        if node == 77:
            error = "BAD_NODE"
        elif more < 0:
            error = "BAD_LENGTH"
        elif len(self.branches) == BRANCHES:
            error = "OUT_OF_BRANCHES"
        else:
            error = "OUT_OF_BLOCKS" if need > self.arena.available else ""
        used, reserved = self.arena.in_use, self.arena.reserved
        branch = self.call(error, self.tree.fork, node, end)
        if branch is None:
            return
        assert branch == min(set(range(BRANCHES)) - set(self.branches))
        assert (self.arena.in_use, self.arena.reserved) == (used, reserved + need)
        self.branches[branch] = Sequence(node, list(shared), end)

    @precondition(lambda self: self.branches)
    @rule(data=st.data(), count=st.integers(1, 40))
    def append(self, data: st.DataObject, count: int) -> None:
        """Tokens are added at the end and nowhere else."""
        branch = data.draw(st.sampled_from(list(self.branches)))
        sequence = self.branches[branch]
        tags = self.fresh(count)
        error = "BAD_LENGTH" if len(sequence.tags) + count > sequence.end else ""
        self.write(error, branch, len(sequence.tags), tags)
        if not error:
            sequence.tags += tags

    @precondition(lambda self: self.branches)
    @rule(data=st.data())
    def write_elsewhere(self, data: st.DataObject) -> None:
        """A position of the node, of the branch's past, or beyond its end is refused."""
        branch = data.draw(st.sampled_from(list(self.branches)))
        sequence = self.branches[branch]
        shared = len(self.nodes[sequence.above].tags)
        length = len(sequence.tags)
        position = data.draw(st.integers(0, length + 40).filter(lambda p: p != length))
        error = "SHARED_BLOCK" if position < shared else "BAD_LENGTH"
        self.write(error, branch, position, self.fresh(1))

    def write(self, error: str, branch: int, position: int, tags: list[int]) -> None:
        """Write through the tree; an error changes nothing."""
        before = self.snapshot()
        try:
            self.tree.write(branch, position, np.array(tags, dtype=np.uint64))
        except RolloutError as caught:
            assert caught.name == error
            assert self.snapshot() == before
        else:
            assert error == ""

    @precondition(lambda self: self.branches)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """Own blocks and the rest of the reservation are returned; a second time is an error."""
        branch = data.draw(st.sampled_from(list(self.branches)))
        sequence = self.branches.pop(branch)
        shared = len(self.nodes[sequence.above].tags)
        own = len({p // 32 for p in range(shared, len(sequence.tags))})
        need = len({p // 32 for p in range(shared, sequence.end)})
        used, reserved = self.arena.in_use, self.arena.reserved
        released = self.tree.release(branch)
        assert (released.blocks, released.reserved) == (own, need - own)
        assert (self.arena.in_use, self.arena.reserved) == (used - own, reserved - need + own)
        self.call("BAD_BRANCH", self.tree.release, branch)

    @rule()
    def sweep(self) -> None:
        """Idle nodes are freed, the lowest first, with what that makes idle."""
        expected = []
        while idle := [number for number in self.nodes if not self.count(number)]:
            expected.append(min(idle))
            del self.nodes[expected[-1]]
        assert [number for number, _ in self.tree.sweep()] == expected
        if not self.nodes:
            assert self.arena.free_blocks() == list(range(BLOCKS))

    def count(self, number: int) -> int:
        """Children and live branches, from the shadow."""
        holders = [*self.nodes.values(), *self.branches.values()]
        return sum(1 for item in holders if item.above == number)

    @invariant()
    def contents(self) -> None:
        """Every branch reads its own copy back, whatever the others wrote."""
        for branch, sequence in self.branches.items():
            assert self.tree.tags_of(branch).tolist() == sequence.tags

    @invariant()
    def counts(self) -> None:
        """Counts, and blocks as the formula has them."""
        assert {number: node.count for number, node in self.tree.nodes.items()} == {
            number: self.count(number) for number in self.nodes
        }
        blocks = 0
        for node in self.nodes.values():
            above = len(self.nodes[node.above].tags) if node.above else 0
            blocks += -(-len(node.tags) // 32) - above // 32
        for branch in self.branches.values():
            shared = len(self.nodes[branch.above].tags)
            blocks += len({p // 32 for p in range(shared, len(branch.tags))})
        assert self.arena.in_use == blocks


TestTreeMachine = TreeMachine.TestCase
TestTreeMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def tree_of(blocks: int, branches: int) -> PrefixTree:
    """A tree with room for one node."""
    return PrefixTree(Arena(blocks), nodes=1, branches=branches)


def test_ten_thousand_branches_of_two_blocks_over_a_prefix_of_four_save_two_thirds() -> None:
    """[COW-011] [COW-003] Blocks in use and reserved, against copies of the whole."""
    tree = tree_of(60_000, 10_000)
    node = tree.node(0, 4 * 32)
    for _ in range(10_000):
        tree.fork(node, 6 * 32)
    assert tree.arena.in_use == 4
    assert tree.arena.reserved == 20_000
    shared = tree.arena.in_use + tree.arena.reserved
    copies = 10_000 * 6
    assert round(100 * (1 - shared / copies), 1) == 66.7


@given(st.integers(1, 200), st.integers(1, 120), st.integers(1, 5))
@example(32, 10, 2)
@example(64, 33, 1)
@example(290, 33, 1)
@settings(max_examples=60)
def test_memory_of_a_group_is_the_formula(prompt: int, more: int, count: int) -> None:
    """[COW-011] [COW-006] All branches written to their end, and the copies that were made."""
    tree = tree_of(100, count)
    node = tree.node(0, prompt)
    tree.fill(node, prompt_tags(1, prompt))
    shared = tree.arena.tags[:, 0].copy()
    copies = 0
    for number in range(count):
        branch = tree.fork(node, prompt + more)
        for position in range(prompt, prompt + more):
            prepared = tree.prepare(branch)
            assert prepared is not None
            if prepared.copied_from is not None:
                copies += 1
                assert prepared.copied == prompt % 32
                assert position == prompt
            tree.write(branch, position, rollout_tags(number, position, position + 1))
        assert tree.prepare(branch) is None
    end = prompt + more
    assert tree.arena.in_use == -(-prompt // 32) + count * (-(-end // 32) - prompt // 32)
    assert tree.arena.reserved == 0
    assert copies == (count if prompt % 32 else 0)
    kept = -(-prompt // 32)
    assert (tree.arena.tags[:kept, 0] == shared[:kept]).all()


def test_a_child_copies_the_partial_last_block_of_its_parent() -> None:
    """[COW-001] 40 tokens below 70: the child's first block has 8 of the parent's tags."""
    tree = PrefixTree(Arena(8), nodes=2, branches=1)
    parent = tree.node(0, 40)
    tree.fill(parent, prompt_tags(1, 40))
    child = tree.node(parent, 70)
    with pytest.raises(RolloutError, match="BAD_LENGTH"):
        tree.fill(child, prompt_tags(2, 70))
    tree.fill(child, rollout_tags(9, 40, 70))
    branch = tree.fork(child, 70)
    expected = [*prompt_tags(1, 40).tolist(), *rollout_tags(9, 40, 70).tolist()]
    assert tree.tags_of(branch).tolist() == expected
    assert tree.block_map(branch) == [0, 2, 3]


def test_an_idle_node_is_used_again_until_the_sweep() -> None:
    """[COW-002] [COW-005] A fork between the last release and the sweep finds the prompt there."""
    tree = tree_of(4, 2)
    node = tree.node(0, 32)
    tree.fill(node, prompt_tags(5, 32))
    tree.release(tree.fork(node, 40))
    assert tree.arena.in_use == 1
    branch = tree.fork(node, 40)
    assert tree.sweep() == []
    assert tree.tags_of(branch).tolist() == prompt_tags(5, 32).tolist()
    tree.release(branch)
    assert tree.sweep() == [(node, 1)]
    with pytest.raises(RolloutError, match="BAD_NODE"):
        tree.fork(node, 40)


def test_a_failed_fork_or_node_takes_nothing() -> None:
    """[COW-008] [COW-009] [KV-004] Out of blocks, branches, nodes: counts and claims as before."""
    tree = PrefixTree(Arena(6), nodes=2, branches=2)
    node = tree.node(0, 40)
    branch = tree.fork(node, 100)
    for call, above, tokens, error in (
        (tree.fork, node, 200, "OUT_OF_BLOCKS"),
        (tree.node, node, 200, "OUT_OF_BLOCKS"),
        (tree.node, 0, 64, "OUT_OF_BLOCKS"),
        (tree.fork, node, 39, "BAD_LENGTH"),
        (tree.node, node, 40, "BAD_LENGTH"),
        (tree.fork, 9, 99, "BAD_NODE"),
    ):
        with pytest.raises(RolloutError) as caught:
            call(above, tokens)
        assert caught.value.name == error
        assert (tree.nodes[node].count, len(tree.branches)) == (1, 1)
        assert (tree.arena.in_use, tree.arena.reserved) == (2, 3)
    other = tree.fork(node, 40)
    with pytest.raises(RolloutError, match="OUT_OF_BRANCHES"):
        tree.fork(node, 40)
    tree.release(other)
    tree.release(branch)
    with pytest.raises(RolloutError, match="BAD_BRANCH"):
        tree.release(branch)
    assert tree.sweep() == [(node, 2)]
    assert (tree.arena.free_blocks(), tree.arena.reserved) == (list(range(6)), 0)


def test_blocks_of_a_prefix_outlive_all_branches_but_the_last() -> None:
    """[COW-002] [COW-004] Three branches, released one by one; a parent under a child likewise."""
    tree = PrefixTree(Arena(8), nodes=2, branches=3)
    node = tree.node(0, 64)
    tree.fill(node, prompt_tags(3, 64))
    branches = [tree.fork(node, 96) for _ in range(3)]
    for number, branch in enumerate(branches):
        tree.write(branch, 64, rollout_tags(number, 64, 70))
    for branch in branches[:2]:
        tree.release(branch)
        assert tree.sweep() == []
        assert tree.tags_of(branches[2])[:64].tolist() == prompt_tags(3, 64).tolist()
    child = tree.node(node, 80)
    tree.release(branches[2])
    last = tree.fork(child, 90)
    assert tree.sweep() == []
    assert tree.tags_of(last)[:64].tolist() == prompt_tags(3, 64).tolist()
    tree.release(last)
    assert tree.sweep() == [(child, 1), (node, 2)]
    assert tree.arena.in_use == 0
