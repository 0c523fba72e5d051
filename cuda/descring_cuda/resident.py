# SPDX-License-Identifier: Apache-2.0
"""The resident shape: rollouts that run on the GPU from ring to ring, without the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_host import DeviceError
from descring_model.engine import contract
from descring_model.engine.interface import STATUS_NAMES

from descring_cuda import layout
from descring_cuda.engine import CudaEngine
from descring_cuda.gpus import KernelLauncher, gpu
from descring_cuda.machine import CupyMachine, Machine
from descring_cuda.remote import DEFAULT_MEMORY, Launcher, RemoteDevice
from descring_cuda.seats import tasks_of

DEFAULT_SEATS = 1024
DEFAULT_TOKENS = 8192
_FLIGHT_BYTES = 128
_LARGEST_GROUP = 16
"""What fits into the shared memory of a block that also has the tables of checksums."""
_THREADS = 256
_FAILURES = 64
_FAILURE_DTYPE = np.dtype([("record", "<u8"), ("status", "<u4"), ("index", "<u4")])
_LOBBY_DTYPE = np.dtype(
    {
        "names": [
            "engine", "flights", "free_seats", "busy", "arena_bytes", "flight_slots",
            "seat_count", "stop", "failures", "steps", "failure",
        ],
        "formats": ["<u8"] * 5 + ["<u4"] * 5 + [(_FAILURE_DTYPE, _FAILURES)],
        "offsets": [0, 8, 16, 24, 32, 40, 44, 384, 512, 516, 520],
        "itemsize": 5 * 128 + 16 * _FAILURES,
    }
)  # fmt: skip


@dataclass(frozen=True)
class Failure:
    """A rollout that the engine refused.

    Attributes:
        record: offset of its record.
        status: name of a status of the engine contract, or ``TOO_LONG``.
        index: of its line in the command ring.
    """

    record: int
    status: str
    index: int


class Lobby:
    """What a resident worker needs in the GPU's memory: the arena, seats, and lines in flight."""

    def __init__(
        self, engine: CudaEngine | None, machine: Machine, seats: int, arena: int, tokens: int
    ) -> None:
        self.machine = machine
        self.arena_bytes = arena if engine else 0
        self.count = seats if engine else 0
        slots = 65536  # a rollout that takes long holds up no later one
        sizes = {
            "lobby": _LOBBY_DTYPE.itemsize,
            "flights": _FLIGHT_BYTES * slots,
            "free_seats": 4 * max(1, self.count),
            "busy": 4 * (self.arena_bytes // (32 * contract.RECORD_ALIGNMENT) + 1),
        }
        self._sizes = sizes
        self._own = {name: machine.allocate(size) for name, size in sizes.items()}
        self._slots = slots
        self.seats = None
        if engine:
            self._own["arena"] = machine.allocate(arena)
            ends = np.full(seats, tokens, dtype=np.uint32)
            self._room = int(tasks_of(ends[:1], 1 << 62, layout.TASK_BLOCKS)[0])
            blocks = max(1, getattr(machine, "multiprocessors", 2) - 1)
            self.seats = engine.seats(
                self._own["arena"], arena, seats, self._room * seats, blocks=blocks
            )

    @property
    def address(self) -> int:
        """Of the ``hw_lobby``."""
        return self._own["lobby"]

    @property
    def draws(self) -> int:
        """Whether groups draw their own tokens."""
        return int(self.seats is None or not self.seats.spread)

    @property
    def group(self) -> int:
        """Seats of a group."""
        return min(self.seats.group, _LARGEST_GROUP) if self.seats else 4

    def reset(self) -> None:
        """As before the first launch, but for the arena."""
        lobby = np.zeros(1, dtype=_LOBBY_DTYPE)
        for name in ("flights", "free_seats", "busy"):
            lobby[name] = self._own[name]
        lobby["engine"] = self.seats.engine if self.seats else 0
        lobby["arena_bytes"], lobby["seat_count"] = self.arena_bytes, self.count
        lobby["flight_slots"] = self._slots
        self.machine.write(self._own["lobby"], lobby)
        self.machine.write(self._own["free_seats"], np.arange(self.count, dtype=np.uint32))
        self.machine.write(self._own["busy"], np.zeros(self._sizes["busy"] // 4, dtype=np.uint32))
        if self.seats:
            table = np.zeros(self.count, dtype=layout.SEAT_DTYPE)
            table["task_room"] = self._room
            table["first_task"] = np.arange(self.count) * self._room
            self.machine.write(self.seats.addresses["seats"], table)
            self.machine.write(
                self.seats.addresses["control"], np.zeros(1, dtype=layout.CONTROL_DTYPE)
            )

    def read(self) -> Any:
        """The ``hw_lobby`` as it is now."""
        lobby = np.zeros(1, dtype=_LOBBY_DTYPE)
        self.machine.read(self._own["lobby"], lobby)
        return lobby[0]

    def place(self, offset: int, size: int) -> int:
        """Address of bytes of the arena; ``ValueError`` if they are not in it."""
        if not 0 <= offset <= offset + size <= self.arena_bytes:
            raise ValueError(
                f"offset: expected {size} bytes within {self.arena_bytes}, got offset {offset}"
            )
        return self._own["arena"] + offset

    def close(self) -> None:
        """Free everything."""
        if self.seats:
            self.seats.close()
        while self._own:
            self.machine.free(self._own.popitem()[1])


class CudaResidentLauncher(KernelLauncher):
    """A coordinator and worker blocks that fill a GPU."""

    def __init__(self, lobby: Lobby, device: int, workers: int | None) -> None:
        self._lobby = lobby
        chosen = gpu(device)
        if chosen.taken:
            raise DeviceError(
                "the resident shape needs a GPU of its own; close the other devices on this one"
            )
        machine = lobby.machine
        assert isinstance(machine, CupyMachine)
        room = machine.multiprocessors - 1
        if workers is not None and not 1 <= workers <= room:
            raise ValueError(f"workers: expected 1 to {room}, got {workers}")
        self._blocks = 1 + (workers or room) if lobby.count else 1
        self._kernel = machine.function(f"hw_resident_{lobby.group}")
        super().__init__(chosen, machine.new_stream(), chosen.multiprocessors)

    def launch(self, link: int) -> None:
        """See :class:`descring_cuda.Launcher`."""
        self._lobby.reset()
        arguments = (np.uint64(link), np.uint64(self._lobby.address), np.uint32(self._lobby.draws))
        with self._gpu.cupy.cuda.Device(self._gpu.number):
            self._kernel((self._blocks,), (_THREADS,), arguments, stream=self._stream)

    def _release(self) -> None:
        self._lobby.close()


class ResidentDevice(RemoteDevice):
    """A device that advances the rollouts of its lines [REC-005].

    A line's ``kv_offset`` is the offset of its record in the device's arena, which is memory of the
    GPU; :meth:`write_arena` and :meth:`read_arena` copy while the worker runs. Lines of one record
    run one after another. Completions have the same bytes as without an engine; what the engine
    refused is in :meth:`failures`.
    """

    shape = "resident"

    def __init__(
        self,
        memory: int = DEFAULT_MEMORY,
        *,
        engine: CudaEngine | None = None,
        arena: int = 64 << 20,
        seats: int = DEFAULT_SEATS,
        max_tokens: int = DEFAULT_TOKENS,
        device: int = 0,
        workers: int | None = None,
        machine: Machine | None = None,
        launcher: Callable[[Lobby], Launcher] | None = None,
        first_index: int = 0,
        heartbeat_s: float = 1.0,
        deadline_s: float | None = None,
    ) -> None:
        """Start the kernel, which fills the GPU until the device is closed.

        Args:
            memory: bytes of the memory window, pinned.
            engine: makes tokens, and stays the caller's; None: lines are completed without.
            arena: bytes of the arena on the GPU.
            seats: rollouts that run at once, at most.
            max_tokens: of one rollout; a longer one is refused as ``TOO_LONG``.
            device: which GPU; that of the engine.
            workers: worker blocks; None: one for each multiprocessor but one.
            machine: in place of that GPU.
            launcher: makes the launcher, likewise.
            first_index: the value of every index after reset [RING-012].
            heartbeat_s: the kernel ends when this process has not shown life for so long.
            deadline_s: the kernel's longest life; None: no limit.

        Raises:
            ValueError: an option out of range.
            DeviceError: no CuPy, no GPU, or a condition under which it would deadlock.
        """
        for name, value, most in (
            ("seats", seats, 65536),
            ("max_tokens", max_tokens, contract.LENGTH_MAX),
        ):
            if not 1 <= value <= most:
                raise ValueError(f"{name}: expected 1 to {most}, got {value}")
        if arena < contract.BLOCK_BYTES:
            raise ValueError(f"arena: expected {contract.BLOCK_BYTES} bytes or more, got {arena}")
        machine = machine or (engine.machine if engine else CupyMachine(device))
        self._engine = engine
        self._lobby = Lobby(engine, machine, seats, arena, max_tokens)
        make = launcher or (lambda lobby: CudaResidentLauncher(lobby, device, workers))
        super().__init__(
            make(self._lobby),
            memory,
            first_index=first_index,
            heartbeat_s=heartbeat_s,
            deadline_s=deadline_s,
        )

    @property
    def engine(self) -> CudaEngine | None:
        """What makes the tokens."""
        return self._engine

    @property
    def arena_bytes(self) -> int:
        """Size of the arena."""
        return self._lobby.arena_bytes

    def write_arena(self, offset: int, data: npt.NDArray[Any]) -> None:
        """Copy a contiguous array into the arena; ``ValueError`` beyond it."""
        self._handle()
        self._lobby.machine.write(self._lobby.place(offset, data.nbytes), data)

    def read_arena(self, offset: int, data: npt.NDArray[Any]) -> None:
        """Copy from the arena into a contiguous array; ``ValueError`` beyond it."""
        self._handle()
        self._lobby.machine.read(self._lobby.place(offset, data.nbytes), data)

    @property
    def steps(self) -> int:
        """Steps of the worker since it started, modulo 2^32."""
        self._handle()
        return int(self._lobby.read()["steps"])

    def failures(self) -> list[Failure]:
        """Rollouts that the engine refused, the last 64 of them."""
        self._handle()
        lobby = self._lobby.read()
        count = int(lobby["failures"])
        names = {**STATUS_NAMES, layout.TOO_LONG: "TOO_LONG"}
        return [
            Failure(int(item["record"]), names[int(item["status"])], int(item["index"]))
            for item in (
                lobby["failure"][at % _FAILURES] for at in range(max(0, count - _FAILURES), count)
            )
        ]
