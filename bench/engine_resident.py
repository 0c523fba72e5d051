# SPDX-License-Identifier: Apache-2.0
"""Measures the resident shape beside replays of the same step as a CUDA graph.

Both run the same rollouts to the same ends, and the bytes of both arenas must be equal; some
rollouts are also compared with the golden model. Without a GPU it reports that and measures
nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda import CudaEngine, ResidentDevice, layout
from descring_cuda.machine import CupyMachine
from descring_cuda.seats import Seats, tasks_of
from descring_host import CommandQueue
from descring_model import DESC_DTYPE, Lines, complete
from descring_model import contract as lines_contract
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.model import ModelEngine

sys.path.insert(0, str(Path(__file__).parent))

from common.report import Report, add_output
from cuda_host import describe, machine_or_end

Run = tuple[float, int, npt.NDArray[np.uint8]]
"""Seconds, steps, and the arena afterwards."""
CHECKED = 6
"""Rollouts that the golden model makes too."""


class Arena:
    """``count`` rollouts with prompts of 16 tokens, as bytes of an arena."""

    def __init__(self, ends: npt.NDArray[np.uint32]) -> None:
        rng = np.random.default_rng(len(ends))
        prompts = rng.integers(0, contract.VOCABULARY, (len(ends), 16)).tolist()
        parameters: list[dict[str, Any]] = [
            {"sample": at, "seed": 7, "temperature": 1.0} for at in range(len(ends))
        ]
        self.batch = Batch(ModelEngine(), prompts, int(ends.max()), parameters)
        self.ends, self.bytes = ends, self.batch.arena
        self.made = int(ends.sum()) - 16 * len(ends)

    def check_golden(self, found: npt.NDArray[np.uint8]) -> None:
        """Some rollouts against the golden model."""
        places = np.argsort(self.ends)[:CHECKED]
        golden = self.batch.engine.new_arena(len(self.bytes))
        golden[:] = self.bytes
        self.batch.engine.advance(
            golden, self.batch.offsets[places], np.ascontiguousarray(self.ends[places])
        )
        bounds = [*self.batch.offsets.tolist(), len(self.bytes)]
        for place in places.tolist():
            own = slice(bounds[place], bounds[place + 1])
            if found[own].tobytes() != golden[own].tobytes():
                raise SystemExit(f"rollout {place} is not the golden model's")


class Times:
    """When each rollout was handed over, and when the host saw its end; seconds of a clock."""

    def __init__(self, count: int) -> None:
        self.handed, self.seen = np.zeros(count), np.zeros(count)

    @property
    def each(self) -> npt.NDArray[np.float64]:
        """Seconds of each rollout."""
        return self.seen - self.handed


def rollout_lines(arena: Arena) -> Lines:
    """A line for each rollout; ``user_data`` is its number."""
    count = len(arena.ends)
    lines = np.zeros(count, dtype=DESC_DTYPE)
    lines["opcode"] = lines_contract.OPCODE["ROLLOUT"]
    lines["kv_offset"], lines["max_tokens"] = arena.batch.offsets, arena.ends
    lines["user_data"] = np.arange(count)
    return lines


@contextmanager
def opened(
    engine: CudaEngine, arena: Arena, seats: int
) -> Iterator[tuple[ResidentDevice, CommandQueue]]:
    """A resident device with the arena on it, and a queue."""
    longest = int(arena.ends.max())
    with (
        ResidentDevice(
            16 << 20, engine=engine, arena=len(arena.bytes), seats=seats, max_tokens=longest
        ) as device,
        CommandQueue(device, cmd_slots=16384, done_slots=16384, timeout_s=120.0) as queue,
    ):
        device.write_arena(0, arena.bytes)
        yield device, queue


def read_arena(device: ResidentDevice, arena: Arena) -> npt.NDArray[np.uint8]:
    """The arena as the device has it; ends the program if a rollout was refused."""
    if device.failures():
        raise SystemExit(f"{device.failures()}")
    found = np.empty_like(arena.bytes)
    device.read_arena(0, found)
    return found


def resident(engine: CudaEngine, arena: Arena, seats: int) -> Run:
    """Seconds, steps and the arena of all rollouts through the ring, a line each."""
    lines = rollout_lines(arena)
    with opened(engine, arena, seats) as (device, queue):
        before = device.steps
        start = time.perf_counter()
        got = queue.exchange(lines)
        took = time.perf_counter() - start
        steps = device.steps - before
        if got.tobytes() != complete(lines).tobytes():
            raise SystemExit("wrong completions")
        return took, steps, read_arena(device, arena)


def graph(
    engine: CudaEngine,
    arena: Arena,
    seats: int,
    *,
    refill: int,
    replay: bool = True,
    times: Times | None = None,
) -> Run:
    """The same by replays of a step: the host reads the seats every ``refill`` steps.

    ``refill`` 0 is static batches: all seats are filled together once all are done. ``times`` gets
    those of each rollout.
    """
    machine = engine.machine
    assert isinstance(machine, CupyMachine)
    address = machine.allocate(len(arena.bytes))
    machine.write(address, arena.bytes)
    most = np.full(seats, arena.ends.max(), dtype=np.uint32)
    room = int(tasks_of(most[:1], len(arena.bytes), layout.TASK_BLOCKS)[0])
    place = engine.seats(address, len(arena.bytes), seats, room * seats)
    every = refill or 16
    work = place.step if not replay else machine.repeated(place.step)
    steps, following, count = 0, 0, len(arena.ends)
    table = np.zeros(seats, dtype=layout.SEAT_DTYPE)
    table["task_room"], table["first_task"] = room, np.arange(seats) * room
    holds = np.full(seats, -1)
    machine.synchronize()
    start = time.perf_counter()
    first = True
    while True:
        free = np.flatnonzero(
            (table["state"] == layout.SEAT_FREE) | (table["state"] == layout.SEAT_DONE)
        )
        if times is not None:
            done = holds[free]
            times.seen[done[done >= 0]] = time.perf_counter()
            holds[free] = -1
        if following == count and len(free) == seats:
            break
        if following < count and len(free) and (refill or len(free) == seats):
            some = free[: count - following]
            chosen = slice(following, following + len(some))
            if times is not None:
                times.handed[chosen] = time.perf_counter()
                holds[some] = np.arange(following, following + len(some))
            fill(place, table, some, arena.batch.offsets[chosen], arena.ends[chosen])
            following += len(some)
            if first:
                place.finish()
                first = False
        for _ in range(every):
            work()
        steps += every
        table = place.read()
    took = time.perf_counter() - start
    found = np.empty_like(arena.bytes)
    machine.read(address, found)
    place.close()
    machine.free(address)
    return took, steps, found


def fill(
    place: Seats,
    table: npt.NDArray[Any],
    some: npt.NDArray[np.integer],
    offsets: npt.NDArray[np.uint64],
    ends: npt.NDArray[np.uint32],
) -> None:
    """Give rollouts to free seats, between two steps."""
    table["record"][some], table["end"][some] = offsets, ends
    table["state"][some] = layout.SEAT_NEW
    table["refused"][some] = table["given_up"][some] = table["awaits"][some] = 0
    place.machine.write(place.addresses["seats"], table)


def main() -> int:
    """Run every load by every way."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_output(parser)
    parser.add_argument("--only", default="", help="loads whose names have this in them")
    options = parser.parse_args()
    machine = machine_or_end(Path(__file__).name)
    report = Report("engine_resident", options.output, ("load", "way"), describe(machine.cupy, 0))
    rng = np.random.default_rng(11)
    skewed = np.clip(np.exp(rng.normal(5.0, 0.8, 8192)), 20, 1000).astype(np.uint32) + 16

    def equal(count: int) -> npt.NDArray[np.uint32]:
        return np.full(count, 272, dtype=np.uint32)

    loads = {
        "1 x 256, 1 seat": (equal(1), 1),
        "64 x 256, 64 seats": (equal(64), 64),
        "1024 x 256, 1024 seats": (equal(1024), 1024),
        "8192 x 256, 1024 seats": (equal(8192), 1024),
        "4096 skewed, 1024 seats": (skewed[:4096], 1024),
        "4096 skewed, 4096 seats": (skewed[:4096], 4096),
        "8192 skewed, 1024 seats": (skewed, 1024),
    }
    with CudaEngine(machine=machine) as engine:
        for name, (ends, seats) in loads.items():
            if options.only not in name:
                continue
            arena = Arena(ends)
            ways: dict[str, Callable[[], Run]] = {
                "graph, static batches": partial(graph, engine, arena, seats, refill=0),
                "graph, seats refilled every 4 steps": partial(
                    graph, engine, arena, seats, refill=4
                ),
                "graph, seats refilled every step": partial(graph, engine, arena, seats, refill=1),
                "launches, seats refilled every 4 steps": partial(
                    graph, engine, arena, seats, refill=4, replay=False
                ),
                "resident": partial(resident, engine, arena, seats),
            }
            first: npt.NDArray[np.uint8] | None = None
            for way, run in ways.items():
                took = []
                for _ in range(2):
                    seconds, steps, found = run()
                    took.append(seconds)
                    if first is None:
                        first = found
                        arena.check_golden(found)
                    elif not np.array_equal(found, first):
                        raise SystemExit(f"{name}: {way} differs from the first way")
                report.row(
                    load=name, way=way, seconds=took, steps=steps,
                    us_a_step=min(took) / max(steps, 1) * 1e6,
                    million_tokens_per_s=arena.made / min(took) / 1e6,
                    tokens=arena.made, differences=0,
                )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
