# SPDX-License-Identifier: Apache-2.0
"""How many lines a second the golden model completes on one thread.

Prints JSON. Every completion that was timed is checked afterwards: all checksums by google-crc32c,
and a sample of whole lines by the scalar reference of the model's tests. A wrong completion
ends the program with exit code 1 and no figures.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from common.report import add_output
from descring_model import GoldenDevice, Lines, complete, contract, line_bytes, streams
from descring_model.registers import ring_log2
from descring_sim.bench import results

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "pymodel" / "tests"))
import scalar_reference

PROFILES = ("decode", "one-token", "checked", "mixed", "nop")
_SAMPLE = 2000
_CHECKED = contract.FLAG["CHECKED"]


class WrongCompletionError(Exception):
    """A completion that the independent check does not agree with."""


def check(lines: Lines, completions: Lines) -> None:
    """Compare a sample line by line, and the checksum of every CHECKED completion.

    Raises:
        WrongCompletionError: naming the first line that differs.
    """
    for index in np.flatnonzero(completions["flags"] & _CHECKED):
        line = completions[index].tobytes()
        if google_crc32c.value(line[:60]) != int.from_bytes(line[60:], "little"):
            raise WrongCompletionError(f"line {index}: the checksum of the completion is wrong")
    rng = np.random.default_rng(0)
    for index in rng.integers(0, len(lines), min(_SAMPLE, len(lines))):
        result = scalar_reference.execute(lines[index].tobytes(), int(index))
        expected = result.desc.pack()
        if result.desc.flags & _CHECKED:
            expected = scalar_reference.sealed(expected, int(index))
        if completions[index].tobytes() != expected:
            raise WrongCompletionError(
                f"line {index}: the completion is not the scalar reference's"
            )


def time_complete(lines: Lines, repeats: int) -> tuple[list[float], Lines]:
    """Seconds of each of ``repeats`` runs, and the completions of the last."""
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        completions = complete(lines)
        took.append(time.perf_counter() - start)
    return took, completions


def time_device(lines: Lines, repeats: int) -> tuple[list[float], Lines]:
    """The same through a :class:`GoldenDevice` with rings of 4096 slots, host's copies included."""
    log2 = 12
    slots = 1 << log2
    register = contract.OFFSET
    took = []
    for _ in range(repeats):
        device = GoldenDevice(2 * slots * contract.DESC_BYTES)
        rings = device.memory.reshape(2, slots, contract.DESC_BYTES)
        device.write32(register["DONE_BASE_LO"], slots * contract.DESC_BYTES)
        device.write32(register["RING_LOG2"], ring_log2(log2, log2, log2))
        device.write32(register["CTRL"], contract.register_bit("CTRL", "ENABLE"))
        completions = np.empty_like(lines)
        data, actual = line_bytes(lines), line_bytes(completions)
        start = time.perf_counter()
        for first in range(0, len(lines), slots):
            part = slice(first, min(first + slots, len(lines)))
            count = part.stop - part.start
            rings[0, :count] = data[part]
            device.write32(register["DOORBELL"], part.stop)
            actual[part] = rings[1, :count]
            device.write32(register["DONE_HEAD"], part.stop)
        took.append(time.perf_counter() - start)
        if device.read32(register["CMD_HEAD"]) != len(lines):
            raise WrongCompletionError("the device did not complete every line")
    return took, completions


def main() -> int:
    """Measure, check, and print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1 << 20, help="lines of each stream")
    parser.add_argument("--repeats", type=int, default=5, help="runs, of which the fastest counts")
    parser.add_argument("--seed", type=int, default=1)
    add_output(parser)
    options = parser.parse_args()
    if options.count < 1 or options.repeats < 1:
        parser.error("--count and --repeats must be 1 or more")
    rows: list[dict[str, Any]] = []
    try:
        for profile in PROFILES:
            lines = streams.generate(options.count, seed=options.seed, profile=profile)
            ways = [("complete", time_complete)]
            # The device halts at a STOP; the mixed stream has some.
            if not (lines["opcode"] == contract.OPCODE["STOP"]).any():
                ways.append(("device", time_device))
            for name, measure in ways:
                seconds, completions = measure(lines, options.repeats)
                check(lines, completions)
                rates = [round(options.count / each) for each in seconds]
                rows.append({"level": name, "profile": profile, "lines_per_s": rates})
    except WrongCompletionError as error:
        print(f"error: {profile}: {error}", file=sys.stderr)
        return 1
    report = {
        "count": options.count,
        "repeats": options.repeats,
        "seed": options.seed,
        "threads": 1,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    for row in rows:
        best = {**row, "lines_per_s": max(row["lines_per_s"])}
        print(json.dumps(best))
    if options.output:
        figures = results.figures_of_numbers(rows, ("level", "profile"))
        origin = results.origin("pymodel", "bench")
        found = results.Results("model_throughput", figures, origin, report)
        results.write(options.output, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
