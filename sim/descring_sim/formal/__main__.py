# SPDX-License-Identifier: Apache-2.0
"""Proves the RTL: ``descring dev formal [BLOCK[/TASK]]...``.

Exit codes: 0 all proven and every cover reached, 1 something is not, 2 an error in what was asked
for.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import click

from descring_sim.formal import proofs, summary, tasks
from descring_sim.formal.proofs import Outcome
from descring_sim.formal.session import SOURCES, chosen, failure_text, out_dir
from descring_sim.formal.tasks import Task
from descring_sim.support import paths, provenance
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError


def prove_all(todo: Sequence[Task], jobs: int, *, fresh: bool) -> list[tuple[Task, Outcome]]:
    """Run the tasks, ``jobs`` at a time; prints each as it ends, returns them in their order."""
    outcomes: dict[Task, Outcome] = {}
    # Covers are short; started last, they fill what the long proofs leave.
    order = sorted(todo, key=lambda task: task.kind == "cover")
    with ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(proofs.prove, task, out_dir(), fresh=fresh): task for task in order}
        try:
            for future in as_completed(futures):
                task, outcome = futures[future], future.result()
                outcomes[task] = outcome
                kept = " (as before)" if outcome.cached else ""
                click.echo(
                    f"[{len(outcomes):{len(str(len(todo)))}}/{len(todo)}] {outcome.status:<7} "
                    f"{task!s:<36} {outcome.seconds:6.1f} s{kept}",
                    err=True,
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [(task, outcomes[task]) for task in todo]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, metavar="[BLOCK[/TASK]]...")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--quick", is_flag=True, help="Only the proofs that are part of make test.")
@click.option("--fresh", is_flag=True, help="Prove again what is known to be proven.")
@click.option("--list", "list_only", is_flag=True, help="Print the tasks and prove nothing.")
@click.option("--write", is_flag=True, help="Write docs/results/proofs.md too.")
def main(
    names: tuple[str, ...], jobs: int, quick: bool, fresh: bool, list_only: bool, write: bool
) -> None:
    """Prove the properties in formal/ of the RTL, for all inputs; show that none is vacuous.

    BLOCK is a module, TASK one of its configurations, as --list shows them. What passed is not
    proven again until one of its files or a tool changes.
    """
    if write and (names or quick):
        raise click.UsageError("--write wants all proofs; name none")
    try:
        known = tasks.load(tasks.formal_dir())
        todo = chosen(known, names, quick=quick)
        if list_only:
            for task in todo:
                click.echo(f"{task!s:<36} {' '.join(sorted(task.tags - {task.name}))}")
            return
        commit = provenance.commit(*SOURCES) if write else ""
        started = time.monotonic()
        results = prove_all(todo, jobs, fresh=fresh)
    except SimulationError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    wall = time.monotonic() - started
    click.echo(summary.text(summary.rows(results)))
    click.echo(f"\n{summary.closing(results)}; {wall:.0f} s on the clock")
    if write:
        page = paths.checkout_root() or Path()
        summary.write_page(
            page / "docs" / "results" / "proofs.md", results, commit=commit, wall=wall, jobs=jobs
        )
    bad = [(task, outcome) for task, outcome in results if outcome.status != "pass"]
    for task, outcome in bad:
        click.echo(failure_text(task, outcome), err=True)
    if bad or not results:
        sys.exit(1)


if __name__ == "__main__":
    run_module("descring_sim.formal", main)
