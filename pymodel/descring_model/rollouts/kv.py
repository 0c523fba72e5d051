# SPDX-License-Identifier: Apache-2.0
"""The KV arena: blocks, generations, reservations and content tags [KV-001..KV-008]."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.slab import check_generation, successor

Tags = npt.NDArray[np.uint64]
"""Content tags, one a token."""


def key_offset(block: int, token: int) -> int:
    """Byte offset of the key of a block's token in the arena [KV-001]."""
    return contract.BLOCK_BYTES * block + contract.TOKEN_BYTES * token


def value_offset(block: int, token: int) -> int:
    """Byte offset of the value of a block's token in the arena [KV-001]."""
    return key_offset(block, token) + contract.VALUE_PLANE


def prompt_tags(group: int, tokens: int) -> Tags:
    """The tags of a prompt's tokens, ``(tokens,)`` uint64 [KV-007]."""
    base = contract.PROMPT_TAG + (group << 32)
    return np.arange(tokens, dtype=np.uint64) + np.uint64(base)


def rollout_tags(request: int, first: int, end: int) -> Tags:
    """The tags of a rollout's own tokens from ``first`` to ``end``, exclusive [KV-007]."""
    return np.arange(first, end, dtype=np.uint64) + np.uint64(request << 32)


def digest(tags: Tags) -> int:
    """The digest of a sequence, from the tag of each of its tokens [KV-008]."""
    weights = np.arange(len(tags), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return int((tags * weights).sum(dtype=np.uint64))


class Arena:
    """Blocks of KV memory, with a content tag in place of each token's key and value.

    Attributes:
        blocks: how many there are.
        tags: ``(blocks, 32)`` uint64.
        in_use: blocks that are allocated.
        reserved: blocks that are claimed and not yet allocated.
        allocated: allocations so far.
        freed: frees so far.
    """

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self.tags: Tags = np.zeros((blocks, contract.BLOCK_TOKENS), dtype=np.uint64)
        self.in_use = 0
        self.reserved = 0
        self.allocated = 0
        self.freed = 0
        self._free = list(range(blocks))
        self._generation: dict[int, int] = {}
        self._allocated: set[int] = set()

    @property
    def available(self) -> int:
        """Free blocks that no reservation claims [KV-004]."""
        return self.blocks - self.in_use - self.reserved

    def reserve(self, count: int) -> None:
        """Claim ``count`` blocks; OUT_OF_BLOCKS if fewer are available."""
        self._check_available(count)
        self.reserved += count

    def unreserve(self, count: int) -> None:
        """Give ``count`` claims back; ``ValueError`` if fewer are outstanding."""
        if count > self.reserved:
            raise ValueError(f"expected at most {self.reserved} reserved blocks, got {count}")
        self.reserved -= count

    def allocate(self, count: int = 1) -> list[int]:
        """Handles of the ``count`` lowest free blocks, ascending, out of what is available.

        Raises:
            RolloutError: OUT_OF_BLOCKS; nothing changed.
        """
        self._check_available(count)
        return [self._take() for _ in range(count)]

    def allocate_reserved(self) -> int:
        """Handle of the lowest free block, out of a reservation, which falls by 1 [KV-004]."""
        self.unreserve(1)
        return self._take()

    def free(self, handle: int) -> None:
        """Free a block.

        Raises:
            RolloutError: BAD_BLOCK, FREED, REUSED or STALE; nothing changed [KV-003].
        """
        block = handle & contract.NONE
        if block >= self.blocks:
            raise RolloutError("BAD_BLOCK", f"expected a block below {self.blocks}, got {block}")
        current = self._generation.get(block, 1)
        allocated = block in self._allocated
        check_generation("block", handle, current, allocated)
        if not allocated:
            raise RolloutError("STALE", f"expected an allocated block, got {block}, which is free")
        self._generation[block] = successor(current)
        self._allocated.remove(block)
        heapq.heappush(self._free, block)
        self.in_use -= 1
        self.freed += 1

    def free_blocks(self) -> list[int]:
        """The free blocks, ascending."""
        return sorted(self._free)

    def _check_available(self, count: int) -> None:
        if count > self.available:
            raise RolloutError(
                "OUT_OF_BLOCKS",
                f"expected at most {self.available} blocks, asked for {count}; {self.in_use} of "
                f"{self.blocks} are in use and {self.reserved} reserved",
            )

    def _take(self) -> int:
        block = heapq.heappop(self._free)
        self._allocated.add(block)
        self.in_use += 1
        self.allocated += 1
        return self._generation.get(block, 1) << 32 | block
