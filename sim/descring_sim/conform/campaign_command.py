# SPDX-License-Identifier: Apache-2.0
"""``descring conform-campaign``: the suite over many seeds."""

from __future__ import annotations

import datetime
import os
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from descring_sim.conform.campaign import Campaign, State, local_shards, run_campaign
from descring_sim.conform.command import DEFAULT_TIMEOUT_S, describe, folder_of, origin, show
from descring_sim.conform.errors import ConformError
from descring_sim.conform.ray_pool import ray_shards
from descring_sim.conform.report.write import write_report
from descring_sim.conform.suite.registry import select
from descring_sim.conform.verdict import Verdict, skipped, versions


@click.command("conform-campaign")
@click.argument("reference", metavar="IMPLEMENTATION")
@click.option("--count", type=click.IntRange(1, 10**9), default=100, show_default=True)
@click.option("--first-seed", type=click.IntRange(0, 2**30), default=1, show_default=True)
@click.option("--only", multiple=True, metavar="RULE|TEST", help="May be repeated; RING-* too.")
@click.option("--smoke", is_flag=True, help="The quick tests alone.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 4096),
    default=os.cpu_count() or 1,
    show_default="the cores",
    help="Workers at a time.",
)
@click.option("--timeout", "timeout_s", type=float, default=DEFAULT_TIMEOUT_S, show_default=True)
@click.option(
    "--ray",
    "address",
    metavar="ADDRESS",
    help="Run on a Ray cluster: its address, auto, or local for one on this machine.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Keep finished seeds there, and go on from them when called again.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
def conform_campaign(
    reference: str,
    count: int,
    first_seed: int,
    only: tuple[str, ...],
    smoke: bool,
    jobs: int,
    timeout_s: float,
    address: str | None,
    state: Path | None,
    output: Path | None,
) -> int:
    """Judge IMPLEMENTATION over COUNT seeds; one merged report.

    With --ray the file or class that names it, and descring, must be on every machine of the
    cluster at the same place. Exit codes are those of conform.
    """
    started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    tests = select(only, smoke=smoke)
    folder = folder_of(reference)
    description = describe(reference, folder)
    left_out = {test.id: r for test in tests if (r := skipped(test, description, first_seed))}
    wanted = tuple(test.id for test in tests if test.id not in left_out)
    if not wanted:
        raise ConformError(
            f"{reference}: none of the {len(tests)} tests is within its capabilities"
        )
    plan = Campaign(reference, folder, wanted, first_seed, count, timeout_s)
    kept = State(state, plan)
    if kept.done:
        click.echo(f"{state}: {len(kept.done)} of {count} seeds are there", err=True)
    console = Console(stderr=True)
    columns = (
        *(TextColumn("{task.description}"), BarColumn()),
        *(MofNCompleteColumn(), TimeRemainingColumn()),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        line = bar.add_task(f"{reference}, seeds", total=count)
        results = run_campaign(
            plan,
            kept,
            jobs=jobs,
            shards=local_shards if address is None else ray_shards(address),
            progress=lambda done: bar.update(line, completed=done),
        )
    by_id = {result.test: result for result in results} | left_out
    verdict = Verdict(
        reference=reference,
        description=description,
        results=tuple(by_id[test.id] for test in tests),
        selected=tuple(tests),
        seed=first_seed,
        seconds=time.monotonic() - clock,
        started=started,
        versions=versions() | {"seeds": f"{count} from {first_seed}"} | origin(reference),
    )
    show(verdict, alone=False)
    click.echo(f"{count} seeds, {count * len(wanted)} tests")
    if output is not None:
        click.echo(f"report: {write_report(output, verdict)[0]}")
    return 0 if verdict.ok else 1
