# SPDX-License-Identifier: Apache-2.0
"""Rollouts of one length in the memory of a GPU, for the measurements of the engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda import layout
from descring_cuda.engine import CudaEngine
from descring_cuda.kernels import source
from descring_cuda.machine import CupyMachine
from descring_cuda.seats import Seats, tasks_of
from descring_model.engine import contract
from descring_model.engine.batch import padded
from descring_model.engine.records import ROLLOUT_DTYPE
from descring_sim.bench import results

BASELINES = Path(__file__).parent / "cuda" / "engine_baselines.cu"
BLOCK = contract.BLOCK_BYTES
REPEATS = 15


class Baselines:
    """The kernels of ``engine_baselines.cu`` on a machine's stream."""

    def __init__(self, machine: CupyMachine) -> None:
        self._machine = machine
        text = source("engine.cu") + BASELINES.read_text(encoding="utf-8")
        self._module = machine.cupy.RawModule(code=text, options=("-std=c++17",), backend="nvrtc")
        self._found = machine.allocate(4)

    def launch(self, kernel: str, blocks: int, threads: int, *arguments: Any) -> None:
        """Launch one."""
        function = self._module.get_function(kernel)
        values = [np.uint64(item) if isinstance(item, int) else item for item in arguments]
        function((blocks,), (threads,), tuple(values), stream=self._machine.stream)

    def fill(self, address: int, size: int, seed: int) -> None:
        """Random keys and values."""
        self.launch("fill", 132 * 16, 512, address, size // 4, np.uint32(seed))

    def sweep(self, address: int, size: int) -> None:
        """Read so many bytes and do nothing else."""
        self.launch("sweep", 132 * 16, 512, address, size // 16, self._found)

    def multiply_adds(self, count: int) -> int:
        """Launch so many fused multiply-adds a chain; the number of all."""
        blocks = 8 * self._machine.multiprocessors
        self.launch("multiply_add", blocks, 256, np.uint32(count), self._found)
        return blocks * 256 * 8 * count

    def attention(self, kernel: str, seats: Seats) -> None:
        """The attention of one step by another kernel."""
        resident = self._machine.cupy.cuda.driver.occupancyMaxActiveBlocksPerMultiprocessor(
            self._module.get_function(kernel).kernel.ptr, 128, 0
        )
        self.launch(kernel, self._machine.multiprocessors * int(resident), 128, seats.engine)


def median_us(
    machine: CupyMachine,
    work: Callable[[], object],
    before: Callable[[], None] = lambda: None,
    repeats: int = REPEATS,
) -> results.Measured:
    """Median of the time of ``work`` in microseconds, by events."""
    events = machine.cupy.cuda
    start, end = events.Event(), events.Event()
    times = []
    for _ in range(repeats + 3):
        before()
        start.record(machine.stream)
        work()
        end.record(machine.stream)
        end.synchronize()
        times.append(events.get_elapsed_time(start, end) * 1e3)
    return results.Measured(times[3:])


class Load:
    """``count`` rollouts with ``length`` tokens ingested, in random blocks, and seats for them."""

    def __init__(
        self,
        engine: CudaEngine,
        baselines: Baselines,
        count: int,
        length: int,
        room: int,
        task_blocks: int = layout.TASK_BLOCKS,
        **members: float,
    ) -> None:
        self.machine: CupyMachine = engine.machine  # type: ignore[assignment]
        self.count, self.length, self.end = count, length, length + room
        rng = np.random.default_rng(count * 1000003 + length)
        each = -(-self.end // contract.BLOCK_TOKENS)
        blocks = count * each
        sizes = (contract.RECORD_BYTES, contract.STATE_BYTES, 4 * self.end, 4 * each)
        step = sum(padded(size) for size in sizes)
        self.kv_bytes = blocks * BLOCK
        self.read_bytes = 512 * count * length
        own = np.zeros((count, step), dtype=np.uint8)
        starts = np.cumsum([0, *(padded(size) for size in sizes)])
        self.offsets = self.kv_bytes + np.arange(count, dtype=np.uint64) * np.uint64(step)
        records = own[:, : contract.RECORD_BYTES].view(ROLLOUT_DTYPE)[:, 0]
        for name, start in zip(("state", "tokens", "blocks"), starts[1:], strict=False):
            records[name] = self.offsets + np.uint64(start)
        records["prompt_tokens"] = 1
        records["length"] = length
        records["seed"] = np.arange(count)
        records["top_p"] = 1.0
        records["temperature"] = 1.0
        records["eos"] = contract.NONE
        for name, value in members.items():
            records[name] = value
        self.states = rng.standard_normal((count, contract.DIMS)).astype(np.float32)
        own[:, starts[1] : starts[1] + contract.STATE_BYTES] = self.states.view(np.uint8)
        self.maps = rng.permutation(blocks).astype(np.uint32).reshape(count, each)
        own[:, starts[3] : starts[3] + 4 * each] = self.maps.view(np.uint8)
        self.records = records
        self._tokens_at = int(starts[2])
        self._step = step
        self.arena = self.machine.allocate(self.kv_bytes + own.nbytes)
        baselines.fill(self.arena, self.kv_bytes, count ^ length)
        self.machine.write(self.arena + self.kv_bytes, own.reshape(-1))
        ends = np.full(count, self.end, dtype=np.uint32)
        arena_bytes = self.kv_bytes + own.nbytes
        tasks = int(tasks_of(ends, arena_bytes, task_blocks).sum())
        self.seats = engine.seats(self.arena, arena_bytes, count, tasks, task_blocks)
        self.restart()

    def restart(self) -> None:
        """Take up every rollout where it is now."""
        self.seats.assign(self.offsets, np.full(self.count, self.end, dtype=np.uint32))
        self.machine.write(self.seats.addresses["control"], np.zeros(1, dtype=layout.CONTROL_DTYPE))
        self.seats.finish()
        self.machine.synchronize()

    def rewind_now(self) -> None:
        """As :meth:`rewind_tasks`, whatever step this is."""
        self.rewind_tasks(int(self.seats.control()["number"]) % layout.STEPS)

    def rewind_tasks(self, number: int = 1) -> None:
        """Let the next attention do the tasks of step ``number`` again; 1 follows a restart."""
        step, at = layout.CONTROL_DTYPE.fields["step"][:2]  # type: ignore[index]
        taken = self.seats.addresses["control"] + at + step.itemsize // layout.STEPS * number + 4
        self.machine.cupy.cuda.runtime.memsetAsync(taken, 0, 4, self.machine.stream.ptr)

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
        """What a phase has left in the GPU's memory."""
        data = np.empty(shape, dtype=dtype)
        self.machine.read(self.seats.addresses[name], data)
        return data

    def poison(self, name: str, size: int) -> None:
        """Overwrite it with what no phase writes."""
        self.machine.cupy.cuda.runtime.memsetAsync(
            self.seats.addresses[name], 0xFF, size, self.machine.stream.ptr
        )

    def own(self) -> npt.NDArray[np.uint8]:
        """``(count, step)``: record, state, tokens and map of every rollout as they are now."""
        data = np.empty((self.count, self._step), dtype=np.uint8)
        self.machine.read(self.arena + self.kv_bytes, data.reshape(-1))
        return data

    def tokens(self, own: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
        """``(count, end)`` of :meth:`own`."""
        start = self._tokens_at
        return own[:, start : start + 4 * self.end].copy().view(np.uint32)

    def blocks(self, places: npt.NDArray[np.integer]) -> npt.NDArray[np.float16]:
        """Keys and values of some rollouts, their blocks in order: ``(k * each, 2, 32, 128)``."""
        numbers = self.maps[places].reshape(-1)
        data = np.empty((len(numbers), BLOCK), dtype=np.uint8)
        for at, number in enumerate(numbers.tolist()):
            self.machine.read(self.arena + number * BLOCK, data[at])
        return data.view(np.float16).reshape(-1, 2, contract.BLOCK_TOKENS, contract.DIMS)

    def close(self) -> None:
        """Free the memory."""
        self.seats.close()
        self.machine.free(self.arena)
