# SPDX-License-Identifier: Apache-2.0
"""Worker processes and their deadlines: a crash or a hang ends one test, never the run."""

from __future__ import annotations

import itertools
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from descring_sim.conform.dut import Description
from descring_sim.conform.errors import ConformError, UnavailableError
from descring_sim.conform.messages import Refused, Request, Start
from descring_sim.conform.status import Failure, Status, TestResult
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.suite.declare import Test
from descring_sim.support import processes

BUILD_TIMEOUT_S = 900.0
GRACE_S = 5.0
"""What a worker gets beyond a test's time, to report a hang by itself."""


@dataclass(frozen=True)
class Task:
    """One test with one seed."""

    test: str
    seed: int
    waves: bool = False


_numbers = itertools.count()


class Worker:
    """One worker process, started when first needed and again after it died."""

    def __init__(self, dut: str, folder: Path) -> None:
        self.folder = folder
        self._start = Start(dut, folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: Connection | None = None
        self._replies: Connection | None = None
        self._log = folder / f"worker-{os.getpid()}-{next(_numbers)}.log"

    def start(self, *, identify: bool = False) -> Description:
        """Start the process and build; with ``identify``, refuse a device of an earlier version.

        Raises:
            ConformError: the implementation cannot be found, described or built.
            UnavailableError: this machine lacks what it needs.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        (in_read, in_write), (out_read, out_write) = os.pipe(), os.pipe()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "descring_sim.conform.worker"),
                    *(str(in_read), str(out_write)),
                ],
                pass_fds=(in_read, out_write),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        os.close(in_read)
        os.close(out_write)
        self._requests = Connection(in_write, readable=False)
        self._replies = Connection(out_read, writable=False)
        reply = self._ask(replace(self._start, identify=identify), BUILD_TIMEOUT_S)
        if isinstance(reply, Description):
            return reply
        self.stop()
        if isinstance(reply, Refused):
            if reply.unavailable:
                raise UnavailableError(f"{self._start.dut}: {reply.text}")
            raise ConformError(reply.text)
        if reply is None:
            reply = f"it did not end in {BUILD_TIMEOUT_S:g} s"
        said = (self._last_words() or "nothing").splitlines()[-1]
        raise ConformError(
            f"{self._start.dut}: while it was built {reply}; its last output: {said}"
        )

    def _ask(self, request: object, timeout_s: float) -> object:
        """The reply, or what became of the process instead as a text."""
        assert self._requests is not None and self._replies is not None
        try:
            self._requests.send(request)
            if self._replies.poll(timeout_s):
                return self._replies.recv()
        except (EOFError, OSError):
            return f"its process {self._death()}"
        return None

    def _death(self) -> str:
        assert self._process is not None
        try:
            code = self._process.wait(5)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        if code < 0:
            return f"died with {signal.Signals(-code).name}"
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
        request = Request(task.test, task.seed, timeout_s, task.waves)
        reply = self._ask(request, timeout_s + GRACE_S)
        if isinstance(reply, TestResult):
            return reply
        self.stop()
        if reply is None:
            text = f"no end after {timeout_s:g} s: it was killed"
            return _bad(test, task, Status.HUNG, text, started)
        return _bad(test, task, Status.ERROR, str(reply), started, self._last_words())

    def _last_words(self) -> str | None:
        text = self._log.read_text(encoding="utf-8", errors="replace").strip()
        return text[-2000:] or None

    def stop(self) -> None:
        """Kill the process with all that it started."""
        for connection in (self._requests, self._replies):
            if connection is not None:
                connection.close()
        process, self._process = self._process, None
        if process is not None:
            processes.end_group(process)

    def close(self) -> None:
        """Stop, and leave no log behind."""
        self.stop()
        self._log.unlink(missing_ok=True)


def _bad(
    test: Test, task: Task, status: Status, text: str, started: float, log: str | None = None
) -> TestResult:
    failure = Failure(text, (test.rule,), log=log)
    seconds = time.monotonic() - started
    return TestResult(test.id, test.rule, status, task.seed, seconds, failure=failure)


def run_all(
    dut: str,
    folder: Path,
    tasks: Sequence[Task],
    *,
    jobs: int,
    timeout_s: float,
    done: Callable[[TestResult], None] = lambda _result: None,
    first: Worker | None = None,
) -> list[TestResult]:
    """Run ``tasks`` on ``jobs`` workers at a time; a result for each, in order of the tasks.

    ``done`` is called with each result as it arrives, from one thread at a time. ``first`` is a
    worker that has been started: it is one of them, so that it need not build again.
    """
    pending: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in _both_levels_by_turns(tasks):
        pending.put(number)
    results: dict[int, TestResult] = {}
    lock = threading.Lock()
    stopping = threading.Event()

    def work(worker: Worker) -> None:
        try:
            for number in _drain(pending):
                if stopping.is_set():
                    return
                result = worker.run(tasks[number], timeout_s)
                with lock:
                    results[number] = result
                    done(result)
        finally:
            worker.close()

    count = min(jobs, len(tasks))
    workers = [first or Worker(dut, folder), *(Worker(dut, folder) for _ in range(1, count))]
    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers[:count]]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except BaseException:
        stopping.set()
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
