# SPDX-License-Identifier: Apache-2.0
"""Applies the mutants of ``sim/mutants`` to a copy of the RTL; the proofs must kill every one.

A mutant of ``<block>.sv``, or of a module that is proven within that block, is tried on the tasks
of ``formal/<block>.sby`` that carry the tag ``mutants``, until one does not pass. It is refuted
when there is a counterexample, and refused when only the induction step fails: the proof does not
go through, without a trace from reset that shows why. An entry with ``unproven = "reason"`` breaks
what no property of the block states, and must pass.

Exit codes: 0 every mutant killed, 1 one survived or does not build, 2 an error in what was asked
for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from descring_sim.formal import proofs, tasks
from descring_sim.formal.proofs import Outcome
from descring_sim.formal.session import SOURCES, failure_text, out_dir
from descring_sim.formal.tasks import Task
from descring_sim.mutation import session
from descring_sim.mutation.session import CopyRunner, Finding, nothing_found
from descring_sim.support import paths
from descring_sim.support.click_program import run_module
from descring_sim.support.mutant import Mutant

TAG = "mutants"

REPORT = "report.txt"
"""What a refuted mutant leaves in its folder: property, waveform, stream, how to replay it."""

FEWEST = 30
"""Fewer mutants than this prove little about the properties."""


PROVEN_WITHIN = {
    "burst_gather": "comp_writer",
    "event_flags": "mmio_regs",
    "index_moves": "mmio_regs",
    "length_score": "rollout_worker_fsm",
    "line_accept": "rollout_worker_fsm",
    "ring_config": "mmio_regs",
    "ring_room": "comp_writer",
}
"""Modules without a proof of their own, and the block whose properties state what they do."""


def block_of(file: str | Path) -> str:
    """The block whose proof speaks of the module in ``file``."""
    module = Path(file).stem
    return PROVEN_WITHIN.get(module, module)


def judge(mutant: Mutant, task: Task, outcome: Outcome) -> Finding:
    """What the outcome of ``task`` on a copy with ``mutant`` means for it, and why."""
    if outcome.status == "unknown" and mutant.equivalent and not mutant.unproven:
        # Without a trace from reset nothing speaks against the entry; the invariants are stricter.
        return Finding("equivalent", mutant.equivalent)
    if outcome.status == "pass":
        found = nothing_found(mutant)
        return found if found.status == "equivalent" else Finding("survived", str(task))
    if outcome.status == "error":
        return Finding("invalid", outcome.message)
    return Finding("killed", proofs.objection(task, outcome))


@dataclass(frozen=True)
class MutantRunner(CopyRunner):
    """Runs the proofs on mutants.

    Attributes:
        root: folder of the copies and their runs.
    """

    root: Path

    def sources(self) -> dict[str, Path]:
        """Return RTL and properties."""
        return {"rtl": paths.rtl_dir(), "formal": tasks.formal_dir()}

    def clean(self, home: Path) -> None:
        """Keep everything: traces and report of a refuted mutant are for people."""

    def judge(self, mutant: Mutant, home: Path, source: Path) -> Finding:
        """Run the tasks of the mutant's block until one does not pass.

        An outcome is kept by the hash of the mutated sources, so that a stopped campaign resumes.
        """
        seconds = 0.0
        found = Finding("invalid", f"no task with the tag {TAG}")
        for task in tasks.read(home / "formal" / f"{block_of(source)}.sby"):
            if TAG not in task.tags:
                continue
            outcome = proofs.run_once(task, home / "out", self.root / "outcomes")
            seconds += outcome.seconds
            found = judge(mutant, task, outcome)._replace(seconds=seconds)
            if outcome.status != "pass":
                if outcome.status == "fail" and not outcome.cached:
                    (home / REPORT).write_text(failure_text(task, outcome), encoding="utf-8")
                break
        return found


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
        if block_of(mutant.file) in blocks
    ]


main = session.command(
    "Mutate the RTL; the proofs must kill every mutant.",
    "",
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
    FEWEST,
    concerned,
)


if __name__ == "__main__":
    run_module("descring_sim.mutation.formal", main)
