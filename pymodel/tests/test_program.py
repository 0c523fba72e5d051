# SPDX-License-Identifier: Apache-2.0
"""How a program ends: exit codes, the one line of an error, streams that take nothing, threads."""

from __future__ import annotations

import gc
import io
import os
import stat
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from descring_model import program
from program_support import (
    NAME,
    Ended,
    Process,
    connect,
    full,
    process_of_a_test,
    without_reader,
)

__all__ = ["process_of_a_test"]

MUCH = 1 << 16
"""Characters that no buffer of a stream keeps to the end."""
NO_SPACE = f"{NAME}: error: standard output: No space left on device\n"


def raising(error: BaseException) -> Callable[[], object]:
    """Work that raises ``error``."""

    def work() -> None:
        raise error

    return work


def printing(count: int, code: int = 0) -> Callable[[], object]:
    """Work that prints so many characters, and ends with ``code``."""

    def work() -> int:
        print("a" * count)
        return code

    return work


@pytest.mark.parametrize(
    ("value", "code"), [(None, 0), (0, 0), (1, 1), (2, 2), (True, 1), ("a", 0), (3.5, 0)]
)
def test_number_that_the_work_returns_is_the_exit_code(
    value: object, code: int, process: Process
) -> None:
    """Anything else is 0, and nothing is printed."""
    assert process.run(lambda: value) == Ended(code)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (None, 0, ""),
        (0, 0, ""),
        (1, 1, ""),
        (127, 127, ""),
        (128, 128, ""),
        (129, 129, "ended by SIGHUP"),
        (143, 143, "ended by SIGTERM"),
        (255, 255, ""),
        (257, 257, ""),
        ("expected this", 2, "expected this"),
    ],
)
def test_system_exit_is_the_exit_code_and_a_text_an_error(
    value: str | int | None, code: int, text: str, process: Process
) -> None:
    """A code above 128 that is a signal's is named."""
    error = f"{NAME}: error: {text}\n" if text else ""
    assert process.run(raising(SystemExit(value))) == Ended(code, "", error)


INTERNAL = f"; {program.DEBUG_VARIABLE}=1 shows where"
ERRORS = {
    "interrupt": (KeyboardInterrupt(), "interrupted"),
    "own": (program.DescringError("expected 1, got 2"), "expected 1, got 2"),
    "file": (OSError(2, "No such file", "a"), "a: No such file"),
    "two files": (OSError(2, "No such file", "a", None, "b"), "a: b: No such file"),
    "a file twice": (OSError(2, "No such file", "a", None, "a"), "a: No such file"),
    "bytes": (OSError(2, "No such file", b"a\xff"), "a\\udcff: No such file"),
    "no number": (OSError("it\n is  odd"), "it is odd"),
    "memory": (MemoryError(), "out of memory"),
    "memory for": (MemoryError("for 5\nlines"), "out of memory for 5 lines"),
    "recursion": (RecursionError("deep"), "the input is nested too deeply"),
    "any": (ValueError("in two\nlines"), f"internal error: ValueError: in two lines{INTERNAL}"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_error_is_one_line_and_exit_code_2(kind: str, process: Process) -> None:
    """Whatever is raised; the line names the program."""
    error, text = ERRORS[kind]
    assert process.run(raising(error)) == Ended(2, "", f"{NAME}: error: {text}\n")


@pytest.mark.parametrize(
    ("value", "shown"), [("1", True), ("yes", True), ("0", False), ("", False)]
)
def test_traceback_precedes_the_line_on_request(
    value: str, shown: bool, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DESCRING_DEBUG asks for it, unless it is empty or 0."""
    monkeypatch.setenv("DESCRING_DEBUG", value)
    ended = process.run(raising(ValueError("odd")))
    assert ended.code == 2
    assert ended.err.startswith("Traceback") == shown
    assert "ValueError: odd\n" in ended.err or not shown
    assert ended.err.splitlines()[-1].startswith(f"{NAME}: error: internal error: ValueError: odd")
    assert len(ended.err.splitlines()) == 1 or shown


def test_error_is_printed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in the process of another, whose stream is buffered."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(io.BufferedWriter(raw)))
    assert program.guarded(NAME, raising(KeyboardInterrupt())) == 2
    assert raw.getvalue() == b"prog: error: interrupted\n"


@pytest.mark.parametrize("count", [1, MUCH])
@pytest.mark.parametrize("code", [0, 1])
def test_reader_that_leaves_changes_no_exit_code(count: int, code: int, process: Process) -> None:
    """What it does not read is dropped, whether buffered to the end or not."""
    assert process.run(printing(count, code), lambda: without_reader(1)) == Ended(code)


@pytest.mark.parametrize("count", [1, MUCH])
@pytest.mark.parametrize("code", [0, 1, 3])
def test_full_disk_under_standard_output_is_an_error(
    count: int, code: int, process: Process
) -> None:
    """One line that names the stream; Python's own flush at the end does not fail once more."""
    assert process.run(printing(count, code), lambda: full(1)) == Ended(2, "", NO_SPACE)


def test_error_of_the_work_is_not_followed_by_one_of_the_stream(process: Process) -> None:
    """One line for the first; the disk is full too."""

    def work() -> None:
        print("a")
        raise program.DescringError("first")

    ended = process.run(work, lambda: full(1))
    assert ended == Ended(2, "", f"{NAME}: error: first\n")


def test_standard_output_that_the_work_has_closed_is_an_error(process: Process) -> None:
    """What is written after that would be lost."""
    ended = process.run(lambda: sys.stdout.close())
    assert ended.code == 2
    assert ended.err.startswith(f"{NAME}: error: internal error: ValueError: I/O operation")


@pytest.mark.parametrize("count", [1, MUCH])
@pytest.mark.parametrize("code", [0, 1, 2])
@pytest.mark.parametrize("change", [full, without_reader])
def test_standard_error_that_takes_nothing_leaves_the_exit_code(
    change: Callable[[int], None], code: int, count: int, process: Process
) -> None:
    """It is all that is left to report, of an error and of work that prints there."""

    def work() -> int:
        print("a" * count, file=sys.stderr)
        if code == 2:
            raise program.DescringError("b" * count)
        return code

    assert process.run(work, lambda: change(2)) == Ended(code)


@pytest.mark.parametrize("debug", ["0", "1"])
def test_error_after_standard_error_was_closed_leaves_the_exit_code(
    debug: str, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the line nor a traceback can be printed."""
    monkeypatch.setenv(program.DEBUG_VARIABLE, debug)

    def work() -> None:
        sys.stderr.close()
        raise program.DescringError("first")

    assert process.run(work) == Ended(2)


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_stream_is_one_that_takes_everything(
    closed: tuple[int, ...], process: Process, tmp_path: Path
) -> None:
    """Its number goes to no file that is opened later; children inherit it."""

    def work() -> None:
        for number in closed:
            assert os.path.samestat(os.fstat(number), Path(os.devnull).stat())
            assert os.get_inheritable(number)
        with (tmp_path / "file").open("w", encoding="utf-8") as file:
            assert file.fileno() not in closed
            print("a")
            print("b", file=sys.stderr)

    def close() -> None:
        for number in closed:
            os.close(number)

    ended = process.run(work, close)
    assert ended == Ended(0, "" if 1 in closed else "a\n", "" if 2 in closed else "b\n")
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize(("closed", "text"), [(True, ""), (False, "typed")])
def test_standard_input_that_python_has_no_stream_for_is_read(
    closed: bool, text: str, process: Process
) -> None:
    """A closed one is at its end; what is there otherwise is read."""

    def lose() -> None:
        os.pwrite(0, b"typed", 0)
        if closed:
            os.close(0)
        sys.stdin = None

    assert process.run(lambda: print(sys.stdin.read()), lose) == Ended(0, f"{text}\n")


def test_streams_that_are_replaced_stay_open(process: Process) -> None:
    """A wrapper that is dropped, as where a capture of output ends, closes no descriptor."""

    def function() -> None:
        for _ in range(2):
            sys.stdin = None
            program.prepare_streams()
            print("a")
            print("b", file=sys.stderr)
            sys.stdin, sys.stdout, sys.stderr = None, None, None
            gc.collect()
        assert all(stat.S_ISREG(os.fstat(number).st_mode) for number in range(3))

    assert process.call(function) == Ended(0, "a\na\n", "b\nb\n")


def test_text_that_the_encoding_lacks_is_escaped(process: Process) -> None:
    """Names of files are bytes, and any of them must be printable under any locale."""

    def ascii_streams() -> None:
        sys.stdout, sys.stderr = (
            open(number, "w", encoding="ascii", closefd=False)  # noqa: SIM115
            for number in (1, 2)
        )

    def work() -> None:
        print("\xe9\udcff")
        print("\xe9\udcff", file=sys.stderr)

    text = "\\xe9\\udcff\n"
    assert process.run(work, ascii_streams) == Ended(0, text, text)


def test_lines_are_shown_at_once_at_a_terminal_and_on_standard_error(process: Process) -> None:
    """Elsewhere standard output is buffered."""

    def function() -> None:
        program.prepare_streams()
        assert (sys.stdout.line_buffering, sys.stderr.line_buffering) == (False, True)
        terminal, end = os.openpty()
        connect(1, end)
        program.prepare_streams()
        assert sys.stdout.line_buffering
        print("a")
        assert os.read(terminal, 9).split() == [b"a"]
        os.close(terminal)

    process.call(function)


@pytest.mark.parametrize(
    ("mask", "expected"), [(0o777, 0o077), (0o700, 0), (0o422, 0o022), (0o027, 0o027)]
)
def test_files_can_be_used_by_their_owner(mask: int, expected: int, process: Process) -> None:
    """Bits of the umask that concern the owner are cleared, and no others."""
    seen = []

    def work() -> None:
        seen.append(os.umask(0))
        os.umask(seen[0])

    process.run(work, lambda: os.umask(mask))
    assert seen == [expected]


@pytest.mark.parametrize(("options", "code"), [(["error"], 0), ([], 2)])
def test_warnings_that_an_environment_made_errors_are_ignored(
    options: list[str], code: int, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PYTHONWARNINGS was not meant for the program; a filter of its own code was."""
    monkeypatch.setattr(sys, "warnoptions", options)
    ended = process.run(
        lambda: warnings.warn("a remark", stacklevel=1), lambda: warnings.simplefilter("error")
    )
    assert ended.code == code
    assert ("UserWarning: a remark" in ended.err) == (code == 2)


@pytest.mark.parametrize(
    ("error", "own", "code", "text"),
    [
        (ValueError("odd"), 0, 2, "internal error: ValueError: odd"),
        (program.DescringError("expected 1"), 1, 2, "expected 1"),
        (program.DescringError("expected 1"), 5, 5, "expected 1"),
        (SystemExit(7), 1, 1, ""),
    ],
)
def test_thread_that_dies_is_an_error_of_the_program(
    error: BaseException, own: int, code: int, text: str, process: Process
) -> None:
    """It did not do its share, whatever the rest made of it; one that leaves by itself did."""

    def work() -> int:
        thread = threading.Thread(target=raising(error))
        thread.start()
        thread.join()
        return own

    ended = process.run(work)
    assert ended.code == code
    assert ended.err.startswith(f"{NAME}: error: {text}" if text else "")
    assert len(ended.err.splitlines()) == bool(text)
