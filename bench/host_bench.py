# SPDX-License-Identifier: Apache-2.0
"""Measure the host runtime and the native worker; every completion is checked.

In sections, each with its baseline in the same run: throughput is repeated, interleaved with the
reference's ring, and given as median and best; latencies have 100 000 samples and the clock's cost
subtracted. On a machine at other work only ratios of one run mean anything.

Run: python bench/host_bench.py --json docs/results/host.json
With --only SECTION the file's other sections stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from common.stamp import ROOT
from descring_host import CommandQueue, CpuDevice, Device, open_device
from descring_model import Lines, complete, streams
from descring_sim.bench import results

NATIVE = ROOT / "host" / "native"
BENCH = ROOT / "bench" / "native"
BATCHES = (1, 16, 256, 1024, 4096)
ROUND_TRIP_BATCHES = (1, 64, 512, 4096)
PLACES: dict[str, dict[str, Any]] = {"thread": {}, "process": {"process": True}}
WINDOW = 32 << 20
IN_FLIGHT = 8192
REFERENCE = "reference ring, one way"

Result = dict[str, Any]


def report(text: str) -> None:
    """Progress, on stderr."""
    print(f"[{time.strftime('%H:%M:%S')}, load {os.getloadavg()[0]:.1f}] {text}", file=sys.stderr)


@contextmanager
def native_program(*, realtime: bool = False) -> Iterator[Callable[[str, int], list[Result]]]:
    """Build bench/native with the core's sources; yields a way to run it and read its rows.

    With ``realtime`` it is scheduled before everything else, which needs the privilege.
    """
    sources = [
        str(path)
        for folder in (NATIVE, NATIVE / "rollouts", NATIVE / "engine", BENCH)
        for path in sorted(folder.glob("*.c"))
    ]
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "host_native")
        flags = ["-std=c11", "-O3", "-fno-strict-aliasing", "-Wall", "-Wextra", "-pthread"]
        flags += [f"-I{NATIVE}", f"-I{ROOT / 'host' / 'include'}", f"-I{BENCH}", "-o", program]
        subprocess.run([os.environ.get("CC", "cc"), *flags, *sources], check=True)

        def run(what: str, size: int) -> list[Result]:
            command = ["chrt", "-f", "20"] if realtime else []
            command += [program, what, str(size)]
            out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            return [json.loads(line) for line in out.splitlines()]

        yield run


def merge(rows: list[Result]) -> list[Result]:
    """Rows of the same measurement as one: median, best, and how many there were."""
    groups: dict[tuple[str, int], list[Result]] = {}
    for row in rows:
        groups.setdefault((row["what"], row.get("batch", 0)), []).append(row)
    merged = []
    for same in groups.values():
        row = dict(same[0])
        for name in ("lines_per_s", "mean_ns"):
            if name in row:
                values = [item[name] for item in same]
                row[name] = round(float(np.median(values)))
                row[f"best_{name}"] = round(max(values) if name == "lines_per_s" else min(values))
                row["times"] = len(same)
        merged.append(row)
    reference = next((row for row in merged if row["what"] == REFERENCE), None)
    for row in merged:
        if reference and "lines_per_s" in row:
            row["of_reference"] = round(row["lines_per_s"] / reference["lines_per_s"], 2)
    return merged


def batched(device: Device, lines: Lines, expected: Lines, batch: int) -> float:
    """Lines a second through submit() and poll(), all 64 bytes of every completion compared."""
    words = expected.view(np.uint64)
    got = np.empty(batch, dtype=lines.dtype)
    sent = taken = 0
    with CommandQueue(device, cmd_slots=16384, when_full="short") as queue:
        start = time.perf_counter()
        while taken < len(lines):
            if sent < len(lines) and sent - taken < IN_FLIGHT:
                sent += queue.submit(lines[sent : sent + batch])
            done = queue.poll(batch, out=got)
            count = len(done)
            if count:
                if not np.array_equal(done.view(np.uint64), words[taken * 8 : (taken + count) * 8]):
                    raise SystemExit(f"wrong completions near line {taken}")
                taken += count
        return len(lines) / (time.perf_counter() - start)


def one_by_one(device: Device, count: int) -> float:
    """Lines a second through submit_decode() and next_completion(), every field read compared."""
    ahead = 256
    with CommandQueue(device, cmd_slots=1024) as queue:
        submit, take = queue.submit_decode, queue.next_completion
        start = time.perf_counter()
        for number in range(ahead):
            submit(number, 1, 2, 0, 5, 6)
        for number in range(ahead, count):
            submit(number, 1, 2, 0, 5, 6)
            done = take()
            if done is None or done[11] != number - ahead or done[7] != 6 or done[1] != 2:
                raise SystemExit(f"completion {number - ahead} is wrong: {done}")
        if len(queue.drain()) != ahead:
            raise SystemExit("completions are missing")
        return count / (time.perf_counter() - start)


def clock_cost() -> float:
    """Nanoseconds between two consecutive readings of the clock."""
    clock = time.perf_counter_ns
    costs = []
    for _ in range(4096):
        start = clock()
        costs.append(clock() - start)
    return float(np.median(costs))


def latencies(took: Any) -> Result:
    """Percentiles of nanoseconds, less the clock's cost."""
    cost = clock_cost()
    p50, p99, p999 = np.percentile(took, [50, 99, 99.9]) - cost
    return {
        "samples": len(took),
        "clock_ns": cost,
        "p50_ns": round(float(p50)),
        "p99_ns": round(float(p99)),
        "p999_ns": round(float(p999)),
    }


def round_trips(device: Device, samples: int) -> Result:
    """From submit_decode() to its completion as an object."""
    clock = time.perf_counter_ns
    took = np.empty(samples, dtype=np.int64)
    with CommandQueue(device, cmd_slots=256) as queue:
        submit, take = queue.submit_decode, queue.next_completion
        for at in range(-1000, samples):
            number = at & 0xFFFFFFFF
            start = clock()
            submit(number, 1, 2, 0, 5, 6)
            done = take()
            end = clock()
            if done is None or done.user_data != number or done.seq_len != 6:
                raise SystemExit(f"round trip {at}: wrong completion {done}")
            if at >= 0:
                took[at] = end - start
    return latencies(took)


def batch_round_trips(device: Device, samples: int, batch: int) -> Result:
    """From submit() of a batch to its last completion taken by poll()."""
    clock = time.perf_counter_ns
    lines = streams.generate(batch, seed=1, profile="decode")
    expected = complete(lines).view(np.uint64)
    got = np.empty(batch, dtype=lines.dtype)
    took = np.empty(samples, dtype=np.int64)
    with CommandQueue(device, cmd_slots=8192) as queue:
        for at in range(-1000, samples):
            start = clock()
            queue.submit(lines)
            taken = 0
            while taken < batch:
                taken += len(queue.poll(timeout_s=1.0, out=got[taken:]))
            end = clock()
            if not np.array_equal(got.view(np.uint64), expected):
                raise SystemExit(f"round trip {at}: a completion is wrong")
            if at >= 0:
                took[at] = end - start
    return latencies(took)


def idle_cost(seconds: float) -> float:
    """Part of a core that this process uses while its worker has nothing to do."""
    with CpuDevice(1 << 20) as device, CommandQueue(device, cmd_slots=16) as queue:
        queue.exchange(streams.generate(16, seed=1, profile="decode"))
        time.sleep(0.1)
        start, used = time.monotonic(), time.process_time()
        time.sleep(seconds)
        return (time.process_time() - used) / (time.monotonic() - start)


def wake_ups(count: int) -> Result:
    """A whole round trip that finds the worker asleep; the host may fall asleep meanwhile too."""
    took = np.empty(count, dtype=np.int64)
    with CpuDevice(1 << 20) as device, CommandQueue(device, cmd_slots=16) as queue:
        for at in range(count):
            time.sleep(0.005)
            start = time.perf_counter_ns()
            queue.submit_decode(at, 1, 2, 0, 5, 6)
            done = queue.next_completion()
            took[at] = time.perf_counter_ns() - start
            if done is None or done.user_data != at:
                raise SystemExit(f"expected completion {at}, got {done}")
    return latencies(took)


def section_native(options: argparse.Namespace) -> list[Result]:
    """Throughput: the reference's ring, a bare ring, and the product in thread and process."""
    rows: list[Result] = []
    with native_program() as run:
        for number in range(options.rounds):
            report(f"native, round {number + 1} of {options.rounds}")
            rows += run("rings", options.lines) + run("queue", options.lines)
    return rows


def section_latency(options: argparse.Namespace) -> list[Result]:
    """Native round trips, batches of 1 to 4096 lines."""
    with native_program() as run:
        return run("latency", options.samples)


def section_wake(options: argparse.Namespace) -> list[Result]:
    """What an idle worker costs, and how soon it wakes."""
    with native_program() as run:
        rows = run("wake", max(options.samples // 100, 100))
    name = "round trip that wakes the worker, worker thread, Python"
    rows.append({"what": name, **wake_ups(max(options.samples // 100, 100))})
    rows.append({"what": "idle worker", "part_of_a_core": idle_cost(3.0)})
    return rows


def section_python(options: argparse.Namespace) -> list[Result]:
    """Throughput from Python, beside the reference's ring and the golden model."""
    stream = streams.generate(options.lines, seed=1, profile="decode")
    expected = complete(stream)
    rows: list[Result] = []
    with native_program() as run:
        for number in range(options.rounds):
            rows += run("rings", options.lines)
            for place, where in PLACES.items():
                report(f"Python, worker {place}, round {number + 1} of {options.rounds}")
                with open_device("cpu", memory=WINDOW, **where) as device:
                    for batch in BATCHES:
                        count = min(options.lines, 20_000 * batch)
                        value = batched(device, stream[:count], expected[:count], batch)
                        what = f"submit and poll, worker {place}, Python"
                        rows.append({"what": what, "batch": batch, "lines_per_s": value})
                    value = one_by_one(device, min(options.lines, 300_000))
                    what = f"line by line, worker {place}, Python"
                    rows.append({"what": what, "lines_per_s": value})
        with open_device("model", memory=WINDOW) as device:
            count = min(options.lines, 1_000_000)
            value = batched(device, stream[:count], expected[:count], 4096)
        what = "submit and poll, golden model, Python"
        rows.append({"what": what, "batch": 4096, "lines_per_s": value})
    return rows


def section_python_latency(options: argparse.Namespace) -> list[Result]:
    """Round trips from Python, a line and batches."""
    rows: list[Result] = []
    for place, where in PLACES.items():
        with open_device("cpu", memory=WINDOW, **where) as device:
            report(f"round trips from Python, worker {place}")
            what = f"round trip of a line, worker {place}, Python"
            rows.append({"what": what, **round_trips(device, options.samples)})
            for batch in ROUND_TRIP_BATCHES:
                if batch > options.largest_batch:
                    break
                report(f"round trips from Python, worker {place}, batch {batch}")
                result = batch_round_trips(device, options.samples, batch)
                what = f"round trip, worker {place}, Python"
                rows.append({"what": what, "batch": batch, **result})
    return rows


SECTIONS: dict[str, Callable[[argparse.Namespace], list[Result]]] = {
    "native": section_native,
    "latency": section_latency,
    "wake": section_wake,
    "python": section_python,
    "python-latency": section_python_latency,
}


def table(rows: list[Result]) -> str:
    """For people."""
    text = []
    for row in rows:
        name = row["what"] + (f", batch {row['batch']}" if "batch" in row else "")
        if "lines_per_s" in row:
            best = row["best_lines_per_s"] if "times" in row else row["lines_per_s"]
            value = f"{row['lines_per_s'] / 1e6:9.2f} M/s   best {best / 1e6:.2f}"
        elif "mean_ns" in row:
            value = f"{row['mean_ns'] / 1e3:9.2f} us"
        elif "part_of_a_core" in row:
            value = f"{100 * row['part_of_a_core']:9.2f} % of a core"
        else:
            value = " ".join(
                f"{name.removesuffix('_ns')} {row[name] / 1e3:.2f} us"
                for name in ("p50_ns", "p99_ns", "p999_ns")
                if name in row
            )
        text.append(f"{name:64} {value}")
    return "\n".join(text)


def main() -> None:
    """Run the sections asked for, print them, and put them into the file of results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=2_000_000, help="a throughput measurement")
    parser.add_argument("--samples", type=int, default=100_000, help="a latency measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of throughput measurements")
    parser.add_argument("--largest-batch", type=int, default=4096, help="of Python's round trips")
    parser.add_argument("--only", action="append", choices=SECTIONS, help="may be repeated")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    if options.lines < 4096 or options.samples < 1000 or options.rounds < 1:
        parser.error("expected lines >= 4096, samples >= 1000, rounds >= 1")
    sections: dict[str, Result] = {}
    figures: list[results.Figure] = []
    for name in options.only or SECTIONS:
        before = round(os.getloadavg()[0], 2)
        raw = SECTIONS[name](options)
        rows = merge(raw)
        origin = results.origin("host", "bench")
        sections[name] = {**origin, "load_before": before, "rows": rows}
        named = [{"section": name, **row} for row in raw]
        figures += results.figures_of_numbers(named, ("section", "what", "batch"))
        print(
            f"{name}: {(SECTIONS[name].__doc__ or '').splitlines()[0]}\n{table(rows)}", flush=True
        )
        if options.json:
            found = results.Results("host_bench", tuple(figures), origin, {"sections": sections})
            results.write(options.json, found)


if __name__ == "__main__":
    main()
