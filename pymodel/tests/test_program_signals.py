# SPDX-License-Identifier: Apache-2.0
"""Signals to a program: the exit code, one line, and cleaning up that nothing disturbs."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from descring_model import program, startup
from program_support import NAME, Ended, Process, process_of_a_test

__all__ = ["process_of_a_test"]

ENDS = {
    signal.SIGINT: Ended(2, "", f"{NAME}: error: interrupted\n"),
    signal.SIGTERM: Ended(143, "", f"{NAME}: error: ended by SIGTERM\n"),
    signal.SIGHUP: Ended(129, "", f"{NAME}: error: ended by SIGHUP\n"),
}
PATIENCE_S = 30.0
each_signal = pytest.mark.parametrize("number", ENDS)


def wait_for_a_signal() -> None:
    """Wait until a handler raises."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        time.sleep(0.001)


@each_signal
def test_signal_ends_the_work_in_order(number: signal.Signals, process: Process) -> None:
    """By an exception, so that what the work holds is released; then one line."""
    released = []

    def work() -> None:
        try:
            signal.raise_signal(number)
        finally:
            released.append(True)

    assert process.run(work) == ENDS[number]
    assert released


@pytest.mark.parametrize("second", ENDS)
@each_signal
def test_second_signal_does_not_disturb_the_release(
    number: signal.Signals, second: signal.Signals, process: Process
) -> None:
    """Nor where an error of its own is being handled there."""
    released = []

    def work() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(second)
            try:
                raise ValueError("cannot be released")
            except ValueError:
                signal.raise_signal(second)
            released.append(True)

    assert process.run(work) == ENDS[number]
    assert released


@each_signal
def test_signal_whose_exception_is_lost_is_raised_again(
    number: signal.Signals, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Extension modules clear exceptions that they do not expect; it happens more than once."""
    monkeypatch.setattr(program, "_AGAIN_S", 0.005)

    def work() -> None:
        for _ in range(3):
            with contextlib.suppress(BaseException):
                if program._Asked.error is None:
                    signal.raise_signal(number)
                wait_for_a_signal()
        wait_for_a_signal()

    assert process.run(work) == ENDS[number]


def test_work_that_resumes_after_a_signal_ends_on_the_next(process: Process) -> None:
    """As a worker does that ends in order: the first is over, and not raised again."""

    def work() -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        program.handle_signals()
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        signal.raise_signal(signal.SIGTERM)

    assert process.run(work) == ENDS[signal.SIGTERM]


@each_signal
def test_signal_after_the_work_changes_nothing(number: signal.Signals, process: Process) -> None:
    """The last output is written whole, and Python's own end is silent."""

    class Last(io.StringIO):
        def flush(self) -> None:
            signal.raise_signal(number)

    def work() -> int:
        sys.stdout = Last()
        return 1

    assert process.run(work) == Ended(1)


@each_signal
def test_signal_while_an_error_is_printed_changes_nothing(
    number: signal.Signals, process: Process
) -> None:
    """The work is over; its error is the program's."""

    class Odd(program.DescringError):
        def __str__(self) -> str:
            signal.raise_signal(number)
            return "expected 1"

    def work() -> None:
        raise Odd

    assert process.run(work) == Ended(2, "", f"{NAME}: error: expected 1\n")


@each_signal
def test_signal_that_the_parent_ignores_is_ignored(
    number: signal.Signals, process: Process
) -> None:
    """As under nohup, or in the background of a script."""

    def work() -> int:
        signal.raise_signal(number)
        with program.importing():
            signal.raise_signal(number)
        signal.raise_signal(number)
        return 1

    assert process.run(work, lambda: signal.signal(number, signal.SIG_IGN)) == Ended(1)


def test_no_timer_is_left_after_a_signal(process: Process) -> None:
    """Else the process that called the program would be ended by it."""

    def function() -> None:
        with contextlib.suppress(SystemExit):
            program.run_program(NAME, lambda: signal.raise_signal(signal.SIGTERM))
        assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
        assert {signal.getsignal(number) for number in ENDS} == {signal.SIG_IGN}

    process.call(function)


@pytest.mark.parametrize("act", [program.handle_signals, lambda: program.importing().__enter__()])
def test_process_of_another_keeps_its_handlers(act: Callable[[], None], process: Process) -> None:
    """A test or a library that calls a command in its process is not the command's program."""

    def function() -> int:
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
        act()
        assert program.guarded(NAME, lambda: 1) == 1
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        return len({signal.getsignal(number) for number in ENDS} - {signal.SIG_DFL})

    assert process.call(function) == Ended(0)


def test_signals_work_after_an_import(process: Process) -> None:
    """The work that follows has something to clean up."""

    def work() -> None:
        with program.importing():
            pass
        signal.raise_signal(signal.SIGTERM)

    assert process.run(work) == ENDS[signal.SIGTERM]


IMPORTS = """
import atexit, signal, sys
from descring_model import program
signal.pthread_sigmask(signal.SIG_BLOCK, (1, 2, 15))
for number in (1, 2, 15):
    signal.signal(number, signal.SIG_DFL)
def work():
    atexit.register(print, "cleaned up")
    with program.importing():
        try:
            signal.raise_signal(int(sys.argv[1]))
        except BaseException:
            print("an exception")
program.run_program("prog", work)
"""


@each_signal
def test_signal_during_an_import_ends_the_program_at_once(number: signal.Signals) -> None:
    """An exception may be lost in an import; also where the signals were blocked at the start."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, str(int(number))],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert Ended(done.returncode, done.stdout, done.stderr) == ENDS[number]


EARLY = """
import signal, sys
for number in (1, 2, 15):
    signal.signal(number, signal.SIG_DFL)
from descring_model import startup
{before}
startup.end_at_once("prog")
signal.raise_signal(int(sys.argv[1]))
"""


@pytest.mark.parametrize("before", ["", "import os; os.close(2)"])
@each_signal
def test_signal_at_the_start_has_its_exit_code(number: signal.Signals, before: str) -> None:
    """Also without a standard error, where the line is lost."""
    assert set(ENDS) == set(startup.ENDING)
    done = subprocess.run(
        [sys.executable, "-c", EARLY.format(before=before), str(int(number))],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == ENDS[number].code
    assert done.stderr == ("" if before else ENDS[number].err)
