# SPDX-License-Identifier: Apache-2.0
"""One line a call, with what the worker may do when the doorbell has nothing new.

    python3 bench/gather_variants.py build FOLDER [--rigtorp SPSCQueue.h]  # gcc; static programs
    python3 bench/gather_variants.py run FOLDER [--json FILE]  # there: Python alone

A worker that keeps finding a few lines looks less often (host/native/worker.c). The variants differ
in what an empty look does to that: ``reset`` forgets it, ``decay`` takes a quarter off,
``tolerate`` forgets it after four, ``back-off`` takes a quarter off and also waits before the next
look. Rounds are interleaved, each line is checked, figures are medians, and a ratio is to the peer
of the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from descring_sim.bench import results
from host_table import PEER, STAND_IN, cpu_pair, machine

ROOT = Path(__file__).resolve().parents[1]
NATIVE, BENCH = ROOT / "host" / "native", ROOT / "bench" / "native"
VARIANTS = {"reset": "RESET", "decay": "DECAY", "tolerate": "TOLERATE", "back-off": "BACK_OFF"}
PROGRAM_PEER = "spsc_peer"
Row = dict[str, Any]


def build(folder: Path, rigtorp: Path | None) -> None:
    """Make a static program of each variant, and of the peer where its header is given."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = [
        str(path)
        for part in (NATIVE, NATIVE / "rollouts", BENCH)
        for path in sorted(part.glob("*.c"))
    ]
    flags = ["-std=c11", "-O3", "-fno-strict-aliasing", "-pthread", "-static", "-DHW_COUNT_LOOKS"]
    flags += [f"-I{NATIVE}", f"-I{ROOT / 'host' / 'include'}", f"-I{BENCH}"]
    for name, gather in VARIANTS.items():
        command = ["gcc", *flags, f"-DHW_GATHER={gather}", *sources, "-o", str(folder / name)]
        subprocess.run(command, check=True)
    if rigtorp is not None:
        header = f'-DPEER_HEADER="{rigtorp.resolve()}"'
        command = ["g++", "-std=c++17", "-O3", "-pthread", "-static", header]
        command += [str(BENCH / "spsc_peer.cpp"), "-o", str(folder / PROGRAM_PEER)]
        subprocess.run(command, check=True)


def rows_of(program: Path, *arguments: str) -> list[Row]:
    """What a program prints."""
    out = subprocess.run(
        [str(program), *arguments], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return [json.loads(line) for line in out.splitlines()]


def measure(folder: Path, lines: int, rounds: int) -> Row:
    """Rounds of all programs in turn: the medians of each."""
    found: dict[str, list[Row]] = {}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        if (folder / PROGRAM_PEER).exists():
            found.setdefault("peer", []).extend(rows_of(folder / PROGRAM_PEER, str(lines)))
        found.setdefault("peer", []).extend(rows_of(folder / "reset", "rings", str(lines)))
        for name in VARIANTS:
            found.setdefault(name, []).extend(rows_of(folder / name, "one", str(lines)))

    def median(name: str, what: str, field: str) -> float:
        values = [row[field] for row in found[name] if row["what"] == what and field in row]
        return float(statistics.median(values)) if values else float("nan")

    ours, trip = "submit and take, worker thread, native", "round trip, worker thread, native"
    peer = PEER if (folder / PROGRAM_PEER).exists() else STAND_IN
    one_way = median("peer", peer, "lines_per_s")
    return {
        "peer": peer,
        "peer_mps": round(one_way / 1e6, 2),
        "variants": {
            name: {
                "mps": round(median(name, ours, "lines_per_s") / 1e6, 2),
                "of_the_peer": round(median(name, ours, "lines_per_s") / one_way, 2),
                "lines_per_look": median(name, "looks", "lines_per_look"),
                "empty_looks": median(name, "looks", "empty"),
                "round_trip_p50_ns": median(name, trip, "p50_ns"),
                "round_trip_p99_ns": median(name, trip, "p99_ns"),
            }
            for name in VARIANTS
        },
        "rows": found,
    }


def main() -> None:
    """Build, or run and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["build", "run"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rigtorp", type=Path, help="the header SPSCQueue.h of a peer")
    parser.add_argument("--lines", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    if options.what == "build":
        build(options.folder, options.rigtorp)
        return
    pair, why = cpu_pair()
    where = machine(pair, why)
    os.sched_setaffinity(0, pair)
    result = {"machine": where, **measure(options.folder, options.lines, options.rounds)}
    for field, value in where.items():
        print(f"{field}: {value}")
    print(f"{result['peer']}: {result['peer_mps']} M/s")
    for name, row in result["variants"].items():
        print(f"{name:10}", *(f"{field} {value}" for field, value in row.items()))
    if options.json:
        rows = [{"program": name, **row} for name, found in result["rows"].items() for row in found]
        figures = results.figures_of_numbers(rows, ("program", "what", "batch"))
        origin = {**results.origin("host", "bench"), **where}
        details = {key: value for key, value in result.items() if key != "rows"}
        results.write(options.json, results.Results("gather_variants", figures, origin, details))


if __name__ == "__main__":
    main()
