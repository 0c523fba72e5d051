# SPDX-License-Identifier: Apache-2.0
"""The one plotter of measurements: samples with median and interval, and tables, as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from descring_sim.bench import statistics

_CELL = 23
_WIDTH, _ROW, _TOP, _BOTTOM, _RIGHT = 960, 30, 58, 46, 30
_LETTER = 7.0
_SHOWN = 400
"""Samples drawn of a figure at most."""
_STYLE = """\
text { font: 13px sans-serif; fill: #1f2933 } .title { font-size: 16px; font-weight: bold }
.grid { stroke: #d5dbe1 } .sample { fill: #1a7f8e; fill-opacity: .3 } .median { fill: #0b4f5a }
.interval { stroke: #0b4f5a; stroke-width: 3 } .mark { stroke: #c2410c; stroke-width: 2 }
.paper { fill: #ffffff } .good { fill: #d9efe3 } .some { fill: #fdf0d0 }
.bad { fill: #f7c9c2 }"""

Cell = tuple[str, str]
Row = tuple[str, Sequence[float], float | None]
"""Name, samples above 0, and a predicted value or None."""


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten times 1, 2 and 5 from ``low`` to ``high``."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [m * 10.0**p for p in range(first, last + 1) for m in (1, 2, 5)]
    return [value for value in found if low <= value <= high]


def _head(title: str, note: str, height: float) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'role="img" aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
        f'<text class="title" x="16" y="24">{escape(title)}</text>',
        f'<text x="16" y="44">{escape(note)}</text>',
    ]


def table(title: str, note: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return an SVG with a table; a cell is a text and a colour: none, good, some or bad."""
    first = 24 + _LETTER * max(len(row[0][0]) for row in rows)
    step = (_WIDTH - first - 16) / max(len(head) - 1, 1)
    parts = _head(title, note, _TOP + _CELL * (len(rows) + 1) + 12)
    for number, row in enumerate([[(text, "") for text in head], *rows]):
        y = _TOP + _CELL * number
        for column, (text, colour) in enumerate(row):
            x = 16 if column == 0 else first + step * (column - 1)
            if colour:
                parts.append(
                    f'<rect class="{colour}" x="{x:.0f}" y="{y + 1}" width="{step - 4:.0f}" '
                    f'height="{_CELL - 2}"/>'
                )
            at = x + (8 if column else 0)
            parts.append(f'<text x="{at:.0f}" y="{y + 16}">{escape(text)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def dots(title: str, note: str, unit: str, rows: Sequence[Row]) -> str:
    """Return an SVG with a row for each figure, on one logarithmic axis.

    Args:
        title: the heading.
        note: a line below it.
        unit: of the axis.
        rows: at least one, each with one sample or more, all above 0.

    Raises:
        ValueError: no rows, or a sample that is 0 or less.
    """
    everything = [value for _, samples, mark in rows for value in (*samples, mark or samples[0])]
    if not everything or not min(everything) > 0:
        raise ValueError(f"{title}: expected samples above 0")
    low, high = min(everything) / 1.3, max(everything) * 1.3
    left = 24 + _LETTER * max(len(name) for name, _, _ in rows)
    bottom = _TOP + _ROW * len(rows)

    def x(value: float) -> float:
        share = math.log(value / low) / math.log(high / low)
        return left + share * (_WIDTH - left - _RIGHT)

    parts = _head(title, note, bottom + _BOTTOM)
    taken = -math.inf
    for value in _decades(low, high):
        at = x(value)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        if at - taken > 40:
            taken = at
            parts.append(
                f'<text x="{at:.1f}" y="{bottom + 17}" text-anchor="middle">{value:g}</text>'
            )
    parts.append(
        f'<text x="{(left + _WIDTH - _RIGHT) / 2:.0f}" y="{bottom + 36}" '
        f'text-anchor="middle">{escape(unit)}</text>'
    )
    for number, (name, samples, mark) in enumerate(rows):
        y = _TOP + _ROW * (number + 0.5)
        found = statistics.median(samples)
        shown = np.asarray(samples)[:: max(1, len(samples) // _SHOWN)]
        parts.append(
            f'<text x="{left - 12:.0f}" y="{y + 4}" text-anchor="end">{escape(name)}</text>'
        )
        parts += [
            f'<circle class="sample" cx="{x(float(value)):.1f}" cy="{y + (k * 7 % 5 - 2) * 2:.1f}" '
            'r="2.5"/>'
            for k, value in enumerate(shown)
        ]
        parts.append(
            f'<line class="interval" x1="{x(found.low):.1f}" x2="{x(found.high):.1f}" y1="{y}" '
            f'y2="{y}"/><circle class="median" cx="{x(found.value):.1f}" cy="{y}" r="5">'
            f"<title>{escape(name)}: {found} {escape(unit)}</title></circle>"
        )
        if mark is not None:
            parts.append(
                f'<line class="mark" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{y - 11}" '
                f'y2="{y + 11}"><title>predicted: {mark:.3g} {escape(unit)}</title></line>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"
