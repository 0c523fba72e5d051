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


def _engine_tokens(data: Mapping[str, Any]) -> Figure:
    """Tokens per second of 4096 rollouts by their length, beside what reading alone would allow."""
    rows = [row for row in data["rows"] if re.match(r"step 4096 x \d+, 1024 ", row["what"])]
    rows = [row for row in rows if "temperature" not in row]
    lengths = [int(row["what"].split()[3].rstrip(",")) for row in rows]
    figure, axes = _figure(3.6)
    for colour, name, times in (
        (FIRST, "a whole step", [row["graph_us"] for row in rows]),
        (SECOND, "its attention alone", [row["attention_us"] for row in rows]),
        (THIRD, "reading its keys and values", [row["sweep_us"] for row in rows]),
    ):
        axes.plot(lengths, [4096 / time for time in times], "o-", color=colour, label=name)
    axes.set(
        xscale="log", yscale="log", xlabel="tokens of each of 4096 rollouts",
        ylabel="million tokens a second",
    )  # fmt: skip
    axes.set_xticks(lengths, [str(length) for length in lengths])
    axes.minorticks_off()
    axes.grid(axis="both")
    axes.legend()
    return figure


def _engine_staging(data: Mapping[str, Any]) -> Figure:
    """Speed with keys and values staged in shared memory, as a share of that of plain loads."""
    predicted = {1: 0.75, 2: 0.95, 3: 1.0, 4: 0.85, 5: 0.87, 6: 0.9}
    figure, axes = _figure(3.6)
    shown = ("4096 x 512", "64 x 32768", "256 x 512")
    for colour, shape in zip(SERIES, shown, strict=True):
        row = next(row for row in data["rows"] if row["shape"] == shape)
        shares = {int(depth): share for depth, share in row["of_plain"].items()}
        axes.plot(list(shares), list(shares.values()), "o-", color=colour, label=shape)
    axes.plot(
        list(predicted), list(predicted.values()), "o:", color=TEXT, label="predicted, 4096 x 512"
    )
    axes.axhline(1.0, color=TEXT, linewidth=1)
    axes.set(xlabel="planes of 8 KiB staged ahead, a warp", ylabel="of the plain loads' speed")
    axes.grid(axis="y")
    figure.legend(
        *axes.get_legend_handles_labels(), title="rollouts x tokens", loc="outside right upper"
    )
    return figure


def _load_rows(data: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(row["way"], row["host"]): row for row in data["rows"]}


def _engine_latency(data: Mapping[str, Any]) -> Figure:
    """How long a rollout takes, as a histogram: resident and replayed, host idle and busy."""
    rows = _load_rows(data)
    figure, axes = _figure(3.2)
    for colour, way in zip(SERIES, ("resident", "graph"), strict=False):
        for host, line in (("idle", "-"), ("busy", "--")):
            found = rows[way, host]["histogram"]
            shares = [100 * count / rows[way, host]["rollouts"] for count in found["rollouts"]]
            axes.stairs(
                shares, found["ms"], color=colour, linestyle=line, label=f"{way}, host {host}"
            )
    axes.set(xlabel="ms from handing over to its end seen", ylabel="% of the rollouts")
    axes.grid(axis="y")
    axes.legend()
    return figure


def _engine_host_load(data: Mapping[str, Any]) -> Figure:
    """Tokens per second while each of the host's processors is idle or busy."""
    rows = _load_rows(data)
    ways = ("resident", "graph")
    figure, axes = _figure(2.2)
    for turn, host in enumerate(("idle", "busy")):
        values = [rows[way, host]["million_tokens_per_s"] for way in ways]
        places = [place + 0.36 * (turn - 0.5) for place in range(len(ways))]
        bars = axes.barh(places, values, 0.34, color=SERIES[turn], label=f"host {host}")
        axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=4)
    axes.set_yticks(range(len(ways)), ways)
    axes.invert_yaxis()
    axes.set(xlabel="million tokens a second", xlim=(0, 10))
    axes.grid(axis="x")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


_CHARTS: Mapping[str, Callable[[Mapping[str, Any]], Figure]] = {
    "chart-rings-in-memory": _rings_in_memory,
    "chart-host-latency": _host_latency,
    "chart-verilated": _verilated,
    "chart-engine-tokens": _engine_tokens,
    "chart-engine-staging": _engine_staging,
    "chart-engine-latency": _engine_latency,
    "chart-engine-host-load": _engine_host_load,
}
