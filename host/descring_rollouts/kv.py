# SPDX-License-Identifier: Apache-2.0
"""KV memory: verified pages, blocks, shared prefixes [KV-001..KV-008] [COW-001..COW-009]."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_host import DeviceError
from descring_model.rollouts import contract

from descring_rollouts.native import check, check_u32, check_unsigned, ffi, lib

PAGES = ("hugetlb", "thp", "small")
"""Rungs of the memory ladder, from the best: MAP_HUGETLB, MADV_HUGEPAGE, pages of 4 KiB."""

_NO_BLOCK = contract.NONE


@dataclass(frozen=True)
class PagesReport:
    """What mapped memory really is, as /proc/self/smaps and move_pages have it.

    Attributes:
        bytes: of the mapping, a multiple of 2 MiB.
        pages: the rung that it stands on, one of :data:`PAGES`.
        huge_bytes: in pages of 2 MiB.
        small_bytes: in pages of 4 KiB.
        node: the NUMA node of every page; None if it is bound to none.
        refused: why each better rung was not taken, by rung.
    """

    bytes: int
    pages: str
    huge_bytes: int
    small_bytes: int
    node: int | None
    refused: dict[str, str]


class Memory:
    """Populated zeroes of this process; :attr:`report` has what the kernel gave."""

    def __init__(self, size: int, *, require: str | None = None, node: int | None = None) -> None:
        """Map ``size`` bytes, rounded up to 2 MiB.

        Args:
            size: bytes, 1 to 2^46.
            require: the only rung allowed, of :data:`PAGES`; default: the best that there is.
            node: NUMA node that every page must be on, 0 to 1023.

        Raises:
            ValueError: an argument out of range.
            DeviceError: the memory, the rung or the node cannot be had; nothing is mapped.
        """
        if not 1 <= size <= 1 << 46:
            raise ValueError(f"size: expected 1 to 2^46 bytes, got {size}")
        if require is not None and require not in PAGES:
            raise ValueError(f"require: expected one of {', '.join(PAGES)}, got {require!r}")
        if node is not None and not 0 <= node < 1024:
            raise ValueError(f"node: expected 0 to 1023, got {node}")
        report = ffi.new("hr_memory_report_t *")
        text = ffi.new("char[512]")
        rung = lib.HR_PAGES_ANY if require is None else PAGES.index(require)
        start = lib.hr_memory_map(size, rung, -1 if node is None else node, report, text, 512)
        if start == ffi.NULL:
            reason = ffi.string(text).decode()
            raise DeviceError(f"cannot map {size} bytes: {reason}")
        mapped = int(report.bytes)
        self.start = ffi.gc(start, lambda at: lib.hr_memory_unmap(at, mapped))
        refused = {
            PAGES[at]: _refusal(int(report.error[at])) for at in range(3) if report.error[at]
        }
        self.report = PagesReport(
            mapped,
            PAGES[report.pages],
            int(report.huge_bytes),
            int(report.small_bytes),
            node,
            refused,
        )

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """All of it, 1-D uint8; the array keeps the memory."""
        view = ffi.buffer(self.start, self.report.bytes)
        return np.frombuffer(view, dtype=np.uint8)


def _refusal(error: int) -> str:
    if error == lib.HR_MEMORY_UNVERIFIED:
        return "granted, but smaps shows other pages"
    return f"{errno.errorcode.get(error, error)}: {os.strerror(error)}"


class Arena:
    """Blocks of KV memory; a handle is ``generation * 2^32 + block``. One thread at a time."""

    def __init__(
        self,
        blocks: int,
        *,
        memory: Memory | None = None,
        block_bytes: int = contract.BLOCK_BYTES,
    ) -> None:
        """An arena of free blocks.

        Args:
            blocks: 1 to 2^31 - 1.
            memory: at least ``blocks * block_bytes``; None: blocks are counted, without tags.
            block_bytes: a multiple of 512; fixed128 is 16384.

        Raises:
            ValueError: a number out of range, or too little memory.
        """
        if not 1 <= blocks < 1 << 31:
            raise ValueError(f"blocks: expected 1 to 2^31 - 1, got {blocks}")
        if not 0 < block_bytes < 1 << 32 or block_bytes % 512:
            raise ValueError(f"block_bytes: expected a multiple of 512, got {block_bytes}")
        if memory is not None and memory.report.bytes < blocks * block_bytes:
            raise ValueError(
                f"memory: expected {blocks * block_bytes} bytes, got {memory.report.bytes}"
            )
        start = ffi.NULL if memory is None else memory.start
        handle = lib.hr_arena_open(blocks, block_bytes, start)
        if handle == ffi.NULL:
            raise MemoryError(f"no memory for {blocks} blocks")
        self.blocks = blocks
        self.memory = memory
        self.handle = ffi.gc(handle, lib.hr_arena_close)
        self._out = ffi.new("uint64_t *")

    @property
    def in_use(self) -> int:
        """Blocks that are allocated [KV-005]."""
        return int(lib.hr_arena_in_use(self.handle))

    @property
    def reserved(self) -> int:
        """Blocks that are claimed and not yet allocated."""
        return int(lib.hr_arena_reserved(self.handle))

    @property
    def available(self) -> int:
        """Free blocks that no reservation claims [KV-004]."""
        return int(lib.hr_arena_available(self.handle))

    def allocate(self) -> int:
        """The handle of the lowest free block; ``RolloutError`` OUT_OF_BLOCKS [KV-002]."""
        check(lib.hr_arena_alloc(self.handle, self._out), f"an available block of {self.blocks}")
        return int(self._out[0])

    def free(self, handle: int) -> None:
        """Free a block; ``RolloutError`` BAD_BLOCK, FREED, REUSED or STALE [KV-003]."""
        code = lib.hr_arena_release(self.handle, check_unsigned("handle", handle, 64))
        check(code, f"a block in use, got handle {handle:#x}")

    def reserve(self, count: int) -> None:
        """Claim blocks; ``RolloutError`` OUT_OF_BLOCKS."""
        code = lib.hr_arena_reserve(self.handle, check_u32("count", count))
        check(code, f"at most {self.available} blocks, got {count}")

    def unreserve(self, count: int) -> None:
        """Give claims back; ``RolloutError`` CREDIT_UNDERFLOW if fewer are outstanding."""
        code = lib.hr_arena_unreserve(self.handle, check_u32("count", count))
        check(code, f"at most {self.reserved} reserved blocks, got {count}")

    def write_tag(self, handle: int, token: int, tag: int) -> None:
        """Write the tag of one slot of a block in use, into its key and its value."""
        code = lib.hr_arena_write_tag(
            self.handle,
            check_unsigned("handle", handle, 64),
            check_u32("token", token),
            check_unsigned("tag", tag, 64),
        )
        check(code, f"slot {token} of a block in use, got handle {handle:#x}")

    def read_tag(self, handle: int, token: int) -> int:
        """The tag of one slot of a block in use."""
        code = lib.hr_arena_read_tag(
            self.handle, check_unsigned("handle", handle, 64), check_u32("token", token), self._out
        )
        check(code, f"slot {token} of a block in use, got handle {handle:#x}")
        return int(self._out[0])


@dataclass(frozen=True)
class Place:
    """The block of a branch's next token, and what was copied into it just now."""

    block: int
    copied_from: int | None
    copied: int


class PrefixTree:
    """Shared prefixes (nodes, from 1) and branches (from 0). One thread at a time."""

    def __init__(self, arena: Arena, *, nodes: int, branches: int) -> None:
        """``ValueError`` unless ``nodes`` and ``branches`` are 1 to 2^24."""
        for name, value in (("nodes", nodes), ("branches", branches)):
            if not 1 <= value <= 1 << 24:
                raise ValueError(f"{name}: expected 1 to 2^24, got {value}")
        handle = lib.hr_tree_open(arena.handle, nodes, branches)
        if handle == ffi.NULL:
            raise MemoryError(f"no memory for {nodes} nodes and {branches} branches")
        self.arena = arena
        # The arena must not go first.
        self.handle = ffi.gc(handle, lambda tree, _arena=arena.handle: lib.hr_tree_close(tree))
        self._id = ffi.new("uint32_t *")
        self._blocks = ffi.new("uint32_t *")
        self._out = ffi.new("uint64_t *")
        self._place: Any = ffi.new("hr_place_t *")
        self._released: Any = ffi.new("hr_released_t *")

    def node(self, parent: int, tokens: int) -> int:
        """Make a node below ``parent`` (0: none); its id [COW-001].

        Raises:
            RolloutError: BAD_NODE, BAD_LENGTH, OUT_OF_NODES, OUT_OF_BLOCKS; nothing changed.
        """
        code = lib.hr_tree_node(
            self.handle, check_u32("parent", parent), check_u32("tokens", tokens), self._id
        )
        check(code, f"a node of {tokens} tokens below {parent}")
        return int(self._id[0])

    def fork(self, node: int, max_tokens: int) -> int:
        """Make a branch of a node; its id [COW-003].

        Raises:
            RolloutError: BAD_NODE, BAD_LENGTH, OUT_OF_BRANCHES, OUT_OF_BLOCKS; nothing changed.
        """
        code = lib.hr_tree_fork(
            self.handle, check_u32("node", node), check_u32("max_tokens", max_tokens), self._id
        )
        check(code, f"a branch of node {node} up to {max_tokens} tokens")
        return int(self._id[0])

    def release(self, branch: int) -> tuple[int, int]:
        """End a branch: blocks freed, and what was left of its reservation [COW-004]."""
        code = lib.hr_tree_release(self.handle, check_u32("branch", branch), self._released)
        check(code, f"a live branch, got {branch}")
        return int(self._released.freed), int(self._released.left)

    def sweep(self) -> list[tuple[int, int]]:
        """Free every idle node: id and blocks of each, in the order of COW-005."""
        freed = []
        while lib.hr_tree_sweep(self.handle, self._id, self._blocks):
            freed.append((int(self._id[0]), int(self._blocks[0])))
        return freed

    def fill(self, node: int, base: int) -> None:
        """Write the tags ``base + p`` of the tokens p of a node's own part [KV-007]."""
        code = lib.hr_tree_fill(
            self.handle, check_u32("node", node), check_unsigned("base", base, 64)
        )
        check(code, f"a live node, got {node}")

    def prepare(self, branch: int) -> Place | None:
        """Make sure that the branch's next token has a block; None at its last length [COW-006]."""
        code = lib.hr_tree_prepare(self.handle, check_u32("branch", branch), self._place)
        check(code, f"a live branch, got {branch}")
        if self._place.block == _NO_BLOCK:
            return None
        copied = int(self._place.copied)
        source = int(self._place.source) if copied else None
        return Place(int(self._place.block), source, copied)

    def write(self, branch: int, position: int, tokens: int, base: int) -> None:
        """Write the tags ``base + p`` of ``tokens`` tokens from ``position`` on.

        Raises:
            RolloutError: BAD_BRANCH, SHARED_BLOCK, BAD_LENGTH [COW-007].
        """
        code = lib.hr_tree_write(
            self.handle,
            check_u32("branch", branch),
            check_u32("position", position),
            check_u32("tokens", tokens),
            check_unsigned("base", base, 64),
        )
        check(code, f"branch {branch} to be written at its length, got position {position}")

    def digest(self, branch: int) -> int:
        """The digest of a branch's tags [KV-008]; ``MemoryError`` where the arena has none."""
        code = lib.hr_tree_digest(self.handle, check_u32("branch", branch), self._out)
        check(code, f"the digest of branch {branch}")
        return int(self._out[0])

    def tokens(self, node: int) -> int:
        """Length of a node's whole prefix; ``RolloutError`` BAD_NODE."""
        return self._number(
            lib.hr_tree_node_tokens(self.handle, check_u32("node", node)), "BAD_NODE", node
        )

    def count(self, node: int) -> int:
        """Child nodes and live branches of a node; ``RolloutError`` BAD_NODE [COW-002]."""
        return self._number(
            lib.hr_tree_node_count(self.handle, check_u32("node", node)), "BAD_NODE", node
        )

    def length(self, branch: int) -> int:
        """Tokens of a branch; ``RolloutError`` BAD_BRANCH."""
        return self._number(
            lib.hr_tree_branch_length(self.handle, check_u32("branch", branch)),
            "BAD_BRANCH",
            branch,
        )

    def own_blocks(self, branch: int) -> int:
        """Blocks of a branch's own; ``RolloutError`` BAD_BRANCH."""
        return self._number(
            lib.hr_tree_branch_blocks(self.handle, check_u32("branch", branch)),
            "BAD_BRANCH",
            branch,
        )

    @staticmethod
    def _number(found: int, error: str, asked: int) -> int:
        if found == contract.NONE:
            check(-contract.ERROR[error], f"one that is live, got {asked}")
        return int(found)
