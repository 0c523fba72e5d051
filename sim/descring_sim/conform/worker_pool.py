# SPDX-License-Identifier: Apache-2.0
"""Worker processes and their deadlines: a crash or a hang ends one test, never the run."""

from __future__ import annotations

import itertools
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from descring_model import contract

from descring_sim.conform.dut import Description
from descring_sim.conform.duts.dut_file import BUILD_RUN_VARIABLE
from descring_sim.conform.errors import ConformError, UnavailableError
from descring_sim.conform.messages import (
    Message,
    MessageError,
    Refused,
    Request,
    Start,
    TooLate,
    receive,
    send,
)
from descring_sim.conform.status import Failure, Status, TestResult
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.suite.declare import Test
from descring_sim.support import processes
from descring_sim.support.visible import visible

BUILD_TIMEOUT_S = 900.0
GRACE_S = 5.0
"""What a worker gets beyond a test's time, to report a hang by itself."""


@dataclass(frozen=True)
class Task:
    """One test with one seed, by a version of the contract; ``sampled``: see :class:`Request`."""

    test: str
    seed: int
    waves: bool = False
    contract_version: int = contract.VERSION
    sampled: bool = False


_DEATH_S = 5.0
"""How long the end of a process may take that has closed its pipe."""
_WORDS = 2000
"""Characters of a process's last output that are shown."""
_TEXT_MAX = 4000
"""Characters of a failure's text that are kept."""
_RUN = secrets.token_hex(8)
"""Names this run of the kit, in which each implementation is built once."""

_numbers = itertools.count()


class Worker:
    """One worker process, started when first needed and again after it died."""

    def __init__(self, dut: str, folder: Path) -> None:
        self.folder = folder
        self._start = Start(dut, str(folder))
        self._process: subprocess.Popen[bytes] | None = None
        self._pipes: tuple[int, int] | None = None
        self._said: processes.Tail | None = None
        self._mark = f"{os.getpid()}-{next(_numbers)}-{secrets.token_hex(4)}"

    def start(self, *, identify: bool = False) -> Description:
        """Start the process and build; with ``identify``, ask a device for its contract's version.

        Raises:
            ConformError: the implementation cannot be found, described or built.
            UnavailableError: this machine lacks what it needs.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
        try:
            self._process = processes.start_group(
                [
                    *(sys.executable, "-P", "-m", "descring_sim.conform.worker"),
                    *(str(in_read), str(out_write)),
                ],
                pass_fds=(in_read, out_write),
                env=os.environ | {processes.MARK: self._mark, BUILD_RUN_VARIABLE: _RUN},
            )
        finally:
            os.close(in_read)
            os.close(out_write)
        self._pipes = in_write, out_read
        self._said = processes.Tail(self._process)
        reply = self._ask(replace(self._start, identify=identify), BUILD_TIMEOUT_S)
        if isinstance(reply, Description):
            texts = {name: visible(getattr(reply, name)) for name in ("name", "version", "details")}
            return replace(reply, **texts)  # type: ignore[arg-type]
        self.stop()
        if isinstance(reply, Refused):
            if reply.unavailable:
                raise UnavailableError(visible(f"{self._start.dut}: {reply.text}"))
            raise ConformError(visible(reply.text))
        if reply is None:
            reply = f"it did not end in {BUILD_TIMEOUT_S:g} s"
        if not isinstance(reply, str):
            reply = "it sent what was not asked for"
        said = (self._last_words() or "nothing").splitlines()[-1]
        raise ConformError(
            f"{self._start.dut}: while it was built {reply}; its last output: {said}"
        )

    def _ask(self, request: Message, timeout_s: float) -> Message | str | None:
        """The reply, or what became of the process instead as a text; None when it is too late.

        Everything that is no message ends the process: what comes behind it could be anything.
        """
        assert self._pipes is not None
        requests, replies = self._pipes
        try:
            send(requests, request)
            return receive(replies, timeout_s)
        except TooLate:
            return None
        except MessageError as error:
            return f"its process sent {error}"
        except (EOFError, OSError):
            return f"its process {self._death()}"

    def _death(self) -> str:
        process = self._process
        assert process is not None
        try:
            code = process.wait(_DEATH_S)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        if code < 0:
            return f"died with {_signal_name(-code)}"
        return f"ended with exit code {code}"

    def run(self, task: Task, timeout_s: float) -> TestResult:
        """Run one task; always a result."""
        test = next(test for test in all_tests() if test.id == task.test)
        started = time.monotonic()
        if self._process is None:
            try:
                self.start()
            except ConformError as error:
                return _bad(test, task, Status.ERROR, str(error), started)
        request = Request(
            task.test, task.seed, timeout_s, task.waves, task.contract_version, task.sampled
        )
        reply = self._ask(request, timeout_s + GRACE_S)
        if isinstance(reply, TestResult):
            reply = _shown(reply)
            if (reply.test, reply.rule, reply.seed) == (test.id, test.rule, task.seed):
                return reply
            reply = "its process sent the result of another test"
        elif reply is not None and not isinstance(reply, str):
            reply = "its process sent something else than a result"
        self.stop()
        if reply is None:
            text = f"no end after {timeout_s:g} s: it was killed"
            return _bad(test, task, Status.HUNG, text, started)
        return _bad(test, task, Status.ERROR, str(reply), started, self._last_words())

    def _last_words(self) -> str | None:
        text = self._said.text() if self._said is not None else ""
        return visible(text[-_WORDS:]) or None

    def stop(self) -> None:
        """Kill the process with all that it started."""
        pipes, self._pipes = self._pipes, None
        process, self._process = self._process, None
        if process is not None:
            processes.end_group(process)
            processes.end_marked(self._mark)
        for file in pipes or ():
            os.close(file)

    def kill(self) -> None:
        """Kill the process, from another thread than the one that waits for its reply."""
        process = self._process
        if process is not None and process.poll() is None:
            processes.end_group(process)

    def close(self) -> None:
        """Stop for good."""
        self.stop()


def _shown(result: TestResult) -> TestResult:
    """The result with texts as they can be shown: they may be the implementation's own."""
    failure = result.failure
    if failure is None:
        return result
    log = None if failure.log is None else visible(failure.log[-_WORDS:])
    text = visible(failure.text[:_TEXT_MAX])
    return replace(result, failure=replace(failure, text=text, log=log))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name of its own
        return f"signal {number}"


def _bad(
    test: Test, task: Task, status: Status, text: str, started: float, log: str | None = None
) -> TestResult:
    failure = Failure(text, (test.rule,), log=log)
    seconds = time.monotonic() - started
    return TestResult(test.id, test.rule, status, task.seed, seconds, failure=failure)


class Halt:
    """Ends runs from another thread: their workers are killed, and no further test begins."""

    def __init__(self) -> None:
        """Nothing is to end yet."""
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._halted = False

    @property
    def halted(self) -> bool:
        """Whether the runs are to end."""
        return self._halted

    def watch(self, workers: Iterable[Worker]) -> None:
        """These are to be killed."""
        with self._lock:
            self._workers.extend(workers)

    def now(self) -> None:
        """Kill them; what they were running has no result that counts."""
        with self._lock:
            self._halted = True
            for worker in self._workers:
                worker.kill()


def run_all(
    dut: str,
    folder: Path,
    tasks: Sequence[Task],
    *,
    jobs: int,
    timeout_s: float,
    done: Callable[[TestResult], None] = lambda _result: None,
    first: Worker | None = None,
    halt: Halt | None = None,
) -> list[TestResult]:
    """Run ``tasks`` on ``jobs`` workers at a time; a result for each, in order of the tasks.

    ``done`` is called with each result as it arrives, from one thread at a time. ``first`` is a
    worker that has been started: it is one of them, so that it need not build again. After
    ``halt`` the results are of no use.
    """
    halt = Halt() if halt is None else halt
    pending: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in _both_levels_by_turns(tasks):
        pending.put(number)
    results: dict[int, TestResult] = {}
    lock = threading.Lock()

    def work(worker: Worker) -> None:
        try:
            for number in _drain(pending):
                if halt.halted:
                    return
                result = worker.run(tasks[number], timeout_s)
                with lock:
                    results[number] = result
                    done(result)
        finally:
            worker.close()

    count = min(jobs, len(tasks))
    workers = [first or Worker(dut, folder), *(Worker(dut, folder) for _ in range(1, count))]
    halt.watch(workers)
    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers[:count]]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        halt.now()
        for thread in threads:
            thread.join()
        raise
    return [results.get(number) or _missing(tasks[number]) for number in range(len(tasks))]


def _both_levels_by_turns(tasks: Sequence[Task]) -> list[int]:
    """Places in ``tasks``, of streams and of devices by turns.

    Many implementations are built apart for the two when they are first run; so two workers build
    both at the same time.
    """
    on_streams = {test.id for test in all_tests() if test.stream}
    streams = [place for place, task in enumerate(tasks) if task.test in on_streams]
    devices = [place for place, task in enumerate(tasks) if task.test not in on_streams]
    pairs = itertools.zip_longest(streams, devices)
    return [place for pair in pairs for place in pair if place is not None]


def _drain(pending: queue.SimpleQueue[int]) -> Iterator[int]:
    while True:
        try:
            yield pending.get_nowait()
        except queue.Empty:
            return


def _missing(task: Task) -> TestResult:
    rule = task.test.partition("/")[0]
    failure = Failure("there is no result: the kit lost it", (rule,))
    return TestResult(task.test, rule, Status.ERROR, task.seed, failure=failure)


def with_waves(task: Task) -> Task:
    """The same task, with waves on."""
    return replace(task, waves=True)
