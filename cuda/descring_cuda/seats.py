# SPDX-License-Identifier: Apache-2.0
"""Seats of an engine on a GPU: places of rollouts that are advanced together, a step at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.engine import contract

from descring_cuda import layout
from descring_cuda.machine import Machine

THREADS = 256
"""Of a block that makes logits, or all of a step but attention."""
_LONG_TILES = 128
"""From so many tiles of logits on, copies of the tables of masses are worth their making."""


@dataclass
class Seats:
    """Seats for ``n`` rollouts on one arena of a GPU, and what their steps need in its memory.

    Attributes:
        machine: the GPU.
        count: n.
        arena_bytes: size of the arena.
        task_blocks: blocks that a warp attends to at a time.
        addresses: of everything, by the names of ``hwe_engine_t``.
        group: seats of a block.
        spread: logits and draws are kernels of their own.
        tiles: 128 tokens each of the vocabulary.
    """

    machine: Machine
    count: int
    arena_bytes: int
    task_blocks: int
    addresses: dict[str, int]
    _own: list[int] = field(default_factory=list)
    group: int = 4
    spread: bool = False
    tiles: int = 1

    @property
    def engine(self) -> int:
        """Address of the ``hwe_engine_t``."""
        return self.addresses["engine"]

    def assign(self, records: npt.NDArray[np.uint64], ends: npt.NDArray[np.uint32]) -> None:
        """Give every seat a record to advance."""
        seats = np.zeros(self.count, dtype=layout.SEAT_DTYPE)
        room = tasks_of(ends, self.arena_bytes, self.task_blocks)
        seats["record"], seats["end"] = records, ends
        seats["task_room"] = room
        seats["first_task"] = np.cumsum(room) - room
        seats["state"] = layout.SEAT_NEW
        self.machine.write(self.addresses["seats"], seats)

    def read(self) -> npt.NDArray[Any]:
        """``(n,)`` of SEAT_DTYPE."""
        seats = np.empty(self.count, dtype=layout.SEAT_DTYPE)
        self.machine.read(self.addresses["seats"], seats)
        return seats

    def control(self) -> Any:
        """The record of the steps."""
        control = np.empty(1, dtype=layout.CONTROL_DTYPE)
        self.machine.read(self.addresses["control"], control)
        return control[0]

    def attend(self) -> None:
        """Launch the attention of one step."""
        self.machine.launch("hwe_attention", self.machine.blocks, 128, self.engine)

    def finish(self) -> None:
        """Launch everything else of one step: tokens, their keys, values and states."""
        if self.spread:
            self.make_logits()
            self.draw()
        self.machine.launch(
            f"hwe_tail_{self.group}",
            -(-self.count // self.group),
            THREADS,
            self.engine,
            np.uint32(not self.spread),
        )

    def make_logits(self) -> None:
        """Launch the logits of all seats."""
        few = -(-self.count // 16) * self.tiles <= self.machine.blocks
        self.machine.launch(
            f"hwe_logits_{16 if few else 32}", self.machine.blocks, THREADS, self.engine
        )

    def draw(self) -> None:
        """Launch the draws of all seats from their logits, a block each."""
        kernel = "hwe_long_draws" if self.tiles >= _LONG_TILES else "hwe_draws"
        self.machine.launch(kernel, self.count, 1024, self.engine)

    def step(self) -> None:
        """Launch one step: a token more for every seat that is not done."""
        self.attend()
        self.finish()

    def close(self) -> None:
        """Free the memory."""
        while self._own:
            self.machine.free(self._own.pop())


def tasks_of(
    ends: npt.NDArray[np.uint32], arena_bytes: int, task_blocks: int
) -> npt.NDArray[np.int64]:
    """Tasks of attention of rollouts up to ``ends``; 1 of one that its arena cannot hold."""
    tokens = np.where(ends > arena_bytes // 4, 1, ends.astype(np.int64))
    each = task_blocks * contract.BLOCK_TOKENS
    found: npt.NDArray[np.int64] = np.maximum(1, -(-tokens // each))
    return found
