# SPDX-License-Identifier: Apache-2.0
"""``descring record`` and ``descring check``: streams with the completions of several backends.

A bundle carries the results of the simulators to a machine that has none, such as one with a GPU:
recorded once, it is replayed there on another backend and compared byte by byte. It is one
``.npz`` file: ``manifest`` (JSON, as bytes), and for each case ``<case>/lines`` and
``<case>/<backend>/<ring>``, each ``(n, 64)`` uint8.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from descring_model import contract, first_difference, line_bytes, streams

from descring_sim.replay.bundle import CASES, MAX_COUNT, RINGS, Bundle, answers, write_bundle
from descring_sim.replay.registry import BACKENDS, open_backend
from descring_sim.replay.stream_file import StreamError
from descring_sim.support.click_options import MISMATCH
from descring_sim.support.files import outputs


@click.command()
@click.argument("bundle", metavar="OUT.npz", type=click.Path(path_type=Path))
@click.option(
    "--backend",
    "backends",
    multiple=True,
    default=("model", "icarus", "verilator"),
    show_default=True,
    metavar="NAME",
    help=f"Whose results to record; may be repeated. One of {', '.join(BACKENDS)}.",
)
@click.option(
    "--count", type=click.IntRange(1, MAX_COUNT), default=500, show_default=True, help="Lines each."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the lines.")
def record(bundle: Path, backends: tuple[str, ...], count: int, seed: int) -> None:
    """Replay a set of streams on several backends and store their completions in one file."""
    for name in backends:
        open_backend(name)
    with outputs(bundle):
        pass  # refused now, and not after the work
    arrays: dict[str, npt.NDArray[np.uint8]] = {}
    for case in CASES:
        lines = streams.generate(
            count, seed=seed, profile=case.profile, first_index=case.first_index
        )
        arrays[f"{case.name}/lines"] = line_bytes(lines)
        for name in backends:
            for ring, got in answers(name, lines, case).items():
                arrays[f"{case.name}/{name}/{ring}"] = line_bytes(got)
        click.echo(f"{case.name}: {count} lines, {', '.join(backends)}")
    manifest = {
        "contract": contract.CONTRACT_HASH,
        "backends": list(backends),
        "cases": [asdict(case) for case in CASES],
    }
    arrays["manifest"] = np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)
    write_bundle(bundle, arrays)
    click.echo(f"{bundle}: {len(CASES)} cases, {bundle.stat().st_size} bytes")


@click.command()
@click.argument("bundle", metavar="IN.npz", type=click.Path(path_type=Path))
@click.option("--backend", required=True, metavar="NAME", help=f"One of {', '.join(BACKENDS)}.")
def check(bundle: Path, backend: str) -> int:
    """Replay a recorded bundle on a backend and compare with every recorded result."""
    open_backend(backend)
    compared = 0
    with Bundle.open(bundle) as recorded:
        for case in recorded.cases:
            lines = recorded.lines(f"{case.name}/lines")
            if not len(lines):
                raise StreamError(f"{bundle}: {case.name} has no lines; record it again")
            got = answers(backend, lines, case)
            for name in recorded.backends:
                for ring in RINGS:
                    expected = recorded.lines(f"{case.name}/{name}/{ring}")
                    difference = first_difference(expected, got[ring])
                    if difference is not None:
                        click.echo(f"{case.name}, {ring} ring, against {name}: {difference}")
                        command = ["descring", "check", str(bundle), "--backend", backend]
                        click.echo(f"rerun: {shlex.join(command)}")
                        return MISMATCH
                    compared += len(expected)
    if compared == 0:
        click.echo(f"nothing was compared: {bundle} holds no completions")
        return MISMATCH
    names = ", ".join(recorded.backends)
    click.echo(f"{backend}: {len(recorded.cases)} cases, {compared} lines as {names}")
    return 0
