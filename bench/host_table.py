# SPDX-License-Identifier: Apache-2.0
"""The speed table of the host runtime with its peers, in one run, every line checked.

Peers are a queue of one writer and one reader with cached indices and a bare ring (both in
bench/native/rings.c), and with --rigtorp a third by path. Rounds are interleaved; a figure is the
median of them, and its ratio is to a peer of the same run.

Run on a machine with nothing else running, as one command, from the root of a copy of the tree:

    python3 bench/host_table.py --json host-table.json --rigtorp PATH/SPSCQueue.h

It needs gcc (g++ for the third peer), Python 3.11 with numpy and cffi, and
host/descring_host/_native*.so as `python host/native/build.py` makes it, which it runs where that
file is missing or does not load (then Python's headers must be there). No network, no installation:
the packages are taken from the tree.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("pymodel", "host", "sim", "bench")]

Row = dict[str, Any]
PEER = "peer's SPSC queue, one way"
STAND_IN = "SPSC queue with cached indices, one way"
BARE = "bare ring, one way"
OURS = "submit and take, worker thread, native"
ARRAYS = "arrays of one line, submit() and poll(), Python"
ARRAYS_TRIP = "round trip of an array of one line, Python"
PER_LINE = "line by line, Python"
MODEL_QUEUE = "golden model behind the queue, batch 4096"
MODEL = "complete() alone"


def cpu_pair() -> tuple[list[int], str]:
    """Two CPUs of different cores that share the last-level cache, and why these."""
    allowed = sorted(os.sched_getaffinity(0))

    def topology(cpu: int, name: str) -> str:
        path = Path(f"/sys/devices/system/cpu/cpu{cpu}/{name}")
        return path.read_text().strip() if path.exists() else ""

    for first in allowed:
        for second in allowed:
            core, cache = "topology/thread_siblings_list", "cache/index3/shared_cpu_list"
            shared = topology(first, cache)
            if (
                first < second
                and topology(first, core) != topology(second, core)
                and shared
                and shared == topology(second, cache)
            ):
                return [first, second], f"different cores, one L3 ({shared})"
    return allowed[:2], "the first two that are allowed; no two cores with one L3 were found"


def machine(pair: list[int], why: str) -> Row:
    """Where and when this was measured; the commit where there is a repository."""
    model = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    git = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "commit": git.stdout.strip() or "unknown",
        "processor": model[0] if model else "unknown",
        "cpus": os.cpu_count(),
        "pair": pair,
        "pair_is": why,
        "load_before": round(os.getloadavg()[0], 2),
        "python": sys.version.split()[0],
    }


def ensure_native() -> None:
    """Build the native library where it is missing, or was built for another Python."""
    loads = [sys.executable, "-c", "import descring_host.native"]
    path = os.pathsep.join([str(ROOT / "pymodel"), str(ROOT / "host")])
    environment = {**os.environ, "PYTHONPATH": path}
    if subprocess.run(loads, env=environment, capture_output=True, check=False).returncode:
        subprocess.run([sys.executable, str(ROOT / "host" / "native" / "build.py")], check=True)


def native_rounds(rounds: int, lines: int, rigtorp: Path | None) -> list[Row]:
    """Rows of the native program and of the peer, round by round."""
    from host_bench import native_program, report

    rows: list[Row] = []
    with native_program() as run, tempfile.TemporaryDirectory() as folder:
        peer = Path(folder) / "spsc_peer"
        if rigtorp is not None:
            source = ROOT / "bench" / "native" / "spsc_peer.cpp"
            header = f'-DPEER_HEADER="{rigtorp.resolve()}"'
            command = ["g++", "-std=c++17", "-O3", "-pthread", header, str(source), "-o", str(peer)]
            subprocess.run(command, check=True)
        for number in range(rounds):
            report(f"native, round {number + 1} of {rounds}")
            if rigtorp is not None:
                out = subprocess.run(
                    [str(peer), str(lines)], check=True, stdout=subprocess.PIPE, text=True
                ).stdout
                rows += [json.loads(line) for line in out.splitlines()]
            rows += run("rings", lines) + run("queue", lines)
        rows += run("latency", 100_000)
    return rows


def arrays_of_one(device: Any, count: int) -> Row:
    """Lines a second through submit() and poll() with arrays of one line, 256 on their way.

    The completions are kept, and compared with the golden model's when the clock has stopped.
    """
    import numpy as np
    from descring_host import CommandQueue
    from descring_model import complete, streams

    ahead = 256
    lines = streams.generate(count, seed=1, profile="decode")
    arrays = [lines[at : at + 1] for at in range(count)]
    taken: list[Any] = []
    with CommandQueue(device, cmd_slots=1024) as queue:
        submit, poll, keep = queue.submit, queue.poll, taken.append
        start = time.perf_counter()
        for number in range(ahead):
            submit(arrays[number])
        for number in range(ahead, count):
            submit(arrays[number])
            keep(poll(1, 1.0))
        for _ in range(ahead):
            keep(poll(1, 1.0))
        rate = count / (time.perf_counter() - start)
        if queue.in_flight or not np.array_equal(np.concatenate(taken), complete(lines)):
            raise SystemExit("a completion is wrong or missing")
    return {"what": ARRAYS, "lines_per_s": rate}


def array_round_trips(device: Any, samples: int) -> Row:
    """From submit() of an array of one line to its completion from poll(), which is compared."""
    import numpy as np
    from descring_host import CommandQueue
    from descring_model import complete, streams
    from host_bench import latencies

    lines = streams.generate(1, seed=1, profile="decode")
    expected = complete(lines).tobytes()
    clock = time.perf_counter_ns
    took = np.empty(samples, dtype=np.int64)
    with CommandQueue(device, cmd_slots=1024) as queue:
        submit, poll = queue.submit, queue.poll
        for at in range(-1000, samples):
            start = clock()
            submit(lines)
            done = poll(1, 1.0)
            end = clock()
            if done.tobytes() != expected:
                raise SystemExit(f"round trip {at}: the completion is wrong")
            took[max(at, 0)] = end - start
    return {"what": ARRAYS_TRIP, **latencies(took)}


def golden(count: int) -> list[Row]:
    """The golden model behind a queue, and complete() alone on the same lines and batches."""
    from descring_host import open_device
    from descring_model import complete, streams
    from host_bench import batched

    lines = streams.generate(count, seed=1, profile="decode")
    expected = complete(lines)
    with open_device("model", memory=32 << 20) as device:
        behind = batched(device, lines, expected, 4096)
    start = time.perf_counter()
    for at in range(0, count, 4096):
        part = complete(lines[at : at + 4096], first_index=at)
        if not (part == expected[at : at + 4096]).all():
            raise SystemExit(f"complete() differs near line {at}")
    alone = count / (time.perf_counter() - start)
    return [
        {"what": MODEL_QUEUE, "lines_per_s": behind},
        {"what": MODEL, "lines_per_s": alone},
    ]


def python_rounds(rounds: int, lines: int, samples: int) -> list[Row]:
    """Rows from Python, round by round."""
    from descring_host import open_device
    from host_bench import one_by_one, report

    rows: list[Row] = []
    for number in range(rounds):
        report(f"Python, round {number + 1} of {rounds}")
        with open_device("cpu", memory=32 << 20) as device:
            rows.append(arrays_of_one(device, min(lines, 300_000)))
            rows.append({"what": PER_LINE, "lines_per_s": one_by_one(device, min(lines, 300_000))})
            rows.append(array_round_trips(device, samples))
        rows += golden(min(lines, 1_000_000) // 4096 * 4096)
    return rows


def median_of(
    rows: list[Row], what: str, batch: int | None = None, name: str = "lines_per_s"
) -> float:
    """The median of a measurement over the rounds; NaN where there is none."""
    import numpy as np

    values = [
        row[name]
        for row in rows
        if row["what"] == what and name in row and (batch is None or row.get("batch") == batch)
    ]
    return float(np.median(values)) if values else float("nan")


def table(rows: list[Row], peer: str) -> list[Row]:
    """Each aim, what was reached, and whether that is the aim."""
    one_way = median_of(rows, peer)
    one = median_of(rows, OURS, 1)
    worst = min(median_of(rows, OURS, batch) for batch in (64, 512, 4096))
    trip = median_of(rows, ARRAYS_TRIP, name="p50_ns")
    golden_rate, alone = median_of(rows, MODEL_QUEUE), median_of(rows, MODEL)
    lines = [
        ("native, one line a call, there and back, M/s", one / 1e6, ">=", 15.0),
        (f"  of {peer}", one / one_way, ">=", 0.5),
        ("native, batches of 64 and more, slowest, M/s", worst / 1e6, ">=", 60.0),
        ("Python, arrays of one line, M/s", median_of(rows, ARRAYS) / 1e6, ">=", 1.0),
        ("Python, round trip of one, p50 us", trip / 1e3, "<=", 1.5),
        ("golden model behind the queue, M/s", golden_rate / 1e6, ">=", 8.0),
        ("  of complete() alone", golden_rate / alone, ">=", 0.0),
    ]
    return [
        {
            "what": what,
            "value": round(value, 3),
            "aim": f"{than} {aim:g}" if aim else "",
            "reached": bool(value >= aim if than == ">=" else value <= aim),
        }
        for what, value, than, aim in lines
    ]


def text(result: Row) -> str:
    """For people."""
    out = [f"{name}: {value}" for name, value in result["machine"].items()]
    out += ["", f"{'':52}{'reached':>10}  aim"]
    for row in result["table"]:
        mark = "" if row["reached"] else "   MISSED"
        out.append(f"{row['what']:52}{row['value']:10.2f}  {row['aim']}{mark}")
    out += ["", "medians of all rounds:"]
    seen: dict[tuple[str, int | None], None] = {}
    for row in result["rows"]:
        seen[row["what"], row.get("batch")] = None
    for what, batch in seen:
        name = what + (f", batch {batch}" if batch else "")
        rate = median_of(result["rows"], what, batch)
        if rate == rate:
            out.append(f"  {name:60} {rate / 1e6:9.2f} M/s")
        else:
            for field in ("p50_ns", "mean_ns"):
                value = median_of(result["rows"], what, batch, field)
                if value == value:
                    out.append(f"  {name:60} {value / 1e3:9.3f} us ({field[:-3]})")
    return "\n".join(out)


def main() -> None:
    """Measure, print the table, and write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lines", type=int, default=4_000_000, help="a throughput measurement")
    parser.add_argument("--samples", type=int, default=100_000, help="a latency measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpus", help="two CPUs, as 2,4; default: two cores with one L3")
    parser.add_argument("--rigtorp", type=Path, help="the header SPSCQueue.h of a peer")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    if options.lines < 65536 or options.samples < 1000 or options.rounds < 1:
        parser.error("expected lines >= 65536, samples >= 1000, rounds >= 1")
    if options.rigtorp is not None and not options.rigtorp.is_file():
        parser.error(f"--rigtorp: expected a file, got {options.rigtorp}")
    pair, why = cpu_pair()
    if options.cpus:
        pair, why = [int(cpu) for cpu in options.cpus.split(",")], "as asked for"
    if len(pair) != 2:
        parser.error(f"expected two CPUs, got {pair}")
    ensure_native()
    result: Row = {"machine": machine(pair, why)}
    os.sched_setaffinity(0, pair)
    rows = native_rounds(options.rounds, options.lines, options.rigtorp)
    rows += python_rounds(options.rounds, options.lines, options.samples)
    peer = PEER if options.rigtorp is not None else STAND_IN
    result |= {"peer": peer, "table": table(rows, peer), "rows": rows}
    print(text(result))
    if options.json:
        from descring_sim.bench import results

        figures = results.figures_of_rows(
            rows,
            {
                "lines_per_s": ("lines/s", "higher"),
                "p50_ns": ("ns", "lower"),
                "p99_ns": ("ns", "lower"),
                "mean_ns": ("ns", "lower"),
            },
            ("what", "batch"),
        )
        origin = results.origin("host", "bench")
        results.write(options.json, results.Results("host_table", figures, origin, result))


if __name__ == "__main__":
    main()
