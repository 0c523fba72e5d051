# SPDX-License-Identifier: Apache-2.0
"""``descring campaign``: random lines through the RTL against the golden model, by the million."""

from __future__ import annotations

import os
import time

import click

from descring_sim.backends import say
from descring_sim.progress import progress_bar
from descring_sim.runner import new_seed

MISMATCH, ERROR = 1, 2


@click.command()
@click.option(
    "--lines", type=click.IntRange(min=1), default=1_000_000, show_default=True, help="How many."
)
@click.option("--seed", type=click.IntRange(min=0), help="Of everything; drawn when left out.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 1024),
    help="Processes that share the work.  [default: one a core]",
)
@click.option("--chunk", type=click.IntRange(min=0), help="Run only the chunk of this number.")
def campaign(lines: int, seed: int | None, jobs: int | None, chunk: int | None) -> None:
    """Push random lines through the RTL and compare every answer with the golden model.

    The RTL is the library that Verilator compiled, with its assertions on. What is done, and the
    digest at the end, depends on --seed and --lines alone. Exit code 1: an answer differs; 2: the
    RTL failed.
    """
    # Imported late: the stream commands must not need a compiler.
    from descring_sim import campaign as campaigns

    seed = new_seed() if seed is None else seed
    config = campaigns.configuration()
    config.build(say)
    work = campaigns.chunks(seed, lines)
    if chunk is not None:
        if chunk >= len(work):
            raise click.BadParameter(
                f"expected a chunk from 0 to {len(work) - 1} of {lines} lines, got {chunk}",
                param_hint="--chunk",
            )
        work = [work[chunk]]
    processes = min(jobs or os.cpu_count() or 1, len(work))
    began = time.monotonic()
    outcomes = []
    with progress_bar() as bar:
        task = bar.add_task(f"seed {seed}", total=sum(item.lines for item in work))
        running = campaigns.run(
            work,
            config,
            processes=processes,
            progress=lambda outcome: bar.advance(task, outcome.lines),
        )
        for outcome in running:
            outcomes.append(outcome)
            if outcome.problem is not None:
                running.close()
                break
    last = outcomes[-1]
    if last.problem is not None:
        failed = next(item for item in work if item.number == last.number)
        click.echo(f"{failed}\n  {last.problem}", err=True)
        click.echo(
            f"rerun: descring campaign --lines {lines} --seed {seed} --chunk {last.number}",
            err=True,
        )
        click.get_current_context().exit(MISMATCH if last.mismatch else ERROR)
    seconds = time.monotonic() - began
    count, cycles = sum(item.lines for item in outcomes), sum(item.cycles for item in outcomes)
    click.echo(
        f"matched {count} lines in {seconds:.1f} s, {cycles} cycles, seed {seed}, "
        f"digest {campaigns.digest_of(outcomes)}"
    )
