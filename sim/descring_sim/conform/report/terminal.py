# SPDX-License-Identifier: Apache-2.0
"""The verdict in a terminal."""

from __future__ import annotations

import click
from descring_model import contract
from rich.console import Console
from rich.table import Table
from rich.text import Text

from descring_sim.conform.report.against import Change, Comparison
from descring_sim.conform.report.lines import field_diff
from descring_sim.conform.status import Status, TestResult
from descring_sim.conform.verdict import Verdict, section_title

STYLES = {
    Status.PASSED: "green",
    Status.FAILED: "bold red",
    Status.HUNG: "bold magenta",
    Status.ERROR: "bold red",
    Status.NOT_CLAIMED: "yellow",
    Status.NOT_APPLICABLE: "dim",
}
CHANGE_STYLES = {Change.WORSE: "bold red", Change.OTHER: "red", Change.BETTER: "green"}
SHOWN = 5
"""Failures that are shown whole; the reports have all."""
CHANGES = 20
"""Changed tests that are listed."""


def print_table(console: Console, verdict: Verdict) -> None:
    """One row for each rule."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name, width in (("rule", 9), ("status", 14), ("tests", 6)):
        table.add_column(name, min_width=width, no_wrap=True)
    table.add_column("", overflow="fold", ratio=1)
    section = 0
    for row in verdict.rows():
        if row.rule.section != section:
            section = row.rule.section
            table.add_row("", "", "", Text(section_title(section).replace("`", ""), style="bold"))
        ran = sum(r.status not in (Status.NOT_CLAIMED, Status.NOT_APPLICABLE) for r in row.results)
        text = Text(row.reason or row.rule.text)
        room = max(20, console.width - 36)
        text.truncate(3 * room if row.status.bad else room, overflow="ellipsis")
        status = Text(row.status.value, style=STYLES[row.status])
        table.add_row(row.rule.rule, status, f"{row.passed}/{ran}" if ran else "", text)
    console.print(table)


def print_failures(console: Console, verdict: Verdict) -> None:
    """The first failures, with the difference and the command that repeats each."""
    for result in verdict.failures[:SHOWN]:
        _print_failure(console, verdict, result)
    more = len(verdict.failures) - SHOWN
    if more > 0:
        console.print(f"and {more} more; write all of them with --output DIR")


def _print_failure(console: Console, verdict: Verdict, result: TestResult) -> None:
    failure = result.failure
    console.print(Text(f"{result.test}: {result.status.value}", style=STYLES[result.status]))
    if failure is not None:
        console.print(Text(f"  {failure.text}"))
        if failure.rules:
            console.print(Text(f"  breaks {', '.join(failure.rules)}"))
        for line in field_diff(failure.diff):
            console.print(Text(f"    {line.text()}", style="red" if line.differs else ""))
        if failure.waves:
            console.print(Text(f"  waves:  {failure.waves}"), soft_wrap=True)
        if failure.log:
            console.print(Text("  log:    " + failure.log.strip().splitlines()[-1]))
    console.print(Text(f"  repeat: {verdict.rerun(result)}"), soft_wrap=True)


def summary(verdict: Verdict) -> str:
    """The verdict in one line."""
    counts = verdict.counts
    parts = [f"{counts[status]} {status.value}" for status in Status if counts[status]]
    lines = sum(verdict.bins.values())
    word = "conforms" if verdict.ok else "does not conform"
    if verdict.ok and verdict.partial:
        word = f"conforms in part ({verdict.partial})"
    text = (
        f"{verdict.description.name} {word}{_version(verdict)}: {', '.join(parts)}; {lines} lines, "
        f"seed {verdict.seed}, {verdict.seconds:.1f} s"
    )
    named = verdict.named
    if named:
        text += f"; broken: {', '.join(rule for rule, _ in named.most_common(12))}"
    return text


def _version(verdict: Verdict) -> str:
    """Which contract it is, unless the present one."""
    version = verdict.description.capabilities.contract_version
    return "" if version == contract.VERSION else f" to version {version} of the contract"


def print_comparison(console: Console, comparison: Comparison) -> None:
    """What changed since an earlier verdict, the worst first, and what else differs."""
    console.print(Text(comparison.summary()), soft_wrap=True)
    for item in comparison.changed[:CHANGES]:
        style = CHANGE_STYLES.get(item.change, "")
        console.print(Text(f"  {item.text()}", style=style), soft_wrap=True)
    more = len(comparison.changed) - CHANGES
    if more > 0:
        console.print(f"  and {more} more; write all of them with --output DIR")
    for what, before, now in comparison.differs:
        console.print(Text(f"  {what}: {before} -> {now}"), soft_wrap=True)


def show(verdict: Verdict, *, alone: bool, comparison: Comparison | None = None) -> None:
    """Print a verdict; with the table by rule if it is ``alone``, and what changed since."""
    console = Console(highlight=False)
    if alone:
        print_table(console, verdict)
    print_failures(console, verdict)
    click.echo(summary(verdict))
    if comparison is not None:
        print_comparison(console, comparison)
