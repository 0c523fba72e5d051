# SPDX-License-Identifier: Apache-2.0
"""``descring waves``: the views of a wave file."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("wave", type=click.Path(path_type=Path))
def waves(wave: Path) -> None:
    """Write views of WAVE (FST) beside it, and print the commands that open them.

    They show ports, rings, state machines and decoded lines by name. Runs that record waves write
    them by themselves.
    """
    from descring_sim.waves import views

    views.save(wave)
    for command in views.commands(wave):
        click.echo(command)
