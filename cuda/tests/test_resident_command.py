# SPDX-License-Identifier: Apache-2.0
"""``descring rollouts --resident``: the GPU makes the tokens, with the same outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import descring_host
import descring_rollouts
import pytest
from click.testing import CliRunner
from descring_cuda import CudaEngine, ResidentDevice
from descring_sim.cli.rollouts import rollouts
from emulated_machine import EmulatedMachine
from emulated_resident import open_emulated_resident, resident_library
from remote_support import no_gpu

_ASKED = (
    *("--seed", "7", "--prompts", "3", "--samples", "2", "--slots", "4", "--vocabulary", "64"),
    *("--prompt-tokens", "1:40", "--new-tokens", "1:48"),
)
_RESIDENT = ("--backend", "cuda", "--engine", "cuda", "--resident", "--arena", "8")


@pytest.fixture(params=["cpu", "gpu"])
def steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Steps of each resident device that the command has closed; on the CPU blocks are threads."""
    taken: list[int] = []
    real = descring_host.open_device
    if request.param == "gpu" and no_gpu():
        pytest.skip(no_gpu())

    def open_device(name: str, **options: Any) -> Any:
        if name != "cuda":
            return real(name, **options)
        if request.param == "cpu":
            assert options.pop("shape") == "resident"
            device: Any = open_emulated_resident(**options)
        else:
            device = real(name, **options)
        assert isinstance(device, ResidentDevice)
        close = device.close

        def closing() -> None:
            taken.append(device.steps)
            close()

        monkeypatch.setattr(device, "close", closing)
        return device

    def open_engine(name: str, vocabulary: int) -> Any:
        if name == "cuda" and request.param == "cpu":
            return CudaEngine(vocabulary, machine=EmulatedMachine(resident_library()))
        return descring_rollouts.engines.open_engine(name, vocabulary)

    monkeypatch.setattr(descring_host, "open_device", open_device)
    monkeypatch.setattr(descring_rollouts, "open_engine", open_engine)
    return taken


def _outputs(folder: Path, *arguments: str) -> list[bytes]:
    """What the command writes: event log and trajectories."""
    folder.mkdir()
    files = [folder / "log", folder / "npz", folder / "json"]
    named = [word for file in files for word in (f"--{file.name}", str(file))]
    result = CliRunner().invoke(rollouts, [*_ASKED, *arguments, *named])
    assert result.exit_code == 0, result.output
    return [file.read_bytes() for file in files]


def test_outputs_are_those_of_another_engine(steps: list[int], tmp_path: Path) -> None:
    """[REC-005] [COW-010] The same bytes, made by the device."""
    expected = _outputs(tmp_path / "cpu", "--backend", "cpu", "--engine", "native")
    assert _outputs(tmp_path / "gpu", *_RESIDENT) == expected
    assert len(steps) == 1
    assert steps[0] > 0


@pytest.mark.usefixtures("steps")
def test_an_arena_that_is_too_small_is_named() -> None:
    """An error, with the size that the run needs."""
    result = CliRunner().invoke(
        rollouts, [*_ASKED, *_RESIDENT, "--new-tokens", "4096", "--arena", "1"]
    )
    assert result.exit_code != 0
    assert "arena" in str(result.exception)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--resident",),
        ("--resident", "--backend", "cpu", "--engine", "cuda"),
        ("--resident", "--backend", "cuda", "--engine", "native"),
        ("--resident", "--devices", "cuda,cpu", "--engine", "cuda"),
    ],
)
def test_anything_else_is_refused(arguments: tuple[str, ...]) -> None:
    """Before a device is opened."""
    result = CliRunner().invoke(rollouts, [*arguments])
    assert result.exit_code == 2
    assert "--backend cuda --engine cuda" in result.output
