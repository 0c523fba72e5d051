# SPDX-License-Identifier: Apache-2.0
"""``descring`` by a user who owns nothing here, without a home and without a name."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

UID = 61_234
"""A user that no machine has."""


def run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run Python with ``words`` in ``folder`` as that user."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        user=UID,
        group=UID,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder that the user may only read, and one of the user's own."""
    if os.getuid() != 0:
        pytest.skip("only root can run a program as another user")
    locked, own = tmp_path_factory.mktemp("locked"), tmp_path_factory.mktemp("own")
    for folder in {locked, *locked.parents[:-2]}:
        folder.chmod(0o755)
    os.chown(own, UID, UID)
    try:
        found = run(["-c", "import descring_sim, numpy"], locked, {})
    except OSError as error:
        pytest.skip(f"another user cannot run {sys.executable}: {error.strerror}")
    if found.returncode:
        pytest.skip(f"another user cannot read the packages: {found.stderr.splitlines()[-1]}")
    return locked, own


def descring(*words: str) -> list[str]:
    """The command with ``words``."""
    return ["-P", "-c", "from descring_sim.cli.main import main; main()", *words]


CONFORM = ("conform", "model", "--only", "OP-000", "-j", "1")
REFUSED = {
    "stream": (("stream", "--count", "5", "--seed", "1", "-o", "x.npy"), "Permission denied"),
    "record": (("record", "x.npz", "--backend", "model", "--count", "2"), "Permission denied"),
    "conform": (CONFORM, "set DESCRING_BUILD_DIR to a folder that can be written"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_place_is_refused(name: str, folders: tuple[Path, Path]) -> None:
    """By one line that names the place, without a file in it."""
    words, message = REFUSED[name]
    result = run(descring(*words), folders[0], {})
    assert result.returncode == 2, result
    assert message in result.stderr and len(result.stderr.splitlines()) == 1
    assert "internal error" not in result.stderr
    assert not list(folders[0].iterdir())


@pytest.mark.parametrize("variable", ["HOME", "XDG_CACHE_HOME", "DESCRING_BUILD_DIR"])
def test_a_folder_of_the_users_own_is_enough(variable: str, folders: tuple[Path, Path]) -> None:
    """For a verdict, and for a simulation that is built first."""
    locked, own = folders
    environment = {variable: str(own)}
    result = run(descring(*CONFORM), locked, environment)
    assert result.returncode == 0, result
    if variable != "HOME":
        return
    lines, done = str(own / "in.npy"), str(own / "out.npy")
    for words in (
        ("stream", "--count", "20", "--seed", "1", "-o", lines),
        ("replay", lines, "--backend", "icarus", "-o", done),
    ):
        result = run(descring(*words), locked, environment)
        assert result.returncode == 0, result
    assert Path(done).stat().st_size == Path(lines).stat().st_size
