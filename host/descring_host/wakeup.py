# SPDX-License-Identifier: Apache-2.0
"""Waiting for another thread in a program whose signal handlers raise, as that of Ctrl-C does."""

from __future__ import annotations

import threading
from contextlib import suppress


class Wakeup:
    """Wakes every thread that waits.

    :class:`threading.Event` and :class:`threading.Condition` take their lock in Python code: an
    exception that a signal handler raises there leaves it locked, and the next call waits for
    ever. Here each call of C is one step, and what an interrupt leaves behind is harmless.
    """

    def __init__(self) -> None:
        self._mark = object()
        self._sleepers: list[threading.Lock] = []

    @property
    def mark(self) -> object:
        """Stands for all rings so far; to be taken before looking at what a ring announces."""
        return self._mark

    def ring(self) -> None:
        """Wake whoever waits, and whoever will wait with a mark from before."""
        self._mark = object()
        for sleeper in tuple(self._sleepers):
            with suppress(RuntimeError):  # awake already
                sleeper.release()

    def wait(self, mark: object, timeout_s: float | None = None) -> bool:
        """Return once there was a ring since ``mark``: True, or False after ``timeout_s``."""
        sleeper = threading.Lock()
        sleeper.acquire()
        try:
            self._sleepers.append(sleeper)
            if self._mark is mark:
                sleeper.acquire(timeout=-1 if timeout_s is None else max(timeout_s, 0.0))
            return self._mark is not mark
        finally:
            with suppress(ValueError):
                self._sleepers.remove(sleeper)
