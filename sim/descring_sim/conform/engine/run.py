# SPDX-License-Identifier: Apache-2.0
"""Cases on an engine, each in a process that may die with it."""

from __future__ import annotations

import multiprocessing
import time
import traceback
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np

from descring_sim.conform.engine.cases import CASES, Case
from descring_sim.conform.engine.find import find_engine
from descring_sim.conform.engine.trial import CheckFailed, OpenEngine, Trial
from descring_sim.conform.errors import ConformError
from descring_sim.conform.status import Status


@dataclass(frozen=True)
class Result:
    """How one case ended; ``rule`` is the one that a failure breaks."""

    case: str
    rule: str
    status: Status
    compared: int = 0
    text: str = ""
    seconds: float = 0.0


def run_case(open_engine: OpenEngine, case: Case, seed: int) -> Result:
    """Run a case in this process."""
    rng = np.random.default_rng([seed, zlib.crc32(case.id.encode())])
    trial = Trial(open_engine, case.rule, rng)
    started = time.monotonic()
    try:
        case.body(trial)
    except CheckFailed as error:
        found = Result(case.id, error.rule, Status.FAILED, trial.compared, str(error))
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
        found = Result(case.id, case.rule, Status.ERROR, trial.compared, where)
    else:
        status = Status.PASSED if trial.compared else Status.FAILED
        text = "" if trial.compared else "the case compared nothing"
        found = Result(case.id, case.rule, status, trial.compared, text)
    return Result(**{**found.__dict__, "seconds": time.monotonic() - started})


def _serve(connection: Connection, reference: str) -> None:
    open_engine = find_engine(reference)
    connection.send(None)
    while (request := connection.recv()) is not None:
        connection.send(run_case(open_engine, CASES[request[0]], request[1]))


class _Worker:
    """A process with the engine; started again after a crash or a hang."""

    def __init__(self, reference: str) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, reference), daemon=True)
        self._process.start()
        other.close()
        try:
            self.connection.recv()
        except EOFError:
            self.close()
            raise ConformError(f"{reference}: its process ended before the first case") from None

    def run(self, case: Case, seed: int, timeout_s: float) -> Result:
        """The result of a case, whatever becomes of the process."""
        self.connection.send((case.id, seed))
        try:
            if self.connection.poll(timeout_s):
                result: Result = self.connection.recv()
                return result
        except EOFError:
            self._process.join(timeout_s)
            text = f"the engine's process ended with {self._process.exitcode}"
            return Result(case.id, case.rule, Status.ERROR, text=text)
        text = f"not finished after {timeout_s:g} s"
        return Result(case.id, case.rule, Status.HUNG, text=text)

    def close(self) -> None:
        self._process.kill()
        self._process.join()
        self.connection.close()


def select(only: Sequence[str]) -> list[Case]:
    """The cases that ``only`` names, by rule or id; all without one.

    Raises:
        ConformError: an entry names none.
    """
    for entry in only:
        if not any(entry in (case.id, case.rule) for case in CASES.values()):
            raise ConformError(f"--only {entry}: expected a rule or case out of {', '.join(CASES)}")
    return [case for case in CASES.values() if not only or case.id in only or case.rule in only]


def judge_engine(
    reference: str,
    cases: Sequence[Case],
    *,
    seed: int,
    timeout_s: float,
    done: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run ``cases`` on the engine that ``reference`` names.

    Raises:
        ConformError: there is no such engine.
    """
    find_engine(reference)
    results: list[Result] = []
    worker = _Worker(reference)
    try:
        for case in cases:
            results.append(worker.run(case, seed, timeout_s))
            done(results[-1])
            if results[-1].status in (Status.HUNG, Status.ERROR) and case is not cases[-1]:
                worker.close()
                worker = _Worker(reference)
    finally:
        worker.close()
    return results
