# SPDX-License-Identifier: Apache-2.0
"""The engine on a GPU, by ``docs/engine-contract.md``; its kernels are written from that text."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.engine import contract
from descring_model.engine.interface import Statuses, check_call

from descring_cuda import layout
from descring_cuda.machine import CupyMachine, Machine
from descring_cuda.seats import THREADS, Seats, tasks_of

_WEIGHT_WORDS = 5 * contract.DIMS * contract.DIMS // 2
_LARGE_VOCABULARY = 4096
"""Above it logits and draws are kernels of their own, and a block draws a token, not a warp."""
_FEW_SEATS = 2
"""Up to so many seats a multiprocessor, logits and draws are spread over it likewise."""
_GROUPS = (4, 8, 16, 32)
"""Seats of a group: the fewest with which every group has a block of its own at once."""
_GIVEN_TURNS = 16
_TASKS_A_WARP = 4
_LEAST_TASK = 2
_AT_ONCE = 32
"""Steps between two checks whether anything runs."""


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit


class CudaEngine:
    """An :class:`~descring_model.engine.interface.Engine` on a GPU.

    ::

        with CudaEngine() as engine:
            batch = Batch(engine, prompts, room=512)
            batch.advance(512)

    Arenas of :meth:`new_arena` are host memory with a copy on the GPU; :meth:`advance` copies there
    and back. :meth:`seats` works on memory that stays on the GPU.
    """

    def __init__(
        self,
        vocabulary: int = contract.VOCABULARY,
        *,
        device: int = 0,
        machine: Machine | None = None,
        given_turns: int = _GIVEN_TURNS,
        task_blocks: int | None = None,
    ) -> None:
        """Make the weights.

        Args:
            vocabulary: tokens are 0 to ``vocabulary - 1``.
            device: which GPU.
            machine: in place of that GPU.
            given_turns: tokens of a prompt that a rollout ingests in one step, at most.
            task_blocks: 1, 2, 4 or 8 blocks of 32 tokens that a warp attends to at a time; None:
                by the size of a call. It changes no bit.

        Raises:
            ValueError: a vocabulary out of range.
            DeviceError: no CuPy or no GPU that will do.
        """
        if not 1 <= vocabulary <= contract.VOCABULARY_MAX:
            raise ValueError(
                f"vocabulary: expected 1 to {contract.VOCABULARY_MAX}, got {vocabulary}"
            )
        if given_turns < 1:
            raise ValueError(f"given_turns: expected 1 or more, got {given_turns}")
        if task_blocks not in (None, 1, 2, 4, 8):
            raise ValueError(f"task_blocks: expected 1, 2, 4 or 8, got {task_blocks}")
        self.vocabulary = vocabulary
        self.task_blocks = task_blocks
        self.machine: Machine = machine if machine is not None else CupyMachine(device)
        self._given_turns = given_turns
        self._pitch = _up(vocabulary, layout.PITCH)
        self._arenas: dict[int, tuple[int, int]] = {}  # by address here: size, address on the GPU
        self._left: list[int] = []  # addresses there of arenas that nothing refers to any more
        matrix = 2 * contract.DIMS * contract.DIMS
        own = {
            "matrices": 5 * matrix,
            "bias": 4 * contract.DIMS,
            "tables": 8 * contract.TABLE_ENTRIES,
            "unembedding": 2 * contract.DIMS * self._pitch,
        }
        self._weights = {name: self.machine.allocate(size) for name, size in own.items()}
        self._make_weights()
        names = ("w_in", "w_res", "w_q", "w_k", "w_v")
        first = self._weights["matrices"]
        self._addresses = {
            **{name: first + at * matrix for at, name in enumerate(names)},
            **{name: self._weights[name] for name in ("bias", "tables", "unembedding")},
        }

    def _make_weights(self) -> None:
        at = self._weights
        self.machine.launch(
            "hwe_weights", _WEIGHT_WORDS // THREADS, THREADS, at["matrices"], at["bias"]
        )
        pairs = self._pitch // 2
        self.machine.launch(
            "hwe_unembed", -(-pairs // 64), 64, at["unembedding"], np.uint32(pairs),
            np.uint32(self.vocabulary),
        )  # fmt: skip
        tables = np.array(contract.EXP2_COARSE + contract.EXP2_FINE, dtype=np.uint32)
        self.machine.write(at["tables"], tables)
        self.machine.synchronize()

    def __enter__(self) -> CudaEngine:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def new_arena(self, size: int) -> npt.NDArray[np.uint8]:
        """See :class:`~descring_model.engine.interface.Engine`.

        Its copy on the GPU is freed by the next call behind the end of its last view: freeing waits
        for running kernels, which the collection of garbage must not.
        """
        self._free_left()
        spare = self.machine.host_array(size + contract.RECORD_ALIGNMENT)
        arena = spare[-spare.ctypes.data % contract.RECORD_ALIGNMENT :][:size]
        at = arena.ctypes.data
        self._arenas[at] = (size, self.machine.allocate(size))
        weakref.finalize(spare, _leave, self._arenas, self._left, at)
        return arena

    def _free_left(self) -> None:
        while self._left:
            self.machine.free(self._left.pop())

    def seats(
        self,
        arena: int,
        arena_bytes: int,
        count: int,
        tasks: int,
        task_blocks: int = layout.TASK_BLOCKS,
        blocks: int | None = None,
    ) -> Seats:
        """Seats for rollouts in an arena on the GPU.

        Args:
            arena: its address there, a multiple of 64.
            arena_bytes: its size.
            count: seats.
            tasks: of attention, of all seats together, at most; see :func:`tasks_of`.
            task_blocks: 1, 2, 4 or 8 blocks a task.
            blocks: thread blocks that run at once; None: two a multiprocessor.
        """
        machine = self.machine
        multiprocessors = getattr(machine, "multiprocessors", 1)
        large = self.vocabulary > _LARGE_VOCABULARY or count <= _FEW_SEATS * multiprocessors
        levels = max(1, layout.levels(tasks))
        sizes = {
            "engine": layout.ENGINE_DTYPE.itemsize,
            "control": layout.CONTROL_DTYPE.itemsize,
            "seats": layout.SEAT_DTYPE.itemsize * count,
            "tasks": layout.STEPS * layout.TASK_BYTES * tasks,
            "queries": 2 * contract.DIMS * count,
            "outputs": 4 * contract.DIMS * count,
            "halves": 2 * contract.DIMS * count,
            "logits": 4 * self._pitch * count,
            "partials": 4 * contract.DIMS * tasks,
            "partial_sums": 8 * tasks,
            "arrivals": 4 * levels * tasks,
        }
        addresses = dict(self._addresses)
        own: list[int] = []
        for name, size in sizes.items():
            own.append(machine.allocate(size))
            addresses[name] = own[-1]
        engine = np.zeros(1, dtype=layout.ENGINE_DTYPE)
        values = {
            **addresses,
            "arena": arena,
            "arena_bytes": arena_bytes,
            "seat_count": count,
            "vocabulary": self.vocabulary,
            "pitch": self._pitch,
            "task_capacity": tasks,
            "task_blocks": task_blocks,
            "given_turns": self._given_turns,
        }
        for name in layout.ENGINE_DTYPE.names or ():
            engine[name] = values.get(name, 0)
        machine.write(addresses["engine"], engine)
        at_once = blocks or 2 * multiprocessors
        group = next((size for size in _GROUPS if count <= size * at_once), _GROUPS[-1])
        tiles = self._pitch // layout.PITCH
        return Seats(machine, count, arena_bytes, task_blocks, addresses, own, group, large, tiles)

    def advance(
        self,
        arena: npt.NDArray[np.uint8],
        records: npt.NDArray[np.uint64],
        ends: npt.NDArray[np.uint32],
    ) -> Statuses:
        """See :class:`~descring_model.engine.interface.Engine`.

        Raises:
            DeviceError: the GPU failed.
        """
        check_call(arena, records, ends)
        self._free_left()
        size, address = self._arenas.get(arena.ctypes.data, (-1, 0))
        if size != len(arena):
            raise ValueError("arena: expected one of new_arena(), got another array")
        if not len(records):
            return np.zeros(0, dtype=np.uint32)
        self.machine.write(address, arena)
        blocks = int(tasks_of(ends, len(arena), 1).sum())
        task_blocks = self.task_blocks or self._task_blocks(blocks)
        tasks = int(tasks_of(ends, len(arena), task_blocks).sum())
        seats = self.seats(address, len(arena), len(records), tasks, task_blocks)
        try:
            seats.assign(records, np.minimum(ends, contract.LENGTH_MAX + 1))
            self._run(seats)
            found = seats.read()
            self.machine.read(address, arena)
        finally:
            seats.close()
        return np.ascontiguousarray(found["status"])

    def draws(
        self, logits: npt.NDArray[np.float32], rollouts: npt.NDArray[Any]
    ) -> npt.NDArray[np.uint32]:
        """Draw a token from each row of logits, a block a row [SAMP-001].

        Args:
            logits: ``(n, vocabulary)`` float32, all usable [NUM-007].
            rollouts: ``(n,)`` of ROLLOUT_DTYPE; ``length`` is the position of the token.

        Returns:
            ``(n,)`` uint32.

        Raises:
            DeviceError: the GPU failed.
        """
        count = len(logits)
        arena = self.machine.allocate(layout.SEAT_DTYPE.itemsize)
        seats = self.seats(arena, layout.SEAT_DTYPE.itemsize, count, count)
        try:
            padded = np.zeros((count, self._pitch), dtype=np.float32)
            padded[:, : self.vocabulary] = logits
            table = np.zeros(count, dtype=layout.SEAT_DTYPE)
            table["rollout"], table["awaits"], table["token"] = rollouts, 1, contract.NONE
            self.machine.write(seats.addresses["logits"], padded)
            self.machine.write(seats.addresses["seats"], table)
            seats.draw()
            return np.ascontiguousarray(seats.read()["token"])
        finally:
            seats.close()
            self.machine.free(arena)

    def _task_blocks(self, blocks: int) -> int:
        """The largest tasks of which every warp has several."""
        warps = 4 * self.machine.blocks
        found = layout.TASK_BLOCKS
        while found > _LEAST_TASK and blocks < _TASKS_A_WARP * found * warps:
            found //= 2
        return found

    def _run(self, seats: Seats) -> None:
        """Steps until no seat runs any more."""
        seats.finish()  # takes up the rollouts
        if not seats.control()["running"]:
            return
        steps = self.machine.repeated(lambda: _times(seats.step, _AT_ONCE))
        while seats.control()["running"]:
            steps()

    def close(self) -> None:
        """See :class:`~descring_model.engine.interface.Engine`."""
        self._left += [address for _, address in self._arenas.values()]
        self._arenas.clear()
        self._free_left()
        while self._weights:
            self.machine.free(self._weights.popitem()[1])


def _leave(arenas: dict[int, tuple[int, int]], left: list[int], at: int) -> None:
    """The arena at ``at`` is gone; after close() it is in no list."""
    if at in arenas:
        left.append(arenas.pop(at)[1])


def _times(work: Callable[[], None], count: int) -> None:
    for _ in range(count):
        work()
