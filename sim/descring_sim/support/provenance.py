# SPDX-License-Identifier: Apache-2.0
"""The origin of a results page: date, commit, machine."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path

from descring_sim.support import environment, paths
from descring_sim.support.errors import SimulationError

_TIMEOUT_S = 30.0


def _git(folder: Path | None, *arguments: str) -> tuple[str, str | None]:
    """Ask git about ``folder``: what it prints, and why it fails, None if it does not."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment.git(),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
    return done.stdout.strip(), said if done.returncode else None


def _ours(*arguments: str) -> str:
    root = paths.checkout_root()
    text, problem = _git(root, *arguments)
    if problem is not None:
        raise SimulationError(f"{root}: expected a checkout that git can read: {problem}")
    return text


def commit(*folders: str) -> str:
    """The commit that is checked out, and whether what lies in ``folders`` differs from it."""
    changed = _ours("status", "--porcelain", "--", *folders)
    return _ours("rev-parse", "--short", "HEAD") + (" with uncommitted changes" if changed else "")


def contents(*folders: str) -> str | None:
    """What lies in ``folders``, as one name; None where it differs from what is committed."""
    if _ours("status", "--porcelain", "--", *folders):
        return None
    return " ".join(_ours("rev-parse", "--short", f"HEAD:{folder}") for folder in folders)


def archive(revision: str, folder: str) -> bytes:
    """``folder`` at the commit ``revision``, as a tar archive.

    Raises:
        SimulationError: git has no such commit, or no such folder in it.
    """
    root = paths.checkout_root()
    done = subprocess.run(
        ["git", "-C", str(root), "archive", "--format=tar", revision, "--", folder],
        env=environment.git(),
        capture_output=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise SimulationError(f"expected a commit with {folder}, got {revision}: {said}")
    return done.stdout


def today() -> datetime.date:
    """The date, in UTC."""
    return datetime.datetime.now(datetime.UTC).date()


def machine() -> str:
    """Processor and number of cores in a few words."""
    return f"{platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()}"


def commit_of(folder: Path) -> str | None:
    """The commit that ``folder`` is at, and whether it has changes; None outside of git."""

    commit, problem = _git(folder, "rev-parse", "--short=12", "HEAD")
    if problem is not None or not commit:
        return None
    return commit + (" with changes" if _git(folder, "status", "--porcelain")[0] else "")
