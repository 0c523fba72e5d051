# SPDX-License-Identifier: Apache-2.0
"""How many lines per cycle the device with rings in memory retires, per configuration.

Cycles do not depend on the machine or the simulator, so Icarus counts them: it builds in a second.
Every completion of every run is compared with the golden model's. Exit codes: 0 the required
rate is reached, 1 it is not, 2 wrong usage.

Run: python bench/shell_throughput.py --write
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from common.stamp import ROOT
from descring_sim.bench import results
from descring_sim.cosim import runner
from descring_sim.support.markdown import table

Figures = list[dict[str, float]]

LATENCIES = (1, 20, 60)
REQUIRED = {"configuration": "default: 8 workers, bursts of 8", "latency": 20, "tokens": 1}
REQUIRED_RATE = 0.5
"""Lines per cycle that :data:`REQUIRED` must reach, in each mode."""

CONFIGS: dict[str, dict[str, int]] = {
    "default: 8 workers, bursts of 8": {},
    "1 worker": {"WorkerCount": 1},
    "4 workers": {"WorkerCount": 4},
    "16 workers": {"WorkerCount": 16},
    "bursts of 1": {"ReadBurst": 1, "WriteBurst": 1},
    "bursts of 1, 64 outstanding": {
        "ReadBurst": 1,
        "ReadOutstanding": 64,
        "WriteBurst": 1,
        "WriteOutstanding": 64,
    },
    "bursts of 4": {"ReadBurst": 4, "WriteBurst": 4},
    "bursts of 16": {"ReadBurst": 16, "WriteBurst": 16},
    "2 bursts outstanding": {"ReadOutstanding": 2, "WriteOutstanding": 2},
    "16 lines of buffer": {"PrefetchDepth": 16, "WriteDepth": 16},
    "128 lines of buffer": {
        "PrefetchDepth": 128,
        "WriteDepth": 128,
        "ReadOutstanding": 16,
        "WriteOutstanding": 32,
    },
    "bus of 256 bits": {"DataWidth": 256},
    "bus of 128 bits": {"DataWidth": 128},
}


def measure(parameters: dict[str, int]) -> Figures:
    """The figures of one configuration, one for each latency, mode and number of tokens.

    Raises:
        RuntimeError: a completion was wrong.
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


def rows(measured: dict[str, Figures]) -> str:
    """The page's table: lines per cycle, a column for each latency."""
    lines = []
    for name, figures in measured.items():
        for tokens in sorted({figure["tokens"] for figure in figures}):
            for publish in (False, True):
                cells = [
                    f"{figure['lines_a_cycle']:.3f}"
                    for figure in figures
                    if figure["tokens"] == tokens and figure["publish"] == publish
                ]
                lines.append((name, f"{tokens:g}", "yes" if publish else "no", *cells))
    latencies = (f"latency {latency}" for latency in LATENCIES)
    return table(("configuration", "tokens a line", "PUBLISH_TAILS", *latencies), lines)


def alone(measured: dict[str, Figures]) -> str:
    """The page's table of a line alone, in cycles: a row for each number of tokens."""
    figures = measured[str(REQUIRED["configuration"])]
    tokens = sorted({figure["tokens"] for figure in figures})
    lines = [
        (
            f"{each:g}",
            *(f"{f['alone']:g}" for f in figures if f["tokens"] == each and not f["publish"]),
        )
        for each in tokens
    ]
    return table(("tokens", *(f"latency {latency}" for latency in LATENCIES)), lines)


def required(measured: dict[str, Figures]) -> list[float]:
    """The figures, lines per cycle, that must reach :data:`REQUIRED_RATE`."""
    return [
        figure["lines_a_cycle"]
        for figure in measured.get(str(REQUIRED["configuration"]), [])
        if figure["latency"] == REQUIRED["latency"] and figure["tokens"] == REQUIRED["tokens"]
    ]


_PAGE = """\
# Lines per cycle of the device with rings in memory

`python bench/shell_throughput.py --write`, {date}, commit {commit}.

One doorbell publishes a command ring of 256 DECODE lines; counted from the first line written to
memory to the last, in cycles of Icarus, which depend on no machine. Every completion is compared
with the golden model's. Latency is counted in cycles from the request to the first response of
the memory, for reads and for writes. 8 workers must reach {required_rate} lines per cycle for lines
of one token at a latency of 20: here **{worst:.3f}** at least. `make test` fails below the required
rate.

{rows}The cost of a descriptor is its tokens, so one worker reaches an eighth of a line per cycle at
8 tokens. Beyond that the number of outstanding lines is the limit. A burst is sized in three
cycles, so bursts of 1 give a third of a line per cycle. On a bus of 256 or 128 bits a line takes
two or four beats, and the bus is the limit.

## A line alone

Cycles from the request that rings the doorbell of an idle device to the completion on the bus,
with the default parameters; PUBLISH_TAILS changes nothing:

{alone}That is 17 cycles besides the tokens and one latency of the memory; `make test` fails above.
Before the stages of today's pipeline it was 10 (commit deab6b6, measured by the same test).
"""


def write(measured: dict[str, Figures]) -> None:
    """Write the page and its figures into docs/results."""
    origin = results.origin("rtl", "bench", "cocotb_tests", "sim")
    folder = ROOT / "docs" / "results"
    page = _PAGE.format(
        date=origin["date"],
        commit=origin["commit"],
        required_rate=REQUIRED_RATE,
        worst=min(required(measured)),
        rows=rows(measured),
        alone=alone(measured),
    )
    (folder / "shell-throughput.md").write_text(page, encoding="utf-8")
    raw = [{"configuration": name, **row} for name, found in measured.items() for row in found]
    labels = ("configuration", "latency", "tokens", "publish")
    figures = results.figures_of_numbers(raw, labels)
    found = results.Results("shell_throughput", figures, origin, {"rates": measured})
    results.write(folder / "shell-throughput.json", found)


def main() -> None:
    """Measure every configuration and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="TEXT", help="configurations whose name contains this")
    parser.add_argument("--write", action="store_true", help="write docs/results too")
    arguments = parser.parse_args()
    if arguments.write and arguments.only is not None:
        parser.error("--write wants every configuration; leave --only out")
    chosen = {name: each for name, each in CONFIGS.items() if (arguments.only or "") in name}
    if not chosen:
        parser.error(f"no configuration contains {arguments.only!r}")
    measured = {}
    for name, parameters in chosen.items():
        print(f"{name} ...", file=sys.stderr, flush=True)
        measured[name] = measure(parameters)
    print(rows(measured), end="")
    if arguments.write:
        write(measured)
    missed = [rate for rate in required(measured) if rate < REQUIRED_RATE]
    if missed:
        sys.exit(f"{missed[0]:.3f} lines per cycle, expected {REQUIRED_RATE} for {REQUIRED}")


if __name__ == "__main__":
    main()
