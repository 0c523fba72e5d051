# SPDX-License-Identifier: Apache-2.0
"""Measure the rollout core: its parts, windows and whole runs, each beside a plain way to do it.

Every result that was timed is checked: handles, blocks, orders, completions, what was delivered.
Parts are given in CPU time of one thread; windows and runs in wall time, with the worker on the
other CPU. Rounds are interleaved, and every ratio is to a baseline of the same run. Parts are
judged by the best round, since what disturbs one only adds to it; windows and runs by the median.

Run: python bench/rollouts_bench.py --json docs/results/rollout-core.json
On a machine at other work --realtime schedules what is measured before everything else.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from descring_host import CommandQueue, open_device
from descring_model.rollouts import contract, records
from descring_rollouts.core import Core
from descring_sim.bench import results
from host_bench import native_program, report

Row = dict[str, Any]
QUANTITIES: dict[str, tuple[str, results.Better]] = {
    "ns": ("ns", "lower"),
    "lines_per_s": ("lines/s", "higher"),
    "legs_per_s": ("legs/s", "higher"),
}

PROMPT, LONGEST, SAMPLES = 64, 320, 16
"""Of a run: tokens of a prompt, of a whole rollout, and samples of a prompt."""

PYTHON_PIPELINE = "pipeline, called from Python"
_FULL = "% of 2^20 blocks in use"
_POLICIES = ("FIFO", "SHORTEST_REMAINING", "LONGEST_REMAINING", "PREFIX", "CUSTOM")

AIMS: tuple[tuple[str, str, float], ...] = (
    ("slab alloc and free", "with a cache", 25),
    *(("block alloc", f"{share} {_FULL}", 15.0) for share in (1, 50, 99)),
    *(("fork and release", f"prefix of {tokens} tokens", 40.0) for tokens in (32, 4096, 1 << 20)),
    *(("policy push and pop", policy, 150.0) for policy in _POLICIES),
    ("trace event", "a ring of 65536", 12.0),
)
"""What takes how many nanoseconds at most."""

RATES: tuple[tuple[str, str, float], ...] = (
    ("windows, there and back", "windows of 32", 30e6),
    ("pipeline", "windows of 256, depth 2", 5e6),
)
"""What has at least how many lines or legs a second."""

REFERENCE = ("the reference's pipeline", "batches of 32")
REFERENCE_AIM = 2.0


@contextmanager
def before_everything(realtime: bool) -> Iterator[None]:
    """Schedule this process and the threads that it starts before all others, if asked to."""
    if realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(20))
    try:
        yield
    finally:
        if realtime:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def python_pipeline(rollouts: int) -> float:
    """Legs a second of a run that Python starts; its end is checked."""
    requests = np.zeros(rollouts, dtype=records.REQUEST_DTYPE)
    numbers = np.arange(rollouts)
    requests["group"], requests["sample"] = numbers // SAMPLES, numbers % SAMPLES
    requests["prompt_tokens"], requests["max_tokens"] = PROMPT, LONGEST
    requests["cancel"] = contract.NONE
    options = contract.OPTION["SHARE"] | contract.OPTION["FINAL_REWARD"]
    config = records.make_config(slots=1024, window=256, depth=2, ring_slots=4096, options=options)
    core = Core(config, requests, keep_log=False)
    with open_device("cpu") as device, CommandQueue(device, cmd_slots=4096) as queue:
        start = time.perf_counter()
        core.run(queue)
        took = time.perf_counter() - start
    end = core.log()[-1]
    expected = rollouts * (LONGEST - PROMPT)
    if (end["code"], end["a"], end["d"]) != (contract.EVENT["END"], rollouts, expected):
        raise AssertionError(f"expected {rollouts} delivered with {expected} tokens, got {end}")
    return core.legs / took


def measure(options: argparse.Namespace) -> list[Row]:
    """All rounds of all measurements, as rows."""
    rows: list[Row] = []
    with native_program(realtime=options.realtime) as run:
        for number in range(options.rounds):
            report(f"round {number + 1} of {options.rounds}")
            rows += run("rollouts", options.operations)
            for row in run("windows", options.lines):
                rows.append({**row, "case": f"windows of {row['batch']}"})
            rows += run("pipeline", options.rollouts)
            with before_everything(options.realtime):
                rate = python_pipeline(options.rollouts)
            rows.append({"what": PYTHON_PIPELINE, "case": "windows of 256", "legs_per_s": rate})
    return rows


def merge(rows: list[Row]) -> list[Row]:
    """One row a measurement: median, best and how many there were."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["what"], row["case"]), []).append(row)
    merged = []
    best: Callable[[list[float]], float]
    for (what, case), same in groups.items():
        unit, best = ("ns", min) if "ns" in same[0] else ("per_s", max)
        names = ("ns", "legs_per_s", "lines_per_s")
        values = [float(row[name]) for row in same for name in names if name in row]
        merged.append(
            {
                "what": what,
                "case": case,
                "unit": unit,
                "median": round(statistics.median(values), 2),
                "best": round(best(values), 2),
                "times": len(values),
            }
        )
    return merged


def judge(rows: list[Row]) -> list[Row]:
    """The aims, what was measured, and whether they are reached."""
    found = {
        (row["what"], row["case"]): float(row["best" if row["unit"] == "ns" else "median"])
        for row in rows
    }
    judged: list[Row] = []
    for what, case, most in AIMS:
        value = found[what, case]
        judged.append(
            {
                "what": f"{what}, {case}",
                "value": value,
                "aim": f"<= {most:g} ns",
                "reached": value <= most,
            }
        )
    for what, case, least in RATES:
        value = found[what, case]
        aim = f">= {least / 1e6:g} M/s"
        judged.append(
            {"what": f"{what}, {case}", "value": value, "aim": aim, "reached": value >= least}
        )
    ratio = round(found["pipeline", "windows of 256, depth 2"] / found[REFERENCE], 2)
    judged.append(
        {
            "what": "pipeline, of the reference's pipeline",
            "value": ratio,
            "aim": f">= {REFERENCE_AIM:g}",
            "reached": ratio >= REFERENCE_AIM,
        }
    )
    return judged


def table(rows: list[Row], judged: list[Row]) -> str:
    """For people."""
    text = []
    for row in rows:
        scale, unit = (1, "ns") if row["unit"] == "ns" else (1e6, "M/s")
        name = f"{row['what']}, {row['case']}"
        text.append(
            f"{name:72} {row['median'] / scale:9.2f} {unit}   best {row['best'] / scale:.2f}"
        )
    text.append("")
    for row in judged:
        verdict = "reached" if row["reached"] else "MISSED"
        text.append(f"{row['what']:72} {row['value']:>14} {row['aim']:>12}  {verdict}")
    return "\n".join(text)


def main() -> None:
    """Measure, print, and write the file of results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--operations", type=int, default=1_000_000, help="of a part, a round")
    parser.add_argument("--lines", type=int, default=2_000_000, help="of windows, a round")
    parser.add_argument("--rollouts", type=int, default=50_000, help="of a run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--realtime", action="store_true", help="chrt -f; needs the privilege")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    if options.operations < 10_000 or options.lines < 1 or options.rounds < 1:
        parser.error("expected operations >= 10000, lines >= 1, rounds >= 1")
    if not 16 <= options.rollouts <= 1 << 24:
        parser.error("expected rollouts from 16 to 2^24")
    origin = results.origin("host", "bench", "pymodel")
    raw = measure(options)
    rows = merge(raw)
    judged = judge(rows)
    print(table(rows, judged))
    if options.json:
        figures = results.figures_of_rows(raw, QUANTITIES)
        details = {"realtime": options.realtime, "aims": judged, "rows": rows}
        results.write(options.json, results.Results("rollouts_bench", figures, origin, details))


if __name__ == "__main__":
    main()
