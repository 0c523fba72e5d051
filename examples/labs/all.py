# SPDX-License-Identifier: Apache-2.0
"""All labs, one after the other, with a table of the verdicts.

Run: make labs, or python examples/labs/all.py

Exit code: 2 if a lab ended with an error, else 1 if one is NOT SEEN, else 0. NOT OBSERVABLE HERE is
no failure: the table has the reason.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from descring_model.program import ERROR, run_program
from labkit.lab import Verdict

HERE = Path(__file__).resolve().parent
LABS = (
    "false_sharing",
    "spsc_ring",
    "huge_pages",
    "wake_up",
    "doorbell",
    "memory_ordering",
    "memory_ordering_gpu",
)


def run(name: str, arguments: list[str]) -> tuple[int, str, float]:
    """Run one lab: its exit code, its last line, and seconds. What it prints is passed on."""
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, flush=True)
    last = done.stdout.splitlines()[-1] if done.stdout.strip() else f"{name}: error, see above"
    return done.returncode, last, time.monotonic() - start


def main() -> int:
    """Run all labs; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", default="30", help="of each lab; default: 30")
    chosen = parser.parse_args()
    found = [run(name, ["--repetitions", chosen.repetitions]) for name in LABS]
    for _, last, seconds in found:
        print(f"{seconds:5.1f} s  {last}")
    print(f"{sum(seconds for _, _, seconds in found):5.1f} s  all labs")
    codes = {code for code, _, _ in found}
    if codes - {int(verdict) for verdict in Verdict}:
        return ERROR
    return int(Verdict.NOT_SEEN) if int(Verdict.NOT_SEEN) in codes else 0


if __name__ == "__main__":
    run_program("labs", main)
