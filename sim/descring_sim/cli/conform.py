# SPDX-License-Identifier: Apache-2.0
"""``descring conform``: the verdict on implementations."""

from __future__ import annotations

import re
from pathlib import Path

import click
from rich.console import Console

from descring_sim.conform.duts.dut_file import notice
from descring_sim.conform.errors import UnavailableError
from descring_sim.conform.report.against import compare, read_earlier
from descring_sim.conform.report.terminal import show
from descring_sim.conform.report.write import write_report
from descring_sim.conform.session import judge_one
from descring_sim.conform.suite.catalogue import select
from descring_sim.replay.registry import BACKENDS
from descring_sim.support.click_options import jobs_option, suite_options

DEFAULT_SEED = 1
_NAME_MAX = 100


@click.command()
@click.argument("duts", metavar="[IMPLEMENTATION]...", nargs=-1)
@suite_options()
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=DEFAULT_SEED, show_default=True)
@jobs_option("Tests")
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="VERDICT",
    help="Compare with the verdict.json of an earlier run, test by test.",
)
@click.option("--list", "list_only", is_flag=True, help="Print the tests and run none.")
def conform(
    duts: tuple[str, ...],
    only: tuple[str, ...],
    smoke: bool,
    seed: int,
    jobs: int,
    timeout_s: float,
    output: Path | None,
    against: Path | None,
    list_only: bool,
) -> int:
    """Judge implementations of the contract, rule by rule.

    IMPLEMENTATION is one of our backends, a .toml file that describes a foreign one, file.py:Class,
    or the name of an installed plugin. Without one, all our backends are judged.

    Exit code 0 when all conform, 1 when one does not, 2 when nothing could be judged; --against
    does not change it.
    """
    if against is not None and len(duts) != 1:
        raise click.UsageError(f"--against: expected one IMPLEMENTATION, got {len(duts)}")
    tests = select(only, smoke=smoke)
    if list_only:
        for test in tests:
            needs = ", ".join(sorted(test.needs))
            click.echo(f"{test.id:<44} {test.what}\n{'':<44} needs {needs}")
        return 0
    earlier = None if against is None else read_earlier(against)
    console = Console(stderr=True)
    taken: set[str] = set()
    verdicts = []
    for reference in duts or tuple(BACKENDS):
        if text := notice(Path(reference)):
            click.echo(f"descring: notice: {text}", err=True)
        try:
            verdict = judge_one(
                reference,
                tests,
                seed=seed,
                jobs=jobs,
                timeout_s=timeout_s,
                console=console,
                smoke=smoke and not only,
            )
        except UnavailableError as error:
            if duts:
                raise
            click.echo(f"{reference} is not judged: {error}")
            continue
        verdicts.append(verdict)
        comparison = None if earlier is None else compare(earlier, verdict)
        show(verdict, alone=len(duts) == 1, comparison=comparison)
        if output is not None:
            many = len(duts) != 1
            folder = output / _folder(verdict.description.name, taken) if many else output
            click.echo(f"report: {write_report(folder, verdict, comparison)[0]}")
    return 0 if verdicts and all(verdict.ok for verdict in verdicts) else 1


def _folder(name: str, taken: set[str]) -> str:
    """A folder for the report of ``name`` that is no other's, and none outside."""
    plain = re.sub(r"[^\w.-]+", "_", name)[:_NAME_MAX].strip(".") or "unnamed"
    found, number = plain, 1
    while found.lower() in taken:
        number += 1
        found = f"{plain}-{number}"
    taken.add(found.lower())
    return found
