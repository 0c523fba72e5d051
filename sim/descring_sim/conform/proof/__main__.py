# SPDX-License-Identifier: Apache-2.0
"""``descring dev conform-proof``: wrong implementations, and the page about them."""

from __future__ import annotations

import datetime
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import click

from descring_sim.conform.errors import ConformError
from descring_sim.conform.proof.accepted import VARIANTS, Acceptance, Variant, accept
from descring_sim.conform.proof.families import statements
from descring_sim.conform.proof.mutants import LANGUAGES, WrongImplementation, examples_dir, load
from descring_sim.conform.proof.run import SEED, Trial, try_mutant
from descring_sim.conform.proof.statements import Outcome, prepare, try_statement
from descring_sim.conform.status import TestResult
from descring_sim.conform.suite.declare import NOT_APPLICABLE
from descring_sim.support import paths
from descring_sim.support.click_options import jobs_option
from descring_sim.support.click_program import run_module
from descring_sim.support.files import write_files
from descring_sim.support.provenance import commit_of

PAGE = "docs/results/conformance.md"
HEADING = "## Wrong implementations"
_SHARE = 16
"""Statements that a process tries with one build."""


def table(trials: Sequence[Trial]) -> list[str]:
    """The trials as a table in Markdown."""
    rows = [
        "| rule | language | what is wrong | rejected by | rules named |",
        "|---|---|---|---|---|",
    ]
    for trial in trials:
        mutant = trial.mutant
        by = f"`{trial.by}`" if trial.rejected else f"**not rejected** {trial.problem}"
        cells = (mutant.rule, mutant.language, mutant.breaks, by, ", ".join(trial.named[:6]))
        rows.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return rows


def statement_table(outcomes: Sequence[Outcome]) -> list[str]:
    """Wrong statements by rule and level, and those that were not rejected."""
    rows = ["| rule | level | ways | rejected | by the quick tests |", "|---|---|---|---|---|"]
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        key = outcome.statement.rule, outcome.statement.level
        groups.setdefault(key, []).append(outcome)
    for (rule, level), found in sorted(groups.items()):
        rejected, quick = (sum(getattr(o, name) for o in found) for name in ("rejected", "quick"))
        rows.append(f"| {rule} | {level} | {len(found)} | {rejected} | {quick} |")
    for outcome in outcomes:
        if not outcome.rejected:
            said = ", ".join(outcome.named) or "nothing"
            rows.append(f"\n**Not rejected:** {outcome.statement.breaks}; named {said}.")
    return rows


def statement_score(outcomes: Sequence[Outcome]) -> str:
    """The result of the statements in one line."""
    rejected, quick = (sum(getattr(o, name) for o in outcomes) for name in ("rejected", "quick"))
    rules = {outcome.statement.rule for outcome in outcomes if outcome.rejected}
    return (
        f"{rejected} of {len(outcomes)} wrong statements rejected under the rule that they break, "
        f"{len(rules)} rules; {quick} of them by the quick tests"
    )


def score(trials: Sequence[Trial]) -> str:
    """The result in one line."""
    rejected = sum(trial.rejected for trial in trials)
    rules = {trial.mutant.rule for trial in trials if trial.rejected}
    return (
        f"{rejected} of {len(trials)} wrong implementations rejected under the rule that they "
        f"break, {len(rules)} rules"
    )


def acceptances(accepted: Sequence[Acceptance]) -> list[str]:
    """What was accepted as a table in Markdown."""
    rows = ["| implementation | variant | tests | rejected |", "|---|---|---|---|"]
    for item in accepted:
        variant = item.variant
        wrong = ", ".join(result.test for result in item.rejections) or "none"
        rows.append(f"| {variant.name} | {variant.what} | {len(item.results)} | {wrong} |")
    return rows


def write_page(
    root: Path,
    trials: Sequence[Trial],
    accepted: Sequence[Acceptance],
    outcomes: Sequence[Outcome],
) -> None:
    """Write the page's part about this command; what stands above it is kept."""
    date = datetime.datetime.now(datetime.UTC).date()
    page = root / PAGE
    above = page.read_text(encoding="utf-8").partition(HEADING)[0] if page.is_file() else ""
    lines = [
        HEADING,
        "",
        f"`descring dev conform-proof --write` on {date}, commit {commit_of(root)}.",
        "",
        f"**{score(trials)}.** Each is a copy of the golden model (python), of the worker's header "
        "behind the C ABI (c), of the example core (rtl) or of the example shell with the "
        "project's RTL in it (shell), both behind their port maps in Icarus, with one fault in "
        "it. The tests of the broken rule are run; the last column has the rules that failures "
        "name.",
        "",
        *table(trials),
        "",
        "## Wrong statements",
        "",
        f"**{statement_score(outcomes)}.** Each is a way to get one statement of the contract "
        "wrong, in an implementation in C that was written from the contract's text "
        "(`sim/conform_mutants/contract.c`), at one level.",
        "",
        *statement_table(outcomes),
        "",
        "Not applicable, since no device can obey or break them:",
        "",
        *(f"- {rule}: {reason}." for rule, reason in NOT_APPLICABLE.items()),
        "",
        "## Legal variants",
        "",
        f"The whole suite with seed {SEED}:",
        "",
        *acceptances(accepted),
        "",
    ]
    write_files({page: above + "\n".join(lines)})


def _accepted(name: str, work: Path) -> tuple[tuple[TestResult, ...], float]:
    """What became of the right implementation ``name``; by name, since its maker cannot be sent."""
    (variant,) = (variant for variant in VARIANTS if variant.name == name)
    accepted = accept(variant, work, SEED)
    return accepted.results, accepted.seconds


def _stated(first: int, work: Path) -> list[Outcome]:
    """Try a share of the statements, with a build of their own."""
    dut = prepare(work / f"statements-{first}")
    return [try_statement(dut, one) for one in statements()[first : first + _SHARE]]


def try_statements(work: Path, jobs: int) -> list[Outcome]:
    """Try all statements, ``jobs`` shares at a time."""
    spawn = multiprocessing.get_context("spawn")
    starts = range(0, len(statements()), _SHARE)
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        for found in pool.map(_stated, starts, [work] * len(starts)):
            outcomes += found
            click.echo(f"{len(outcomes)} statements: {statement_score(outcomes)}", err=True)
    return outcomes


def try_all(
    variant: Sequence[Variant], mutants: Sequence[WrongImplementation], work: Path, jobs: int
) -> tuple[list[Acceptance], list[Trial]]:
    """Try right and wrong implementations, ``jobs`` at a time."""
    # Spawned, so that nothing of this process interferes with an implementation.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        right = {pool.submit(_accepted, item.name, work): item for item in variant}
        wrong = {pool.submit(try_mutant, mutant, work): mutant.name for mutant in mutants}
        futures: list[Future[Any]] = [*right, *wrong]
        accepted: dict[str, Acceptance] = {}
        trials: dict[str, Trial] = {}
        for count, future in enumerate(as_completed(futures), 1):
            if future in right:
                item = right[future]
                accepted[item.name] = done = Acceptance(item, *future.result())
                said = f"{item.name} {len(done.rejections)} rejected {done.seconds:.1f} s"
            else:
                trial = future.result()
                trials[trial.mutant.name] = trial
                said = f"{trial.mutant.name} {trial.by} {trial.seconds:.1f} s"
            click.echo(f"{count} of {len(futures)}: {said}", err=True)
    return [accepted[item.name] for item in variant], [trials[name] for name in wrong.values()]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--language", type=click.Choice(LANGUAGES), multiple=True, help="These alone.")
@click.option("--only", multiple=True, metavar="RULE", help="Mutants of these rules alone.")
@jobs_option("Implementations")
@click.option("--statements", "stated", is_flag=True, help="Only the statements in C.")
@click.option("--write", is_flag=True, help=f"Write {PAGE} too.")
def main(
    language: tuple[str, ...], only: tuple[str, ...], jobs: int, stated: bool, write: bool
) -> None:
    """Try wrong implementations; each must be rejected under the rule that it breaks.

    Without --language and --only, the legal variants too; none of their tests may fail.
    """
    try:
        mutants = [m for m in load(language or LANGUAGES) if not only or m.rule in only]
        root = examples_dir().parents[1]
    except ConformError as error:
        raise click.UsageError(str(error)) from error
    if not mutants:
        raise click.UsageError(
            f"--only {', '.join(only)}: no wrong implementation breaks that rule"
        )
    if write and (language or only or stated):
        raise click.UsageError("--write wants all of them; leave the other options out")
    work = paths.build_dir() / "conform-proof"
    outcomes = [] if language or only else try_statements(work, jobs)
    for outcome in outcomes:
        if not outcome.rejected:
            click.echo(f"not rejected: {outcome.statement}; named {', '.join(outcome.named)}")
    if outcomes:
        click.echo(statement_score(outcomes))
    if stated:
        sys.exit(not all(outcome.rejected for outcome in outcomes))
    variant = () if language or only else VARIANTS
    accepted, trials = try_all(variant, mutants, work, jobs)
    for trial in trials:
        if not trial.rejected:
            click.echo(f"not rejected: {trial.mutant.name}: {trial.mutant.breaks}; {trial.problem}")
    for result in (result for item in accepted for result in item.rejections):
        click.echo(f"wrongly rejected: {result.test}: {result.failure and result.failure.text}")
    click.echo(score(trials))
    if write:
        write_page(root, trials, accepted, outcomes)
    good = all(trial.rejected for trial in trials) and not any(a.rejections for a in accepted)
    good &= all(outcome.rejected for outcome in outcomes)
    sys.exit(not good)


if __name__ == "__main__":
    run_module("descring_sim.conform.proof", main)
