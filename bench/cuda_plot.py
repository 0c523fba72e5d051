# SPDX-License-Identifier: Apache-2.0
"""Draws what bench/cuda_bench.py measured: round trips, and lines a second over time.

cuda_plot.py IN.json OUT   writes OUT.png and OUT.svg
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from descring_sim.bench import results

mpl.use("Agg")
from matplotlib import pyplot as plt

TICKS_US = (2, 3, 4, 5, 7, 10, 20, 50)


def main() -> int:
    """Draw one file."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    found = results.read(Path(sys.argv[1]))
    where, report = found.origin, found.details
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), constrained_layout=True)
    edges = np.array(report["edges_ns"]) / 1e3
    for what, counts in report["histograms"].items():
        share = np.cumsum(counts) / sum(counts)
        left.plot(edges[1:], share, label=what, drawstyle="steps-post")
    left.set(xscale="log", xlim=(1.5, 60), xlabel="microseconds", ylabel="share of round trips")
    left.set_xticks(TICKS_US, [str(tick) for tick in TICKS_US])
    left.minorticks_off()
    left.set_title("One line there and back, every completion checked")
    left.grid(alpha=0.3)
    left.legend(fontsize=8, loc="lower right")
    for row in report["rows"]:
        if len(row.get("each_second_lines_per_s", ())) > 5:
            rates = np.array(row["each_second_lines_per_s"]) / 1e6
            label = f"{row['what']}, {row['slots']} slots"
            right.plot(np.arange(1, len(rates) + 1), rates, label=label)
    right.axhline(150, color="grey", linestyle=":", linewidth=1)
    right.set(ylim=(0, None), xlabel="second", ylabel="million lines a second")
    right.set_title("One ring, sustained, every completion checked")
    right.grid(alpha=0.3)
    right.legend(fontsize=8, loc="lower right")
    figure.suptitle(f"{where['gpu']}, driver {where['driver']}, {where['date']}, {where['commit']}")
    for suffix in ("png", "svg"):
        figure.savefig(f"{sys.argv[2]}.{suffix}", dpi=110)
    return 0


if __name__ == "__main__":
    sys.exit(main())
