# SPDX-License-Identifier: Apache-2.0
"""``descring dev reference``: what is read from the sources: pages of reference, FuseSoC's core."""

from __future__ import annotations

import click
from descring_model.program import DescringError

from descring_sim.cli import NAME
from descring_sim.cli.main import cli
from descring_sim.gen import cli_doc, fusesoc_core, make_doc, outputs, ports_doc
from descring_sim.support import paths

FOLDER = "docs/reference"


@click.command("reference")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 if a page is stale.")
@click.pass_context
def reference(context: click.Context, check: bool) -> None:
    """Write the pages of commands, make's targets and the RTL's ports, and descring.core."""
    root = paths.checkout_root()
    assert root is not None, "descring dev refuses to run elsewhere"
    try:
        texts = {
            f"{FOLDER}/cli.md": cli_doc.render(cli, NAME),
            f"{FOLDER}/make.md": make_doc.render(root),
            f"{FOLDER}/ports.md": ports_doc.render(root),
            "descring.core": fusesoc_core.render(root),
        }
        if not check:
            for path in outputs.write(root, texts):
                click.echo(f"wrote {path}")
            return
        found = outputs.stale(root, texts)
    except (DescringError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for item in found:
        click.echo(f"{item.path} is stale; `make gen` updates it:\n{item.diff}\n", err=True)
    if found:
        context.exit(1)
    click.echo(f"{len(texts)} reference pages and cores are up to date")
