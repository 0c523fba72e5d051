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

SLOW = frozenset(
    f"test_{name}"
    for name in (
        *("bootstrap", "bridge", "campaign", "cli_programs", "conform_report", "device"),
        *("environment", "examples", "foreign_variables", "imports", "installed", "other_user"),
        *("fusesoc", "replay_rtl"),
        *("conform_campaign", "conform_processes", "conform_shell", "conform_simulations"),
        *("cli_top", "conform_rejects", "doc_commands", "mutation", "mutation_python"),
        *("conform_suite", "formal", "formal_quick", "formal_streams", "mutants", "mutants_host"),
        "pytest_ending",
        *("runner", "shell", "soak", "synth", "tiers", "timing_diagram", "verilated_core"),
        *("verilated_device", "views_of_testbenches", "vip_example"),
        *("waves_of_failures", "waveview"),
    )
)
"""Files whose tests build, simulate or wait; ``make check`` leaves them out."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder that take seconds."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)


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
