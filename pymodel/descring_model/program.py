# SPDX-License-Identifier: Apache-2.0
"""How a program of the project starts and ends: standard streams, signals, exit codes.

Exit codes: what the program itself returns (0 all well, 1 a mismatch), 2 for everything that goes
wrong, Ctrl-C among it, 128 + n for the signals SIGTERM and SIGHUP. An error is one line on
standard error; with :data:`DEBUG_VARIABLE` set, its traceback precedes it.

A reader of standard output that leaves early, as in ``descring ... | head``, changes nothing else:
what it does not read is dropped, and the exit code is that of the work. A standard output that
cannot take what is written to it, such as a full disk, is an error.

Only the standard library is imported here, so that these rules hold before anything else can fail.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from descring_model.startup import end_at_once, set_handlers


class DescringError(Exception):
    """An error whose text is for the user: what was expected, what was found, what to do."""


ERROR = 2
"""Exit code of everything that goes wrong."""

DEBUG_VARIABLE = "DESCRING_DEBUG"
"""Environment variable that asks for the traceback of an error."""

_STANDARD_STREAMS = (0, 1, 2)
_OUTPUT, _ERRORS = 1, 2
_AGAIN_S = 0.1
"""After what time an exception is missed."""
_running: list[str] = []
"""The name of the program that this process is, if it is one."""


class _Output(io.FileIO):
    """Standard output or standard error, which may lose its reader."""

    def write(self, data: object) -> int:
        """Write ``data``, or drop it when no one is left to read it."""
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:
            return memoryview(data).nbytes  # type: ignore[arg-type]
        except OSError as error:
            if self.fileno() == _ERRORS:
                # There is no place left to tell it; the exit code does.
                return memoryview(data).nbytes  # type: ignore[arg-type]
            raise OSError(error.errno, error.strerror, "standard output") from error


def _wrapped(number: int, encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(_Output(number, "w", closefd=False)),
        encoding=encoding,
        # Names of files are bytes, and any of them must be printable under any locale.
        errors="backslashreplace",
        line_buffering=number == _ERRORS or os.isatty(number),
    )


def prepare_streams() -> None:
    """Make standard input, output and error usable, whatever the process inherited."""
    for number in _STANDARD_STREAMS:
        try:
            os.fstat(number)
        except OSError:
            # Else the next file that is opened would get the number, and with it what is printed:
            # a file gets the least that is free, and all below this one are in use by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = _wrapped(_OUTPUT, getattr(sys.stdout, "encoding", "utf-8"))
    sys.stderr = _wrapped(_ERRORS, getattr(sys.stderr, "encoding", "utf-8"))


def prepare_process() -> None:
    """Undo what an environment can do to any Python program without being meant for this one."""
    if sys.warnoptions:
        # PYTHONWARNINGS=error would turn a remark of a library into a failure.
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
    # Files that their own owner cannot read back are of no use.
    mask = os.umask(0o077)
    os.umask(mask & ~0o700)


class _Asked:
    """What the first signal that asks for the end has raised."""

    error: BaseException | None = None


def _being_handled(error: BaseException | None) -> bool:
    """Whether the code that runs now is in a clause that handles ``error``, or what it led to."""
    current = sys.exc_info()[1]
    while current is not None and current is not error:
        current = current.__context__
    return current is not None


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave by an exception, so that temporary files and simulators are cleaned up.

    A second signal does not disturb that. Extension modules, NumPy among them, clear exceptions
    that they do not expect; one that has vanished is raised again.
    """
    if _Asked.error is None:
        _Asked.error = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        signal.signal(signal.SIGALRM, _end)
        signal.setitimer(signal.ITIMER_REAL, _AGAIN_S, _AGAIN_S)
    elif _being_handled(_Asked.error):
        return
    raise _Asked.error


def _quiet() -> None:
    """Ignore signals from now on."""
    set_handlers(lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0)


def handle_signals() -> None:
    """End in order on the next signal; to be called again by code that resumes after one.

    It does nothing in a process that is not a program of :func:`run_program`.
    """
    if _running:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _Asked.error = None
        set_handlers(_end)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """End at once on a signal; for imports of a program that has nothing to clean up yet."""
    if _running:
        end_at_once(_running[0])
    yield
    handle_signals()


def say(name: str, text: str) -> int:
    """Print an error of program ``name`` and return its exit code."""
    with contextlib.suppress(OSError, ValueError):
        print(f"{name}: error: {text}", file=sys.stderr, flush=True)
    return ERROR


def described(error: BaseException) -> str:
    """One line about an error that nothing else has made one of."""
    if isinstance(error, DescringError):
        return str(error)
    if isinstance(error, OSError):
        names = [error.filename, error.filename2]
        texts = [os.fsdecode(name) if isinstance(name, bytes) else str(name) for name in names]
        known = dict.fromkeys(text for text, name in zip(texts, names, strict=True) if name)
        return ": ".join([*known, error.strerror or _one_line(error)])
    if isinstance(error, MemoryError):
        return f"out of memory {_one_line(error)}".strip()
    if isinstance(error, RecursionError):
        return "the input is nested too deeply"
    return (
        f"internal error: {type(error).__name__}: {_one_line(error)}; "
        f"{DEBUG_VARIABLE}=1 shows where"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _report(name: str, error: BaseException) -> int:
    if os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0"):
        with contextlib.suppress(OSError, ValueError):
            traceback.print_exception(error)
    return say(name, described(error))


def guarded(name: str, work: Callable[[], object]) -> int:
    """Run ``work`` and return the exit code of program ``name``; nothing is raised.

    ``work`` returns its exit code, or anything else for 0. It prints its own error if it ends with
    SystemExit.
    """
    try:
        try:
            code = work()
        finally:
            if _running:
                _quiet()
    except SystemExit as error:
        code = 0 if error.code is None else error.code
        if isinstance(code, int):
            return _signalled(name, code)
        return say(name, str(code))
    except KeyboardInterrupt:
        return say(name, "interrupted")
    except Exception as error:
        return _report(name, error)
    return int(code) if isinstance(code, int) else 0


def _signalled(name: str, code: int) -> int:
    """Return ``code``; name the signal, if it is the code of one."""
    with contextlib.suppress(ValueError):
        say(name, f"ended by {signal.Signals(code - 128).name}")
    return code


def run_program(name: str, work: Callable[[], object]) -> NoReturn:
    """Run ``work`` as the program ``name`` and end the process."""
    prepare_streams()
    prepare_process()
    _running.append(name)
    handle_signals()
    in_threads: list[int] = []

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is not None and arguments.exc_type is not SystemExit:
            in_threads.append(_report(name, arguments.exc_value))

    threading.excepthook = hook
    code = guarded(name, work)
    # A thread that died did not do its share, whatever the rest made of it.
    code = max([code, *in_threads])
    code = _flushed(name, code)
    # Python's own end would print a traceback on a signal.
    set_handlers(signal.SIG_IGN)
    sys.exit(code)


def _flushed(name: str, code: int) -> int:
    """Write out what is buffered; the exit code with what comes of that."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        # An error has been told already, perhaps this one.
        code = code if code == ERROR else say(name, described(error))
        # Python flushes once more at its end, and must not fail again.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, _OUTPUT)
        os.close(null)
    return code
