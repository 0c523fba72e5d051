# SPDX-License-Identifier: Apache-2.0
"""A test that hangs ends, is named, and takes nothing with it but itself."""

import subprocess
import sys
from pathlib import Path

import pytest

HANGING = "import time\ndef test_hangs():\n    time.sleep(600)\ndef test_passes():\n    pass\n"
LEAVING = (
    "import threading, time\n"
    "def test_leaves():\n    threading.Thread(target=time.sleep, args=(600,)).start()\n"
)


def run(folder: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a file of tests as the suites are run, with limits of a second or so."""
    (folder / "test_it.py").write_text(text)
    (folder / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\n"
        'addopts = "-p descring_sim.support.pytest_ending"\n'
        "faulthandler_timeout = 2\nfaulthandler_exit_on_timeout = true\nending_timeout = 2\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", *options, "test_it.py"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_test_that_hangs_is_named_and_the_others_run(tmp_path: Path) -> None:
    """The stack tells where."""
    ended = run(tmp_path, HANGING, "-n", "1")
    assert ended.returncode == 1
    assert "crashed while running 'test_it.py::test_hangs'" in ended.stdout
    assert "1 failed, 1 passed" in ended.stdout
    assert 'test_it.py", line 3 in test_hangs' in ended.stderr


@pytest.mark.parametrize("options", [[], ["-n", "1"]])
def test_a_thread_that_a_test_leaves_does_not_keep_pytest(
    tmp_path: Path, options: list[str]
) -> None:
    """Neither in pytest itself nor in its worker."""
    ended = run(tmp_path, LEAVING, *options)
    assert "1 passed" in ended.stdout
    assert "in _shutdown" in ended.stderr
