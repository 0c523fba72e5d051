# SPDX-License-Identifier: Apache-2.0
"""The example programs, small, on every backend."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from types import ModuleType

import pytest
from descring_sim.support import paths

BACKENDS = ("model", "cpu", "icarus", "verilator")
TIMEOUT_S = 600.0


def rollouts(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the example as its user does."""
    root = paths.checkout_root()
    assert root is not None
    return subprocess.run(
        [sys.executable, root / "examples" / "rollouts.py", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


@pytest.fixture
def program() -> ModuleType:
    """The example as a module."""
    root = paths.checkout_root()
    assert root is not None
    spec = importlib.util.spec_from_file_location("rollouts", root / "examples" / "rollouts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_backend_ends_with_the_same_results_and_bytes() -> None:
    """Through the wrap of the indices, which begin 1000 short of it, and of the rings."""
    done = rollouts("--rollouts", "390", *(f"--backend={name}" for name in BACKENDS[:2]))
    assert done.returncode == 0, done.stderr
    done = rollouts("--rollouts", "40", *(f"--backend={name}" for name in BACKENDS))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == list(BACKENDS)
    digests = {re.sub(r"^\w+: |\d+\.\d s; ", "", line) for line in lines}
    assert len(digests) == 1, done.stdout
    count = re.search(r"(\d+) lines, (\d+) tokens", lines[0])
    assert count is not None
    assert int(count[1]) > 80, "rollouts are resumed"


def test_backends_that_differ_are_an_error(
    program: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, whichever of results and stream differs."""
    real = program.run

    def other(backend: str, *arguments: object) -> object:
        outcome = real(backend, *arguments)
        if backend == "cpu":
            outcome.legs[3] += 1
        return outcome

    monkeypatch.setattr(program, "run", other)
    words = ["rollouts.py", "--rollouts", "20", "--backend", "model", "--backend", "cpu"]
    monkeypatch.setattr(sys, "argv", words)
    assert program.main() == 1
    assert "the backends differ" in capsys.readouterr().err


def test_wrong_results_are_detected_without_a_second_backend(program: ModuleType) -> None:
    """A lost token, an unfinished rollout, a damaged CHECKED completion."""
    first = program.rollouts(50, 1)
    outcome = program.run("model", 50, 1, {})
    program.verify(first, outcome)
    for wrong in (outcome._replace(tokens=outcome.tokens - 1), outcome._replace(last=first)):
        with pytest.raises(program.HostError):
            program.verify(first, wrong)
    damaged = outcome.last[1:2].copy()
    damaged["kv_offset"] ^= 1
    with pytest.raises(program.HostError, match="tag or checksum"):
        program.check(damaged, 0)


@pytest.mark.parametrize(
    "arguments",
    [["--backend", "fpga"], ["--rollouts", "0"], ["--option", "x"], ["--option", "nonsense=1"]],
)
def test_bad_arguments_are_refused(arguments: list[str]) -> None:
    """Exit code 2 and a reason."""
    done = rollouts(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
