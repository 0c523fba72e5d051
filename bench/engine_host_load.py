# SPDX-License-Identifier: Apache-2.0
"""Measures rollouts while every CPU of the host is busy: the resident shape beside a graph loop.

1024 rollouts run at once, and another takes the place of each that ends. Its time is from the
moment at which the host hands it over until the host sees that it is done. The graph loop replays
one step, and its host reads the seats every four steps. The load is a spinning process for each
CPU. All arenas must be equal byte for byte. Without a GPU it measures nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda import CudaEngine, ResidentDevice, layout
from descring_cuda.engine import tasks_of
from descring_cuda.machine import CupyMachine
from descring_host import CommandQueue
from descring_model import DESC_DTYPE, complete
from descring_model import contract as lines_contract

sys.path.insert(0, str(Path(__file__).parent))

from cuda_host import describe, machine_or_end
from engine_resident import Arena, fill

SEATS = 1024
ROLLOUTS = 4096
TOKENS = 256
REFILL = 4
ROUNDS = 3
Timed = tuple[float, npt.NDArray[np.float64], npt.NDArray[np.uint8]]
"""Seconds of all, seconds of each rollout, and the arena afterwards."""


def spin() -> None:
    """Keep a CPU busy."""
    while True:
        pass


@contextlib.contextmanager
def busy_host(processes: int) -> Iterator[None]:
    """So many spinning processes meanwhile."""
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=spin, daemon=True) for _ in range(processes)]
    for child in children:
        child.start()
    time.sleep(2.0 if children else 0.0)
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.join()


def resident(engine: CudaEngine, arena: Arena) -> Timed:
    """A line for each rollout, with as many in flight as there are seats."""
    count = len(arena.ends)
    lines = np.zeros(count, dtype=DESC_DTYPE)
    lines["opcode"] = lines_contract.OPCODE["ROLLOUT"]
    lines["kv_offset"], lines["max_tokens"] = arena.batch.offsets, arena.ends
    lines["user_data"] = np.arange(count)
    handed, seen = np.zeros(count), np.zeros(count)
    longest = int(arena.ends.max())
    with (
        ResidentDevice(
            16 << 20, engine=engine, arena=len(arena.bytes), seats=SEATS, max_tokens=longest
        ) as device,
        CommandQueue(device, cmd_slots=4096, done_slots=4096, timeout_s=120.0) as queue,
    ):
        device.write_arena(0, arena.bytes)
        start = time.perf_counter()
        handed[:SEATS] = start
        queue.submit(lines[:SEATS])
        submitted, taken = SEATS, 0
        while taken < count:
            got = queue.poll(timeout_s=10.0)
            now = time.perf_counter()
            places = got["user_data"].astype(int)
            if got.tobytes() != complete(lines[places]).tobytes():
                raise SystemExit("wrong completions")
            seen[places] = now
            taken += len(got)
            more = min(len(got), count - submitted)
            if more:
                handed[submitted : submitted + more] = time.perf_counter()
                queue.submit(lines[submitted : submitted + more])
                submitted += more
        took = time.perf_counter() - start
        if device.failures():
            raise SystemExit(f"{device.failures()}")
        found = np.empty_like(arena.bytes)
        device.read_arena(0, found)
    return took, seen - handed, found


def graph(engine: CudaEngine, arena: Arena) -> Timed:
    """Replays of a step; the host looks every four, and fills the seats that are free."""
    machine = engine.machine
    assert isinstance(machine, CupyMachine)
    count = len(arena.ends)
    address = machine.allocate(len(arena.bytes))
    machine.write(address, arena.bytes)
    most = np.full(1, arena.ends.max(), dtype=np.uint32)
    room = int(tasks_of(most, len(arena.bytes), layout.TASK_BLOCKS)[0])
    place = engine.seats(address, len(arena.bytes), SEATS, room * SEATS)
    work = machine.repeated(place.step)
    table = np.zeros(SEATS, dtype=layout.SEAT_DTYPE)
    table["task_room"], table["first_task"] = room, np.arange(SEATS) * room
    holds = np.full(SEATS, -1)
    handed, seen = np.zeros(count), np.zeros(count)
    machine.synchronize()
    start = time.perf_counter()
    following, first = 0, True
    while True:
        free = np.flatnonzero((table["state"] == layout.SEAT_FREE) | (table["state"] == 3))
        done = holds[free]
        seen[done[done >= 0]] = time.perf_counter()
        holds[free] = -1
        if following == count and len(free) == SEATS:
            break
        some = free[: count - following]
        if len(some):
            chosen = slice(following, following + len(some))
            handed[chosen] = time.perf_counter()
            fill(place, table, some, arena.batch.offsets[chosen], arena.ends[chosen])
            holds[some] = np.arange(following, following + len(some))
            following += len(some)
            if first:
                place.finish()
                first = False
        for _ in range(REFILL):
            work()
        table = place.read()
    took = time.perf_counter() - start
    found = np.empty_like(arena.bytes)
    machine.read(address, found)
    place.close()
    machine.free(address)
    return took, seen - handed, found


def main() -> int:
    """Measure both ways on an idle and on a busy host, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="write the figures there as JSON")
    options = parser.parse_args()
    machine = machine_or_end(Path(__file__).name)
    cpus = len(os.sched_getaffinity(0))
    where = {**describe(machine.cupy, 0), "cpus": cpus}
    rng = np.random.default_rng(17)
    # Ends that differ, so that seats become free at any time.
    arena = Arena((TOKENS + rng.integers(-64, 65, ROLLOUTS)).astype(np.uint32))
    ways: dict[str, Callable[[CudaEngine, Arena], Timed]] = {"resident": resident, "graph": graph}
    taken: dict[tuple[str, str], list[Timed]] = {}
    first: npt.NDArray[np.uint8] | None = None
    with CudaEngine(machine=machine) as engine:
        for run in ways.values():
            found = run(engine, arena)[2]  # once without measuring
            if first is None:
                first = found
                arena.check_golden(found)
        for _ in range(ROUNDS):
            for host, processes in (("idle", 0), ("busy", cpus)):
                with busy_host(processes):
                    for way, run in ways.items():
                        timed = run(engine, arena)
                        if first is None or not np.array_equal(timed[2], first):
                            raise SystemExit(f"{way}, {host}: the arena differs")
                        taken.setdefault((way, host), []).append(timed)
    rows: list[dict[str, Any]] = []
    for (way, host), runs in taken.items():
        each = np.concatenate([run[1] for run in runs])
        seconds = [run[0] for run in runs]
        row = {
            "way": way, "host": host, "seconds": [round(item, 4) for item in seconds],
            "million_tokens_per_s": round(arena.made / float(np.median(seconds)) / 1e6, 3),
            "rollout_ms": {
                name: round(float(np.percentile(each, share)) * 1e3, 2)
                for name, share in (("p50", 50), ("p99", 99), ("p99.9", 99.9), ("max", 100))
            },
            "rollouts": len(each), "tokens": arena.made * len(runs), "differences": 0,
        }  # fmt: skip
        rows.append(row)
        print(json.dumps(row), flush=True)
    if options.output:
        options.output.write_text(json.dumps({"where": where, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
