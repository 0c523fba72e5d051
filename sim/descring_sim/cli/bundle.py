# SPDX-License-Identifier: Apache-2.0
"""``descring record`` and ``descring check``: streams with what several backends answered to them.

A bundle carries the answers of the simulators to a machine that has none, such as one with a GPU:
recorded once, it is replayed there on another backend and compared byte by byte. It is one
``.npz`` file: ``manifest`` (JSON, as bytes), and for each case ``<case>/lines`` and
``<case>/<backend>/<ring>``, each ``(n, 64)`` uint8.
"""

from __future__ import annotations

import contextlib
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from descring_model import Lines, as_lines, contract, first_difference, line_bytes, streams

from descring_sim.cli.compare import MISMATCH
from descring_sim.replay.registry import BACKENDS, ReplayOptions, open_backend
from descring_sim.replay.stream_file import StreamError

RINGS = ("done", "reward")
NEAR_WRAP = 0xFFFFFF80


@dataclass(frozen=True)
class Case:
    """One stream and the modes it is replayed with."""

    name: str
    profile: str
    first_index: int = 0
    require_checked: bool = False
    split_reward: bool = False

    @property
    def options(self) -> ReplayOptions:
        """As a backend takes them."""
        return ReplayOptions(
            first_index=self.first_index,
            require_checked=self.require_checked,
            split_reward=self.split_reward,
        )


CASES = (
    *(Case(profile, profile, NEAR_WRAP) for profile in streams.PROFILES),
    Case("mixed-split-reward", "mixed", NEAR_WRAP, split_reward=True),
    Case("mixed-require-checked", "mixed", require_checked=True),
)


def answers(backend: str, lines: Lines, case: Case) -> dict[str, Lines]:
    """What a backend answers to a case, by ring."""
    result = open_backend(backend).replay(lines, case.options, lambda _: None)
    return dict(zip(RINGS, (result.done, result.reward), strict=True))


@click.command()
@click.argument("bundle", metavar="OUT.npz", type=click.Path(path_type=Path))
@click.option(
    "--backend",
    "backends",
    multiple=True,
    default=("model", "icarus", "verilator"),
    show_default=True,
    metavar="NAME",
    help=f"Whose answers to record; may be repeated. One of {', '.join(BACKENDS)}.",
)
@click.option("--count", type=click.IntRange(1), default=500, show_default=True, help="Lines each.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the lines.")
def record(bundle: Path, backends: tuple[str, ...], count: int, seed: int) -> None:
    """Replay a set of streams on several backends and keep their answers in one file."""
    for name in backends:
        open_backend(name)
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
    _write(bundle, arrays)
    click.echo(f"{bundle}: {len(CASES)} cases, {bundle.stat().st_size} bytes")


def _write(bundle: Path, arrays: dict[str, npt.NDArray[np.uint8]]) -> None:
    partial = bundle.with_name(f".{bundle.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        partial.replace(bundle)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise StreamError(f"{bundle}: cannot be written: {error.strerror}") from error


@click.command()
@click.argument("bundle", metavar="IN.npz", type=click.Path(path_type=Path))
@click.option("--backend", required=True, metavar="NAME", help=f"One of {', '.join(BACKENDS)}.")
def check(bundle: Path, backend: str) -> int:
    """Replay a recorded bundle on a backend and compare with every recorded answer."""
    open_backend(backend)
    manifest, arrays = _read(bundle)
    compared = 0
    for case in (Case(**fields) for fields in manifest["cases"]):
        lines = _lines(bundle, arrays, f"{case.name}/lines")
        got = answers(backend, lines, case)
        for name in manifest["backends"]:
            for ring in RINGS:
                expected = _lines(bundle, arrays, f"{case.name}/{name}/{ring}")
                difference = first_difference(expected, got[ring])
                if difference is not None:
                    click.echo(f"{case.name}, {ring} ring, against {name}: {difference}")
                    click.echo(f"rerun: descring check {bundle} --backend {backend}")
                    return MISMATCH
                compared += len(expected)
    if compared == 0:
        click.echo(f"nothing was compared: {bundle} holds no completions")
        return MISMATCH
    names = ", ".join(manifest["backends"])
    click.echo(f"{backend}: {len(manifest['cases'])} cases, {compared} lines as {names}")
    return 0


def _read(bundle: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[np.uint8]]]:
    try:
        with np.load(bundle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        manifest: dict[str, Any] = json.loads(arrays["manifest"].tobytes())
    except OSError as error:
        raise StreamError(f"{bundle}: cannot be read: {error.strerror or error}") from error
    except (KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StreamError(
            f"{bundle}: expected a bundle as `descring record` writes it ({error}); record it anew"
        ) from error
    if manifest["contract"] != contract.CONTRACT_HASH:
        raise StreamError(
            f"{bundle}: recorded under contract {manifest['contract']:08x}, this is "
            f"{contract.CONTRACT_HASH:08x}; record it anew"
        )
    return manifest, arrays


def _lines(bundle: Path, arrays: dict[str, npt.NDArray[np.uint8]], name: str) -> Lines:
    try:
        return as_lines(arrays[name])
    except (KeyError, ValueError) as error:
        raise StreamError(f"{bundle}: {name} is missing or damaged ({error})") from error
