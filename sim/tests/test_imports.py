# SPDX-License-Identifier: Apache-2.0
"""Each contract on imports in pyproject.toml refuses the import that it is there for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from descring_sim.support import paths

PACKAGES = {
    "descring_model": "pymodel",
    "descring_host": "host",
    "descring_cuda": "cuda",
    "descring_sim": "sim",
    "descring_vip": "sim",
}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages, side by side, and of the contracts."""
    root = paths.checkout_root()
    assert root is not None
    copy = tmp_path_factory.mktemp("imports")
    for package, folder in PACKAGES.items():
        shutil.copytree(
            root / folder / package, copy / package, ignore=shutil.ignore_patterns("*.so", "__py*")
        )
    shutil.copy(root / "pyproject.toml", copy)
    return copy


def lint(folder: Path) -> tuple[int, str]:
    """Exit code and report of import-linter over the packages in ``folder``."""
    program = "import sys; from importlinter.cli import lint_imports_command as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_imports_of_the_tree_are_accepted(copied: Path) -> None:
    """All five contracts; that the copy is what is read, the refusals below show."""
    code, report = lint(copied)
    assert code == 0, report
    assert "5 kept, 0 broken" in report


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("descring_sim/replay/backend.py", "import descring_sim.cli.main", "Imports point down"),
        ("descring_model/lines.py", "from descring_host import Device", "Imports point down"),
        ("descring_sim/hdl/slang.py", "import descring_sim.waves.views", "Imports point down"),
        ("descring_host/errors.py", "import descring_host.queue", "No cycle among"),
        ("descring_vip/axi/rules.py", "import descring_vip.axi.monitor", "No cycle among"),
        (
            "descring_vip/axi/memory.py",
            "from descring_sim.support import paths",
            "The verification parts run in the simulator",
        ),
        (
            "descring_sim/cosim/build.py",
            "def late() -> None:\n    import descring_vip.testbench",
            "Nothing but a simulator imports",
        ),
        ("descring_sim/protocol/device.py", "import numpy", "What crosses a process boundary"),
        (
            "descring_sim/protocol/device.py",
            "import descring_model.crc",
            "What crosses a process boundary",
        ),
    ],
)
def test_a_forbidden_import_is_refused(copied: Path, module: str, line: str, broken: str) -> None:
    """Under the contract that forbids it, also inside a function."""
    file = copied / module
    text = file.read_text()
    try:
        file.write_text(f"{text}\n{line}\n")
        code, report = lint(copied)
    finally:
        file.write_text(text)
    assert code == 1, report
    refused = [entry for entry in report.splitlines() if "BROKEN" in entry]
    assert any(entry.startswith(broken) for entry in refused), report
