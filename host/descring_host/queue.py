# SPDX-License-Identifier: Apache-2.0
"""The host program's queue: whole streams and rollouts over the rings of one device."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, as_lines, contract, goes_to_reward
from descring_model import seal as seal_lines

from descring_host.completion import Completion
from descring_host.errors import DeviceError, QueueTimeout
from descring_host.line_queue import CHUNK, LineQueue
from descring_host.ports import SLICE_S
from descring_host.waiting import Patience

_CHECKED = contract.FLAG["CHECKED"]


class CommandQueue(LineQueue):
    """Rings on a device, and the host's half of them.

    One thread may submit while another takes completions; not more of either. A queue resets and
    configures its device when it is made (or takes it over as it runs, with ``adopt_running``).

    Lines are 1-D arrays of ``DESC_DTYPE`` or ``(n, 64)`` uint8, contiguous. Indices are the ring's
    free-running u32. Times are seconds.
    """

    def completions(self, timeout_s: float | None = None) -> Iterator[Completion]:
        """Completions of the done ring one by one, until none is in flight.

        Raises:
            QueueTimeout: none came within ``timeout_s`` (default: the queue's).
            DeviceHalted: those still in flight wait behind a STOP.
        """
        while self.in_flight:
            completion = self.next_completion(0.0)
            if completion is None:
                self._watch.check_halted([])
                completion = self.next_completion(timeout_s)
            if completion is None:
                self._watch.check_halted([])
                raise self._too_late(timeout_s)
            yield completion

    def __iter__(self) -> Iterator[Completion]:
        return self.completions()

    async def apoll(
        self, max_lines: int = CHUNK, timeout_s: float = 0.0, *, reward: bool = False
    ) -> Lines:
        """As :meth:`poll`, letting other tasks of the event loop run while it waits."""
        wait = Patience(timeout_s)
        while True:
            lines = self.poll(max_lines, reward=reward)
            if len(lines) or max_lines == 0:
                return lines
            if wait.over:
                self._watch.check_device()
                return lines
            if wait.rounds < 20:
                await asyncio.sleep(0)
            else:
                await asyncio.to_thread(self.device.wait, min(SLICE_S, wait.left_s))
                if wait.rounds > 40:
                    # Something else can be taken, or the device is halted: do not spin on that.
                    await asyncio.sleep(0.001)
            wait.rounds += 1

    def drain(self, timeout_s: float | None = None) -> Lines:
        """Take every completion of what is in flight; with two rings done ones come first.

        Raises:
            QueueTimeout: no completion for ``timeout_s`` (default: the queue's).
            DeviceHalted: descriptors wait behind a STOP; its ``completions`` are those taken.
        """
        parts: list[Lines] = []
        rewards: list[Lines] = []
        wait = Patience(self.timeout_s if timeout_s is None else timeout_s)
        while self.in_flight:
            done = self.poll(timeout_s=0.0 if self.geometry.split else min(SLICE_S, wait.left_s))
            parts.append(done)
            count = len(done)
            if self.geometry.split:
                rewards.append(self.poll(reward=True))
                count += len(rewards[-1])
            if count:
                wait.renew()
            else:
                self._watch.check_halted([*parts, *rewards])
                if wait.over:
                    raise self._too_late(timeout_s)
                if self.geometry.split:
                    self.device.wait(min(SLICE_S, wait.left_s))
        empty = np.empty(0, dtype=DESC_DTYPE)
        return np.concatenate([empty, *parts, *rewards])

    def exchange(self, lines: npt.NDArray[Any], *, seal: bool = False) -> Lines:
        """Submit any number of lines and return their completions in the same order.

        With two completion rings ``user_data`` is borrowed to bring them back into order.

        Args:
            lines: submissions.
            seal: write each as a CHECKED line for the index at which it goes in.

        Raises:
            DeviceError: completions of other lines are still in flight (drain() first).
            DeviceHalted: a STOP among them was answered; resume is the caller's decision.
            As :meth:`submit` and :meth:`drain` for the rest.
        """
        todo = self._lines(lines)
        if self.in_flight:
            raise DeviceError(f"{self.in_flight} descriptors are in flight; call drain() first")
        if self.geometry.split:
            todo = todo.copy()
            todo["user_data"] = np.arange(len(todo), dtype=np.uint64)
        if seal:
            todo = self.seal(todo)
        answers = np.empty(len(todo), dtype=DESC_DTYPE)
        sent = got = 0
        wait = Patience(self.timeout_s)
        while got < len(todo):
            now_sent = self._submit_some(todo[sent:])
            sent += now_sent
            now_got = len(self.poll(timeout_s=0.0, out=answers[got:]))
            if self.geometry.split:
                got += now_got
                now_got = len(self.poll(reward=True, out=answers[got:]))
            got += now_got
            if now_sent or now_got:
                wait.renew()
            elif wait.over:
                raise self._too_late(None)
            else:
                self._watch.check_halted([answers[:got]])
                self.device.wait(min(SLICE_S, wait.left_s))
        return self._reordered(answers, as_lines(lines)) if self.geometry.split else answers

    @staticmethod
    def _reordered(answers: Lines, lines: Lines) -> Lines:
        ordered = np.empty_like(answers)
        ordered[answers["user_data"].astype(np.int64)] = answers
        ordered["user_data"] = lines["user_data"]
        checked = (ordered["flags"] & _CHECKED) != 0
        if checked.any():
            tags = ordered["checksum_or_cookie"][checked].astype(np.uint32)
            ordered[checked] = seal_lines(ordered[checked], tags)
        return ordered

    def resume(self, completions: npt.NDArray[Any]) -> Lines:
        """Carry rollouts on across reward boundaries until each is DONE [DEC-005].

        Args:
            completions: as taken from the queue; nothing may be in flight.

        Returns:
            For each its last completion, in the same order: itself where it needed no reward.
            CHECKED lines are sealed anew for every leg.

        Raises:
            As :meth:`exchange`.
        """
        last = self._lines(completions).copy()
        going = np.flatnonzero(goes_to_reward(last))
        while len(going):
            legs = last[going]
            checked = bool(self._checked or (legs["flags"] & _CHECKED).all())
            if not checked and (legs["flags"] & _CHECKED).any():
                raise ValueError("expected all or none of the lines CHECKED; resume them apart")
            last[going] = self.exchange(legs, seal=checked)
            going = going[goes_to_reward(last[going])]
        return last

    def _too_late(self, timeout_s: float | None) -> QueueTimeout:
        seconds = self.timeout_s if timeout_s is None else timeout_s
        return self._watch.too_late(seconds, self.in_flight)
