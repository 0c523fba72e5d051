# SPDX-License-Identifier: Apache-2.0
"""`descring replay --backend cpu`: the model's bytes, and clear refusals."""

from pathlib import Path

import numpy as np
import pytest
from descring_model import streams
from descring_sim.cli import main


@pytest.mark.parametrize("profile", ["mixed", "errors", "stops"])
@pytest.mark.parametrize(
    "options", [[], ["--workers", "2", "--ring-depth", "16"], ["--halt"], ["--require-checked"]]
)
def test_replay_gives_the_models_files(tmp_path: Path, profile: str, options: list[str]) -> None:
    """[RING-007] [LIFE-003] [DESC-025]: whole files, STOPs resumed or halted at."""
    start = ["--first-index", str(0xFFFFFF00)]
    stream = tmp_path / "in.npy"
    lines = streams.generate(2000, seed=8, profile=profile, first_index=0xFFFFFF00)
    np.save(stream, lines)
    outs = {}
    for backend in ("model", "cpu"):
        outs[backend] = tmp_path / f"{backend}.npy"
        own = options if backend == "cpu" or "--workers" not in options else []
        command = ["replay", str(stream), "--backend", backend, "-o", str(outs[backend])]
        assert main.run([*command, *start, *own]) == 0
    model, cpu = (np.load(path) for path in outs.values())
    assert len(model) > 0
    assert model.tobytes() == cpu.tobytes()


def test_replay_splits_rewards_as_the_model(tmp_path: Path) -> None:
    """[RING-008]: two files, one a ring."""
    stream = tmp_path / "in.npy"
    np.save(stream, streams.generate(2000, seed=9, profile="mixed"))
    for backend in ("model", "cpu"):
        out, reward = (tmp_path / f"{backend}{ring}.npy" for ring in ("", "-reward"))
        command = ["replay", str(stream), "--backend", backend, "-o", str(out)]
        assert main.run([*command, "--split-reward", str(reward)]) == 0
    for ring in ("", "-reward"):
        model, cpu = (np.load(tmp_path / f"{name}{ring}.npy") for name in ("model", "cpu"))
        assert len(model) > 0
        assert model.tobytes() == cpu.tobytes()


@pytest.mark.parametrize("options", [["--seed", "1"], ["--workers", "99"], ["--ring-depth", "3"]])
def test_replay_refuses_what_the_backend_cannot_do(tmp_path: Path, options: list[str]) -> None:
    """[RING-001]: exit code 2 and no output file."""
    stream, out = tmp_path / "in.npy", tmp_path / "out.npy"
    np.save(stream, streams.generate(10, seed=1))
    assert main.run(["replay", str(stream), "--backend", "cpu", "-o", str(out), *options]) == 2
    assert not out.exists()
