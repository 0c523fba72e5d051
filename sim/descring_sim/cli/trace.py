# SPDX-License-Identifier: Apache-2.0
"""``descring trace``: event logs of rollouts, read and compared."""

from __future__ import annotations

from pathlib import Path

import click
from descring_model.program import importing
from descring_model.rollouts import contract
from descring_model.rollouts.log_diff import describe_difference, first_difference
from descring_model.rollouts.records import Records, describe_record, read_log

from descring_sim.support import memory
from descring_sim.support.click_options import MISMATCH
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import opened, write_files


@click.group()
def trace() -> None:
    """Read and compare event logs."""


def _read(path: Path) -> tuple[Records, int]:
    with opened(path) as (file, size):
        memory.require(2 * size, f"{path}", "record a shorter run")
        data = file.read()
    try:
        return read_log(data)
    except ValueError as error:
        raise SimulationError(f"{path}: {error}") from error


@trace.command()
@click.argument("expected", type=click.Path(path_type=Path))
@click.argument("actual", type=click.Path(path_type=Path))
def diff(expected: Path, actual: Path) -> None:
    """Compare two event logs; the exit code is 1 when they differ or hold no records."""
    (first, first_inputs), (second, second_inputs) = _read(expected), _read(actual)
    click.echo(f"expected {expected} ({len(first)} records)")
    click.echo(f"actual   {actual} ({len(second)} records)")
    if first_inputs != second_inputs:
        click.echo(f"the inputs differ: digest 0x{first_inputs:016x}, got 0x{second_inputs:016x}")
    place = first_difference(first, second)
    if place is not None:
        click.echo(describe_difference(first, second, place))
    elif first_inputs == second_inputs and len(first):
        click.echo(f"matched {len(first)} records")
        return
    click.get_current_context().exit(MISMATCH)


@trace.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="FILE.svg")
@click.option("--rollouts", type=click.IntRange(1), default=16, show_default=True, metavar="N")
def picture(file: Path, output: Path, rollouts: int) -> None:
    """Draw the first N rollouts of a Perfetto file, and their lines on the device, as SVG."""
    with importing():
        from descring_host import HostError
        from descring_rollouts.perfetto_file import read_perfetto

        from descring_sim.rollout_report.timeline import STYLE, timeline
    with opened(file) as (data, size):
        memory.require(40 * size, f"{file}", "trace a shorter run")
        contents = data.read()
    try:
        slices, cycles = read_perfetto(contents)
    except (HostError, ValueError) as error:
        raise SimulationError(f"{file}: {error}") from error
    write_files({output: timeline(slices, cycles, rollouts=rollouts, style=STYLE)})
    click.echo(f"{output}: {len(slices)} slices, {len(cycles)} cycles")


@trace.command()
@click.argument("log", type=click.Path(path_type=Path))
@click.option("--rollout", type=click.IntRange(0), metavar="N", help="Of this request alone.")
def show(log: Path, rollout: int | None) -> None:
    """Print the records of an event log, one a line."""
    records, _ = _read(log)
    if rollout is not None:
        records = records[records["rollout"] == rollout]
        if not len(records) or rollout == contract.NONE:
            raise SimulationError(f"{log}: expected records of rollout {rollout}, found none")
    for record in records:
        click.echo(describe_record(record))
