# SPDX-License-Identifier: Apache-2.0
"""Two files of results, figure by figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from descring_sim.bench import statistics
from descring_sim.bench.results import Figure, Results, ResultsError
from descring_sim.bench.statistics import Interval


@dataclass(frozen=True)
class Compared:
    """One figure of both files: the new one over the old one, with its interval.

    ``verdict`` is regression, improvement, or "" where the interval reaches into what counts as
    unchanged.
    """

    figure: Figure
    ratio: Interval
    verdict: str


def _compared(old: Figure, new: Figure, threshold: float) -> Compared:
    if (old.unit, old.better) != (new.unit, new.better):
        raise ResultsError(
            f"{new.name}: expected {old.unit}, {old.better} is better, as in the old file, got "
            f"{new.unit}, {new.better}"
        )
    found = statistics.ratio(new.samples, old.samples)
    above, below = found.low > 1 + threshold, found.high < 1 / (1 + threshold)
    worse, better = (above, below) if new.better == "lower" else (below, above)
    verdict = "regression" if worse else "improvement" if better else ""
    return Compared(new, found, verdict)


def compare(old: Results, new: Results, threshold: float) -> list[Compared]:
    """Compare the figures that both files have.

    Args:
        old, new: results of the same program.
        threshold: a change up to this part, 0.1 for 10 %, is none; it must be exceeded by the whole
            95 % interval of the ratio.

    Raises:
        ResultsError: they are of different programs, in different units, or share no figure.
    """
    if old.program != new.program:
        raise ResultsError(f"expected results of {old.program} twice, got also {new.program}")
    known = {figure.name: figure for figure in old.figures}
    both = [(known[figure.name], figure) for figure in new.figures if figure.name in known]
    if not both:
        raise ResultsError(f"{new.program}: expected a figure that both files have, got none")
    return [_compared(before, after, threshold) for before, after in both]


def missing(old: Results, new: Results) -> tuple[list[str], list[str]]:
    """Figures that only the old file has, and that only the new one has."""
    before, after = ({figure.name for figure in item.figures} for item in (old, new))
    return sorted(before - after), sorted(after - before)


def text(rows: Sequence[Compared]) -> str:
    """A line a figure, for a terminal."""
    width = max(len(row.figure.name) for row in rows)
    return "\n".join(
        f"{row.figure.name:{width}}  {row.ratio.value:6.3f}x "
        f"({row.ratio.low:.3f} to {row.ratio.high:.3f}; {row.figure.better} is better)"
        f"{'  ' + row.verdict.upper() if row.verdict else ''}"
        for row in rows
    )
