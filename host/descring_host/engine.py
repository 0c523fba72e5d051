# SPDX-License-Identifier: Apache-2.0
"""The native engine: makes tokens in C, with the bits of ``docs/engine-contract.md``."""

from __future__ import annotations

import contextlib
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.engine import contract
from descring_model.engine.interface import STATUS_NAMES, EngineError, Statuses, check_call

from descring_host.errors import ArithmeticRefused
from descring_host.native import check_u32, load_part

lib: Any
"""The functions of ``host/native/engine/engine.h``."""
ffi: Any
_part = load_part("descring_host._engine")
lib, ffi = _part.lib, _part.ffi

KERNELS = ("best", "scalar", "avx2")
"""Which kernels an engine uses; all give the same bits."""
THREADS_MAX = 64
SPLIT_MAX = 26
_ALIGNMENT = contract.RECORD_ALIGNMENT
_HUGE_PAGE = 2 << 20


def aligned_bytes(size: int) -> npt.NDArray[np.uint8]:
    """``(size,)`` uint8 of zeros at a multiple of 64 in memory, in huge pages where there are any.

    Blocks in any order miss the translation buffer at each page of 4 KiB.
    """
    if size >= _HUGE_PAGE:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):  # a kernel that has none
            pages.madvise(mmap.MADV_HUGEPAGE)
        return np.frombuffer(pages, dtype=np.uint8)
    whole = np.zeros(size + _ALIGNMENT, dtype=np.uint8)
    start = -whole.ctypes.data % _ALIGNMENT
    return whole[start : start + size]


class NativeEngine:
    """An :class:`~descring_model.engine.interface.Engine` on the CPU.

    Any thread may call it, also at the same time for different rollouts.

    Attributes:
        kernels: the ones in use, ``"scalar"`` or ``"avx2"``.
        threads: that one call of :meth:`advance` uses at most.
    """

    def __init__(
        self,
        vocabulary: int = contract.VOCABULARY,
        *,
        threads: int = 1,
        kernels: str = "best",
    ) -> None:
        """Make the weights.

        Args:
            vocabulary: tokens, 1 to 131072.
            threads: 1 to 64; a call spreads its rollouts over them.
            kernels: of :data:`KERNELS`; ``"best"`` is what this processor runs fastest.

        Raises:
            ValueError: an argument out of range, or kernels that this processor has not got.
            MemoryError: the weights do not fit.
        """
        if not 1 <= vocabulary <= contract.VOCABULARY_MAX:
            raise ValueError(
                f"vocabulary: expected 1 to {contract.VOCABULARY_MAX}, got {vocabulary}"
            )
        if not 1 <= threads <= THREADS_MAX:
            raise ValueError(f"threads: expected 1 to {THREADS_MAX}, got {threads}")
        if kernels not in KERNELS:
            raise ValueError(f"kernels: expected {', '.join(KERNELS)}, got {kernels!r}")
        error = ffi.new("int *")
        handle = lib.he_open(vocabulary, KERNELS.index(kernels), error)
        if handle == ffi.NULL:
            if error[0] == lib.HE_NO_KERNELS:
                raise ValueError(
                    f"kernels: this processor cannot run {kernels!r}; use 'best' or 'scalar'"
                )
            raise MemoryError(f"no memory for the weights of {vocabulary} tokens")
        self._handle: Any = ffi.gc(handle, lib.he_close)
        self._vocabulary = vocabulary
        self.threads = threads
        self.kernels: str = ffi.string(lib.he_kernels_name(handle)).decode()

    @property
    def vocabulary(self) -> int:
        """Tokens are 0 to ``vocabulary - 1``."""
        return self._vocabulary

    @property
    def handle(self) -> Any:
        """For calls of :data:`lib`; ``ValueError`` behind :meth:`close`."""
        if self._handle is None:
            raise ValueError("expected an open engine; this one is closed")
        return self._handle

    def new_arena(self, size: int) -> npt.NDArray[np.uint8]:
        """``(size,)`` uint8 of zeros, at a multiple of 64 in memory."""
        return aligned_bytes(size)

    def advance(
        self,
        arena: npt.NDArray[np.uint8],
        records: npt.NDArray[np.uint64],
        ends: npt.NDArray[np.uint32],
    ) -> Statuses:
        """Advance each record to its end [REC-003] [REC-004].

        Args:
            arena: of :meth:`new_arena`, or any bytes at a multiple of 64.
            records: ``(n,)``, offsets in the arena, each given once.
            ends: ``(n,)``, tokens that each rollout shall have.

        Returns:
            ``(n,)``; a record whose status is not OK has stopped at the position ``length``, the
            others are not affected.

        Raises:
            ValueError: shapes or types are not these, an offset is given twice, or the arena is
                misaligned or read-only.
            ArithmeticRefused: of the calling thread; nothing was done.
            MemoryError: no memory for the threads to compute in; nothing was done.
        """
        check_call(arena, records, ends)
        if not arena.flags.writeable:
            raise ValueError("arena: expected one that can be written to, got a read-only one")
        offsets, lengths = np.ascontiguousarray(records), np.ascontiguousarray(ends)
        statuses = np.empty(len(offsets), dtype=np.uint32)
        code = lib.he_advance(
            self.handle,
            _start(arena, "uint8_t *"),
            len(arena),
            _start(offsets, "uint64_t *"),
            _start(lengths, "uint32_t *"),
            _start(statuses, "uint32_t *"),
            len(offsets),
            self.threads,
        )
        if code:
            _fail(code, arena)
        return statuses

    def attend(
        self,
        arena: npt.NDArray[np.uint8],
        blocks: npt.NDArray[np.uint32],
        tokens: int,
        query: npt.NDArray[np.float16],
        *,
        biased: bool = True,
        split: int = SPLIT_MAX,
    ) -> npt.NDArray[np.float32]:
        """Attention of one query over keys and values in blocks [ATT-001..ATT-007].

        Args:
            arena: as for :meth:`advance`; block b begins at ``16384 b``.
            blocks: of tokens 32 j to 32 j + 31 at ``[j]``.
            tokens: how many there are, at least 1.
            query: ``(128,)``.
            biased: with the slot bias; without it this is the plain softmax.
            split: blocks are reduced in runs of ``2**split``, 0 to 26, which then join; it changes
                no bit. The default is one run.

        Returns:
            ``(128,)``.

        Raises:
            EngineError: BAD_BLOCK, BAD_SCORE or BAD_OUTPUT.
            ValueError: shapes, types or numbers are not these.
            ArithmeticRefused: of the calling thread.
        """
        wanted = -(-tokens // contract.BLOCK_TOKENS)
        if blocks.dtype != np.uint32 or blocks.ndim != 1 or not 1 <= wanted <= len(blocks):
            raise ValueError(
                f"blocks: expected at least {max(wanted, 1)} uint32 for {tokens} tokens, got shape "
                f"{blocks.shape} of {blocks.dtype}"
            )
        if query.shape != (contract.DIMS,) or query.dtype != np.float16:
            raise ValueError(
                f"query: expected (128,) float16, got shape {query.shape} of {query.dtype}"
            )
        if not 0 <= split <= SPLIT_MAX:
            raise ValueError(f"split: expected 0 to {SPLIT_MAX}, got {split}")
        none = np.empty(0, dtype=np.uint64)
        check_call(arena, none, none.astype(np.uint32))
        chosen, turned = np.ascontiguousarray(blocks), np.ascontiguousarray(query)
        output = np.empty(contract.DIMS, dtype=np.float32)
        code = lib.he_attend(
            self.handle,
            _start(arena, "uint8_t *"),
            len(arena),
            _start(chosen, "uint32_t *"),
            check_u32("tokens", tokens),
            _start(turned, "uint16_t *"),
            biased,
            split,
            _start(output, "float *"),
        )
        if code < 0:
            _fail(code, arena)
        if code:
            raise EngineError(STATUS_NAMES[code], f"attention over {tokens} tokens")
        return output

    def close(self) -> None:
        """Free the weights; a second call does nothing. Nobody may be inside a call."""
        if self._handle is not None:
            ffi.release(self._handle)
            self._handle = None


def _start(array: npt.NDArray[Any], kind: str) -> Any:
    """Where an array begins; the caller keeps it."""
    return ffi.cast(kind, array.ctypes.data)


def _fail(code: int, arena: npt.NDArray[np.uint8]) -> None:
    """Raise what a call returned."""
    if code == lib.HE_MISALIGNED:
        raise ValueError(
            f"arena: expected one at a multiple of 64 in memory, got one at "
            f"{arena.ctypes.data:#x}; take it from new_arena()"
        )
    if code == lib.HE_ENVIRONMENT:
        reason = ffi.string(lib.he_environment()).decode()
        raise ArithmeticRefused(
            f"expected IEEE arithmetic to nearest in this thread, got: {reason}"
        )
    raise MemoryError("no memory for the engine's threads to compute in")
