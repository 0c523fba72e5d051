# SPDX-License-Identifier: Apache-2.0
"""Worker processes of the kit: what passes through their pipes, how they begin and end."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conform_support import plugin, write_everywhere
from descring_sim.conform import messages, worker, worker_pool
from descring_sim.conform.duts.fingerprint import fingerprint
from descring_sim.conform.duts.model import ModelDut
from descring_sim.conform.errors import ConformError, DutUnavailable, UnavailableError
from descring_sim.conform.messages import Message, MessageError, Refused, Request, Start
from descring_sim.conform.records import from_record, to_record
from descring_sim.conform.status import Failure, LineDiff, Status, TestResult
from descring_sim.conform.worker_pool import Task, Worker, run_all

NOP = Task("OP-000/nop", 3)


def through_a_pipe(message: Message) -> Message:
    """What arrives of ``message``."""
    reader, writer = os.pipe()
    try:
        messages.send(writer, message)
        return messages.receive(reader, 5.0)
    finally:
        os.close(reader)
        os.close(writer)


@contextmanager
def served() -> Iterator[tuple[int, int]]:
    """A worker's loop in a thread of this process; the pipes to it and from it."""
    (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
    thread = threading.Thread(target=worker._serve, args=(in_read, out_write), daemon=True)
    thread.start()
    try:
        yield in_write, out_read
    finally:
        os.close(in_write)
        thread.join(30.0)
        assert not thread.is_alive()
        for file in (in_read, out_read, out_write):
            os.close(file)


def reply_to(start: Start) -> Message:
    """The first reply of a worker."""
    with served() as (requests, replies):
        messages.send(requests, start)
        return messages.receive(replies, 30.0)


# ------------------------------------------------------------------ messages


def test_replies_survive_the_way() -> None:
    """Descriptions with all that they claim, and results with a difference in them."""
    description = ModelDut().describe()
    assert through_a_pipe(description) == description
    diff = LineDiff(3, "done", b"\1" * 64, b"\2" * 64, None)
    failure = Failure("text", ("DEC-003",), diff, "waves.fst", "log")
    result = TestResult("OP-000/nop", "OP-000", Status.FAILED, 5, 1.5, 9, failure, "why")
    assert through_a_pipe(result) == result


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": 3, "is": {}}, "without values"),
        ({"kind": "Start", "is": []}, "without values"),
        ({"kind": "Popen", "is": {}}, "of the kind 'Popen'"),
        ({"kind": "Start", "is": {"dut": 1, "folder": ""}}, "does not hold what it should"),
        ({"kind": "TestResult", "is": {"status": "passed"}}, "does not hold what it should"),
        ({"kind": "Description", "is": {"capabilities": {}}}, "does not hold what it should"),
    ],
)
def test_other_bodies_are_refused(body: Any, message: str) -> None:
    """A body of another shape, of no kind, or with values of other types."""
    with pytest.raises(MessageError, match=message):
        messages._from_body(body)


@pytest.mark.parametrize("record", [{}, {"status": "passed", "bins": 3}, []])
def test_a_record_of_another_version_is_refused(record: Any) -> None:
    """What a campaign kept before the fields of a result changed."""
    with pytest.raises(ValueError, match="a record of another version"):
        from_record(record)


def test_a_record_with_a_value_of_another_type_is_refused() -> None:
    """A count that is a text could not be added up."""
    record = to_record(TestResult("OP-000/nop", "OP-000", Status.PASSED, 1))
    with pytest.raises(ValueError, match="does not hold what it should"):
        from_record({**record, "compared": "9"})


# ------------------------------------------------------------------ in the process


def test_a_worker_describes_and_runs(tmp_path: Path) -> None:
    """It names the implementation with the hash of its sources, then runs what it is sent."""
    with served() as (requests, replies):
        messages.send(requests, Start("model", str(tmp_path), identify=True))
        description = messages.receive(replies, 30.0)
        assert description.sha256 == fingerprint(ModelDut(), "model")  # type: ignore[union-attr]
        messages.send(requests, Request(NOP.test, NOP.seed, 20.0, False))
        result = messages.receive(replies, 30.0)
    assert isinstance(result, TestResult)
    assert (result.test, result.status, result.compared) == (NOP.test, Status.PASSED, 120)


def test_what_cannot_be_built_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not found, not on this machine, and an exception of the implementation's own."""
    reply = reply_to(Start("nosuch", str(tmp_path)))
    assert isinstance(reply, Refused)
    assert "expected an implementation" in reply.text
    assert not reply.unavailable
    for error, shown in ((DutUnavailable("no GPU"), "no GPU"), (KeyError("x"), "KeyError: 'x'")):

        def fail(_folder: Path, error: Exception = error) -> None:
            raise error

        dut = SimpleNamespace(describe=ModelDut().describe, build=fail)
        monkeypatch.setattr(worker, "find_dut", lambda _name, dut=dut: dut)
        reply = reply_to(Start("any", str(tmp_path)))
        assert isinstance(reply, Refused)
        assert shown in reply.text
        assert reply.unavailable is isinstance(error, DutUnavailable)


# ------------------------------------------------------------------ from outside


def spoil_the_build(folder: Path, body: str) -> str:
    """A plugin that does ``body`` while it is built; its reference."""
    reference = plugin(folder, "pass")
    file = Path(reference.partition(":")[0])
    build = f"    def build(self, folder):\n        import os, sys, time\n        {body}\n\n"
    text = file.read_text()
    assert text.count("    def run(") == 1
    file.write_text(text.replace("    def run(", build + "    def run("))
    return reference


def framed(body: bytes) -> bytes:
    """A whole message."""
    return struct.pack("<4sI", b"DRC1", len(body)) + body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("print('first\\nlast'); os._exit(3)", "it was built its process ended with exit code 3; "),
        ("os.abort()", "while it was built its process died with SIGABRT"),
        (
            write_everywhere(framed(b'{"kind": "Start", "is": {"dut": "", "folder": ""}}')),
            "while it was built it sent what was not asked for",
        ),
    ],
)
def test_a_death_while_it_is_built(tmp_path: Path, body: str, message: str) -> None:
    """One line with what it printed last."""
    subject = Worker(spoil_the_build(tmp_path, body), tmp_path / "build")
    with pytest.raises(ConformError) as caught:
        subject.start()
    assert message in str(caught.value)
    assert "first" not in str(caught.value)


def test_a_build_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not end is killed."""
    monkeypatch.setattr(worker_pool, "BUILD_TIMEOUT_S", 1.0)
    subject = Worker(spoil_the_build(tmp_path, "time.sleep(600)"), tmp_path / "build")
    with pytest.raises(ConformError, match="it did not end in 1 s; its last output: nothing"):
        subject.start()


def test_what_is_not_on_this_machine_is_told_apart(tmp_path: Path) -> None:
    """A run of all backends continues without it."""
    raises = "from descring_sim.conform.errors import DutUnavailable as D; raise D('no GPU')"
    subject = Worker(spoil_the_build(tmp_path, raises), tmp_path / "build")
    with pytest.raises(UnavailableError, match="no GPU"):
        subject.start()


def test_a_closed_pipe_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An implementation that closes the kit's pipes and stays."""
    monkeypatch.setattr(worker_pool, "_DEATH_S", 0.2)
    body = "import os, time; os.closerange(3, 64); time.sleep(600)"
    (result,) = run_all(plugin(tmp_path, body), tmp_path, [NOP], jobs=1, timeout_s=20.0)
    assert result.status is Status.ERROR
    assert result.failure is not None
    assert result.failure.text == "its process closed its pipe"


def test_a_message_of_another_kind_is_no_result(tmp_path: Path) -> None:
    """A refusal where a result was asked for."""
    body = write_everywhere(framed(b'{"kind": "Refused", "is": {"text": "no"}}'))
    (result,) = run_all(plugin(tmp_path, body), tmp_path, [NOP], jobs=1, timeout_s=20.0)
    assert result.status is Status.ERROR
    assert result.failure is not None
    assert "sent something else than a result" in result.failure.text


def test_one_that_cannot_start_again_fails_its_tests(tmp_path: Path) -> None:
    """It dies in a test, and is not built a second time: each test has its result all the same."""
    marker = tmp_path / "once"
    once = f"os.path.exists({str(marker)!r}) and os._exit(4); open({str(marker)!r}, 'w')"
    reference = spoil_the_build(tmp_path, once)
    file = Path(reference.partition(":")[0])
    file.write_text(file.read_text().replace("        pass\n", "        import os; os.abort()\n"))
    results = run_all(reference, tmp_path, [NOP, NOP], jobs=1, timeout_s=20.0)
    texts = [result.failure.text for result in results if result.failure]
    assert "died with SIGABRT" in texts[0]
    assert "while it was built its process ended with exit code 4" in texts[1]


def test_an_interrupt_ends_all_workers(tmp_path: Path) -> None:
    """Ctrl-C while tests run: their processes are gone, and the interrupt is passed on."""
    pids = tmp_path / "pids"
    body = f"import os, time; print(os.getpid(), file=open({str(pids)!r}, 'a')); time.sleep(600)"

    class Interrupted(threading.Thread):
        """A thread for which waiting is interrupted once the implementation runs."""

        def join(self, timeout: float | None = None) -> None:
            if threading.current_thread() is threading.main_thread() and not done:
                done.append(True)
                while not pids.exists() or not pids.read_text():
                    super().join(0.05)
                raise KeyboardInterrupt
            super().join(timeout)

    done: list[bool] = []
    with pytest.MonkeyPatch.context() as patch:
        values = {**vars(threading), "Thread": Interrupted}
        patch.setattr(worker_pool, "threading", SimpleNamespace(**values))
        with pytest.raises(KeyboardInterrupt):
            run_all(plugin(tmp_path, body), tmp_path, [NOP] * 3, jobs=1, timeout_s=60.0)
    for pid in pids.read_text().split():
        assert not Path("/proc", pid).exists()
    assert len(pids.read_text().split()) == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_lost_result_is_an_error(tmp_path: Path) -> None:
    """A thread of the kit that fails leaves no test without a result."""

    def fails(_result: TestResult) -> None:
        raise RuntimeError("in the kit")

    results = run_all("model", tmp_path, [NOP, NOP], jobs=1, timeout_s=20.0, done=fails)
    assert [result.status for result in results] == [Status.PASSED, Status.ERROR]
    assert results[1].failure is not None
    assert results[1].failure.text == "there is no result: the kit lost it"
