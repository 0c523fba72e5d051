# SPDX-License-Identifier: Apache-2.0
"""Child processes, each with a process group of its own, of which nothing outlives the call."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def end_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that leads its own group, with everything that it started.

    Harmless if all of it has ended.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(
    command: Sequence[str],
    *,
    log: Path,
    timeout_s: float,
    env: Mapping[str, str],
    cwd: Path | None = None,
) -> int | None:
    """Run ``command`` into ``log`` and return its exit code, None after a timeout.

    Nothing that it started outlives it, also after an interrupt.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end_group(process)


def log_tail(log: Path, count: int = 15) -> str:
    """Return the last ``count`` non-empty lines of ``log``, indented."""
    if not log.is_file():
        return "    (no log)"
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return "\n".join(f"    {line}" for line in lines[-count:])


def write_executable(path: Path, text: str) -> None:
    """Write ``path`` in one step, because other processes may be running it."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    temporary = Path(file.name)
    temporary.chmod(temporary.stat().st_mode | stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP)
    temporary.replace(path)
