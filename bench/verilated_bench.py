# SPDX-License-Identifier: Apache-2.0
"""The RTL as a library, called from Python, against other ways to run RTL, side by side in one run.

1. A plain C++ loop over a core of the size that small runtimes have (``reference_bridge/``), built
   by the same Verilator with -O3: descriptors a second at 1 token and at 31 tokens.
2. The simulators under cocotb: lines a second of the same stream, without the time they need to
   start.

Prints JSON. Every completion that was timed is compared with the golden model; a wrong one ends the
program with exit code 1 and no figures. Runs alternate, and the median counts.
"""

from __future__ import annotations

import argparse
import functools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common.report import add_output
from descring_model import DESC_DTYPE, Lines, complete, contract, first_difference, streams
from descring_sim.bench import results
from descring_sim.cosim import simulators
from descring_sim.protocol.stream import StreamRequest
from descring_sim.replay.registry import open_backend
from descring_sim.verilated import build
from descring_sim.verilated.core import CoreConfig, VerilatedCore, replay_parallel

HERE = Path(__file__).resolve().parent
WORKERS = 8
DEPTH = 64
TOKENS = (1, 31)


class WrongCompletionError(Exception):
    """A completion that is not the golden model's."""


class TooBusy(Exception):
    """Other work on the machine drowned what was to be measured."""


def check(lines: Lines, completions: Lines, **modes: bool) -> None:
    """Compare with the golden model, byte by byte."""
    difference = first_difference(complete(lines, **modes), completions)
    if difference is not None:
        raise WrongCompletionError(str(difference))


def decode_lines(count: int, tokens: int) -> Lines:
    """DECODE of so many tokens each, as the stand-in's loop submits them."""
    lines = np.zeros(count, dtype=DESC_DTYPE)
    lines["opcode"] = contract.OPCODE["DECODE"]
    lines["rollout_id"] = np.arange(count)
    lines["max_tokens"] = tokens
    return lines


def build_stand_in(folder: Path) -> Path:
    """The stand-in's program, at -O3."""
    command = ["verilator", "--cc", "--exe", "-O3", "--Mdir", str(folder), "-Wno-fatal"]
    command += ["--x-assign", "fast", "--x-initial", "fast"]
    command += [str(HERE / "reference_bridge" / name) for name in ("stand_in.sv", "loop.cpp")]
    options = [f"OPT_{name}=-O3" for name in ("FAST", "SLOW", "GLOBAL")]
    make = ["make", "-C", str(folder), "-f", "Vstand_in.mk", *options]
    for step in (command, make):
        subprocess.run(step, env=simulators.environment(), check=True, stdout=subprocess.DEVNULL)
    return folder / "Vstand_in"


def median_rates(ways: dict[str, Callable[[], tuple[int, float]]], repeats: int) -> dict[str, Any]:
    """Items a second of each way: median, least and most of so many runs, taken in turn."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            count, seconds = run()
            rates[name].append(count / seconds)
    return {
        name: {
            "per_s": round(statistics.median(values)),
            "min": round(min(values)),
            "max": round(max(values)),
            "runs": [round(value) for value in values],
        }
        for name, values in rates.items()
    }


def against_the_bridge(stand_in: Path, count: int, repeats: int) -> list[dict[str, Any]]:
    """Descriptors a second at 1 and 31 tokens."""
    results = []
    plain = CoreConfig(depth=DEPTH, workers=WORKERS, assertions=False)
    asserting = CoreConfig(depth=DEPTH, workers=WORKERS)
    with VerilatedCore(plain) as core, VerilatedCore(asserting) as careful:
        for tokens in TOKENS:
            lines = decode_lines(max(count // tokens, 1000), tokens)

            def bridge(tokens: int = tokens, size: int = len(lines)) -> tuple[int, float]:
                words = [str(stand_in), str(size), str(tokens)]
                out = subprocess.run(words, check=True, capture_output=True, text=True).stdout
                done, seconds, _cycles = out.split()
                return int(done), float(seconds)

            def one(device: VerilatedCore, lines: Lines = lines) -> tuple[int, float]:
                began = time.perf_counter()
                result = device.replay(lines)
                seconds = time.perf_counter() - began
                check(lines, result.done)
                return len(lines), seconds

            def two(lines: Lines = lines) -> tuple[int, float]:
                began = time.perf_counter()
                result = replay_parallel(lines, plain, devices=2)
                seconds = time.perf_counter() - began
                check(lines, result.done)
                return len(lines), seconds

            rates = median_rates(
                {
                    "cpp_bridge": bridge,
                    "library": functools.partial(one, core),
                    "library_with_assertions": functools.partial(one, careful),
                    "library_two_devices": two,
                },
                repeats,
            )
            base = rates["cpp_bridge"]["per_s"]
            ratios = {name: round(rate["per_s"] / base, 2) for name, rate in rates.items()}
            results.append({"tokens": tokens, "descriptors": rates, "ratio_to_bridge": ratios})
    return results


def against_cocotb(count: int, repeats: int) -> dict[str, Any]:
    """Lines a second on one stream; of a simulator, what the lines beyond a few cost."""
    few = 100
    lines = streams.generate(count, seed=5, profile="mixed")
    options = StreamRequest(seed=1)

    def timed(name: str, part: Lines) -> float:
        backend = open_backend(name)
        began = time.perf_counter()
        result = backend.replay(part, options, lambda _count: None)
        seconds = time.perf_counter() - began
        check(part, result.done)
        return seconds

    def simulator(name: str) -> Callable[[], tuple[int, float]]:
        timed(name, lines[:few])  # builds

        def run() -> tuple[int, float]:
            seconds = timed(name, lines) - timed(name, lines[:few])
            if seconds <= 0:
                raise TooBusy(f"{name}: {count} lines took no longer than {few}")
            return count - few, seconds

        return run

    many = streams.generate(100 * count, seed=5, profile="mixed")
    with VerilatedCore(CoreConfig()) as core:

        def library() -> tuple[int, float]:
            began = time.perf_counter()
            result = core.replay(many)
            seconds = time.perf_counter() - began
            check(many, result.done)
            return len(many), seconds

        ways = {"icarus": simulator("icarus"), "verilator": simulator("verilator")}
        rates = median_rates({**ways, "library": library}, repeats)
    mine = rates["library"]["per_s"]
    ratios = {f"to_{name}": round(mine / rates[name]["per_s"], 1) for name in ways}
    return {"profile": "mixed", "lines": rates, "ratio": ratios}


def figures(report: dict[str, Any]) -> tuple[results.Figure, ...]:
    """The runs of each way."""
    rows = [
        {"way": way, "tokens": part["tokens"], "descriptors_per_s": rate["runs"]}
        for part in report["bridge"]
        for way, rate in part["descriptors"].items()
    ]
    rows += [
        {"way": way, "profile": report["cocotb"]["profile"], "lines_per_s": rate["runs"]}
        for way, rate in report.get("cocotb", {}).get("lines", {}).items()
    ]
    return results.figures_of_numbers(rows, ("way", "profile", "tokens"))


def main() -> int:
    """Measure, check, and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4_000_000, help="descriptors of one token")
    parser.add_argument("--cocotb-count", type=int, default=3_000, help="lines for the simulators")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each way")
    parser.add_argument("--skip-cocotb", action="store_true")
    add_output(parser)
    options = parser.parse_args()
    if min(options.count, options.repeats) < 1 or options.cocotb_count < 1000:
        parser.error("--count and --repeats must be 1 or more, --cocotb-count 1000 or more")
    folder = Path(tempfile.mkdtemp(prefix="descring-bench-"))
    try:
        stand_in = build_stand_in(folder)
        report: dict[str, Any] = {
            "verilator": simulators.find("verilator").version,
            "compiler": build.compiler().version,
            "workers": WORKERS,
            "bridge": against_the_bridge(stand_in, options.count, options.repeats),
        }
        if not options.skip_cocotb:
            report["cocotb"] = against_cocotb(options.cocotb_count, min(options.repeats, 3))
    except WrongCompletionError as error:
        print(f"error: wrong completions: {error}", file=sys.stderr)
        return 1
    except TooBusy as error:
        print(f"error: measure again with less else running: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder)
    print(json.dumps(report, indent=2))
    if options.output:
        origin = results.origin("rtl", "sim", "bench")
        found = results.Results("verilated_bench", figures(report), origin, report)
        results.write(options.output, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
