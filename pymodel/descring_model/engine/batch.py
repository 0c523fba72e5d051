# SPDX-License-Identifier: Apache-2.0
"""Independent rollouts laid out in an arena of their own, for any engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from descring_model.engine import contract
from descring_model.engine.interface import STATUS_NAMES, Engine, EngineError
from descring_model.engine.numbers import F16, F32
from descring_model.engine.records import ROLLOUT_DTYPE, Bytes, kv_blocks, words

DEFAULTS: dict[str, Any] = {
    "seed": 0,
    "group": 0,
    "sample": 0,
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "eos": contract.NONE,
}
"""Members of a record that are the caller's to choose, as they are if not given."""


def padded(size: int) -> int:
    """``size`` rounded up to the alignment of records [REC-001]."""
    return -(-size // contract.RECORD_ALIGNMENT) * contract.RECORD_ALIGNMENT


class Batch:
    """Rollouts that share nothing.

    Attributes:
        engine: what advances them.
        arena: blocks first, then what belongs to each rollout.
        offsets: ``(n,)`` uint64, of their records.
    """

    def __init__(
        self,
        engine: Engine,
        prompts: Sequence[Sequence[int]],
        room: int,
        parameters: Sequence[dict[str, Any]] = (),
        *,
        order: npt.NDArray[np.integer] | None = None,
    ) -> None:
        """Lay out fresh rollouts.

        Args:
            engine: makes the arena.
            prompts: the given tokens of each.
            room: most tokens of one.
            parameters: of each rollout, members of :data:`DEFAULTS`; default all of them.
            order: a permutation of the arena's blocks; default ascending.
        """
        self.engine, self.room = engine, room
        self._count = -(-room // contract.BLOCK_TOKENS)
        total = len(prompts) * self._count
        own = (contract.RECORD_BYTES, contract.STATE_BYTES, 4 * room, 4 * self._count)
        first = total * contract.BLOCK_BYTES
        step = sum(padded(size) for size in own)
        self.arena: Bytes = engine.new_arena(first + step * len(prompts))
        self.offsets = np.arange(len(prompts), dtype=np.uint64) * np.uint64(step)
        self.offsets += np.uint64(first)
        numbers = np.arange(total) if order is None else order
        for place, prompt in enumerate(prompts):
            record = self.record(place)
            start = int(self.offsets[place])
            for name, size in zip(("state", "tokens", "blocks"), own, strict=False):
                start += padded(size)
                record[name] = start
            for name, value in {
                **DEFAULTS,
                **(parameters[place] if parameters else {}),
                "prompt_tokens": len(prompt),
            }.items():
                record[name] = value
            self.tokens(place)[: len(prompt)] = prompt
            self.blocks(place)[:] = numbers[place * self._count : (place + 1) * self._count]

    def record(self, place: int) -> Any:
        """The record of a rollout, a view."""
        start = int(self.offsets[place])
        return self.arena[start : start + contract.RECORD_BYTES].view(ROLLOUT_DTYPE)[0]

    def tokens(self, place: int) -> npt.NDArray[np.uint32]:
        """``(room,)`` uint32, a view."""
        return words(self.arena, int(self.record(place)["tokens"]), self.room)

    def blocks(self, place: int) -> npt.NDArray[np.uint32]:
        """``(ceil(room / 32),)`` uint32, a view."""
        return words(self.arena, int(self.record(place)["blocks"]), self._count)

    def state(self, place: int) -> F32:
        """``(128,)`` float32, a view."""
        return words(self.arena, int(self.record(place)["state"]), contract.DIMS).view(np.float32)

    def keys_values(self, place: int) -> F16:
        """``(length, 2, 128)`` float16: key and value of every token that was ingested."""
        length = int(self.record(place)["length"])
        pages = kv_blocks(self.arena)[self.blocks(place)]
        flat = np.swapaxes(pages, 1, 2).reshape(-1, 2, contract.DIMS)
        return flat[:length]

    def advance(self, end: int | Sequence[int], places: Sequence[int] | None = None) -> None:
        """Advance rollouts, all or those at ``places``.

        Raises:
            EngineError: the first that was refused, by its place and position.
        """
        chosen = list(range(len(self.offsets))) if places is None else list(places)
        ends = np.broadcast_to(np.asarray(end, dtype=np.uint32), (len(chosen),))
        statuses = self.engine.advance(self.arena, self.offsets[chosen], np.ascontiguousarray(ends))
        for place, status in zip(chosen, statuses.tolist(), strict=True):
            if status:
                raise EngineError(
                    STATUS_NAMES[status],
                    f"rollout {place}: expected tokens to {ends[chosen.index(place)]}, stopped at "
                    f"position {self.record(place)['length']}",
                )
