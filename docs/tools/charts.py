# SPDX-License-Identifier: Apache-2.0
"""Charts of measured results, as SVG for a light and a dark page."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

LOOKS = {
    # Drawn as: (light, dark)
    "#010101": ("#24292f", "#dfe7ea"),
    "#020202": ("#0b7285", "#5cc8d8"),
    "#030303": ("#e8590c", "#ff9f5a"),
    "#040404": ("#6741d9", "#b197fc"),
    "#050505": ("#d0d7de", "#3a454c"),
}
"""Colours that stand for others: the text, three series, the grid."""
TEXT, FIRST, SECOND, THIRD, GRID = LOOKS
SERIES = (FIRST, SECOND, THIRD)


def draw(chart: str, data: Path) -> str:
    """Return the SVG of a chart from the JSON file of its results."""
    style = {
        "svg.hashsalt": "descring",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid.axis": "x",
        "grid.color": GRID,
        "axes.axisbelow": True,
        "text.color": TEXT,
        "axes.labelcolor": TEXT,
        "axes.edgecolor": TEXT,
        "xtick.color": TEXT,
        "ytick.color": TEXT,
        "legend.frameon": False,
    }
    with mpl.rc_context(style):
        figure = _CHARTS[chart](json.loads(data.read_text("utf-8"))["details"])
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        plt.close(figure)
    return _with_looks(text.getvalue())


def _with_looks(svg: str) -> str:
    """Replace the colours that stand for others by variables, which each look sets."""
    names = {colour: f"--c{number}" for number, colour in enumerate(LOOKS)}
    for colour, name in names.items():
        svg = svg.replace(colour, f"var({name})")
    svg = svg.replace("'DejaVu Sans', ", "")
    light = "".join(f"{names[c]}:{light};" for c, (light, _) in LOOKS.items())
    dark = "".join(f"{names[c]}:{dark};" for c, (_, dark) in LOOKS.items())
    css = (
        f"<style>svg{{{light}}}"
        f"@media screen and (prefers-color-scheme:dark){{svg{{{dark}}}}}"
        "text{font-family:'Source Sans Pro','Segoe UI',Roboto,Helvetica,Arial,sans-serif}</style>"
    )
    return re.sub(r"(<svg [^>]*>)", lambda head: head[1] + css, svg, count=1)


def _figure(height: float) -> tuple[Figure, Axes]:
    figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
    return figure, axes


def _rings_in_memory(data: Mapping[str, Any]) -> Figure:
    """Lines per cycle of the device with rings in memory, by configuration and latency."""
    shown = (
        *("default: 8 workers, bursts of 8", "16 workers", "4 workers", "1 worker"),
        *("bursts of 16", "bursts of 4", "bursts of 1", "2 bursts outstanding"),
    )
    latencies = (1, 20, 60)
    figure, axes = _figure(4.6)
    for turn, latency in enumerate(latencies):
        values = [
            next(
                row["lines_a_cycle"]
                for row in data["rates"][name]
                if (row["latency"], row["tokens"], row["publish"]) == (latency, 8, False)
            )
            for name in shown
        ]
        places = [place + 0.26 * (turn - 1) for place in range(len(shown))]
        axes.barh(places, values, 0.24, color=SERIES[turn], label=f"{latency}")
    axes.set_yticks(range(len(shown)), shown)
    axes.invert_yaxis()
    axes.set(xlabel="lines per cycle, 8 tokens a line", xlim=(0, 1.05))
    axes.grid(axis="x")
    figure.legend(
        *axes.get_legend_handles_labels(),
        title="memory latency, cycles",
        loc="outside upper right",
        ncols=3,
    )
    return figure


def _host_latency(data: Mapping[str, Any]) -> Figure:
    """Round trips of the native queue with a worker thread, by lines in a batch."""
    rows = [
        row
        for row in data["sections"]["latency"]["rows"]
        if row["what"] == "round trip, worker thread, native"
    ]
    batches = [row["batch"] for row in rows]
    figure, axes = _figure(3.6)
    for colour, key, name in zip(
        SERIES, ("p50_ns", "p99_ns", "p999_ns"), ("p50", "p99", "p99.9"), strict=True
    ):
        values = [row[key] / 1e3 for row in rows]
        axes.plot(batches, values, "o-", color=colour, label=name)
    axes.set(xscale="log", yscale="log", xlabel="lines in a batch", ylabel="microseconds")
    axes.set_xticks(batches, [str(batch) for batch in batches])
    axes.minorticks_off()
    axes.grid(axis="both")
    axes.legend()
    return figure


def _verilated(data: Mapping[str, Any]) -> Figure:
    """Lines per second of one stream in the two simulators and in the batch library."""
    lines = data["cocotb"]["lines"]
    names = {
        "icarus": "Icarus under cocotb",
        "verilator": "Verilator under cocotb",
        "library": "batch library",
    }
    figure, axes = _figure(2.2)
    values = [lines[key]["per_s"] for key in names]
    bars = axes.barh(list(names.values()), values, 0.6, color=FIRST)
    axes.bar_label(bars, [f"{value:,}".replace(",", " ") for value in values], padding=4)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="lines per second, profile mixed", xlim=(100, 2_000_000))
    axes.minorticks_off()
    axes.grid(axis="x")
    return figure


_CHARTS: Mapping[str, Callable[[Mapping[str, Any]], Figure]] = {
    "chart-rings-in-memory": _rings_in_memory,
    "chart-host-latency": _host_latency,
    "chart-verilated": _verilated,
}
