# SPDX-License-Identifier: Apache-2.0
"""The native KV arena and prefix tree beside the golden model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from descring_model.rollouts import contract, kv, prefixes
from descring_model.rollouts.errors import RolloutError
from descring_rollouts.kv import Arena, Memory, PrefixTree
from descring_rollouts.native import lib
from hypothesis import given
from hypothesis import strategies as st

SMALL_BLOCK = 512
"""Bytes of a block that has room for the tags and nothing else."""


def outcome(call: Callable[..., Any], *arguments: Any) -> object:
    """What a call returns, or the name of its error."""
    try:
        return call(*arguments)
    except RolloutError as error:
        return error.name


def make_arena(blocks: int, block_bytes: int = SMALL_BLOCK) -> Arena:
    """An arena with tags in it."""
    memory = Memory(blocks * block_bytes, require="small")
    return Arena(blocks, memory=memory, block_bytes=block_bytes)


ARENA_OPERATIONS = st.one_of(
    st.tuples(st.just("allocate"), st.just(0), st.just(0)),
    st.tuples(st.just("free"), st.integers(0, 400), st.sampled_from([0, 0, 0, 1, -1, 1 << 31])),
    st.tuples(st.just("reserve"), st.integers(0, 80), st.just(0)),
    st.tuples(st.just("unreserve"), st.integers(0, 80), st.just(0)),
)


@given(st.integers(1, 150), st.lists(ARENA_OPERATIONS, min_size=20, max_size=120))
def test_blocks_handles_and_errors_are_the_golden_models(
    blocks: int, operations: list[tuple[str, int, int]]
) -> None:
    """[KV-002..KV-005]"""
    native, golden = Arena(blocks), kv.Arena(blocks)
    handles = [1 << 32, 1 << 32 | blocks]
    for name, number, shift in operations:
        if name == "allocate":
            got: Any = outcome(native.allocate)
            expected: Any = outcome(lambda: golden.allocate()[0])
            handles += [got] if isinstance(got, int) else []
        elif name == "free":
            handle = (handles[number % len(handles)] + (shift << 32)) % (1 << 64)
            got, expected = outcome(native.free, handle), outcome(golden.free, handle)
        else:
            number = min(number, golden.reserved) if name == "unreserve" else number
            got = outcome(getattr(native, name), number)
            expected = outcome(getattr(golden, name), number)
        assert got == expected
        assert (native.in_use, native.reserved, native.available) == (
            golden.in_use,
            golden.reserved,
            golden.available,
        )


@pytest.mark.parametrize("blocks", [1, 63, 64, 65, 4095, 4096, 4097, 262143, 262145])
def test_every_block_is_given_out_once_and_the_lowest_first(blocks: int) -> None:
    """[KV-002] [KV-005]: sizes around the words of each level of the bitmap."""
    arena = Arena(blocks)
    handles = [arena.allocate() for _ in range(blocks)]
    assert handles == [1 << 32 | block for block in range(blocks)]
    assert outcome(arena.allocate) == "OUT_OF_BLOCKS"
    for block in sorted({0, blocks // 2, blocks - 1, min(64, blocks - 1)}, reverse=True):
        arena.free(handles[block])
        assert arena.allocate() == 2 << 32 | block
        assert outcome(arena.free, handles[block]) == "REUSED"


def test_claims_are_given_back_until_none_is_left() -> None:
    """[KV-005] The native call returns 0, or the error and has changed nothing."""
    arena = Arena(8)
    assert lib.hr_arena_reserve(arena.handle, 5) == 0
    assert lib.hr_arena_unreserve(arena.handle, 6) < 0
    for left in (3, 1):
        assert lib.hr_arena_unreserve(arena.handle, 2) == 0
        assert arena.reserved == left
    assert lib.hr_arena_unreserve(arena.handle, 2) < 0
    assert (arena.reserved, arena.available) == (1, 7)


def test_a_block_beyond_the_arena_is_refused() -> None:
    """The 65th of 64."""
    arena = Arena(64)
    for _ in range(64):
        arena.allocate()
    assert outcome(arena.allocate) == "OUT_OF_BLOCKS"
    assert outcome(arena.free, 1 << 32 | 64) == "BAD_BLOCK"
    assert arena.in_use == 64
    arena = Arena(64)
    assert outcome(arena.reserve, 65) == "OUT_OF_BLOCKS"
    arena.reserve(64)
    assert outcome(arena.reserve, 1) == "OUT_OF_BLOCKS"
    assert (arena.reserved, arena.available) == (64, 0)


def test_tags_stand_where_keys_and_values_do() -> None:
    """[KV-001]"""
    memory = Memory(4 * contract.BLOCK_BYTES)
    arena = Arena(4, memory=memory)
    handles = [arena.allocate() for _ in range(4)]
    for block, handle in enumerate(handles):
        for token in range(contract.BLOCK_TOKENS):
            arena.write_tag(handle, token, block << 40 | token | 1 << 63)
    words = memory.array.view(np.uint64)
    for block in range(4):
        for token in range(contract.BLOCK_TOKENS):
            tag = block << 40 | token | 1 << 63
            assert words[kv.key_offset(block, token) // 8] == tag
            assert words[kv.value_offset(block, token) // 8] == tag
            assert arena.read_tag(handles[block], token) == tag
    assert int(np.count_nonzero(words)) == 2 * 4 * contract.BLOCK_TOKENS
    words[kv.value_offset(2, 5) // 8] ^= 1
    with pytest.raises(AssertionError, match="different tags"):
        arena.read_tag(handles[2], 5)
    assert outcome(arena.read_tag, handles[2], 32) == "BAD_LENGTH"
    arena.free(handles[3])
    assert outcome(arena.write_tag, handles[3], 0, 0) == "FREED"


TREE_OPERATIONS = st.one_of(
    st.tuples(st.just("node"), st.sampled_from([0, 0, 0, 1, 2, 6]), st.integers(0, 140)),
    st.tuples(st.just("fork"), st.integers(0, 9), st.integers(-2, 90)),
    st.tuples(st.just("prepare"), st.integers(0, 12), st.just(0)),
    st.tuples(st.just("write"), st.integers(0, 12), st.integers(0, 70)),
    st.tuples(st.just("write at"), st.integers(0, 12), st.integers(0, 150)),
    st.tuples(st.just("release"), st.integers(0, 12), st.just(0)),
    st.tuples(st.just("release"), st.integers(0, 12), st.just(0)),
    st.tuples(st.just("sweep"), st.just(0), st.just(0)),
)


def ramp(base: int, first: int, count: int) -> kv.Tags:
    """The tags ``base + p`` of ``count`` tokens p from ``first`` on."""
    return np.arange(first, first + count, dtype=np.uint64) + np.uint64(base)


def one_of(live: dict[int, Any], number: int) -> int:
    """Mostly one that is live; of the greater numbers the number itself."""
    return sorted(live)[number % len(live)] if live and number < 9 else number


@given(st.integers(4, 90), st.lists(TREE_OPERATIONS, min_size=40, max_size=150))
def test_prefixes_branches_copies_and_errors_are_the_golden_models(
    blocks: int, operations: list[tuple[str, int, int]]
) -> None:
    """[COW-001..COW-008] [KV-004] [KV-008]"""
    nodes, branches = 6, 8
    arena = make_arena(blocks)
    model = kv.Arena(blocks)
    native = PrefixTree(arena, nodes=nodes, branches=branches)
    golden = prefixes.PrefixTree(model, nodes=nodes, branches=branches)
    base = 0
    for name, number, amount in operations:
        base += 1 << 32
        if name == "fork":
            number = one_of(golden.nodes, number)
        elif name != "node":
            number = one_of(golden.branches, number)
        if name == "node":
            got: Any = outcome(native.node, number, amount)
            expected: Any = outcome(golden.node, number, amount)
            if isinstance(got, int) and got == expected:
                first = golden.nodes[number].tokens if number else 0
                native.fill(got, base)
                golden.fill(got, ramp(base, first, amount - first))
        elif name == "fork":
            longest = (golden.nodes[number].tokens if number in golden.nodes else 64) + amount
            got = outcome(native.fork, number, longest)
            expected = outcome(golden.fork, number, longest)
        elif name == "prepare":
            place, wanted = outcome(native.prepare, number), outcome(golden.prepare, number)
            if isinstance(wanted, prefixes.Prepared):
                assert not isinstance(place, str) and place is not None
                got = (place.block, place.copied_from, place.copied)  # type: ignore[attr-defined]
                expected = (wanted.block, wanted.copied_from, wanted.copied)
            else:
                got, expected = place, wanted
        elif name.startswith("write"):
            branch = golden.branches.get(number)
            position = amount if name == "write at" or branch is None else branch.tokens
            tokens = amount % 40
            if branch is not None and position == branch.tokens and not tokens:
                continue
            got = outcome(native.write, number, position, tokens, base)
            expected = outcome(golden.write, number, position, ramp(base, position, tokens))
        elif name == "release":
            freed = outcome(native.release, number)
            given = outcome(golden.release, number)
            got, expected = freed, given
            if isinstance(given, prefixes.Released):
                expected = (given.blocks, given.reserved)
        else:
            got, expected = native.sweep(), golden.sweep()
        assert got == expected, (name, number, amount)
        assert (arena.in_use, arena.reserved) == (model.in_use, model.reserved)
        for node, kept in golden.nodes.items():
            assert (native.tokens(node), native.count(node)) == (kept.tokens, kept.count)
        for number, branch in golden.branches.items():
            assert native.length(number) == branch.tokens
            assert native.own_blocks(number) == len(branch.blocks)
            assert native.digest(number) == kv.digest(golden.tags_of(number))
    for number in list(golden.branches):
        native.release(number)
        golden.release(number)
    assert native.sweep() == golden.sweep()
    assert (arena.in_use, arena.reserved) == (0, 0)  # [COW-009]


def test_the_references_own_case_saves_two_thirds() -> None:
    """[COW-011]: 10 000 branches of 2 blocks over a prefix of 4; full blocks are not copied."""
    arena = Arena(20_004)
    tree = PrefixTree(arena, nodes=1, branches=10_000)
    node = tree.node(0, 128)
    for branch in range(10_000):
        assert tree.fork(node, 192) == branch
        tree.write(branch, 128, 64, 0)
    assert arena.in_use == 20_004
    assert arena.reserved == 0
    assert round(100 * (1 - arena.in_use / (10_000 * 6)), 1) == 66.7
    assert outcome(tree.fork, node, 192) == "OUT_OF_BRANCHES"
    for branch in range(10_000):
        tree.release(branch)
    assert tree.sweep() == [(node, 4)]
    assert arena.in_use == 0


def test_failed_calls_take_nothing() -> None:
    """[COW-001] [COW-003] [COW-007] [COW-008]: no id, no count, no reservation, no block."""
    arena = make_arena(4)
    tree = PrefixTree(arena, nodes=3, branches=3)
    first = tree.node(0, 100)
    assert outcome(tree.node, first, 140) == "OUT_OF_BLOCKS"
    assert outcome(tree.fork, first, 130) == "OUT_OF_BLOCKS"
    assert outcome(tree.fork, first, 99) == "BAD_LENGTH"
    assert (tree.count(first), arena.in_use, arena.reserved) == (0, 4, 0)
    branch = tree.fork(first, 100)
    for position, error in ((0, "SHARED_BLOCK"), (99, "SHARED_BLOCK"), (100, "BAD_LENGTH")):
        assert outcome(tree.write, branch, position, 1, 0) == error
    assert (branch, tree.count(first), arena.reserved) == (0, 1, 0)
    tree.release(branch)
    assert tree.sweep() == [(first, 4)]
    assert [tree.node(0, 32) for _ in range(3)] == [1, 2, 3]
    assert [tree.fork(node, 32) for node in (1, 2, 3)] == [0, 1, 2]


def test_a_chain_of_prefixes_is_read_through_all_of_them() -> None:
    """[COW-001] [KV-008]: each node's first block begins with its parent's tail."""
    arena = make_arena(16)
    tree = PrefixTree(arena, nodes=3, branches=2)
    parent, parts = 0, []
    for number, (first, end) in enumerate([(0, 45), (45, 100), (100, 130)]):
        parent = tree.node(parent, end)
        tree.fill(parent, number << 32)
        parts.append(ramp(number << 32, first, end - first))
    branch = tree.fork(parent, 170)
    assert tree.digest(branch) == kv.digest(np.concatenate(parts))
    tree.write(branch, 130, 40, 7 << 32)
    parts.append(ramp(7 << 32, 130, 40))
    assert tree.digest(branch) == kv.digest(np.concatenate(parts))
    assert [tree.count(node) for node in (1, 2, 3)] == [1, 1, 1]


def test_nodes_that_are_held_are_not_swept() -> None:
    """[COW-002] [COW-005]: more nodes than a word has bits, held and released in any order."""
    count = 300
    arena = Arena(count)
    tree = PrefixTree(arena, nodes=count, branches=count)
    nodes = [tree.node(0, 32) for _ in range(count)]
    assert nodes == list(range(1, count + 1))
    assert outcome(tree.node, 0, 32) == "OUT_OF_NODES"
    order = np.random.default_rng(5).permutation(count)
    branches = {int(at): tree.fork(nodes[at], 32) for at in order}
    assert tree.sweep() == []
    for at in order[:100]:
        tree.release(branches[int(at)])
    assert tree.sweep() == [(nodes[at], 1) for at in sorted(order[:100].tolist())]
    for at in order[100:]:
        tree.release(branches[int(at)])
    assert tree.sweep() == [(nodes[at], 1) for at in sorted(order[100:].tolist())]
    assert arena.in_use == 0


def test_the_partial_tail_is_the_only_copy() -> None:
    """[COW-006]"""
    arena = make_arena(16)
    tree = PrefixTree(arena, nodes=1, branches=2)
    node = tree.node(0, 45)
    tree.fill(node, 1 << 63)
    copies = []
    for branch in (0, 1):
        tree.fork(node, 120)
        for _ in range(45, 120):
            place = tree.prepare(branch)
            assert place is not None
            copies += [(branch, place.copied)] if place.copied else []
            tree.write(branch, tree.length(branch), 1, branch << 32)
        assert tree.prepare(branch) is None
    assert copies == [(0, 13), (1, 13)]
    for branch in (0, 1):
        tags = np.concatenate([ramp(1 << 63, 0, 45), ramp(branch << 32, 45, 75)])
        assert tree.digest(branch) == kv.digest(tags)
