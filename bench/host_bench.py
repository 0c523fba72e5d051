# SPDX-License-Identifier: Apache-2.0
"""Measure the host runtime and the native worker; every completion is checked.

Each figure is taken several times, interleaved with its baseline, and the median and the best are
given with the machine's load: on a machine at other work only ratios of one run mean anything.
Run: python bench/host_bench.py --json out.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from descring_host import CommandQueue, CpuDevice, Device, open_device
from descring_model import Lines, complete, contract, streams

ROOT = Path(__file__).resolve().parents[1]
NATIVE = ROOT / "host" / "native"
CORE = ("segment.c", "registers.c", "worker.c", "execute.c", "queue.c", "peer.c", "remote.c", "fast_crc.c")
BATCHES = (1, 16, 256, 1024, 4096)
WINDOW = 32 << 20
IN_FLIGHT = 8192
REFERENCE = "reference ring, one way"

Result = dict[str, Any]


def say(text: str) -> None:
    """Progress, on stderr."""
    print(f"[{time.strftime('%H:%M:%S')}, load {os.getloadavg()[0]:.1f}] {text}", file=sys.stderr)


def native(lines: int, samples: int, rounds: int) -> list[Result]:
    """Build and run bench/host_native.c; its rows, the repeated ones as median and best."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "host_native"
        sources = [str(NATIVE / name) for name in CORE] + [str(ROOT / "bench" / "host_native.c")]
        flags = ["-std=c11", "-O3", "-fno-strict-aliasing", "-pthread"]
        flags += [f"-I{NATIVE}", f"-I{ROOT / 'host' / 'include'}", "-o", str(program)]
        subprocess.run([os.environ.get("CC", "cc"), *flags, *sources], check=True)
        rows: list[Result] = []
        for number in range(rounds):
            say(f"native, round {number + 1} of {rounds}")
            out = subprocess.run(
                [str(program), str(lines), str(samples)], check=True, capture_output=True, text=True
            ).stdout
            rows += [json.loads(line) for line in out.splitlines()]
    return merge(rows)


def merge(rows: list[Result]) -> list[Result]:
    """Rows of the same measurement as one: median, best, and how many there were."""
    groups: dict[tuple[str, int], list[Result]] = {}
    for row in rows:
        groups.setdefault((row["what"], row.get("batch", 0)), []).append(row)
    merged = []
    for same in groups.values():
        row = dict(same[0])
        for name in ("lines_per_s", "p50_ns", "p99_ns", "p999_ns"):
            if name in row:
                values = [item[name] for item in same]
                row[name] = round(float(np.median(values)))
                row[f"best_{name}"] = round(max(values) if name == "lines_per_s" else min(values))
        row["times"] = len(same)
        merged.append(row)
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


def round_trips(device: Device, samples: int) -> Result:
    """Nanoseconds from submit_decode() to its completion as an object, less the clock's cost."""
    clock = time.perf_counter_ns
    costs = np.empty(4096, dtype=np.int64)
    for at in range(len(costs)):
        start = clock()
        costs[at] = clock() - start
    cost = float(np.median(costs))
    took = np.empty(samples, dtype=np.int64)
    with CommandQueue(device, cmd_slots=256) as queue:
        submit, take = queue.submit_decode, queue.next_completion
        for at in range(-1000, samples):
            number = at & 0xFFFFFFFF
            start = clock()
            submit(number, 1, 2, 0, 5, 6)
            done = take()
            end = clock()
            if done is None or done.user_data != number:
                raise SystemExit(f"round trip {at}: wrong completion {done}")
            if at >= 0:
                took[at] = end - start
    p50, p99, p999 = np.percentile(took, [50, 99, 99.9]) - cost
    return {
        "samples": samples,
        "clock_ns": cost,
        "p50_ns": round(p50),
        "p99_ns": round(p99),
        "p999_ns": round(p999),
    }


def idle_cost(seconds: float) -> float:
    """Part of a core that this process uses while its worker has nothing to do."""
    with CpuDevice(1 << 20) as device, CommandQueue(device, cmd_slots=16) as queue:
        queue.exchange(streams.generate(16, seed=1, profile="decode"))
        time.sleep(0.1)
        start, used = time.monotonic(), time.process_time()
        time.sleep(seconds)
        return (time.process_time() - used) / (time.monotonic() - start)


def wake_ups(count: int) -> Result:
    """Nanoseconds of a round trip that finds the worker asleep."""
    took = np.empty(count, dtype=np.int64)
    with CpuDevice(1 << 20) as device, CommandQueue(device, cmd_slots=16) as queue:
        for at in range(count):
            time.sleep(0.01)
            start = time.perf_counter_ns()
            queue.submit_decode(at, 1, 2, 0, 5, 6)
            if queue.next_completion() is None:
                raise SystemExit("the worker did not wake")
            took[at] = time.perf_counter_ns() - start
    p50, p99 = np.percentile(took, [50, 99])
    return {"samples": count, "p50_ns": round(float(p50)), "p99_ns": round(float(p99))}


def python_rows(lines: int, samples: int, rounds: int) -> list[Result]:
    """All measurements from Python, in thread and process, repeated and merged."""
    stream = streams.generate(lines, seed=1, profile="decode")
    expected = complete(stream)
    rows: list[Result] = []
    places: dict[str, dict[str, Any]] = {"thread": {}, "process": {"process": True}}
    for number in range(rounds):
        for place, options in places.items():
            say(f"Python, worker {place}, round {number + 1} of {rounds}")
            with open_device("cpu", memory=WINDOW, **options) as device:
                for batch in BATCHES:
                    count = min(lines, 20_000 * batch)
                    value = batched(device, stream[:count], expected[:count], batch)
                    what = f"submit and poll, worker {place}, Python"
                    rows.append({"what": what, "batch": batch, "lines_per_s": value})
                value = one_by_one(device, min(lines, 300_000))
                what = f"line by line, worker {place}, Python"
                rows.append({"what": what, "lines_per_s": value})
                what = f"round trip, worker {place}, Python"
                rows.append({"what": what, **round_trips(device, samples)})
    return merge(rows)


def baseline(lines: int) -> Result:
    """The golden model behind the same queue: what the same program does without native code."""
    stream = streams.generate(lines, seed=1, profile="decode")
    expected = complete(stream)
    with open_device("model", memory=WINDOW) as device:
        value = batched(device, stream, expected, 4096)
    return {"what": "submit and poll, golden model, Python", "batch": 4096, "lines_per_s": value}


def table(rows: list[Result]) -> str:
    """For people."""
    text = []
    for row in rows:
        name = row["what"] + (f", batch {row['batch']}" if "batch" in row else "")
        if "lines_per_s" in row:
            best = row["best_lines_per_s"] if "times" in row else row["lines_per_s"]
            value = f"{row['lines_per_s'] / 1e6:9.2f} M/s   best {best / 1e6:.2f}"
        elif "part_of_a_core" in row:
            value = f"{100 * row['part_of_a_core']:9.2f} % of a core"
        else:
            value = " ".join(
                f"{name.removesuffix('_ns')} {row[name] / 1e3:.2f} us"
                for name in ("p50_ns", "p99_ns", "p999_ns", "best_p50_ns")
                if name in row
            )
        text.append(f"{name:56} {value}")
    return "\n".join(text)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=2_000_000, help="a throughput measurement")
    parser.add_argument("--samples", type=int, default=100_000, help="a latency measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    if options.lines < 4096 or options.samples < 1000 or options.rounds < 1:
        parser.error("expected lines >= 4096, samples >= 1000, rounds >= 1")
    load = [os.getloadavg()]
    rows = native(options.lines, options.samples, options.rounds)
    rows += python_rows(options.lines, options.samples, options.rounds)
    rows.append(baseline(min(options.lines, 1_000_000)))
    say("idle")
    rows.append({"what": "idle worker", "part_of_a_core": idle_cost(3.0)})
    rows.append({"what": "round trip that wakes the worker, Python", **wake_ups(300)})
    load.append(os.getloadavg())
    reference = next(row for row in rows if row["what"] == REFERENCE)
    for row in rows:
        if "lines_per_s" in row:
            row["of_reference"] = round(row["lines_per_s"] / reference["lines_per_s"], 2)
    result = {
        "contract": f"{contract.CONTRACT_HASH:08x}",
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cpus": os.cpu_count(),
        },
        "load_before_and_after": [[round(value, 2) for value in item] for item in load],
        "rows": rows,
    }
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
