# SPDX-License-Identifier: Apache-2.0
"""The command line, run in this process, and a toy project, for tests that want them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# pytest runs with --import-mode=importlib, which puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parent))

from descring_sim.cli import main
from toy_project import Toy, write_toy


@pytest.fixture
def descring(
    capfd: pytest.CaptureFixture[str],
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """``descring(*arguments)``: the exit code and what was printed."""

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        words = [str(argument) for argument in arguments]
        capfd.readouterr()
        code = main.run(words)
        captured = capfd.readouterr()
        return subprocess.CompletedProcess(words, code, captured.out, captured.err)

    return call


@pytest.fixture
def toy(tmp_path: Path) -> Toy:
    """A project of one module for the runner."""
    return write_toy(tmp_path)
