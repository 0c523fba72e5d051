# SPDX-License-Identifier: Apache-2.0
"""A change by hand, judged as a drawn one is."""

from __future__ import annotations

from descring_sim.mutation.sampled.change import Change
from descring_sim.mutation.sampled.suites import Area, SuiteJudge


def judged(judge: SuiteJudge, area: Area, old: str, new: str) -> str:
    """Return what ``judge`` finds of ``new`` for the first ``old`` in the only file of ``area``."""
    (file,) = area.files
    start = (area.folder / file).read_text(encoding="utf-8").index(old)
    sampled = judge._sampled(area, file, Change(start, start + len(old), new, "by hand"))
    found = judge.judge(sampled)
    return f"{found.status}, {found.tier}: {found.by}"
