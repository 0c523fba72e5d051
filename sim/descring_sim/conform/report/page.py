# SPDX-License-Identifier: Apache-2.0
"""The verdict as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from descring_model import contract

from descring_sim.conform.report.against import Comparison
from descring_sim.conform.report.lines import FieldRow, field_diff
from descring_sim.conform.report.prose import Prose
from descring_sim.conform.report.terminal import summary
from descring_sim.conform.status import Status, TestResult
from descring_sim.conform.verdict import Verdict, bins_by, section_title
from descring_sim.support.pages import template
from descring_sim.support.visible import visible

_AXES = ("opcode", "ring position", "occupancy", "wrap", "fault")
_OPCODES = (*contract.OPCODE, "other")
_POSITIONS = ("first slot", "between", "last slot")
_OCCUPANCIES = ("streamed", "empty", "between", "full")
_WRAPS = ("far", "before 2^32", "behind 2^32")


@dataclass(frozen=True)
class FailureView:
    """A failure as the page shows it.

    Attributes:
        waves: address of the file of waves; None where there is none.
    """

    result: TestResult
    rows: list[FieldRow]
    rerun: str
    waves: str | None


@dataclass(frozen=True)
class Grid:
    """A table of bins: counts by row and column, 0 where nothing was covered."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def covered(self) -> int:
        """Bins with at least one line."""
        return sum(count > 0 for _, counts in self.rows for count in counts)

    @property
    def size(self) -> int:
        """All bins."""
        return len(self.rows) * len(self.columns)


def grids(verdict: Verdict) -> list[Grid]:
    """The coverage in three tables; together they have every axis."""
    bins = verdict.bins
    faults = sorted({key[4] for key in bins} | {"none"}, key=lambda name: (name != "none", name))
    by_fault = bins_by(bins, (0, 4))
    places = [f"{a}, {b}" for a in _POSITIONS for b in _OCCUPANCIES]
    by_place = bins_by(bins, (1, 2, 3))
    by_opcode = bins_by(bins, (0, 1, 2))

    def grid(title: str, columns: Sequence[str], rows: Sequence[tuple[str, list[int]]]) -> Grid:
        return Grid(title, tuple(columns), tuple((name, tuple(counts)) for name, counts in rows))

    def split(place: str) -> tuple[str, str]:
        first, _, second = place.partition(", ")
        return first, second

    return [
        grid(
            "opcode x fault",
            faults,
            [(op, [by_fault[op, fault] for fault in faults]) for op in _OPCODES],
        ),
        grid(
            "opcode x ring position, occupancy",
            places,
            [(op, [by_opcode[op, *split(place)] for place in places]) for op in _OPCODES],
        ),
        grid(
            "wrap x ring position, occupancy",
            places,
            [(w, [by_place[*split(place), w] for place in places]) for w in _WRAPS],
        ),
    ]


def to_page(
    verdict: Verdict,
    comparison: Comparison | None = None,
    waves: Mapping[str, str] | None = None,
) -> str:
    """The page's text.

    Args:
        verdict: of the run.
        comparison: with an earlier verdict, if there is one.
        waves: by the test that failed, the address of its waves as seen from the page.
    """
    rows = verdict.rows()
    failures = [
        FailureView(
            result,
            field_diff(result.failure.diff if result.failure else None),
            verdict.rerun(result),
            (waves or {}).get(result.test),
        )
        for result in verdict.failures
    ]
    return template("descring_sim.conform.report", "report.html.j2").render(
        verdict=verdict,
        comparison=comparison,
        reference=visible(verdict.reference),
        summary=summary(verdict),
        axes=_AXES,
        rows=rows,
        shown={
            row.rule.rule: [item for item in failures if item.result.rule == row.rule.rule]
            for row in rows
        },
        statuses=[(status, sum(row.status is status for row in rows)) for status in Status],
        section_title=section_title,
        failures=failures,
        prose=Prose({row.rule.rule for row in rows}, {result.test for result in verdict.failures}),
        grids=grids(verdict),
        contract=contract,
    )
