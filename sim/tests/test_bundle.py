# SPDX-License-Identifier: Apache-2.0
"""`descring record` and `descring check`: results that travel as one file."""

from pathlib import Path

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
    """Every profile and mode is compared."""
    assert main.run(["check", str(bundle), "--backend", "cpu"]) == 0
    assert "cpu: 12 cases, 240 lines as model" in capsys.readouterr().out


def test_another_answer_is_a_mismatch(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, with the place and the line that repeats it."""
    with np.load(bundle) as file:
        arrays = {name: file[name].copy() for name in file.files}
    arrays["decode/model/done"][7, 33] ^= 1
    broken = tmp_path / "broken.npz"
    np.savez(broken, **arrays)
    assert main.run(["check", str(broken), "--backend", "model"]) == 1
    said = capsys.readouterr().out
    assert "decode, done ring, against model" in said
    assert f"rerun: descring check {broken} --backend model" in said


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
