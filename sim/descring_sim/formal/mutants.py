# SPDX-License-Identifier: Apache-2.0
"""Plants the mistakes of ``sim/mutants`` in a copy of the RTL; the proofs must refuse every one.

A mistake in ``<block>.sv`` is tried on the tasks of ``formal/<block>.sby`` that carry the tag
``mutants``, until one does not pass. It is refuted when a counterexample comes out, and refused
when only the induction step fails: the proof does not go through, without a trace from reset that
shows why. An entry with ``unproven = "reason"`` breaks what no property of the block states.

Exit codes: 0 every mistake refuted or refused, 1 one passed or does not build, 2 an error in what
was asked for.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click

from descring_sim import paths, revision
from descring_sim.errors import SimulationError
from descring_sim.formal import proofs, tasks
from descring_sim.formal.__main__ import SOURCES, failure_text, out_dir
from descring_sim.formal.proofs import Outcome
from descring_sim.formal.tasks import Task
from descring_sim.gen.markdown import table
from descring_sim.mutant_list import Mutant, MutantError, load
from descring_sim.mutants import chosen

TAG = "mutants"

Status = Literal["refuted", "refused", "unproven", "passed", "invalid"]

FEWEST_A_BLOCK = 2
"""Fewer planted mistakes prove little about the properties of a block."""


@dataclass(frozen=True)
class Verdict:
    """What became of one mistake: the property that it broke, or why it is none."""

    mutant: Mutant
    task: Task
    status: Status
    by: str
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the proofs did with it what its entry says."""
        wanted = ("unproven",) if self.mutant.unproven else ("refuted", "refused")
        return self.status in wanted


def tasks_by_file(known: Sequence[Task]) -> dict[str, list[Task]]:
    """RTL file and the tasks that its mistakes are tried on."""
    found: dict[str, list[Task]] = {}
    for task in known:
        if TAG in task.tags:
            found.setdefault(f"{task.block}.sv", []).append(task)
    return found


def _judge(mutant: Mutant, outcome: Outcome) -> tuple[Status, str]:
    names = ", ".join(dict.fromkeys(proofs.leaf(name) for name in outcome.failed))
    if outcome.status == "pass":
        return ("unproven", mutant.unproven) if mutant.unproven else ("passed", "nothing")
    if outcome.status == "error":
        return "invalid", outcome.message
    return ("refuted" if outcome.status == "fail" else "refused"), names


def try_mutant(mutant: Mutant, own: Sequence[Task], root: Path) -> Verdict:
    """Plant ``mutant`` in a copy of the sources below ``root`` and run its tasks on it."""
    started = time.monotonic()
    task = own[0]
    status: Status = "invalid"
    by = "no task"
    home = root / mutant.name
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(task.sby.parent, home / "formal")
    shutil.copytree(paths.rtl_dir(), home / "rtl")
    source = home / "rtl" / mutant.file
    try:
        source.write_text(mutant.mutate(source.read_text(encoding="utf-8")), encoding="utf-8")
        for task in tasks.read(home / "formal" / own[0].sby.name):
            if TAG in task.tags:
                outcome = proofs.run(task, home / "out")
                status, by = _judge(mutant, outcome)
                if outcome.status != "pass":
                    break
        if status == "refuted":
            (home / "report.txt").write_text(failure_text(task, outcome), encoding="utf-8")
    except (MutantError, SimulationError) as error:
        status, by = "invalid", str(error)
    return Verdict(mutant, task, status, by, time.monotonic() - started)


def try_all(todo: Sequence[tuple[Mutant, list[Task]]], jobs: int) -> list[Verdict]:
    """Try all, ``jobs`` at a time; prints each as it is done, returns them in order."""
    verdicts: dict[str, Verdict] = {}
    root = out_dir() / "mutants"
    with ThreadPoolExecutor(jobs) as pool:
        tries = [pool.submit(try_mutant, mutant, own, root) for mutant, own in todo]
        try:
            for done in as_completed(tries):
                verdict = done.result()
                verdicts[verdict.mutant.name] = verdict
                click.echo(
                    f"[{len(verdicts):{len(str(len(todo)))}}/{len(todo)}] {verdict.status:<8} "
                    f"{verdict.mutant.name:<32} {verdict.seconds:5.1f} s  {verdict.by}"
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [verdicts[mutant.name] for mutant, _ in todo]


def score(verdicts: Sequence[Verdict]) -> str:
    """The result in one line."""
    counts = Counter(verdict.status for verdict in verdicts)
    kinds = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{len(verdicts)} planted mistakes: {kinds}"


_PAGE = """\
# Planted mistakes and the proofs

`make formal-mutants` on {today}, commit {commit}: **{score}**.

Refuted: a counterexample from reset came out, a waveform and where it takes lines a stream.
Refused: the induction step fails. Unproven: no property of the block speaks of it, simulations do.

"""


def write_page(path: Path, verdicts: Sequence[Verdict], commit: str) -> None:
    """Write the results page."""
    page = _PAGE.format(today=revision.today(), commit=commit, score=score(verdicts))
    rows = (
        (
            verdict.mutant.name,
            str(verdict.task),
            verdict.mutant.breaks,
            verdict.status,
            verdict.by,
            f"{verdict.seconds:.1f}",
        )
        for verdict in verdicts
    )
    head = ("mistake", "proof", "what it breaks", "outcome", "by", "seconds")
    path.write_text(page + table(head, rows).rstrip("\n") + "\n", encoding="utf-8")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--only", multiple=True, metavar="ID", help="Try this mistake only; may be repeated.")
@click.option("--write", is_flag=True, help="Write docs/results/proof-mutants.md too.")
def main(jobs: int, only: tuple[str, ...], write: bool) -> None:
    """Plant mistakes in the RTL; the proofs must refuse every one."""
    if write and only:
        raise click.UsageError("--write wants all mistakes; leave --only out")
    try:
        by_file = tasks_by_file(tasks.load(tasks.formal_dir()))
        root = tasks.formal_dir().parent
        listed = [item for item in load(root / "sim" / "mutants") if item.file in by_file]
        mutants = chosen(listed, only)
    except (MutantError, SimulationError) as error:
        raise click.UsageError(str(error)) from error
    commit = revision.commit(*SOURCES) if write else ""
    started = time.monotonic()
    verdicts = try_all([(mutant, by_file[mutant.file]) for mutant in mutants], jobs)
    click.echo(f"\n{score(verdicts)}, in {time.monotonic() - started:.0f} s")
    if write:
        write_page(root / "docs" / "results" / "proof-mutants.md", verdicts, commit)
    bad = [verdict for verdict in verdicts if not verdict.good]
    for verdict in bad:
        click.echo(
            f"{verdict.status}: {verdict.mutant.name} ({verdict.mutant.breaks}): {verdict.by}; "
            f"again with --only {verdict.mutant.name}",
            err=True,
        )
    if bad:
        sys.exit(1)


if __name__ == "__main__":
    main()
