# SPDX-License-Identifier: Apache-2.0
"""The outcome of each property over all tasks, as a table and as a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from descring_sim.formal.proofs import Outcome, leaf
from descring_sim.formal.properties import REACHED, Property
from descring_sim.formal.tasks import Task
from descring_sim.support import provenance
from descring_sim.support.files import write_files
from descring_sim.support.markdown import table

Results = Sequence[tuple[Task, Outcome]]

HEAD = ("property", "rules", "method", "depth", "seconds", "verdict")

_WORDS = {"pass": "proven", "fail": "REFUTED", "unknown": "NOT PROVEN", "error": "ERROR"}


@dataclass(frozen=True)
class Row:
    """One property of one block.

    Attributes:
        depth: how many steps the induction assumes, or after how many a cover is reached.
        seconds: of the tasks that decide it; a task decides all its properties together.
    """

    block: str
    property: Property
    method: str
    depth: str
    seconds: float
    verdict: str

    def cells(self) -> tuple[str, ...]:
        """The row under :data:`HEAD`."""
        return (
            f"{self.block}: {self.property.name}",
            " ".join(self.property.rules),
            self.method,
            self.depth,
            f"{self.seconds:.0f}" if self.seconds else "",
            self.verdict,
        )


def _span(numbers: Iterable[int]) -> str:
    found = sorted(set(numbers))
    if not found:
        return ""
    return str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"


def _proof(block: str, item: Property, results: Results) -> Row:
    tasks = [(t, o) for t, o in results if t.kind in ("prove", "linear")]
    covers = [(t, o) for t, o in results if t.kind == "cover"]
    seconds = sum(outcome.seconds for _, outcome in tasks)
    if not tasks:
        return Row(block, item, "", "", 0.0, "not run")
    bad = [
        f"{_WORDS[o.status]} ({t.config})"
        for t, o in tasks
        if o.status == "error" or (o.status != "pass" and _names(item.name, o.failed))
    ]
    open_ = [t.config for t, o in tasks if o.status not in ("pass", "error")]
    vacuous = [t.config for t, o in covers if _names(item.name + REACHED, o.failed)]
    if bad:
        verdict = ", ".join(bad)
    elif open_:
        verdict = f"open ({', '.join(open_)})"
    elif vacuous:
        verdict = f"VACUOUS ({', '.join(vacuous)})"
    else:
        verdict = "proven: " + ", ".join(t.config for t, _ in tasks)
    if tasks[0][0].kind == "linear":
        return Row(block, item, "GF(2) normal form", "all inputs", seconds, verdict)
    depth = _span(o.induction for _, o in tasks if o.induction is not None)
    return Row(block, item, "induction", depth, seconds, verdict)


def _names(name: str, failed: Iterable[str]) -> bool:
    return any(leaf(path) == name for path in failed)


def _cover(block: str, item: Property, results: Results) -> Row:
    covers = [(t, o) for t, o in results if t.kind == "cover"]
    if not covers:
        return Row(block, item, "", "", 0.0, "not run")
    bad = [t.config for t, o in covers if item.name not in o.reached]
    steps = [o.reached[item.name] for _, o in covers if item.name in o.reached]
    verdict = f"UNREACHED ({', '.join(bad)})" if bad else "reached"
    seconds = sum(outcome.seconds for _, outcome in covers)
    return Row(block, item, "cover", _span(steps), seconds, verdict)


def rows(results: Results) -> list[Row]:
    """One row a property and block, in the order of the tasks; assumptions come last of a block."""
    found: list[Row] = []
    for block in dict.fromkeys(task.block for task, _ in results):
        own = [(task, outcome) for task, outcome in results if task.block == block]
        properties = dict.fromkeys(item for task, _ in own for item in task.properties())
        for item in properties:
            if item.kind == "proof":
                found.append(_proof(block, item, own))
        for item in properties:
            if item.kind == "cover":
                found.append(_cover(block, item, own))
        for item in properties:
            if item.kind == "assumption":
                found.append(Row(block, item, "assumption", "", 0.0, "assumed"))
    return found


def text(found: Sequence[Row]) -> str:
    """The table for a terminal."""
    lines = [HEAD, *(row.cells() for row in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    widths[1] = min(widths[1], 40)
    return "\n".join(
        "  ".join(
            cell[: widths[column]].ljust(widths[column]) for column, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )


def closing(results: Results) -> str:
    """The result in one line."""
    found = rows(results)
    proofs = [row for row in found if row.property.kind == "proof"]
    proven = [row for row in proofs if row.verdict.startswith("proven")]
    covers = [row for row in found if row.property.kind == "cover"]
    reached = [row for row in covers if row.verdict == "reached"]
    seconds = sum(outcome.seconds for _, outcome in results)
    return (
        f"{len(proven)} of {len(proofs)} properties proven, {len(reached)} of {len(covers)} covers "
        f"reached, in {len(results)} tasks of {seconds:.0f} s together"
    )


_PAGE = """\
# Proofs

**{closing}.**

`make formal`, {today}, commit {commit}, {machine}; {wall:.0f} s of wall time with {jobs} jobs.
[formal.md](../formal.md) explains methods and terms.

## Tasks

"""


def _task_cells(task: Task, outcome: Outcome) -> tuple[str, ...]:
    kinds = {
        "prove": f"induction, {outcome.induction} step",
        "cover": f"cover, {task.depth} steps at most",
        "linear": "GF(2) normal form",
    }
    own = str(outcome.own_assertions) if task.kind == "prove" else ""
    status = "passed" if outcome.status == "pass" else outcome.status
    return (task.block, task.config, kinds[task.kind], own, f"{outcome.seconds:.1f}", status)


def write_page(path: Path, results: Results, *, commit: str, wall: float, jobs: int) -> None:
    """Write the results page."""
    found = rows(results)
    parts = [
        _PAGE.format(
            today=provenance.today(),
            commit=commit,
            machine=provenance.machine(),
            closing=closing(results),
            wall=wall,
            jobs=jobs,
        ),
        table(
            ("block", "configuration", "method", "assertions of the RTL", "seconds", "outcome"),
            (_task_cells(task, outcome) for task, outcome in results),
        ),
    ]
    for block in dict.fromkeys(row.block for row in found):
        own = [row for row in found if row.block == block]
        parts.append(f"## {block}\n\n")
        parts.append(
            table(
                ("property", "rules", "statement", "method", "depth", "verdict"),
                (
                    (
                        f"`{row.property.name}`",
                        " ".join(row.property.rules),
                        row.property.sentence,
                        row.method,
                        row.depth,
                        row.verdict,
                    )
                    for row in own
                ),
            )
        )
    write_files({path: "".join(parts).rstrip("\n") + "\n"})
