# SPDX-License-Identifier: Apache-2.0
"""Charts over the ticks of a run as SVG, in colours that the page's style gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 960, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 10, 26
_POINTS = 480
_STEPS = (1, 2, 5)

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """One line or area: ``colour`` is a CSS variable without its dashes."""

    name: str
    colour: str
    values: Values


def ticks_of(largest: float, most: int = 5) -> list[float]:
    """Round numbers from 0 to ``largest``, at most ``most`` steps."""
    if largest <= 0:
        return [0.0]
    power = 10.0 ** np.floor(np.log10(largest / most))
    step = next(power * part for part in (*_STEPS, 10) if largest / (power * part) <= most)
    return [float(step * count) for count in range(int(largest / step + 1e-9) + 1)]


def _thinned(values: Values, of: str) -> Values:
    """At most ``_POINTS`` values: of each stretch its greatest, or the first."""
    if len(values) <= _POINTS:
        return values
    cuts = np.linspace(0, len(values), _POINTS, endpoint=False).astype(int)
    return np.maximum.reduceat(values, cuts) if of == "greatest" else values[cuts]


def _x(count: int) -> Values:
    places: Values = _LEFT + np.linspace(0, WIDTH - _LEFT - _RIGHT, max(count, 2))[:count]
    return places


def _y(values: Values, top: float) -> Values:
    places: Values = HEIGHT - _BOTTOM - values / max(top, 1e-9) * (HEIGHT - _TOP - _BOTTOM)
    return places


def _path(x: Values, y: Values) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _frame(title: str, top: float, ticks: int, body: Sequence[str]) -> str:
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">']
    for value in ticks_of(top):
        at = float(_y(np.array([value]), top)[0])
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:g}</text>'
        )
    parts += body
    span = WIDTH - _LEFT - _RIGHT
    for value in ticks_of(max(ticks - 1, 1), 8):
        at = _LEFT + span * value / max(ticks - 1, 1)
        if at <= WIDTH - _RIGHT + 1:
            parts.append(
                f'<text x="{at:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{value:g}</text>'
            )
    return "".join([*parts, "</svg>"])


def stacked(title: str, series: Sequence[Series]) -> str:
    """Areas on top of each other over the ticks, the first at the bottom."""
    ticks = len(series[0].values)
    base = np.zeros(min(ticks, _POINTS))
    body = []
    for item in series:
        upper = base + _thinned(item.values, "first")
        body.append((item, base, upper))
        base = upper
    top = float(base.max(initial=1))
    x = _x(len(base))
    drawn = [
        f'<polygon fill="var(--{item.colour})" points="{_path(x, _y(upper, top))} '
        f'{_path(x[::-1], _y(lower, top)[::-1])}"><title>{escape(item.name)}</title></polygon>'
        for item, lower, upper in body
    ]
    return _frame(title, top, ticks, drawn)


def lines(title: str, series: Sequence[Series], limit: float | None = None) -> str:
    """Lines over the ticks; ``limit`` is drawn across."""
    ticks = len(series[0].values)
    top = max(float(item.values.max(initial=0)) for item in series)
    top = max(top, limit or 0, 1)
    body = []
    if limit is not None:
        at = float(_y(np.array([limit]), top)[0])
        body.append(
            f'<line class="limit" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
    for item in series:
        values = _thinned(item.values, "greatest")
        body.append(
            f'<polyline fill="none" stroke="var(--{item.colour})" stroke-width="1.8" '
            f'points="{_path(_x(len(values)), _y(values, top))}">'
            f"<title>{escape(item.name)}</title></polyline>"
        )
    return _frame(title, top, ticks, body)
