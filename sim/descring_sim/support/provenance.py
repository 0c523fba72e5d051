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


def _git(*arguments: str) -> str:
    root = paths.checkout_root()
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(
        command, env=environment.git(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = " ".join(done.stderr.split())
        raise SimulationError(f"{root}: expected a checkout that git can read: {said}")
    return done.stdout.strip()


def commit(*folders: str) -> str:
    """The commit that is checked out, and whether what lies in ``folders`` differs from it."""
    changed = _git("status", "--porcelain", "--", *folders)
    return _git("rev-parse", "--short", "HEAD") + (" with uncommitted changes" if changed else "")


def contents(*folders: str) -> str | None:
    """What lies in ``folders``, as one name; None where it differs from what is committed."""
    if _git("status", "--porcelain", "--", *folders):
        return None
    return " ".join(_git("rev-parse", "--short", f"HEAD:{folder}") for folder in folders)


def today() -> datetime.date:
    """The date, in UTC."""
    return datetime.datetime.now(datetime.UTC).date()


def machine() -> str:
    """Processor and number of cores in a few words."""
    return f"{platform.machine()} with {os.cpu_count()} cores, Python {platform.python_version()}"


def commit_of(folder: Path) -> str | None:
    """The commit that ``folder`` is at, and whether it has changes; None outside of git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments],
                env=environment.git(),
                capture_output=True,
                text=True,
                timeout=30,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    return commit + (" with changes" if git("status", "--porcelain") else "")
