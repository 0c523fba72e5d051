# SPDX-License-Identifier: Apache-2.0
"""How many lines a cycle the device with rings in memory retires, per configuration.

Cycles do not depend on the machine or the simulator, so Icarus counts them: it builds in a second.
Every completion of every run is compared with the golden model's.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from descring_sim import runner

LATENCIES = (1, 20, 60)
CONFIGS: dict[str, dict[str, int]] = {
    "default: 8 workers, bursts of 8": {},
    "1 worker": {"WorkerCount": 1},
    "4 workers": {"WorkerCount": 4},
    "16 workers": {"WorkerCount": 16},
    "bursts of 1": {"ReadBurst": 1, "WriteBurst": 1},
    "bursts of 1, 64 under way": {
        "ReadBurst": 1,
        "ReadOutstanding": 64,
        "WriteBurst": 1,
        "WriteOutstanding": 64,
    },
    "bursts of 4": {"ReadBurst": 4, "WriteBurst": 4},
    "bursts of 16": {"ReadBurst": 16, "WriteBurst": 16},
    "2 bursts under way": {"ReadOutstanding": 2, "WriteOutstanding": 2},
    "16 lines of buffer": {"PrefetchDepth": 16, "WriteDepth": 16},
    "128 lines of buffer": {
        "PrefetchDepth": 128,
        "WriteDepth": 128,
        "ReadOutstanding": 16,
        "WriteOutstanding": 32,
    },
}


def measure(parameters: dict[str, int]) -> list[dict[str, float]]:
    """The figures of one configuration, one for each latency, mode and number of tokens.

    Raises:
        RuntimeError: a completion was wrong, or a figure is below what is owed.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "figures.jsonl"
        result = runner.run(
            simulator="icarus",
            top="rl_runtime_axi",
            cases="rl_runtime_axi.throughput_cases",
            parameters=parameters,
            seed=1,
            run_dir=Path(folder) / "run",
            extra_env={
                "DESCRING_THROUGHPUT": str(report),
                "DESCRING_THROUGHPUT_LATENCIES": ",".join(map(str, LATENCIES)),
            },
        )
        if not result.ok:
            raise RuntimeError(result.failure_text())
        return [json.loads(line) for line in report.read_text("utf-8").splitlines()]


def table(measured: dict[str, list[dict[str, float]]]) -> str:
    """The page's table: lines a cycle, a column for each latency."""
    head = "| configuration | tokens a line | PUBLISH_TAILS | " + " | ".join(
        f"latency {latency}" for latency in LATENCIES
    )
    rows = [head + " |", "|---|---|---|" + "---|" * len(LATENCIES)]
    for name, figures in measured.items():
        for tokens in sorted({figure["tokens"] for figure in figures}):
            for publish in (False, True):
                cells = [
                    f"{figure['lines_a_cycle']:.3f}"
                    for figure in figures
                    if figure["tokens"] == tokens and figure["publish"] == publish
                ]
                mode = "yes" if publish else "no"
                rows.append(f"| {name} | {tokens} | {mode} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def main() -> None:
    """Measure every configuration and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="TEXT", help="configurations whose name contains this")
    arguments = parser.parse_args()
    measured = {}
    for name, parameters in CONFIGS.items():
        if arguments.only is None or arguments.only in name:
            print(f"{name} ...", file=sys.stderr, flush=True)
            measured[name] = measure(parameters)
    if not measured:
        parser.error(f"no configuration contains {arguments.only!r}")
    print(table(measured), end="")


if __name__ == "__main__":
    main()
