# SPDX-License-Identifier: Apache-2.0
"""A picture of a trace: rollouts on the host, lines on the device, the RTL's cycles below."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from descring_rollouts.perfetto_file import Cycle, Slice

WIDTH = 1000
_LEFT, _RIGHT, _ROW, _GAP, _TOP = 90, 14, 17, 10, 24
_STEPS = 8
_LANES = 8
_MARKS = 8
_COLOURS = {"PREFILL": "violet", "DECODE": "green", "REWARD": "amber", "score": "shade"}
_INNER = 3
"""How far each nested slice is inset, in pixels."""

STYLE = """
svg { font: 11px system-ui, "DejaVu Sans", sans-serif; background: var(--paper); }
text { fill: var(--ink); } .dim { fill: var(--dim); } .grid { stroke: var(--line); }
:root { --paper: #fff; --ink: #1c2430; --dim: #667080; --line: #d8dce2; --shade: #e3e9f1;
  --rollout: #c9d8ee; --violet: #7e57c2; --green: #2e7d32; --amber: #c77700; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181e; --ink: #e4e8ee; --dim: #97a1ae;
  --line: #333b46; --shade: #37475c; --rollout: #263a55; --violet: #a78bda; --green: #5bb860;
  --amber: #e0a030; } }
"""
"""For a picture on its own; a page has these names in its own style."""


def rows_of(slices: Sequence[Slice], rollouts: int) -> list[str]:
    """Tracks to draw: the first rollouts, then the first lanes of the device."""
    tracks = list(dict.fromkeys(item.track for item in slices))
    host = [name for name in tracks if name.startswith("rollout ")][:rollouts]
    device = sorted(
        (name for name in tracks if not name.startswith("rollout ")),
        key=lambda name: (name.rpartition(" ")[0], int(name.rpartition(" ")[2])),
    )
    return [*host, *device[:_LANES]]


def timeline(
    slices: Sequence[Slice], cycles: Sequence[Cycle], *, rollouts: int = 16, style: str = ""
) -> str:
    """The picture as SVG.

    Args:
        slices: of a trace, in the order of their begin.
        cycles: likewise.
        rollouts: at most so many of the first.
        style: CSS to put in; "": the page that it is part of has it.
    """
    rows = rows_of(slices, rollouts)
    shown = [item for item in slices if item.track in set(rows)]
    hosts = [item for item in shown if item.track.startswith("rollout ")]
    first = min((item.begin for item in hosts), default=0)
    last = max((item.end for item in hosts), default=first + 1)
    span = max(1, last - first)
    inside = WIDTH - _LEFT - _RIGHT

    def x(at: int) -> float:
        return _LEFT + (at - first) / span * inside

    places: dict[str, int] = {}
    y = _TOP
    for name in rows:
        if places and not name.startswith("rollout ") and y == _TOP + _ROW * len(places):
            y += _GAP
        places[name] = y
        y += _ROW
    bottom = y
    height = bottom + (44 if cycles else 24)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">']
    parts.append("<title>rollouts on the host, their lines on the device</title>")
    parts += [f"<style>{style}</style>"] if style else []
    for step in range(_STEPS + 1):
        at = first + span * step // _STEPS
        parts.append(
            f'<line class="grid" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{_TOP - 4}" y2="{bottom}"/>'
            f'<text class="dim" x="{x(at):.1f}" y="{_TOP - 9}" '
            f'text-anchor="{"end" if step == _STEPS else "middle"}">'
            f"{(at - first) / 1e6:.2f} ms</text>"
        )
    for name, place in places.items():
        parts.append(
            f'<text x="{_LEFT - 8}" y="{place + 12}" text-anchor="end">{escape(name)}</text>'
        )
    depth: dict[str, list[int]] = {}
    for item in shown:
        if item.end < first or item.begin > last:
            continue
        stack = depth.setdefault(item.track, [])
        while stack and stack[-1] <= item.begin:
            stack.pop()
        inset = min(len(stack) * _INNER, 6)
        stack.append(item.end)
        left, right = x(max(item.begin, first)), x(min(item.end, last))
        colour = _COLOURS.get(item.name, "rollout")
        notes = ", ".join(f"{name} {value}" for name, value in item.notes.items())
        title = f"{item.name}, {(item.end - item.begin) / 1e3:.1f} us, {notes}"
        parts.append(
            f'<rect x="{left:.2f}" y="{places[item.track] + 2 + inset / 2:g}" '
            f'width="{max(right - left, 0.6):.2f}" height="{_ROW - 4 - inset:g}" '
            f'fill="var(--{colour})"><title>{escape(title)}</title></rect>'
        )
    if cycles:
        parts.append(f'<text x="{_LEFT - 8}" y="{bottom + 18}" text-anchor="end">RTL cycle</text>')
        ordered = sorted(cycles, key=lambda item: item.at)
        edge = -1e9
        for mark in ordered:
            spot = x(mark.at)
            if spot - edge >= inside / _MARKS and spot <= WIDTH - _RIGHT:
                edge = spot
                parts.append(
                    f'<line class="grid" x1="{spot:.1f}" x2="{spot:.1f}" y1="{bottom}" '
                    f'y2="{bottom + 6}"/><text x="{spot:.1f}" y="{bottom + 18}">{mark.cycle}</text>'
                )
    for place, (name, colour) in enumerate(_COLOURS.items()):
        corner = _LEFT + 95 * place
        parts.append(
            f'<rect x="{corner}" y="{height - 15}" width="11" height="11" fill="var(--{colour})"/>'
            f'<text x="{corner + 15}" y="{height - 5}">{name}</text>'
        )
    return "".join([*parts, "</svg>"]) + "\n"
