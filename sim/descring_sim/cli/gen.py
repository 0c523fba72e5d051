# SPDX-License-Identifier: Apache-2.0
"""The commands ``gen``, ``gen-check``, ``requirements`` and ``lint-rtl`` of ``descring``.

Exit codes as everywhere: 0 all well, 1 a finding, 2 the command could not do its work.
"""

from __future__ import annotations

from pathlib import Path

import click
from descring_model.program import DescringError

from descring_sim.gen import outputs
from descring_sim.gen import requirements as requirement_table
from descring_sim.gen.citations import scan
from descring_sim.hdl.part_selects import lint_rtl_selects
from descring_sim.support import paths


class CommandError(click.ClickException):
    """The command could not do its work; shown as one line."""

    exit_code = 2


def _root(chosen: Path | None) -> Path:
    """The checkout to work on."""
    root = paths.checkout_root() if chosen is None else chosen.resolve()
    if root is None:
        raise CommandError(
            "this descring is installed without its sources; run the command from a checkout, or "
            "name one with --root"
        )
    if not (root / "pymodel").is_dir():
        raise CommandError(f"expected a checkout of descring at {root}, which has no pymodel/")
    return root


root_option = click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The checkout to work on (default: the one this command is installed from).",
)


@click.command("gen")
@root_option
def gen(root: Path | None) -> None:
    """Write the files that are generated from the contract; prints those that changed."""
    folder = _root(root)
    try:
        changed = outputs.write(folder, outputs.render_all(folder))
    except (DescringError, OSError) as error:
        raise CommandError(str(error)) from error
    for path in changed:
        click.echo(f"wrote {path}")


@click.command("gen-check")
@root_option
@click.pass_context
def gen_check(context: click.Context, root: Path | None) -> None:
    """Fail if a generated file is stale; shows how it differs and the command that updates it."""
    folder = _root(root)
    try:
        texts = outputs.render_all(folder)
        found = outputs.stale(folder, texts)
    except (DescringError, OSError) as error:
        raise CommandError(str(error)) from error
    for item in found:
        click.echo(f"{item.path} is stale; `make gen` updates it:\n{item.diff}\n", err=True)
    if found:
        context.exit(1)
    click.echo(f"{len(texts)} generated files are up to date")


@click.command("requirements")
@click.option("--check", is_flag=True, help="Exit with 1 when a rule lacks a test it requires.")
@root_option
@click.pass_context
def requirements(context: click.Context, check: bool, root: Path | None) -> None:
    """Show how many rules of the contract each suite tests, and which it does not."""
    folder = _root(root)
    try:
        result = scan(folder)
    except DescringError as error:
        raise CommandError(str(error)) from error
    click.echo(requirement_table.summary(result), nl=False)
    found = requirement_table.findings(result)
    for item in found:
        click.echo(item, err=check)
    if found and check:
        click.echo(f"{len(found)} findings", err=True)
        context.exit(1)


@click.command("lint-rtl")
@click.argument("files", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.pass_context
def lint_rtl(context: click.Context, files: tuple[Path, ...]) -> None:
    """Find hand-written part-selects of a descriptor in the RTL (default: all of rtl/)."""
    try:
        result = lint_rtl_selects(list(files) or [paths.rtl_dir()])
    except (DescringError, FileNotFoundError) as error:
        raise CommandError(str(error)) from error
    for finding in result.findings:
        click.echo(str(finding), err=True)
    if result.findings:
        context.exit(1)
    click.echo(f"no part-select of a descriptor in {result.files} files")
