# SPDX-License-Identifier: Apache-2.0
"""KV blocks on the CPU: two planes or token by token, fetched ahead or not, shared or copied.

Each round is one process; every pass over the blocks must find the sum that was written. Times are
CPU time of one thread over 96 MiB of blocks, more than the caches hold.

Run: python bench/kv_bench.py --json docs/results/kv.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

from descring_sim.bench import results, statistics
from host_bench import native_program, report

QUANTITIES: dict[str, tuple[str, results.Better]] = {
    "ns": ("ns", "lower"),
    "blocks": ("blocks", "lower"),
}
RATIOS = (
    ("KV block, all of it, blocks in random order", "KV block, all of it, blocks in sequence"),
    (
        "KV block, all of it, blocks in random order",
        "KV block, all of it, the next fetched into L1",
    ),
    (
        "KV block, all of it, blocks in random order",
        "KV block, all of it, the next fetched into L2",
    ),
    ("KV block, its keys, token by token", "KV block, its keys, in two planes"),
    ("fork of a prefix of 128 tokens, copied", "fork of a prefix of 128 tokens, shared"),
    (
        "blocks of 10000 branches of 64 tokens, prefix copied",
        "blocks of 10000 branches of 64 tokens, prefix shared",
    ),
)
"""Each way over the other of the same round."""


def main() -> None:
    """Measure, print the ratios, and write the file of results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--realtime", action="store_true", help="chrt -f; needs the privilege")
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: expected 1 or more, got {options.rounds}")
    rows = []
    with native_program(realtime=options.realtime) as run:
        for number in range(options.rounds):
            report(f"round {number + 1} of {options.rounds}")
            rows += run("kv", 1)
    found = results.Results(
        "kv_bench",
        results.figures_of_rows(rows, QUANTITIES),
        results.origin("bench", "host"),
        {"realtime": options.realtime},
    )
    for figure in found.figures:
        print(f"{figure.name:56} {statistics.median(figure.samples)} {figure.unit}")
    for above, below in RATIOS:
        samples = found.figure(above).samples, found.figure(below).samples
        print(f"{above} / {below}: {statistics.ratio(*samples, paired=True)}")
    if options.json:
        results.write(options.json, found)


if __name__ == "__main__":
    main()
