# SPDX-License-Identifier: Apache-2.0
"""Measures the resident shape beside replays of the same step as a CUDA graph.

Both run the same rollouts to the same ends, and the bytes of both arenas must be equal; some
rollouts are also compared with the golden model. Without a GPU it reports that and measures
nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda import CudaEngine, ResidentDevice, layout
from descring_cuda.engine import Seats, tasks_of
from descring_cuda.machine import CupyMachine
from descring_host import CommandQueue
from descring_model import DESC_DTYPE, complete
from descring_model import contract as lines_contract
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.model import ModelEngine

sys.path.insert(0, str(Path(__file__).parent))

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
        step = int(self.batch.offsets[1] - self.batch.offsets[0])
        for place in places.tolist():
            start = int(self.batch.offsets[place])
            if found[start : start + step].tobytes() != golden[start : start + step].tobytes():
                raise SystemExit(f"rollout {place} is not the golden model's")


def resident(engine: CudaEngine, arena: Arena, seats: int) -> Run:
    """Seconds, steps and the arena of all rollouts through the ring, a line each."""
    count = len(arena.ends)
    lines = np.zeros(count, dtype=DESC_DTYPE)
    lines["opcode"] = lines_contract.OPCODE["ROLLOUT"]
    lines["kv_offset"], lines["max_tokens"] = arena.batch.offsets, arena.ends
    lines["rollout_id"] = np.arange(count) & 0xFFFF
    longest = int(arena.ends.max())
    with (
        ResidentDevice(
            16 << 20, engine=engine, arena=len(arena.bytes), seats=seats, max_tokens=longest
        ) as device,
        CommandQueue(device, cmd_slots=16384, done_slots=16384, timeout_s=120.0) as queue,
    ):
        device.write_arena(0, arena.bytes)
        before = device.steps
        start = time.perf_counter()
        got = queue.exchange(lines)
        took = time.perf_counter() - start
        steps = device.steps - before
        if got.tobytes() != complete(lines).tobytes() or device.failures():
            raise SystemExit(f"wrong completions, or {device.failures()}")
        found = np.empty_like(arena.bytes)
        device.read_arena(0, found)
    return took, steps, found


def graph(engine: CudaEngine, arena: Arena, seats: int, *, refill: int, replay: bool = True) -> Run:
    """The same by replays of a step: the host reads the seats every ``refill`` steps.

    ``refill`` 0 is static batches: all seats are filled together once all are done.
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
    steps, next_rollout, count = 0, 0, len(arena.ends)
    table = np.zeros(seats, dtype=layout.SEAT_DTYPE)
    table["task_room"], table["first_task"] = room, np.arange(seats) * room
    machine.synchronize()
    start = time.perf_counter()
    first = True
    while True:
        free = np.flatnonzero((table["state"] == layout.SEAT_FREE) | (table["state"] == 3))
        if next_rollout == count and len(free) == seats:
            break
        if next_rollout < count and (refill or len(free) == seats):
            some = free[: count - next_rollout]
            chosen = slice(next_rollout, next_rollout + len(some))
            fill(place, table, some, arena.batch.offsets[chosen], arena.ends[chosen])
            next_rollout += len(some)
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
    parser.add_argument("-o", "--output", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    machine = machine_or_end(Path(__file__).name)
    where = describe(machine.cupy, 0)
    rows: list[dict[str, Any]] = []
    rng = np.random.default_rng(11)
    skewed = np.clip(np.exp(rng.normal(5.0, 0.8, 4096)), 20, 1000).astype(np.uint32) + 16
    loads = {
        "64 x 256, 64 seats": (np.full(64, 272, dtype=np.uint32), 64),
        "1024 x 256, 1024 seats": (np.full(1024, 272, dtype=np.uint32), 1024),
        "4096 skewed, 1024 seats": (skewed, 1024),
        "4096 skewed, 4096 seats": (skewed, 4096),
    }
    with CudaEngine(machine=machine) as engine:
        for name, (ends, seats) in loads.items():
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
                    elif found.tobytes() != first.tobytes():
                        raise SystemExit(f"{name}: {way} differs from the first way")
                row = {
                    "load": name, "way": way, "seconds": [round(item, 5) for item in took],
                    "steps": steps, "us_a_step": round(min(took) / max(steps, 1) * 1e6, 1),
                    "million_tokens_per_s": round(arena.made / min(took) / 1e6, 3),
                    "tokens": arena.made, "differences": 0,
                }  # fmt: skip
                rows.append(row)
                print(json.dumps(row), flush=True)
                if options.output:
                    text = json.dumps({"where": where, "rows": rows}, indent=1)
                    options.output.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
