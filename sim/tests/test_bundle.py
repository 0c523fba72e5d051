# SPDX-License-Identifier: Apache-2.0
"""`descring record` and `descring check`: results that travel as one file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from descring_sim.cli import main


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle with the model's results."""
    path = tmp_path_factory.mktemp("bundle") / "b.npz"
    assert main.run(["record", str(path), "--backend", "model", "--count", "20"]) == 0
    return path


def test_a_backend_with_the_same_answers_passes(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every profile and mode is compared, and every run, whose tokens another engine makes."""
    assert main.run(["check", str(bundle), "--backend", "cpu"]) == 0
    assert "cpu: 12 cases, 240 lines, 3 runs as model" in capsys.readouterr().out


def changed(bundle: Path, path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of ``bundle`` at ``path`` with other arrays; the manifest is a dict."""
    with np.load(bundle) as file:
        arrays: dict[str, Any] = {name: file[name].copy() for name in file.files}
    arrays["manifest"] = json.loads(arrays["manifest"].tobytes())
    change(arrays)
    arrays["manifest"] = np.frombuffer(json.dumps(arrays["manifest"]).encode(), dtype=np.uint8)
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("name", "place", "wanted"),
    [
        ("runs/drawn/model/log", (5, 12), "run drawn, against model: log, record 5: expected ("),
        ("runs/scored/model/tokens", (3, 0), "run scored, against model: tokens, rollout 3: "),
        ("runs/greedy/model/digests", 8, "run greedy, against model: digests, rollout 8: expected"),
    ],
)
def test_another_run_is_a_mismatch(
    name: str, place: Any, wanted: str, bundle: Path, tmp_path: Path, capsys: Any
) -> None:
    """[LOG-004] [COW-010] [NUM-008] An event, a token, a digest: the first that differs."""

    def change(arrays: dict[str, Any]) -> None:
        arrays[name][place] ^= 1

    broken = changed(bundle, tmp_path / "broken.npz", change)
    command = ["check", str(broken), "--backend", "model", "--engine", "native"]
    assert main.run(command) == 1
    output = capsys.readouterr().out
    assert wanted in output
    assert f"rerun: descring {' '.join(command)}" in output


def shorter(arrays: dict[str, Any]) -> None:
    """A log that ends early."""
    arrays["runs/drawn/model/log"] = arrays["runs/drawn/model/log"][:-1]


def test_a_shorter_log_is_a_mismatch(bundle: Path, tmp_path: Path, capsys: Any) -> None:
    """The rows that both have are equal, and still they differ."""
    broken = changed(bundle, tmp_path / "broken.npz", shorter)
    assert main.run(["check", str(broken), "--backend", "model"]) == 1
    assert "run drawn, against model: log: expected " in capsys.readouterr().out


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "runs that are no list": lambda arrays: arrays["manifest"].update(runs=3),
    "an unknown option": lambda arrays: arrays["manifest"]["runs"][0].update(speed=1),
    "a name that is a number": lambda arrays: arrays["manifest"]["runs"][0].update(name=1),
    "a share that is a text": lambda arrays: arrays["manifest"]["runs"][0].update(share="yes"),
    "a temperature out of range": lambda arrays: arrays["manifest"]["runs"][0].update(
        temperature=-1.0
    ),
    "an unknown policy": lambda arrays: arrays["manifest"]["runs"][0].update(policy="BEST"),
    "a vocabulary of none": lambda arrays: arrays["manifest"]["runs"][0].update(vocabulary=0),
    "requests without a log": lambda arrays: arrays.pop("runs/greedy/model/log"),
    "requests of another size": lambda arrays: arrays.update(
        {"runs/drawn/requests": np.zeros((3, 31), np.uint8)}
    ),
    "a group without a prompt": lambda arrays: arrays["runs/drawn/requests"][8].__setitem__(0, 7),
    "an arrival that no run reaches": lambda arrays: arrays["runs/drawn/requests"][0].__setitem__(
        19, 255
    ),
    "a rollout that no arena holds": lambda arrays: arrays["runs/drawn/requests"][0].__setitem__(
        13, 15
    ),
    "too few tokens": lambda arrays: arrays.update(
        {"runs/drawn/prompts": arrays["runs/drawn/prompts"][1:]}
    ),
    "a token beyond the vocabulary": lambda arrays: arrays["runs/drawn/prompts"].__setitem__(0, 64),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_is_refused(
    damage: str, bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line, whatever part of it is damaged."""
    broken = changed(bundle, tmp_path / "broken.npz", DAMAGES[damage])
    assert main.run(["check", str(broken), "--backend", "model"]) == 2
    stated = capsys.readouterr().err
    assert "record" in stated
    assert stated.count("\n") == 1


def test_an_unknown_engine_is_refused(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with those that there are."""
    assert main.run(["check", str(bundle), "--backend", "model", "--engine", "none"]) == 2
    assert "engine: expected model, native" in capsys.readouterr().err


def test_another_answer_is_a_mismatch(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, with the place and the line that repeats it."""

    def change(arrays: dict[str, Any]) -> None:
        arrays["decode/model/done"][7, 33] ^= 1

    broken = changed(bundle, tmp_path / "broken.npz", change)
    assert main.run(["check", str(broken), "--backend", "model"]) == 1
    stated = capsys.readouterr().out
    assert "decode, done ring, against model" in stated
    assert f"rerun: descring check {broken} --backend model" in stated


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    """Exit code 2: missing, not a bundle, or an unknown backend; nothing is left half-written."""
    other = tmp_path / "other.npz"
    np.savez(other, a=np.zeros(3))
    for path in (tmp_path / "missing.npz", other):
        assert main.run(["check", str(path), "--backend", "model"]) == 2
    target = tmp_path / "new.npz"
    assert main.run(["record", str(target), "--backend", "unknown"]) == 2
    assert main.run(["record", str(tmp_path / "no" / "x.npz"), "--backend", "model"]) == 2
    assert not target.exists()
