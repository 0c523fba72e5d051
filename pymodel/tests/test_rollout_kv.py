# SPDX-License-Identifier: Apache-2.0
"""The arena against a set of free blocks."""

import numpy as np
import pytest
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.kv import (
    Arena,
    digest,
    key_offset,
    prompt_tags,
    rollout_tags,
    value_offset,
)
from descring_model.rollouts.records import blocks_of, own_blocks
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

BLOCKS = 9


@pytest.mark.parametrize(
    ("block", "token", "key", "value"),
    [
        (0, 0, 0, 8192),
        (0, 31, 7936, 16128),
        (3, 0, 49152, 57344),
        (3, 5, 50432, 58624),
        ((1 << 31) - 1, 31, 35184372080384, 35184372088576),
    ],
)
def test_offsets_of_keys_and_values(block: int, token: int, key: int, value: int) -> None:
    """[KV-001] Block 3 is at 49152; the last block of the greatest arena needs 64 bits."""
    assert key_offset(block, token) == key
    assert value_offset(block, token) == value


def test_sixty_fifth_of_64_blocks_is_refused() -> None:
    """[KV-002] [KV-004] 64 blocks in ascending order, then OUT_OF_BLOCKS, which changes nothing."""
    arena = Arena(64)
    assert [handle & 0xFFFFFFFF for handle in arena.allocate(64)] == list(range(64))
    for act in (arena.allocate, lambda: arena.reserve(1)):
        with pytest.raises(RolloutError) as caught:
            act()
        assert caught.value.name == "OUT_OF_BLOCKS"
    assert (arena.in_use, arena.reserved, arena.available) == (64, 0, 0)
    arena.free(1 << 32 | 17)
    with pytest.raises(RolloutError, match="OUT_OF_BLOCKS"):
        arena.allocate(2)
    assert arena.free_blocks() == [17]
    assert arena.allocate() == [2 << 32 | 17]


def test_freeing_is_checked() -> None:
    """[KV-003] Out of range, double, another's and never given out: each has its own error."""
    arena = Arena(2)
    (first,) = arena.allocate()
    cases = [(2 << 32 | 2, "BAD_BLOCK"), (1 << 32 | 1, "STALE"), (5 << 32, "STALE")]
    arena.free(first)
    cases.append((first, "FREED"))
    for handle, error in cases:
        with pytest.raises(RolloutError) as caught:
            arena.free(handle)
        assert caught.value.name == error
    (again,) = arena.allocate()
    with pytest.raises(RolloutError) as caught:
        arena.free(first)
    assert caught.value.name == "REUSED"
    assert arena.in_use == 1
    arena.free(again)
    assert arena.in_use == 0


class ArenaMachine(RuleBasedStateMachine):
    """[KV-002] [KV-003] [KV-004] [KV-005] Allocations, reservations and frees in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.arena = Arena(BLOCKS)
        self.free = set(range(BLOCKS))
        self.generation = [1] * BLOCKS
        self.handles: list[int] = []
        self.reserved = 0

    @rule(count=st.integers(0, 4))
    def allocate(self, count: int) -> None:
        """The lowest free blocks, unless a reservation claims them."""
        if count > len(self.free) - self.reserved:
            with pytest.raises(RolloutError, match="OUT_OF_BLOCKS"):
                self.arena.allocate(count)
            return
        expected = sorted(self.free)[:count]
        handles = self.arena.allocate(count)
        assert handles == [self.generation[block] << 32 | block for block in expected]
        self.free -= set(expected)
        self.handles += handles

    @rule(count=st.integers(0, 4))
    def reserve(self, count: int) -> None:
        """A claim on what is available."""
        if count > len(self.free) - self.reserved:
            with pytest.raises(RolloutError, match="OUT_OF_BLOCKS"):
                self.arena.reserve(count)
            return
        self.arena.reserve(count)
        self.reserved += count

    @rule(count=st.integers(0, 4))
    def unreserve(self, count: int) -> None:
        """No more than was reserved is given back."""
        if count > self.reserved:
            with pytest.raises(ValueError, match="reserved"):
                self.arena.unreserve(count)
            return
        self.arena.unreserve(count)
        self.reserved -= count

    @precondition(lambda self: self.reserved)
    @rule()
    def allocate_reserved(self) -> None:
        """A reserved block is always there."""
        block = min(self.free)
        assert self.arena.allocate_reserved() == self.generation[block] << 32 | block
        self.free.remove(block)
        self.handles.append(self.generation[block] << 32 | block)
        self.reserved -= 1

    @precondition(lambda self: self.handles)
    @rule(data=st.data())
    def free_once(self, data: st.DataObject) -> None:
        """A block is free once; the second time is an error of its own."""
        handle = data.draw(st.sampled_from(self.handles))
        block = handle & 0xFFFFFFFF
        live = self.generation[block] == handle >> 32
        if live:
            self.arena.free(handle)
            self.free.add(block)
            self.generation[block] += 1
            return
        taken = block not in self.free
        newer = self.generation[block] - (handle >> 32)
        expected = "REUSED" if taken else "FREED" if newer == 1 else "STALE"
        with pytest.raises(RolloutError) as caught:
            self.arena.free(handle)
        assert caught.value.name == expected

    @invariant()
    def counts(self) -> None:
        """Every block is free or in use, exactly once."""
        assert self.arena.free_blocks() == sorted(self.free)
        assert self.arena.in_use == BLOCKS - len(self.free)
        assert self.arena.available == len(self.free) - self.reserved


TestArenaMachine = ArenaMachine.TestCase


@given(st.integers(1, 5000), st.integers(0, 5000))
def test_need_of_a_branch_is_its_blocks_beyond_the_full_shared_ones(prompt: int, more: int) -> None:
    """[COW-003] [KV-006] Counted block by block: those that hold a token of its own."""
    touched = {position // 32 for position in range(prompt, prompt + more)}
    assert own_blocks(prompt, prompt + more) == len(touched)
    assert blocks_of(prompt) == len({position // 32 for position in range(prompt)})


def test_tags_and_digest() -> None:
    """[KV-007] [KV-008] Written out for a prompt of 2 tokens and 2 tokens of request 7."""
    tags = np.concatenate([prompt_tags(3, 2), rollout_tags(7, 2, 4)])
    assert tags.tolist() == [2**63 + 3 * 2**32, 2**63 + 3 * 2**32 + 1, 7 * 2**32 + 2, 7 * 2**32 + 3]
    expected = sum(tag * weight for tag, weight in zip(tags.tolist(), (1, 3, 5, 7), strict=True))
    assert digest(tags) == expected % 2**64


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40), st.data())
def test_digest_notices_one_wrong_tag(tags: list[int], data: st.DataObject) -> None:
    """[KV-008] Weights are odd, so a single difference is never lost."""
    place = data.draw(st.integers(0, len(tags) - 1))
    changed = list(tags)
    changed[place] = data.draw(st.integers(0, 2**64 - 1).filter(lambda tag: tag != tags[place]))
    of = [digest(np.array(item, dtype=np.uint64)) for item in (tags, changed)]
    assert of[0] != of[1]
