# SPDX-License-Identifier: Apache-2.0
"""What proofs and their mutants share: sources, folders, selection, report of a failure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from descring_sim.formal import counterexample, proofs
from descring_sim.formal.proofs import Outcome
from descring_sim.formal.tasks import Task
from descring_sim.support import paths

SOURCES = ("rtl", "formal", "sim")
"""What the outcome of a run depends on."""


def out_dir() -> Path:
    """The folder of runs, traces and kept outcomes."""
    return paths.build_dir() / "formal"


def chosen(known: Sequence[Task], names: Sequence[str], *, quick: bool) -> list[Task]:
    """The tasks that ``names`` (blocks, or block/task) stand for; all for none.

    Raises:
        click.UsageError: a name stands for nothing.
    """
    for name in names:
        if not any(name in (task.block, str(task)) for task in known):
            blocks = ", ".join(dict.fromkeys(task.block for task in known))
            raise click.UsageError(
                f"there is no proof {name!r}; expected a block of {blocks}, or block/task "
                "as --list shows them"
            )
    return [
        task
        for task in known
        if (str(task) in names or (task.kind != "trace" and (not names or task.block in names)))
        and (not quick or "quick" in task.tags)
    ]


def failure_text(task: Task, outcome: Outcome) -> str:
    """What to know about a task that did not pass, down to the command that repeats it."""
    sentences = {item.name: item.sentence for item in task.properties()}
    lines = [f"{task}: {outcome.status}", *(["  " + outcome.message] if outcome.message else [])]
    for name in outcome.failed:
        stated = sentences.get(
            proofs.leaf(name).removesuffix("_reached"), "an assertion of the RTL"
        )
        lines.append(f"  {name}: {stated}")
    if outcome.status == "unknown":
        lines.append("  true as far as was looked, but the induction step does not hold")
    if outcome.trace is not None:
        lines.append(f"  waveform: {outcome.trace}")
        rtl = task.sby.parent.parent / "rtl"
        refuted = outcome.status == "fail"
        written = counterexample.write(Path(outcome.trace), rtl) if refuted else None
        if written is not None:
            lines += [f"  stream:   {written[0]}; replay with", *(f"    {c}" for c in written[1])]
    lines.append(f"  again:    .venv/bin/descring dev formal {shlex.quote(str(task))}")
    return "\n".join(lines)
