# SPDX-License-Identifier: Apache-2.0
"""The host runtime's part of the command ``descring``: ``serve`` and ``clean``.

The runtime is imported when a command runs: it refuses to be imported while its native core is
stale, and ``descring gen``, which may be the remedy, must work then too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click
from descring_host.serve import OPTIONS
from descring_model.program import importing


def _declared(command: Callable[..., None]) -> Callable[..., None]:
    for name, default, text in reversed(OPTIONS):
        flag = default is False
        command = click.option(
            f"--{name}",
            type=None if flag else int,
            is_flag=flag,
            default=default,
            show_default=bool(default),
            help=text,
        )(command)
    return command


@click.command()
@click.argument("name")
@_declared
def serve(name: str, **options: Any) -> None:
    """Be the worker process of a device in shared memory NAME, until Ctrl-C.

    A host opens it with open_device("cpu", attach=NAME). Events are reported on stdout, one JSON
    object a line. Exit code 2: refused; the last line has the reason.
    """
    with importing():
        from descring_host.server import run
    code = run(name, **options)
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
