# SPDX-License-Identifier: Apache-2.0
"""The badge: one small SVG, without fonts or images from elsewhere."""

from __future__ import annotations

from xml.sax.saxutils import escape

from descring_model import contract

from descring_sim.conform.status import Status
from descring_sim.conform.verdict import Verdict

_GREEN, _RED, _GREY = "#2e7d32", "#c62828", "#616161"
_CHARACTER = 6.6
"""Width of a character at 11 px, in a common sans-serif."""


def badge(verdict: Verdict) -> str:
    """The SVG's text: green when the implementation conforms, and how many rules it passes.

    Grey where only a part of the suite was run.
    """
    rows = verdict.rows()
    passed = sum(row.status is Status.PASSED for row in rows)
    bad = sum(row.status.bad for row in rows)
    claims = verdict.description.capabilities
    label = f"descring {claims.reset_value(contract.REGISTER['CONTRACT_HASH']):08x}"
    value = f"{passed} rules" if verdict.ok else f"{bad} rules broken"
    color = _GREEN if verdict.ok else _RED
    if verdict.ok and verdict.partial:
        value, color = f"partial: {verdict.partial}", _GREY
    left, right = (round(len(text) * _CHARACTER) + 14 for text in (label, value))
    title = escape(f"{verdict.description.name}: {label}, {value}")
    width = left + right
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img">
<title>{title}</title>
<rect width="{width}" height="20" rx="3" fill="#444"/>
<rect x="{left}" width="{right}" height="20" rx="3" fill="{color}"/>
<rect x="{left}" width="4" height="20" fill="{color}"/>
<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">
<text x="{left / 2:g}" y="14">{escape(label)}</text>
<text x="{left + right / 2:g}" y="14">{escape(value)}</text>
</g>
</svg>
"""
