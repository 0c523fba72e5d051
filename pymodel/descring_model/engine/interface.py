# SPDX-License-Identifier: Apache-2.0
"""What an engine is to the runtime, and its error."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from descring_model.engine import contract

Statuses = npt.NDArray[np.uint32]
"""One status of REC-003 a record."""


class Engine(Protocol):
    """Makes tokens: the golden model, the native engine, or one on a GPU.

    Engines of one vocabulary are interchangeable at any moment, since everything that a rollout is
    is in the arena [NUM-008].
    """

    @property
    def vocabulary(self) -> int:
        """Tokens are 0 to ``vocabulary - 1``."""
        ...

    def new_arena(self, size: int) -> npt.NDArray[np.uint8]:
        """``(size,)`` uint8 of zeros, at a multiple of 64 in memory, that :meth:`advance` can use.

        The caller writes records, tokens, block maps and states into it, and reads it, between two
        calls of :meth:`advance`.
        """
        ...

    def advance(
        self,
        arena: npt.NDArray[np.uint8],
        records: npt.NDArray[np.uint64],
        ends: npt.NDArray[np.uint32],
    ) -> Statuses:
        """Advance each record to its end [REC-003] [REC-004].

        Args:
            arena: of :meth:`new_arena`.
            records: ``(n,)``, offsets in the arena, each given once.
            ends: ``(n,)``, tokens that each rollout shall have.

        Returns:
            ``(n,)``; a record whose status is not OK has stopped at the position ``length``, the
            others are not affected.

        Raises:
            ValueError: shapes or types are not these, or an offset is given twice.
        """
        ...

    def close(self) -> None:
        """Give up what the engine holds, arenas included; a second call does nothing."""
        ...


class EngineError(RuntimeError):
    """A record that an engine refused; ``name`` is that of its status, as ``"BAD_SCORE"``."""

    def __init__(self, name: str, text: str) -> None:
        if name not in contract.STATUS or not contract.STATUS[name]:
            raise KeyError(f"{name} is no error of the engine contract")
        super().__init__(f"{name}: {text}")
        self.name = name


STATUS_NAMES = {item.value: item.name for item in contract.STATUSES}
"""Names of statuses by their number."""


def check_call(
    arena: npt.NDArray[np.uint8],
    records: npt.NDArray[np.uint64],
    ends: npt.NDArray[np.uint32],
) -> None:
    """``ValueError`` unless the arguments of :meth:`Engine.advance` are as stated there."""
    if arena.ndim != 1 or arena.dtype != np.uint8 or not arena.flags.c_contiguous:
        raise ValueError(
            f"arena: expected contiguous bytes, got shape {arena.shape} of {arena.dtype}"
        )
    if records.ndim != 1 or records.dtype != np.uint64:
        raise ValueError(
            f"records: expected (n,) uint64, got shape {records.shape} of {records.dtype}"
        )
    if ends.shape != records.shape or ends.dtype != np.uint32:
        raise ValueError(
            f"ends: expected {records.shape} uint32, got shape {ends.shape} of {ends.dtype}"
        )
    if len(np.unique(records)) != len(records):
        raise ValueError("records: expected each offset once, got one twice")
