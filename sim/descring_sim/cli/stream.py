# SPDX-License-Identifier: Apache-2.0
"""``descring stream``: a descriptor stream from a seed and a profile."""

from __future__ import annotations

import secrets
from pathlib import Path

import click
from descring_model import contract, streams

from descring_sim.replay import stream_file
from descring_sim.support import memory
from descring_sim.support.click_options import INDEX


def _profile(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if value not in streams.PROFILES:
        raise click.BadParameter(
            f"expected one of {', '.join(streams.PROFILES)}, but got {value!r}"
        )
    return value


def _profiles() -> str:
    width = max(map(len, streams.PROFILES))
    rows = (f"{name:<{width}}  {text}" for name, text in streams.PROFILES.items())
    return "\b\nProfiles:\n" + "\n".join(f"  {row}" for row in rows)


@click.command(epilog=_profiles())
@click.option("--count", type=click.IntRange(min=1), required=True, help="Number of lines.")
@click.option("--seed", type=click.IntRange(min=0), help="Random seed; drawn when left out.")
@click.option("--profile", default="mixed", show_default=True, callback=_profile, metavar="NAME")
@click.option(
    "--first-index",
    type=INDEX,
    default=0,
    show_default=True,
    help="Ring index of the first line, for the tags of CHECKED lines.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A .npy file.")
def stream(count: int, seed: int | None, profile: str, first_index: int, output: Path) -> None:
    """Write a stream of descriptors."""
    if seed is None:
        seed = secrets.randbelow(2**32)
    with stream_file.outputs(output) as files:
        files.expect(count * contract.DESC_BYTES)
        memory.require(
            count * stream_file.BYTES_PER_LINE,
            f"--count {count}",
            "write several files, each with a seed",
        )
        lines = streams.generate(count, seed=seed, profile=profile, first_index=first_index)
        stream_file.save(files, [lines])
    click.echo(
        f"{output}: {count} lines, profile {profile}, seed {seed}, first index {first_index}"
    )
