# SPDX-License-Identifier: Apache-2.0
"""The host runtime's part of the command ``descring``: ``serve`` and ``clean``.

The runtime is imported when a command runs: it refuses to be imported while its native core is
stale, and ``descring gen``, which may be the remedy, must work then too.
"""

from __future__ import annotations

import sys

import click
from descring_model.program import importing


@click.command()
@click.argument("name")
@click.option("--memory", default=16 << 20, show_default=True, help="Bytes of the memory window.")
@click.option("--workers", default=1, show_default=True, help="Native worker threads, 1 to 16.")
@click.option("--first-index", default=0, help="Test only: the indices after reset.")
@click.option("--huge-pages", is_flag=True, help="Request pages of 2 MiB; reports the outcome.")
@click.option("--numa-node", type=int, help="Bind the memory to this node; likewise.")
@click.option("--restart", is_flag=True, help="Continue in memory whose worker died.")
@click.option("--exit-with-host", is_flag=True, help="End when the host is gone.")
def serve(
    name: str,
    memory: int,
    workers: int,
    first_index: int,
    huge_pages: bool,
    numa_node: int | None,
    restart: bool,
    exit_with_host: bool,
) -> None:
    """Be the worker process of a device in shared memory NAME, until Ctrl-C.

    A host opens it with open_device("cpu", attach=NAME). Events are reported on stdout, one JSON
    object a line. Exit code 2: refused; the last line has the reason.
    """
    with importing():
        from descring_host.server import run
    code = run(
        name,
        memory=memory,
        workers=workers,
        first_index=first_index,
        huge_pages=huge_pages,
        numa_node=numa_node,
        restart=restart,
        exit_with_host=exit_with_host,
    )
    if code:
        sys.exit(code)


@click.command()
@click.option("--dry-run", is_flag=True, help="Remove nothing, only report what would be removed.")
def clean(dry_run: bool) -> None:
    """Remove shared memory that dead processes left behind.

    What a living process holds is kept, and so is whatever is no segment of this user.
    """
    with importing():
        from descring_host.segment import clean as clean_up
    for found in clean_up(dry_run=dry_run):
        if found.held_by:
            click.echo(f"kept {found.name}: in use by {' and '.join(found.held_by)}")
        elif found.reason:
            click.echo(f"kept {found.name}: {found.reason}")
        else:
            click.echo(f"{'would remove' if dry_run else 'removed'} {found.name}")
