# SPDX-License-Identifier: Apache-2.0
"""A process that a test may treat as its own: standard streams, signals, umask, warnings."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from descring_model import program, startup

NAME = "prog"
HANDLED = (*startup.ENDING, signal.SIGALRM)
Change = Callable[[], object]


@dataclass(frozen=True)
class Ended:
    """How a program has ended: its exit code and what it printed."""

    code: int
    out: str = ""
    err: str = ""


@contextlib.contextmanager
def _kept() -> Iterator[None]:
    """Undo at the end what a program does to its process."""
    streams = sys.stdin, sys.stdout, sys.stderr
    for stream in streams[1:]:
        stream.flush()
    copies = [os.dup(number) for number in range(3)]
    handlers = {number: signal.getsignal(number) for number in HANDLED}
    hook, mask = threading.excepthook, os.umask(0o022)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for stream in {sys.stdin, sys.stdout, sys.stderr} - {*streams, None}:
            # What a full disk did not take must not go to the streams that follow.
            with contextlib.suppress(OSError, ValueError):
                stream.close()
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        os.umask(mask)
        threading.excepthook = hook
        sys.stdin, sys.stdout, sys.stderr = streams
        for stream_number, copy in enumerate(copies):
            connect(stream_number, copy)


def connect(number: int, descriptor: int) -> None:
    """Make ``descriptor`` standard stream ``number``."""
    os.dup2(descriptor, number)
    os.close(descriptor)


def without_reader(number: int) -> None:
    """Make standard stream ``number`` a pipe that no one reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    connect(number, writer)


def full(number: int) -> None:
    """Make standard stream ``number`` a file on a full disk."""
    connect(number, os.open("/dev/full", os.O_WRONLY))


class Process:
    """This process, lent to one program after the other; its streams are files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._files = [folder / name for name in ("stdin", "stdout", "stderr")]

    def call(self, function: Callable[[], int | None], *changes: Change) -> Ended:
        """Call ``function``, after ``changes`` to the process, and return what it printed."""
        with _kept():
            for number, path in enumerate(self._files):
                path.write_bytes(b"")
                connect(number, os.open(path, os.O_RDWR | os.O_APPEND))
            # A test runner in the background inherits ignored ones.
            for signal_number in HANDLED:
                signal.signal(signal_number, signal.SIG_DFL)
            for change in changes:
                change()
            code = function()
        out, err = (path.read_text(encoding="utf-8") for path in self._files[1:])
        return Ended(code or 0, out, err)

    def run(self, work: Callable[[], object], *changes: Change) -> Ended:
        """Run ``work`` as a program, after ``changes`` to the process."""
        return self.call(lambda: exit_code(work), *changes)


def exit_code(work: Callable[[], object]) -> int:
    """Run ``work`` as a program, with the flush that Python makes at its end."""
    # An interrupt that is not caught would end pytest.
    with pytest.raises((SystemExit, KeyboardInterrupt)) as end:
        program.run_program(NAME, work)
    if not sys.stdout.closed:
        sys.stdout.flush()
    assert isinstance(end.value, SystemExit)
    assert isinstance(end.value.code, int)
    return end.value.code


@pytest.fixture(name="process")
def process_of_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    """A process in which no program has run."""
    monkeypatch.setattr(program, "_running", [])
    monkeypatch.setattr(program._Asked, "error", None)
    monkeypatch.delenv(program.DEBUG_VARIABLE, raising=False)
    return Process(tmp_path)
