# SPDX-License-Identifier: Apache-2.0
"""The judge outlives the judged: whatever an implementation sends, prints or leaves behind."""

from __future__ import annotations

import json
import os
import pickle
import random
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conform_support import plugin, write_everywhere
from descring_sim.conform.duts import dut_file
from descring_sim.conform.errors import DutError
from descring_sim.conform.messages import (
    FRAME_MAX,
    MessageError,
    Refused,
    Request,
    TooLate,
    receive,
    send,
)
from descring_sim.conform.status import Status
from descring_sim.conform.worker_pool import Task, run_all
from descring_sim.support import processes

Command = Callable[..., subprocess.CompletedProcess[str]]
TASK = Task("OP-000/nop", 3)


def outcome(folder: Path, body: str, timeout_s: float = 20.0) -> tuple[Status, str]:
    """What becomes of one test of a plugin that does ``body``."""
    (result,) = run_all(plugin(folder, body), folder, [TASK], jobs=1, timeout_s=timeout_s)
    return result.status, result.failure.text if result.failure else ""


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"hello" * 20, Status.ERROR, "sent bytes that are no message"),
        (struct.pack("<4sI", b"DRC1", 5) + b"hello", Status.ERROR, "a message that is no JSON"),
        (struct.pack("<4sI", b"DRC1", FRAME_MAX + 1), Status.ERROR, "bytes that are no message"),
        (struct.pack("<4sI", b"DRC1", 2) + b"[]", Status.ERROR, "a message without a kind"),
    ],
)
def test_stray_bytes_are_an_error(
    tmp_path: Path, data: bytes, status: Status, message: str
) -> None:
    """An implementation that writes into the kit's pipe has no result."""
    actual, text = outcome(tmp_path, write_everywhere(data))
    assert actual is status
    assert message in text


@pytest.mark.slow
def test_half_a_reply_has_a_deadline(tmp_path: Path) -> None:
    """The head of a reply, and then nothing: the deadline is that of the whole reply."""
    data = struct.pack("<4sI", b"DRC1", 1000)
    body = write_everywhere(data) + "\n        import time; time.sleep(60)"
    began = time.monotonic()
    actual, text = outcome(tmp_path, body, timeout_s=1.0)
    assert actual is Status.HUNG
    assert "no end after 1 s" in text
    assert time.monotonic() - began < 40


def test_nothing_that_is_sent_is_executed(tmp_path: Path) -> None:
    """A pickle that would run a command is bytes like any other."""
    marker = tmp_path / "ran"

    class Runs:
        def __reduce__(self) -> tuple[object, ...]:
            return os.system, (f"touch {marker}",)

    data = pickle.dumps(Runs())
    body = write_everywhere(struct.pack("!i", len(data)) + data)
    assert outcome(tmp_path, body)[0] is Status.ERROR
    assert not marker.exists()


def test_a_result_of_another_test_is_none(tmp_path: Path) -> None:
    """A reply that is whole, but not the one that was asked for, passes nothing."""
    record = {
        "test": "OP-001/decode",
        "rule": "OP-001",
        "status": "passed",
        "seed": 3,
        "seconds": 0.0,
        "compared": 9,
        "failure": None,
        "reason": "",
        "bins": [],
    }
    body = json.dumps({"kind": "TestResult", "is": record}).encode()
    data = struct.pack("<4sI", b"DRC1", len(body)) + body
    actual, text = outcome(tmp_path, write_everywhere(data))
    assert actual is Status.ERROR
    assert "the result of another test" in text


def test_a_real_time_signal_is_a_death(tmp_path: Path) -> None:
    """A signal without a name of its own."""
    number = signal.SIGRTMIN + 6
    actual, text = outcome(tmp_path, f"import os; os.kill(os.getpid(), {number})")
    assert actual is Status.ERROR
    assert f"died with signal {int(number)}" in text


def test_any_frame_is_a_message_or_an_error() -> None:
    """[robustness] Ten thousand replies of random bytes, of mutilated and of foreign messages."""
    rng = random.Random(7)
    good = json.dumps({"kind": "Refused", "is": {"text": "no", "unavailable": False}}).encode()
    reader, writer = os.pipe()
    for _ in range(10_000):
        body = bytearray(good)
        for _ in range(rng.randint(0, 4)):
            place = rng.randrange(len(body))
            body[place : place + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        head = struct.pack("<4sI", b"DRC1" if rng.random() < 0.9 else rng.randbytes(4), len(body))
        os.write(writer, head + body)
        try:
            assert isinstance(receive(reader, 5.0), Refused)
        except MessageError:
            os.set_blocking(reader, False)
            while True:
                try:
                    os.read(reader, 1 << 16)
                except BlockingIOError:
                    break
            os.set_blocking(reader, True)
    os.close(writer)
    with pytest.raises(EOFError):
        receive(reader, 1.0)
    os.close(reader)


def test_a_message_survives_the_way() -> None:
    """Requests too, with texts that have no encoding; none in time is none."""
    reader, writer = os.pipe()
    request = Request("OP-000/\udcff", 3, 1.5, True)
    send(writer, request)
    assert receive(reader, 1.0) == request
    with pytest.raises(TooLate):
        receive(reader, 0.05)
    os.close(writer)
    os.close(reader)


def test_output_is_bounded_and_children_are_not_waited_for(tmp_path: Path) -> None:
    """A command that prints without end, and one that leaves a child with its pipe behind."""
    code, said = processes.capture(["yes", "x" * 99], timeout_s=0.5, cwd=tmp_path, keep=1000)
    assert code is None
    assert len(said) <= 1000
    began = time.monotonic()
    command = ["sh", "-c", "sleep 60 & echo printed; exit 3"]
    assert processes.capture(command, timeout_s=20.0, cwd=tmp_path) == (3, "printed")
    assert time.monotonic() - began < 15


def test_what_leaves_its_group_is_found_by_its_mark(tmp_path: Path) -> None:
    """A daemon in a session of its own ends with the worker that started it."""
    code = "import subprocess; subprocess.Popen(['setsid', 'sleep', '60'])"
    mark = f"test-{os.getpid()}"
    subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {processes.MARK: mark}, check=True
    )

    def alive() -> list[str]:
        found = []
        for folder in Path("/proc").iterdir():
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append((folder / "stat").read_text().split()[2])
            except (OSError, NotADirectoryError):
                continue
        return [state for state in found if state != "Z"]

    assert alive()
    processes.end_marked(mark)
    deadline = time.monotonic() + 10
    while alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive()


def test_a_file_is_built_once_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every process of a run asks, one builds; a run of its own builds again."""
    path = tmp_path / "x.toml"
    path.write_text(
        '[dut]\nname = "x"\nversion = "1"\nkind = "command"\n'
        '[command]\nrun = ["true"]\nbuild = ["sh", "-c", "echo built >> log"]\n'
    )
    monkeypatch.setenv("DESCRING_BUILD_DIR", str(tmp_path / "build"))
    for run, times in (("a", 1), ("a", 1), ("b", 2)):
        monkeypatch.setenv(dut_file.BUILD_RUN_VARIABLE, run)
        dut_file.read_file(path).run_build(tmp_path / "folder")
        assert (tmp_path / "log").read_text() == "built\n" * times


def test_a_failed_build_shows_its_first_error(tmp_path: Path) -> None:
    """However much follows it."""
    path = tmp_path / "x.toml"
    script = "echo a.c:1: error: first; seq 100; exit 2"
    path.write_text(
        '[dut]\nname = "x"\nversion = "1"\nkind = "command"\n'
        f'[command]\nrun = ["true"]\nbuild = ["sh", "-c", "{script}"]\n'
    )
    with pytest.raises(DutError, match=r"ended with 2: a\.c:1: error: first \| \.\.\."):
        dut_file.read_file(path).run_build(tmp_path / "folder")
