# SPDX-License-Identifier: Apache-2.0
"""A signal handler that raises at a random moment of a call."""

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """What the handler raises."""


class Timer:
    """Raises :class:`Interrupted` out of a block of code, once at most."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.span_s = 1e-3
        self.hits = 0
        self._armed = False

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise Interrupted

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signal inside, and let no timer run behind."""
        before = signal.signal(signal.SIGALRM, self._handle)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def interrupt(self, body: Callable[..., None], *arguments: Any) -> None:
        """Call ``body`` and interrupt it at a random time, as long as it takes most of the time."""
        start = time.perf_counter()
        try:
            self._armed = True
            signal.setitimer(signal.ITIMER_REAL, 1e-6 + self.draw.random() * self.span_s)
            body(*arguments)
            self._armed = False
            took = time.perf_counter() - start
            self.span_s += 0.05 * (took - self.span_s)
        except Interrupted:
            self.hits += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
