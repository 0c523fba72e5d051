# SPDX-License-Identifier: Apache-2.0
"""Applies the mutants of ``sim/mutants`` to a copy of the RTL; the proofs must kill every one.

A mutant of ``<block>.sv`` is tried on the tasks of ``formal/<block>.sby`` that carry the tag
``mutants``, until one does not pass. It is refuted when there is a counterexample, and refused
when only the induction step fails: the proof does not go through, without a trace from reset that
shows why. An entry with ``unproven = "reason"`` breaks what no property of the block states, and
must pass.

Exit codes: 0 every mutant killed, 1 one survived or does not build, 2 an error in what was asked
for.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from descring_sim.formal import proofs, tasks
from descring_sim.formal.proofs import Outcome
from descring_sim.formal.session import SOURCES, failure_text, out_dir
from descring_sim.formal.tasks import Task
from descring_sim.mutation import session
from descring_sim.mutation.mutant import Mutant, MutantError
from descring_sim.mutation.session import Status, Verdict
from descring_sim.support import paths
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError

TAG = "mutants"

REPORT = "report.txt"
"""What a refuted mutant leaves in its folder: property, waveform, stream, how to replay it."""

FEWEST = 30
"""Fewer mutants than this prove little about the properties."""


def judge(mutant: Mutant, task: Task, outcome: Outcome) -> tuple[Status, str]:
    """What the outcome of ``task`` on a copy with ``mutant`` means for it, and why."""
    names = ", ".join(dict.fromkeys(proofs.leaf(name) for name in outcome.failed))
    if outcome.status == "unknown" and mutant.equivalent and not mutant.unproven:
        # Without a trace from reset nothing speaks against the entry; the invariants are stricter.
        return "equivalent", mutant.equivalent
    if outcome.status == "pass":
        return ("equivalent", mutant.equivalent) if mutant.equivalent else ("survived", str(task))
    if outcome.status == "error":
        return "invalid", outcome.message
    how = "refuted" if outcome.status == "fail" else "refused, no induction step"
    return "killed", f"{how}: {names} ({task})"


@dataclass(frozen=True)
class MutantRunner:
    """Runs the proofs on mutants.

    Attributes:
        root: folder of the copies and their runs.
    """

    root: Path

    def try_mutant(self, mutant: Mutant) -> Verdict:
        """Apply ``mutant`` to a copy of the sources and run the tasks of its block on it.

        An outcome is kept by the hash of the mutated sources, so that a stopped campaign resumes.
        """
        seconds = 0.0
        home = self.root / mutant.name
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(tasks.formal_dir(), home / "formal")
        shutil.copytree(paths.rtl_dir(), home / "rtl")
        source = home / "rtl" / mutant.file
        status: Status = "invalid"
        by = f"no task with the tag {TAG}"
        try:
            source.write_text(mutant.mutate(source.read_text(encoding="utf-8")), encoding="utf-8")
            for task in tasks.read(home / "formal" / f"{source.stem}.sby"):
                if TAG not in task.tags:
                    continue
                outcome = proofs.run_once(task, home / "out", self.root / "outcomes")
                seconds += outcome.seconds
                status, by = judge(mutant, task, outcome)
                if outcome.status != "pass":
                    if outcome.status == "fail" and not outcome.cached:
                        (home / REPORT).write_text(failure_text(task, outcome), encoding="utf-8")
                    break
        except (MutantError, SimulationError) as error:
            status, by = "invalid", str(error)
        return Verdict(mutant, status, by, seconds)


def concerned(mutants: Sequence[Mutant]) -> list[Mutant]:
    """Return the mutants in blocks that have a proof, each with what the proof must make of it.

    An unproven one is expected to pass; one that is equivalent by the contract too, unless its
    entry states that a stricter property refutes it.
    """
    blocks = {task.block for task in tasks.load(tasks.formal_dir()) if TAG in task.tags}
    return [
        replace(
            mutant, equivalent=mutant.unproven or (None if mutant.refuted else mutant.equivalent)
        )
        for mutant in mutants
        if Path(mutant.file).stem in blocks
    ]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--only", multiple=True, metavar="ID", help="Try this mutant only; may be repeated.")
@click.option("--list", "list_only", is_flag=True, help="Print the list and try nothing.")
@click.option("--write", is_flag=True, help="Write docs/results/proof-mutants.md too.")
def main(jobs: int, only: tuple[str, ...], list_only: bool, write: bool) -> None:
    """Mutate the RTL; the proofs must kill every mutant."""
    session.campaign(
        "",
        only,
        lambda: MutantRunner(out_dir() / "mutants"),
        session.Page(
            "proof-mutants.md",
            "# Mutants and the proofs",
            "`make formal-mutants`",
            "Refuted: a counterexample from reset was found, a waveform and, where the block takes "
            "descriptors, a stream. Refused: the induction step fails. Equivalent: no property of "
            "the block speaks of it, for the reason given; the simulations do.",
            SOURCES,
        ),
        jobs=jobs,
        fewest=FEWEST,
        list_only=list_only,
        write=write,
        select=concerned,
    )


if __name__ == "__main__":
    run_module("descring_sim.mutation.formal", main)
