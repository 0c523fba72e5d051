# SPDX-License-Identifier: Apache-2.0
"""A campaign of the conformance suite from beginning to end: its state, progress and verdict."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from pathlib import Path

import click
from rich.markup import escape

from descring_sim.campaign.ray import ray_shards
from descring_sim.campaign.records import merge
from descring_sim.campaign.seeds import Campaign, State, local_shards, run_campaign
from descring_sim.conform.errors import ConformError
from descring_sim.conform.report.terminal import show
from descring_sim.conform.report.write import write_report
from descring_sim.conform.session import describe, folder_of, made_of, origin
from descring_sim.conform.suite.catalogue import select
from descring_sim.conform.verdict import Verdict, skipped, versions
from descring_sim.support.progress import progress_bar
from descring_sim.support.visible import visible


@dataclass(frozen=True)
class SuiteCampaign:
    """What is asked for: ``count`` seeds from ``first_seed``; see ``descring campaign --help``."""

    reference: str
    count: int
    first_seed: int
    only: tuple[str, ...]
    smoke: bool
    sampled: bool
    jobs: int
    timeout_s: float
    address: str | None
    state: Path | None
    output: Path | None


def judge_seeds(wanted: SuiteCampaign) -> int:
    """Run the campaign and show its verdict; the exit code of ``descring conform``.

    Raises:
        ConformError: the implementation cannot be found or built, or no test is within its claims.
    """
    started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    reference, first_seed, count = wanted.reference, wanted.first_seed, wanted.count
    tests = select(wanted.only, smoke=wanted.smoke)
    if wanted.sampled:
        tests = [test for test in tests if "exhaustive" not in test.needs]
    folder = folder_of(reference)
    description = describe(reference, folder)
    if wanted.smoke and not wanted.only:
        tests = [test for test in tests if test.is_quick(description.capabilities)]
    left_out = {test.id: r for test in tests if (r := skipped(test, description, first_seed))}
    claimed = tuple(test.id for test in tests if test.id not in left_out)
    if not claimed:
        raise ConformError(
            f"{reference}: none of the {len(tests)} tests is within its capabilities"
        )
    plan = Campaign(
        reference,
        folder,
        claimed,
        first_seed,
        count,
        wanted.timeout_s,
        implementation=description.sha256,
        contract_version=description.capabilities.contract_version,
        sampled=wanted.sampled,
    )
    kept = State(wanted.state, plan)
    if kept.done:
        click.echo(f"{wanted.state}: {len(kept.done)} of {count} seeds are there", err=True)
    try:
        with progress_bar() as bar:
            line = bar.add_task(escape(visible(f"{reference}, seeds")), total=count)
            results = run_campaign(
                plan,
                kept,
                jobs=wanted.jobs,
                shards=local_shards if wanted.address is None else ray_shards(wanted.address),
                progress=lambda done: bar.update(line, completed=done),
            )
    except BaseException:
        if kept.done:
            click.echo(_so_far(plan, kept, wanted.state), err=True)
        raise
    by_id = {result.test: result for result in results} | left_out
    verdict = Verdict(
        reference=reference,
        description=description,
        results=tuple(by_id[test.id] for test in tests),
        selected=tuple(tests),
        seed=first_seed,
        seconds=time.monotonic() - clock,
        started=started,
        versions={
            **versions(),
            **made_of(description),
            "seeds": f"{count} from {first_seed}" + ", sampled" * wanted.sampled,
            **origin(reference),
        },
    )
    show(verdict, alone=False)
    click.echo(f"{count} seeds, {count * len(claimed)} tests")
    if wanted.output is not None:
        click.echo(f"report: {write_report(wanted.output, verdict)[0]}")
    return 0 if verdict.ok else 1


def _so_far(plan: Campaign, kept: State, path: Path | None) -> str:
    """What a campaign has shown that does not end, in a line for each failed test."""
    failed = [result for result in merge(kept.results) if result.status.bad]
    shown = f"{len(failed)} failed" if failed else "none failed"
    lines = [
        f"{len(kept.done)} of {plan.count} seeds are done, {len(plan.tests)} tests each: {shown}"
    ]
    lines += [f"  {result.test} {result.status} with seed {result.seed}" for result in failed]
    if path is not None:
        lines.append(f"the same command continues from {visible(str(path))}")
    return "\n".join(lines)
