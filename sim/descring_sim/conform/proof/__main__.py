# SPDX-License-Identifier: Apache-2.0
"""``python -m descring_sim.conform.proof``: wrong implementations, and the page about them."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from descring_sim import paths
from descring_sim.conform.errors import ConformError
from descring_sim.conform.proof.mutants import examples_dir, load
from descring_sim.conform.proof.run import Trial, try_mutant
from descring_sim.conform.verdict import commit_of

PAGE = "docs/results/conformance.md"
LANGUAGES = ("python", "c", "rtl")


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


def score(trials: Sequence[Trial]) -> str:
    """The result in one line."""
    rejected = sum(trial.rejected for trial in trials)
    rules = {trial.mutant.rule for trial in trials if trial.rejected}
    return (
        f"{rejected} of {len(trials)} wrong implementations rejected under the rule that they "
        f"break, {len(rules)} rules"
    )


def write_page(root: Path, trials: Sequence[Trial]) -> None:
    """Write the page of results."""
    date = datetime.datetime.now(datetime.UTC).date()
    lines = [
        "# Wrong implementations",
        "",
        f"`python -m descring_sim.conform.proof --write` on {date}, commit {commit_of(root)}: "
        f"**{score(trials)}**.",
        "",
        "Each is a copy of the golden model (python), of the worker's header behind the C ABI (c) "
        "or of the example core behind its port map in Icarus (rtl), with one mistake in it. The "
        "tests of the broken rule are run; the last column has the rules that failures name.",
        "",
        *table(trials),
        "",
    ]
    (root / PAGE).write_text("\n".join(lines), encoding="utf-8")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--language", type=click.Choice(LANGUAGES), multiple=True, help="These alone.")
@click.option("--only", multiple=True, metavar="RULE", help="Mutants of these rules alone.")
@click.option("--write", is_flag=True, help=f"Write {PAGE} too.")
def main(language: tuple[str, ...], only: tuple[str, ...], write: bool) -> None:
    """Try wrong implementations; each must be rejected under the rule that it breaks."""
    try:
        mutants = [m for m in load(language or LANGUAGES) if not only or m.rule in only]
        root = examples_dir().parents[1]
    except ConformError as error:
        raise click.UsageError(str(error)) from error
    if not mutants:
        raise click.UsageError(
            f"--only {', '.join(only)}: no wrong implementation breaks that rule"
        )
    if write and (language or only):
        raise click.UsageError("--write wants all of them; leave --language and --only out")
    work = paths.build_dir() / "conform-proof"
    trials = []
    for mutant in mutants:
        trials.append(try_mutant(mutant, work))
        click.echo(f"{mutant.id} {trials[-1].by} {trials[-1].seconds:.1f} s", err=True)
    for trial in trials:
        if not trial.rejected:
            click.echo(f"not rejected: {trial.mutant.id}: {trial.mutant.breaks}; {trial.problem}")
    click.echo(score(trials))
    if write:
        write_page(root, trials)
    sys.exit(not all(trial.rejected for trial in trials))


if __name__ == "__main__":
    main()
