# SPDX-License-Identifier: Apache-2.0
"""Elaborates every RTL module alone as top, on both simulators, and accepts no warning.

Run as ``descring dev elaborate [RTL_DIR]``.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import os
import subprocess
import sys
from pathlib import Path

from descring_model.program import run_program

from descring_sim.cosim import simulators
from descring_sim.hdl import filelist
from descring_sim.support import paths, plain_paths
from descring_sim.support.errors import SimulationError

_TIMEOUT_S = 300

# Icarus widens the sensitivity of an always_comb that selects constant bits to the whole variable,
# and prints a message for every one. The outcome is the same; later versions are silent.
_ICARUS_NOISE = (
    "sorry: constant selects in always_* processes are not currently supported "
    "(all bits will be included)."
)


def _commands(rtl_dir: Path, top: str) -> dict[str, list[str]]:
    files = [str(path) for path in filelist.collect(rtl_dir, top).sources]
    return {
        "verilator": [
            *("verilator", "--lint-only", "-Wall", "--assert", "--timescale"),
            *("/".join(simulators.TIMESCALE), "--top-module", top, f"-I{rtl_dir}", *files),
        ],
        "icarus": [
            *("iverilog", "-g2012", "-Wall", "-t", "null", "-s", top, f"-I{rtl_dir}", *files),
        ],
    }


def _complaints(command: list[str]) -> list[str]:
    done = subprocess.run(
        command,
        env=simulators.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
    )
    said = dict.fromkeys((done.stdout + done.stderr).splitlines())
    lines = [line for line in said if line.strip() and not line.endswith(_ICARUS_NOISE)]
    report = [line for line in lines if not line.startswith("- ")]
    if done.returncode != 0 and not report:
        report = [f"{command[0]} ended with exit code {done.returncode}", *lines]
    return report


def elaborate(rtl_dir: Path) -> tuple[int, list[str]]:
    """Elaborate each module of ``rtl_dir`` alone.

    Returns:
        Number of modules, and the messages of the simulators, without duplicates.

    Raises:
        SimulationError: no sources, or a simulator is missing.
    """
    for name in simulators.SIMULATORS:
        simulators.find(name)
    rtl_dir = plain_paths.for_verilator(rtl_dir)
    tops = filelist.modules(rtl_dir)
    jobs = [
        (f"{simulator}, top {top}", command)
        for top in tops
        for simulator, command in _commands(rtl_dir, top).items()
    ]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        answers = list(pool.map(_complaints, [command for _, command in jobs]))
    seen: set[str] = set()
    report = []
    for (title, _), lines in zip(jobs, answers, strict=True):
        new = [line for line in lines if line not in seen]
        seen.update(new)
        if new:
            report += [f"{title}:", *(f"  {line}" for line in new)]
    return len(tops), report


def main(arguments: list[str] | None = None) -> int:
    """Elaborate a folder (default: the project's) and return the exit code."""
    parser = argparse.ArgumentParser("descring dev elaborate", description=__doc__)
    parser.add_argument("rtl_dir", nargs="?", type=Path, metavar="RTL_DIR", help="default: rtl/")
    chosen: Path | None = parser.parse_args(arguments).rtl_dir
    try:
        count, report = elaborate(chosen or paths.rtl_dir())
    except (SimulationError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if report:
        print("\n".join(report), file=sys.stderr)
        return 1
    print(f"{count} modules elaborate alone without a warning on verilator and icarus")
    return 0


if __name__ == "__main__":
    run_program("descring dev elaborate", main)
