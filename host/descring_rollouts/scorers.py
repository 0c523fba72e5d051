# SPDX-License-Identifier: Apache-2.0
"""Scorers: functions on batches, run in the caller's thread, a thread or a process of their own."""

from __future__ import annotations

import functools
import multiprocessing
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any, Literal, Protocol

import numpy as np
from descring_model.rollouts import contract
from descring_model.rollouts.rewards import ScoreRequest, token_rule

Batch = Sequence[ScoreRequest]
ScoreBatch = Callable[[Batch], Sequence[float]]
"""A user's scorer: a finite number for each request of the batch, in order."""

Where = Literal["inline", "thread", "process"]


def words_of(scorer: int, function: ScoreBatch | None, batch: Batch) -> list[int]:
    """The score words of one batch [RWD-001].

    Raises:
        ValueError: another number of scores than requests, or one that is not finite.
    """
    if scorer < contract.SCORER_CUSTOM:
        return token_rule(batch)
    assert function is not None, "a custom scorer has a function"
    scores = np.asarray(function(batch), dtype=np.float32)
    if scores.shape != (len(batch),):
        raise ValueError(f"expected {len(batch)} scores, got an array of shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"expected finite scores, got {scores[~np.isfinite(scores)][0]}")
    words: list[int] = scores.view(np.uint32).tolist()
    return words


class _Worker(Protocol):
    """Scores batches one after the other, somewhere else."""

    def send(self, batch: Batch) -> None: ...

    def receive(self, timeout_s: float) -> list[int] | Exception:
        """The oldest batch's words or what its scorer raised; ``TimeoutError`` if it is late."""
        ...

    def end(self) -> None: ...


class _ThreadWorker:
    """A daemon thread; one that does not return is left behind."""

    def __init__(self, scorer: int, function: ScoreBatch | None) -> None:
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[list[int] | Exception] = queue.SimpleQueue()
        arguments = (scorer, function, self._batches, self._results)
        threading.Thread(target=self._work, args=arguments, daemon=True, name="scorer").start()

    @staticmethod
    def _work(scorer: int, function: ScoreBatch | None, batches: Any, results: Any) -> None:
        while (batch := batches.get()) is not None:
            try:
                results.put(words_of(scorer, function, batch))
            except Exception as error:
                results.put(error)

    def send(self, batch: Batch) -> None:
        self._batches.put(batch)

    def receive(self, timeout_s: float) -> list[int] | Exception:
        try:
            return self._results.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError(f"expected scores within {timeout_s} s, got none") from None

    def end(self) -> None:
        self._batches.put(None)


def _serve(scorer: int, function: ScoreBatch | None, pipe: Connection) -> None:
    """The loop of a scorer's process."""
    while (batch := pipe.recv()) is not None:
        try:
            pipe.send(words_of(scorer, function, batch))
        except Exception as error:
            pipe.send(RuntimeError(f"{type(error).__name__}: {error}"))


class _ProcessWorker:
    """A spawned process; one that is late is killed."""

    def __init__(self, scorer: int, function: ScoreBatch | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(scorer, function, theirs), daemon=True, name="scorer"
        )
        self._process.start()
        theirs.close()

    def send(self, batch: Batch) -> None:
        try:
            self._pipe.send(list(batch))
        except OSError:
            # It is dead; receive() reports that, for the oldest batch first.
            return

    def receive(self, timeout_s: float) -> list[int] | Exception:
        if not self._pipe.poll(timeout_s):
            raise TimeoutError(f"expected scores within {timeout_s} s, got none")
        try:
            result: list[int] | Exception = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            raise TimeoutError(f"the scorer's process ended with exit code {code}") from None
        return result

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self._pipe.close()


class _InlineWorker:
    """The caller's own thread; a time limit is checked behind the call."""

    def __init__(self, scorer: int, function: ScoreBatch | None) -> None:
        self._scorer = scorer
        self._function = function
        self._batches: deque[Batch] = deque()

    def send(self, batch: Batch) -> None:
        self._batches.append(batch)

    def receive(self, timeout_s: float) -> list[int] | Exception:
        started = time.monotonic()
        try:
            words = words_of(self._scorer, self._function, self._batches.popleft())
        except Exception as error:
            return error
        if time.monotonic() - started > timeout_s:
            raise TimeoutError(f"expected scores within {timeout_s} s, they took longer")
        return words

    def end(self) -> None:
        self._batches.clear()


_WORKERS: dict[str, Callable[[int, ScoreBatch | None], _Worker]] = {
    "inline": _InlineWorker,
    "thread": _ThreadWorker,
    "process": _ProcessWorker,
}


class Scoring:
    """Batches on their way through one scorer, in order.

    A batch that fails fails alone: its worker is replaced, and those behind it are sent again.

    Attributes:
        failure: why the first failed batch failed.
    """

    def __init__(
        self, scorer: int, function: ScoreBatch | None, where: Where, timeout_s: float
    ) -> None:
        """See :class:`~descring_rollouts.Runtime` for the arguments.

        Raises:
            ValueError: a custom scorer without a function, or an unknown place.
        """
        if where not in _WORKERS:
            raise ValueError(f"where: expected {', '.join(_WORKERS)}, got {where!r}")
        if scorer >= contract.SCORER_CUSTOM and function is None:
            raise ValueError(f"scorer {scorer} is the caller's: give a function to score with")
        self._make = functools.partial(_WORKERS[where], scorer, function)
        self._timeout_s = timeout_s
        self._worker: _Worker | None = None
        self._sent: deque[Batch] = deque()
        self.failure: Exception | None = None

    def send(self, batch: Batch) -> None:
        """Hand a batch over."""
        if self._worker is None:
            self._worker = self._make()
        self._sent.append(batch)
        self._worker.send(batch)

    def receive(self) -> list[int] | None:
        """The words of the oldest batch, or None if it failed [RWD-003]."""
        assert self._worker is not None, "a batch was sent"
        self._sent.popleft()
        try:
            result = self._worker.receive(self._timeout_s)
        except TimeoutError as error:
            self.failure = self.failure or error
            self._worker.end()
            self._worker = self._make()
            for batch in self._sent:
                self._worker.send(batch)
            return None
        if isinstance(result, Exception):
            self.failure = self.failure or result
            return None
        return result

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None
        self._sent.clear()
