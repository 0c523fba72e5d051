# SPDX-License-Identifier: Apache-2.0
"""Child processes, each with a process group of its own, of which nothing outlives the call."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import stat
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO


def start_group(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int = subprocess.DEVNULL,
    output: int | BinaryIO = subprocess.PIPE,
    pass_fds: Sequence[int] = (),
    dies_with_parent: bool = False,
) -> subprocess.Popen[bytes]:
    """Start ``command`` as the leader of a process group; :func:`end_group` ends it.

    The group is a session as well, so that keys of a terminal reach this process alone.

    Args:
        command: program and arguments.
        env: its environment; None: that of this process.
        cwd: its working folder; None: that of this process.
        stdin: as of :class:`subprocess.Popen`.
        output: where its standard output and error go.
        pass_fds: files that it inherits.
        dies_with_parent: it is killed when the thread that starts it ends, whatever the reason.

    Raises:
        OSError: it cannot be started.
    """
    return subprocess.Popen(
        command,
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=pass_fds,
        start_new_session=True,
        preexec_fn=_die_with_parent if dies_with_parent else None,
    )


def end_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process that leads its own group, with everything that it started.

    Harmless if all of it has ended.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


MARK = "DESCRING_PROCESS_MARK"
"""Environment variable by which what a process started is found, whatever group it is in."""


def end_marked(mark: str) -> None:
    """Kill every process of this user whose environment has :data:`MARK` with this value."""
    wanted = f"{MARK}={mark}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)


class Tail:
    """The end of what a process prints: read as it comes, so that it is never held up, and cut.

    Something that the process left running may hold the pipe open; it is waited for no longer.
    """

    def __init__(self, process: subprocess.Popen[bytes], keep: int = 1 << 16) -> None:
        """Read the standard output of ``process``, and keep the last ``keep`` bytes."""
        assert process.stdout is not None
        self._file = process.stdout
        self._keep = keep
        self._data = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._file:
            while part := os.read(self._file.fileno(), 1 << 16):
                self._data = (self._data + part)[-self._keep :]

    def text(self, patience_s: float = 0.5) -> str:
        """What was printed, after the end of the process: all of it, unless others hold on."""
        self._thread.join(patience_s)
        return self._data.decode(errors="replace").strip()


def capture(
    command: Sequence[str],
    *,
    timeout_s: float,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    keep: int = 1 << 16,
) -> tuple[int | None, str]:
    """Run ``command``; its exit code, None after a timeout, and the last ``keep`` bytes it printed.

    It ends with this process, and what is left of its group when it has ended is killed.

    Raises:
        OSError: it cannot be started.
    """
    process = start_group(command, cwd=cwd, env=env, dies_with_parent=True)
    tail = Tail(process, keep)
    code: int | None = None
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        end_group(process)
    return code, tail.text()


_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)  # before any fork: a child must not load it


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


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
        process = start_group(command, cwd=cwd, env=env, output=output)
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
