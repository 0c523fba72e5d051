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
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from descring_cuda import CudaEngine
from descring_model import complete

sys.path.insert(0, str(Path(__file__).parent))

from common.report import Report, add_output
from cuda_host import describe, machine_or_end
from engine_resident import Arena, Times, graph, opened, read_arena, rollout_lines

SEATS = 1024
ROLLOUTS = 4096
TOKENS = 256
REFILL = 4
ROUNDS = 3
BINS = list(range(0, 81, 2))
"""Edges of the histogram of times, ms."""
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


def through_the_ring(engine: CudaEngine, arena: Arena) -> Timed:
    """A line for each rollout, with as many in flight as there are seats."""
    lines, count = rollout_lines(arena), len(arena.ends)
    times = Times(count)
    with opened(engine, arena, SEATS) as (device, queue):
        start = time.perf_counter()
        times.handed[:SEATS] = start
        queue.submit(lines[:SEATS])
        submitted, taken = SEATS, 0
        while taken < count:
            got = queue.poll(timeout_s=10.0)
            now = time.perf_counter()
            places = got["user_data"].astype(int)
            if got.tobytes() != complete(lines[places]).tobytes():
                raise SystemExit("wrong completions")
            times.seen[places] = now
            taken += len(got)
            more = min(len(got), count - submitted)
            if more:
                times.handed[submitted : submitted + more] = time.perf_counter()
                queue.submit(lines[submitted : submitted + more])
                submitted += more
        took = time.perf_counter() - start
        return took, times.each, read_arena(device, arena)


def by_replays(engine: CudaEngine, arena: Arena) -> Timed:
    """Replays of a step; the host looks every four, and fills the seats that are free."""
    times = Times(len(arena.ends))
    took, _, found = graph(engine, arena, SEATS, refill=REFILL, times=times)
    return took, times.each, found


def main() -> int:
    """Measure both ways on an idle and on a busy host, in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_output(parser)
    options = parser.parse_args()
    machine = machine_or_end(Path(__file__).name)
    cpus = len(os.sched_getaffinity(0))
    report = Report("engine_host_load", options.output, ("way", "host"), describe(machine.cupy, 0))
    rng = np.random.default_rng(17)
    # Ends that differ, so that seats become free at any time.
    arena = Arena((TOKENS + rng.integers(-64, 65, ROLLOUTS)).astype(np.uint32))
    ways: dict[str, Callable[[CudaEngine, Arena], Timed]] = {
        "resident": through_the_ring,
        "graph": by_replays,
    }
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
    for (way, host), runs in taken.items():
        each = np.concatenate([run[1] for run in runs])
        seconds = [run[0] for run in runs]
        report.row(
            way=way, host=host, seconds=seconds,
            million_tokens_per_s=arena.made / float(np.median(seconds)) / 1e6,
            rollout_ms={
                name: float(np.percentile(each, share)) * 1e3
                for name, share in (("p50", 50), ("p99", 99), ("p99.9", 99.9), ("max", 100))
            },
            histogram={"ms": BINS, "rollouts": np.histogram(each * 1e3, BINS)[0].tolist()},
            rollouts=len(each), tokens=arena.made * len(runs), differences=0,
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
