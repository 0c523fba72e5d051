# SPDX-License-Identifier: Apache-2.0
"""``descring compare``: two streams, byte by byte."""

from __future__ import annotations

from pathlib import Path

import click

from descring_sim.replay.compare import report
from descring_sim.support.click_options import MISMATCH


@click.command()
@click.argument("expected", type=click.Path(path_type=Path))
@click.argument("actual", type=click.Path(path_type=Path))
def compare(expected: Path, actual: Path) -> None:
    """Compare two streams; the exit code is 1 when they differ or hold no lines."""
    same, text = report(expected, actual)
    click.echo(text)
    if not same:
        click.get_current_context().exit(MISMATCH)
