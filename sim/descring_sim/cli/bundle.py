# SPDX-License-Identifier: Apache-2.0
"""``descring record`` and ``descring check``: streams and runs with what several backends made.

A bundle carries the results of the simulators to a machine that has none, such as one with a GPU:
recorded once, it is replayed there on another backend and compared byte by byte. It is one
``.npz`` file: ``manifest`` (JSON, as bytes); for each case ``<case>/lines`` and
``<case>/<backend>/<ring>``, each ``(n, 64)`` uint8; for each run ``runs/<run>/requests``,
``runs/<run>/prompts`` and ``runs/<run>/<backend>/log``, ``tokens`` and ``digests``.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from descring_model import contract, first_difference, line_bytes, streams

from descring_sim.replay.bundle import CASES, MAX_COUNT, RINGS, Bundle, answers, write_bundle
from descring_sim.replay.registry import BACKENDS, open_backend
from descring_sim.replay.stream_file import StreamError
from descring_sim.support.click_options import MISMATCH
from descring_sim.support.errors import SimulationError
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
@click.option(
    "--seed",
    type=click.IntRange(0, (1 << 63) - 1),
    default=1,
    show_default=True,
    help="Of lines and rollouts.",
)
@click.option(
    "--engine", default="model", show_default=True, metavar="NAME", help="Makes the runs' tokens."
)
def record(bundle: Path, backends: tuple[str, ...], count: int, seed: int, engine: str) -> None:
    """Replay streams and run rollouts on several backends and store the results in one file."""
    for name in backends:
        open_backend(name)
    with outputs(bundle):
        pass  # refused now, and not after the work
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    for case in CASES:
        lines = streams.generate(
            count, seed=seed, profile=case.profile, first_index=case.first_index
        )
        arrays[f"{case.name}/lines"] = line_bytes(lines)
        for name in backends:
            for ring, got in answers(name, lines, case).items():
                arrays[f"{case.name}/{name}/{ring}"] = line_bytes(got)
        click.echo(f"{case.name}: {count} lines, {', '.join(backends)}")
    runs = _record_runs(backends, engine, seed, arrays)
    manifest = {
        "contract": contract.CONTRACT_HASH,
        "backends": list(backends),
        "cases": [asdict(case) for case in CASES],
        "runs": runs,
    }
    arrays["manifest"] = np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)
    write_bundle(bundle, arrays)
    size = bundle.stat().st_size
    click.echo(f"{bundle}: {len(CASES)} cases, {len(runs)} runs, {size} bytes")


def _record_runs(
    backends: tuple[str, ...], engine: str, seed: int, arrays: dict[str, npt.NDArray[np.generic]]
) -> list[dict[str, Any]]:
    """Run every run on every backend; what the manifest states of them."""
    # Imported late: the runtime refuses to be imported while its native core is stale.
    from descring_sim.replay import bundle_runs

    cases = bundle_runs.run_cases(seed)
    for case in cases:
        inputs = bundle_runs.Inputs.draw(case)
        arrays.update({f"runs/{case.name}/{key}": item for key, item in inputs.arrays().items()})
        for name in backends:
            with _failing_clearly():
                found = bundle_runs.outcome(name, engine, case, inputs)
            arrays.update({f"runs/{case.name}/{name}/{key}": item for key, item in found.items()})
        click.echo(f"{case.name}: {len(inputs.requests)} rollouts, {', '.join(backends)}")
    return [asdict(case) for case in cases]


@contextlib.contextmanager
def _failing_clearly() -> Iterator[None]:
    """A device or an engine that fails, or an engine that there is not, is one line."""
    from descring_host import HostError
    from descring_model.engine.interface import EngineError

    try:
        yield
    except (HostError, EngineError, ValueError) as error:
        raise SimulationError(str(error)) from error


@click.command()
@click.argument("bundle", metavar="IN.npz", type=click.Path(path_type=Path))
@click.option("--backend", required=True, metavar="NAME", help=f"One of {', '.join(BACKENDS)}.")
@click.option(
    "--engine",
    metavar="NAME",
    help="Makes the runs' tokens; default: cuda on that backend, else native.",
)
def check(bundle: Path, backend: str, engine: str | None) -> int:
    """Replay a recorded bundle on a backend and compare with every recorded result."""
    open_backend(backend)
    compared = 0
    rerun = ["descring", "check", str(bundle), "--backend", backend]
    rerun += [] if engine is None else ["--engine", engine]
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
                        click.echo(f"rerun: {shlex.join(rerun)}")
                        return MISMATCH
                    compared += len(expected)
        different = _check_runs(recorded, backend, engine)
        if different is not None:
            click.echo(different)
            click.echo(f"rerun: {shlex.join(rerun)}")
            return MISMATCH
    if compared == 0:
        click.echo(f"nothing was compared: {bundle} holds no completions")
        return MISMATCH
    names = ", ".join(recorded.backends)
    click.echo(
        f"{backend}: {len(recorded.cases)} cases, {compared} lines, {len(recorded.runs)} runs as "
        f"{names}"
    )
    return 0


def _check_runs(recorded: Bundle, backend: str, engine: str | None) -> str | None:
    """The first difference of a run, as a line; None: there is none."""
    from descring_sim.replay import bundle_runs

    maker = engine or ("cuda" if backend.startswith("cuda") else "native")
    for values in recorded.runs:
        with recorded.refusing():
            case = bundle_runs.RunCase.of(values)
            place = f"runs/{case.name}"
            inputs = bundle_runs.Inputs.read(recorded.within(place))
        with _failing_clearly():
            got = bundle_runs.outcome(backend, maker, case, inputs)
        for name in recorded.backends:
            array = recorded.within(f"{place}/{name}")
            expected = {key: array(key, limit) for key, limit in bundle_runs.LIMITS.items()}
            found = bundle_runs.difference(expected, got)
            if found is not None:
                return f"run {case.name}, against {name}: {found}"
    return None
