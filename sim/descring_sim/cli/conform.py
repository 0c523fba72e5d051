# SPDX-License-Identifier: Apache-2.0
"""``descring conform``: the verdict on implementations."""

from __future__ import annotations

import datetime
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from descring_sim.conform.dut import Description
from descring_sim.conform.errors import ConformError, UnavailableError
from descring_sim.conform.report.terminal import print_failures, print_table, summary
from descring_sim.conform.report.write import write_report
from descring_sim.conform.status import TestResult
from descring_sim.conform.suite.catalogue import Test, select
from descring_sim.conform.verdict import Verdict, commit_of, skipped, versions
from descring_sim.conform.worker_pool import Task, Worker, run_all, with_waves
from descring_sim.replay.registry import BACKENDS
from descring_sim.support import paths
from descring_sim.support.click_options import jobs_option, suite_options

DEFAULT_SEED = 1
WAVED = 3
"""Failures that are repeated with waves."""


def folder_of(reference: str) -> Path:
    """The folder of an implementation's builds."""
    name = re.sub(
        r"[^\w.-]+", "_", str(Path(reference).resolve() if "/" in reference else reference)
    )
    return paths.build_dir() / "conform" / name[-80:]


def judge_one(
    reference: str,
    tests: Sequence[Test],
    *,
    seed: int,
    jobs: int,
    timeout_s: float,
    console: Console,
) -> Verdict:
    """Build one implementation and run ``tests`` on it.

    Raises:
        ConformError: it cannot be found or built.
    """
    started, clock = datetime.datetime.now(datetime.UTC), time.monotonic()
    folder = folder_of(reference)
    with console.status(f"{reference}: building") if console.is_terminal else _Quiet():
        description = describe(reference, folder)
    results = {
        test.id: result
        for test in tests
        if (result := skipped(test, description, seed)) is not None
    }
    tasks = [Task(test.id, seed) for test in tests if test.id not in results]
    if not tasks:
        raise ConformError(
            f"{reference}: none of the {len(tests)} tests is within its capabilities; "
            f"the first {results[tests[0].id].reason}"
        )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        line = bar.add_task(reference, total=len(tasks))

        def done(result: TestResult) -> None:
            results[result.test] = result
            bar.update(line, advance=1, description=f"{reference} {result.test}")

        run_all(reference, folder, tasks, jobs=jobs, timeout_s=timeout_s, done=done)
    if description.waves:
        _add_waves(reference, folder, results, timeout_s)
    return Verdict(
        reference=reference,
        description=description,
        results=tuple(results[test.id] for test in tests),
        selected=tuple(tests),
        seed=seed,
        seconds=time.monotonic() - clock,
        started=started,
        versions=versions() | origin(reference),
    )


class _Quiet:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def describe(reference: str, folder: Path) -> Description:
    """Build the implementation in a process of its own; who it is.

    Raises:
        ConformError: it cannot be found or built.
    """
    worker = Worker(reference, folder)
    try:
        return worker.start()
    finally:
        worker.close()


def origin(reference: str) -> dict[str, str]:
    """The commit that a foreign implementation's file is at, for the report."""
    place = Path(reference.partition(":")[0])
    if not place.is_file():
        return {}
    commit = commit_of(place.resolve().parent)
    return {"implementation's commit": commit} if commit else {}


def _add_waves(
    reference: str, folder: Path, results: dict[str, TestResult], timeout_s: float
) -> None:
    """Repeat the first failures with waves on; the result itself stays that of the first run."""
    failed = [r for r in results.values() if r.status.bad and r.failure and not r.failure.waves]
    tasks = [with_waves(Task(result.test, result.seed)) for result in failed[:WAVED]]
    for again in run_all(reference, folder, tasks, jobs=1, timeout_s=timeout_s):
        first = results[again.test]
        if again.failure and again.failure.waves and first.failure:
            failure = replace(first.failure, waves=again.failure.waves)
            results[again.test] = replace(first, failure=failure)


@click.command()
@click.argument("duts", metavar="[IMPLEMENTATION]...", nargs=-1)
@suite_options()
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=DEFAULT_SEED, show_default=True)
@jobs_option("Tests")
@click.option("--list", "list_only", is_flag=True, help="Print the tests and run none.")
def conform(
    duts: tuple[str, ...],
    only: tuple[str, ...],
    smoke: bool,
    seed: int,
    jobs: int,
    timeout_s: float,
    output: Path | None,
    list_only: bool,
) -> int:
    """Judge implementations of the contract, rule by rule.

    IMPLEMENTATION is one of our backends, a .toml file that describes a foreign one, file.py:Class,
    or the name of an installed plugin. Without one, all our backends are judged.

    Exit code 0 when all conform, 1 when one does not, 2 when nothing could be judged.
    """
    tests = select(only, smoke=smoke)
    if list_only:
        for test in tests:
            needs = ", ".join(sorted(test.needs))
            click.echo(f"{test.id:<44} {test.what}\n{'':<44} needs {needs}")
        return 0
    console = Console(stderr=True)
    verdicts = []
    for reference in duts or tuple(BACKENDS):
        try:
            verdict = judge_one(
                reference, tests, seed=seed, jobs=jobs, timeout_s=timeout_s, console=console
            )
        except UnavailableError as error:
            if duts:
                raise
            click.echo(f"{reference} is not judged: {error}")
            continue
        verdicts.append(verdict)
        show(verdict, alone=len(duts) == 1)
        if output is not None:
            many = len(duts) != 1
            name = re.sub(r"[^\w.-]+", "_", verdict.description.name)
            page = write_report(output / name if many else output, verdict)[0]
            click.echo(f"report: {page}")
    return 0 if verdicts and all(verdict.ok for verdict in verdicts) else 1


def show(verdict: Verdict, *, alone: bool) -> None:
    """Print a verdict; with the table by rule if it is ``alone``."""
    console = Console(highlight=False)
    if alone:
        print_table(console, verdict)
    print_failures(console, verdict)
    click.echo(summary(verdict))
