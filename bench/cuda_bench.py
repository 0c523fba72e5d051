# SPDX-License-Identifier: Apache-2.0
"""Measures the persistent CUDA worker beside a flag's round trip and what one would write instead.

All in one run, every completion checked. Prints a table, and writes everything as JSON with -o;
bench/cuda_plot.py draws it. Without a GPU it reports that and measures nothing.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from multiprocessing import shared_memory
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
from descring_cuda import CudaDevice
from descring_host import CommandQueue, DeviceError
from descring_model import DESC_DTYPE

sys.path.insert(0, str(Path(__file__).parent))

from common.report import Report, add_output
from cuda_host import (
    MEMORY,
    PERIOD,
    Times,
    address,
    aligned,
    baselines,
    build_native,
    describe,
    model_chunk,
    near_cpus,
    opened,
    percentiles,
    pinned,
    segment_of,
    steadiness,
    table,
)

FLOOR = "flag ping-pong"
TURNS = 10
CHUNK = 1024
STEADY_SLOTS = 16384
"""Rings of 1 MiB, which stay in the caches of the host's cores."""
PARTS = 100
"""Of the round trips of a set: the median of each is a sample."""
EDGES_NS = np.geomspace(500, 1e6, 400)


class Bench:
    """The measurements; ``report`` collects what they gave."""

    def __init__(self, native: ctypes.CDLL, gpu: int, output: Path | None) -> None:
        import cupy

        self.cupy = cupy
        self.cpus = near_cpus(cupy, gpu)
        os.sched_setaffinity(0, self.cpus)
        self.histograms: dict[str, list[int]] = {}
        self.report = Report(
            "cuda_bench", output, ("what", "slots", "workers", "rings", "host_threads"),
            describe(cupy, gpu), edges_ns=[round(edge) for edge in EDGES_NS],
            histograms=self.histograms,
        )  # fmt: skip
        self.native = native
        self.gpu = gpu
        program = baselines()
        self.module = cupy.RawModule(code=program, options=("-std=c++17",), backend="nvrtc")
        self.pinned = int(cupy.cuda.runtime.hostAlloc(4096, 3))
        ctypes.memset(self.pinned, 0, 4096)

    def row(self, what: str, **values: Any) -> None:
        """Keep and print one result."""
        self.report.row(what=what, **values)

    def times(self, what: str, took: Times, **values: Any) -> None:
        """Keep and print a set of round trips."""
        self.histograms[what] = np.histogram(np.clip(took, *EDGES_NS[[0, -1]]), EDGES_NS)[
            0
        ].tolist()
        parts = np.array_split(took, min(PARTS, len(took)))
        slices = [float(np.median(part)) / 1e3 for part in parts]
        self.row(what, **percentiles(took), each_part_p50_us=slices, **values)

    def pingpong(self, samples: int) -> Times:
        """(a) a flag of four bytes to a spinning kernel and back."""
        kernel = self.module.get_function("pingpong")
        stream = self.cupy.cuda.Stream(non_blocking=True)
        took = np.zeros(samples, dtype=np.uint64)
        ctypes.memset(self.pinned, 0, 4096)
        last = samples + 1000
        request, response = self.pinned, self.pinned + 128
        arguments = (
            self.cupy.uint64(request), self.cupy.uint64(response), self.cupy.uint32(last),
            self.cupy.uint64(20_000_000_000),
        )  # fmt: skip
        kernel((1,), (1,), arguments, stream=stream)
        warm = np.zeros(1000, dtype=np.uint64)
        call = self.native.bench_pingpong
        with pinned(self.cpus[1]):
            for first, array in ((1, warm), (1001, took)):
                if call(
                    ctypes.c_void_p(request), ctypes.c_void_p(response), first, len(array),
                    address(array),
                ):  # fmt: skip
                    raise SystemExit("the ping-pong kernel did not respond")
        stream.synchronize()
        return took

    def latency(self, samples: int, kind: str, shape: str = "latency") -> Times:
        """(b) one line there and back, from native code."""
        lines, completions = table(kind)
        took = np.zeros(samples, dtype=np.uint64)
        with opened(shape, device=self.gpu) as device, pinned(self.cpus[1]):
            for count in (min(1000, samples), samples):
                good = self.native.bench_latency(
                    segment_of(device), address(lines), address(completions), PERIOD, count,
                    address(took),
                )  # fmt: skip
                if good != count:
                    raise SystemExit(f"{shape}: round trip {good} of {count} was wrong or lost")
        return took

    def python(self, samples: int) -> Times:
        """(b) one line there and back, from Python."""
        took = np.zeros(samples, dtype=np.uint64)
        clock = time.perf_counter_ns
        with (
            CudaDevice(MEMORY, device=self.gpu) as device,
            CommandQueue(device) as queue,
            pinned(self.cpus[1]),
        ):
            for at in range(-1000, samples):
                start = clock()
                queue.submit_decode(at & 0xFFFF, 64, 128, 0, 5, 9)
                back = queue.next_completion(2.0)
                end = clock()
                if back is None or back.seq_len != 9 or back.rollout_id != at & 0xFFFF:
                    raise SystemExit(f"round trip {at}: {back}")
                if at >= 0:
                    took[at] = end - start
        return took

    def round_trips(self, samples: int) -> None:
        """(a) and (b) in turns, so that what the machine does meanwhile meets all of them alike."""
        measurements: dict[str, Callable[[int], Times]] = {
            FLOOR: self.pingpong,
            "latency shape, native, plain": partial(self.latency, kind="plain"),
            "latency shape, native, checked": partial(self.latency, kind="checked"),
            "latency shape, Python": self.python,
        }
        each = max(1, samples // TURNS)
        parts: dict[str, list[Times]] = {what: [] for what in measurements}
        for _ in range(TURNS):
            for what, measure in measurements.items():
                parts[what].append(measure(each))
        floor = percentiles(np.concatenate(parts[FLOOR]))
        for what, turns in parts.items():
            own = percentiles(np.concatenate(turns))
            self.times(
                what, np.concatenate(turns),
                p50_to_floor=round(own["p50_us"] / floor["p50_us"], 3),
                p99_to_floor=round(own["p99_us"] / floor["p50_us"], 3),
                p99_to_floors_p99=round(own["p99_us"] / floor["p99_us"], 3),
                each_turn=[
                    [percentiles(turn)[key] for key in ("p50_us", "p99_us")] for turn in turns
                ],
            )  # fmt: skip

    def launches(self, samples: int) -> None:
        """(d) (e) (f) a kernel launched for every descriptor."""
        cupy = self.cupy
        kernel = self.module.get_function("once")
        stream = cupy.cuda.Stream(non_blocking=True)
        lines, completions = table("plain")
        at = self.pinned
        view = np.ctypeslib.as_array((ctypes.c_uint8 * 4096).from_address(at))
        submission, completion = (view[o : o + 64].view(DESC_DTYPE) for o in (1024, 2048))
        arguments = (cupy.uint64(at + 1024), cupy.uint64(at + 2048), cupy.uint64(at + 3072))

        def launch() -> None:
            kernel((1,), (32,), arguments, stream=stream)

        stream.begin_capture()
        launch()
        graph = stream.end_capture()

        def measure(what: str, start_one: Callable[[], None]) -> None:
            took = np.zeros(samples, dtype=np.uint64)
            for turn in range(-1000, samples):
                number = turn % PERIOD
                submission[0] = lines[number]
                start = time.perf_counter_ns()
                start_one()
                stream.synchronize()
                if turn >= 0:
                    took[turn] = time.perf_counter_ns() - start
                if completion.tobytes() != completions[number : number + 1].tobytes():
                    raise SystemExit(f"{what}: completion {turn} is wrong")
            self.times(what, took)

        with pinned(self.cpus[1]):
            measure("launch and synchronize", launch)
            measure("graph replay", lambda: graph.launch(stream))
        start = time.perf_counter()
        for _ in range(samples):
            launch()
        stream.synchronize()
        rate = samples / (time.perf_counter() - start)
        self.row("launches back to back", lines_per_s=round(rate))

    def throughput(
        self, seconds: float, kind: str, *, workers: int = 16, hosts: int = 4, rings: int = 1,
        touch: bool = True, slots: int = 65536, chunk: int = CHUNK,
    ) -> None:  # fmt: skip
        """(c) sustained on so many rings, every completion checked (unless not even touched)."""
        lines, completions = table(kind)
        most = int(seconds * 20) + 20
        times = np.zeros((rings, most), dtype=np.uint64)
        done = np.zeros((rings, most), dtype=np.uint64)
        counts = [0] * rings

        def run(ring: int, segment: ctypes.c_void_p) -> None:
            own = [self.cpus[(2 * hosts * ring + n) % len(self.cpus)] for n in range(2 * hosts)]
            cpus = np.array(own, dtype=np.int32)
            counts[ring] = self.native.bench_throughput(
                segment, address(lines), address(completions), PERIOD, chunk, hosts, hosts,
                int(touch), address(cpus), ctypes.c_double(seconds), address(times[ring]),
                address(done[ring]), most,
            )  # fmt: skip

        options = {"device": self.gpu, "workers": workers}
        with ExitStack() as stack:
            segments = [
                segment_of(stack.enter_context(opened("throughput", slots, **options)))
                for _ in range(rings)
            ]
            threads = [Thread(target=run, args=(n, s)) for n, s in enumerate(segments)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if min(counts) == 0:
            raise SystemExit(f"{kind}, {workers} workers: a completion was wrong or lost")
        rates = [steadiness(t[:n], d[:n]) for t, d, n in zip(times, done, counts, strict=True)]
        total = sum(rate["lines_per_s"] for rate in rates)
        what = f"throughput shape, {kind}" + ("" if touch else ", lines not touched by the host")
        more = rates[0] if rings == 1 else {"each_ring": [rate["lines_per_s"] for rate in rates]}
        self.row(what, **{
            **more, "lines_per_s": total, "gigabytes_per_s_each_way": round(total * 64 / 1e9, 1),
            "rings": rings, "slots": slots, "workers": workers,
            "host_threads": 2 * hosts * rings,
        })  # fmt: skip

    def verify(self, total: int, shape: str, processes: int, chunk: int = 1 << 18) -> None:
        """Random lines against the golden model, which runs in processes of its own."""
        done = stops = 0
        start = time.perf_counter()
        with (
            opened(shape, device=self.gpu) as device,
            multiprocessing.get_context("spawn").Pool(processes) as pool,
        ):
            jobs = ((seed, chunk, seed * chunk & 0xFFFFFFFF) for seed in range(-(-total // chunk)))
            for name in pool.imap(model_chunk, jobs):
                memory = shared_memory.SharedMemory(name)
                assert memory.buf is not None  # it is None only after close()
                both = aligned(np.frombuffer(memory.buf, dtype=DESC_DTYPE)[: 2 * chunk])
                memory.close()
                memory.unlink()
                counter, why = ctypes.c_uint64(0), ctypes.c_uint32(0)
                good = self.native.bench_verify(
                    segment_of(device), address(both), address(both[chunk:]),
                    ctypes.c_uint64(chunk), ctypes.byref(counter), ctypes.byref(why),
                )  # fmt: skip
                stops += counter.value
                done += good
                if good != chunk:
                    reason = ("", "differs from the golden model", "was refused", "got lost")
                    raise SystemExit(f"{shape}: line {done} {reason[why.value]}")
        took = time.perf_counter() - start
        self.row(f"{shape} shape against the golden model", lines=done, stops=stops,
                 differences=0, seconds=round(took, 1))  # fmt: skip


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_output(parser)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--verify", type=int, default=0, metavar="LINES")
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) - 3))
    options = parser.parse_args()
    try:
        CudaDevice(1 << 20, device=options.gpu).close()
    except DeviceError as error:
        print(f"bench/cuda_bench.py: nothing measured: {error}", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(build_native(Path(folder)), options.gpu, options.output)
        print(json.dumps(bench.report.origin), flush=True)
        bench.round_trips(options.samples)
        bench.times(
            "throughput shape, native, plain",
            bench.latency(options.samples // 5, "plain", shape="throughput"),
        )
        bench.launches(options.samples)
        bench.throughput(options.seconds, "plain", slots=STEADY_SLOTS)
        bench.throughput(options.seconds / 3, "checked", slots=STEADY_SLOTS)
        bench.throughput(options.seconds / 3, "plain")
        short = min(3.0, options.seconds)
        for hosts in (1, 2, 3):
            bench.throughput(short, "plain", hosts=hosts)
        for workers in (1, 2, 4, 8, 32, 64):
            bench.throughput(short, "plain", workers=workers)
        for workers in (1, 2, 4, 8, 16, 32, 64):
            bench.throughput(short, "plain", workers=workers, hosts=1, touch=False)
        for rings in (1, 2, 4):
            bench.throughput(short, "plain", rings=rings, hosts=1)
            bench.throughput(short, "plain", rings=rings, hosts=1, touch=False)
        if options.verify:
            bench.verify(options.verify, "throughput", options.processes)
            bench.verify(options.verify // 10, "latency", options.processes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
