# SPDX-License-Identifier: Apache-2.0
"""The host program's queue: whole streams and rollouts over the rings of one device."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, contract, goes_to_reward

from descring_host.completion import Completion
from descring_host.errors import DeviceError, DeviceHalted, QueueTimeout
from descring_host.line_queue import CHUNK, LineQueue
from descring_host.native import ffi, lib
from descring_host.ports import DONE, REWARD, SLICE_S
from descring_host.taking import Kept, Taking, Unsent, as_array, contiguous_lines
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
        """Completions one by one, until none is in flight; of two rings, whichever has one.

        Raises:
            QueueTimeout: none came within ``timeout_s`` (default: the queue's).
            DeviceHalted: those still in flight wait behind a STOP.
        """
        wait = Patience(self.timeout_s if timeout_s is None else timeout_s)
        while self.in_flight:
            completion = self._next_of_any(0.0)
            if completion is None:
                self._watch.check_halted()
                completion = self._next_of_any(wait.left_s)
            if completion is None:
                self._watch.check_halted()
                if wait.over:
                    raise self._too_late(timeout_s)
                continue
            yield completion
            wait.renew()

    def _next_of_any(self, timeout_s: float) -> Completion | None:
        if not self.geometry.split:
            return self.next_completion(timeout_s)
        completion = self.next_completion(0.0)
        if completion is None:
            completion = self._next_reward()
        if completion is None and timeout_s > 0:
            self.device.wait(min(SLICE_S, timeout_s))
        return completion

    def _next_reward(self) -> Completion | None:
        try:
            return self._next(0.0, True)
        except BaseException:
            self._put_back()
            raise

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
        wait = Patience(self.timeout_s if timeout_s is None else timeout_s)
        self._hold_what_is_under_way()
        takings: list[Taking] = []
        self._under_way = takings
        try:
            while self._port.in_flight():
                count = 0
                for ring in self._rings:
                    ready = self._port.ready(ring)
                    if ready:
                        lines = np.empty(ready, dtype=DESC_DTYPE)
                        takings.append(Taking(ring, lines, self._port.head(ring)))
                        count += takings[-1].more(self._port)
                if count:
                    wait.renew()
                    continue
                self._watch.check_halted()
                if wait.over:
                    raise self._too_late(timeout_s)
                self._watch.rest(wait)
        except DeviceHalted as halted:
            halted.completions = self._all_taken()
            self._under_way, self._held = None, []
            raise
        completions = self._all_taken()
        self._under_way, self._held = None, []
        return completions

    def _all_taken(self) -> Lines:
        """What was taken and not delivered, ring by ring, each in its order."""
        parts: list[Lines] = [np.empty(0, dtype=DESC_DTYPE)]
        for ring in self._rings:
            parts += [as_array(what) for its_ring, what in self._held if its_ring == ring]
            parts += [
                taking.taken(self._port) for taking in self._under_way or () if taking.ring == ring
            ]
        return np.concatenate(parts)

    def exchange(self, lines: npt.NDArray[Any], *, seal: bool = False) -> Lines:
        """Submit any number of lines and return their completions in the same order.

        What had been taken when an exception comes that has no ``completions``, as a timeout, the
        end of the worker, or that of a signal's handler, is returned by the next calls that take,
        :meth:`drain` for one. ``next_index`` says how many of the lines went in.

        Args:
            lines: submissions; their bytes go in as they are.
            seal: write each as a CHECKED line for the index at which it goes in.

        Raises:
            DeviceError: completions of other lines are still in flight (drain() first).
            DeviceHalted: a STOP among them was executed; resume is the caller's decision. Its
                ``completions`` are those taken, in order of submission.
            As :meth:`submit` and :meth:`drain` for the rest.
        """
        todo = contiguous_lines(lines)
        self._check_idle()
        if seal:
            todo = self.seal(todo)
        completions = self._exchange(todo, [])
        self._under_way = None
        return completions

    def _check_idle(self) -> None:
        self._check_open()
        if self.in_flight:
            raise DeviceError(f"{self.in_flight} descriptors are in flight; call drain() first")

    def _exchange(self, todo: Lines, beside: Sequence[Taking]) -> Lines:
        """As :meth:`exchange`; what was taken stays under way, as does what stands ``beside``."""
        first = self._port.next_index()
        takings = [
            Taking(ring, np.empty(len(todo), dtype=DESC_DTYPE), self._port.head(ring))
            for ring in self._rings
        ]
        self._under_way = [*takings, *beside]
        sent = got = 0
        wait = Patience(self.timeout_s)
        try:
            while got < len(todo):
                now_sent = self._submit_some(todo[sent:])
                sent += now_sent
                now_got = sum([taking.more(self._port) for taking in takings])
                got += now_got
                if now_sent or now_got:
                    wait.renew()
                    continue
                self._watch.check_halted()
                if wait.over:
                    raise self._too_late(None)
                self._watch.rest(wait)
        except DeviceHalted as halted:
            completions = self._in_order(todo[:sent], first, takings)
            left = len(todo) - sent
            text = f"{halted}" + (f"; the last {left} lines were not submitted" if left else "")
            error = DeviceHalted(text, completions)
            self._under_way = list(beside)
            raise error from None
        return self._in_order(todo, first, takings)

    def _in_order(self, lines: Lines, first: int, takings: Sequence[Taking]) -> Lines:
        """The completions of ``lines``, submitted from index ``first`` on, in that order.

        Which of two rings a completion goes to is a function of its line and index [RING-008].
        """
        taken = [taking.taken(self._port) for taking in takings]
        if not self.geometry.split:
            return taken[DONE]
        routes = np.empty(len(lines), dtype=np.uint8)
        if len(lines):
            lib.hd_routes(
                ffi.from_buffer(lines),
                len(lines),
                first,
                self.require_checked,
                ffi.from_buffer(routes, require_writable=True),
            )
        places = [np.flatnonzero(routes == ring) for ring in self._rings]
        for ring, name in ((DONE, "done"), (REWARD, "reward")):
            if len(taken[ring]) > len(places[ring]):
                raise DeviceError(
                    f"expected {len(places[ring])} completions in the {name} ring, got "
                    f"{len(taken[ring])}: the device does not keep RING-008"
                )
        answered = [place[: len(part)] for place, part in zip(places, taken, strict=True)]
        order = np.argsort(np.concatenate(answered), kind="stable")
        ordered: Lines = np.concatenate(taken)[order]
        return ordered

    def resume(self, completions: npt.NDArray[Any]) -> Lines:
        """Carry rollouts on across reward boundaries until each is DONE [DEC-005].

        An exception loses none: calls that take return the completions of rollouts that had ended
        and of those whose next leg was not submitted; the others are in flight.

        Args:
            completions: as taken from the queue; nothing may be in flight.

        Returns:
            For each its last completion, in the same order: itself where it needed no reward.
            CHECKED lines are sealed again for every leg.

        Raises:
            As :meth:`exchange`.
        """
        last = contiguous_lines(completions).copy()
        going = np.flatnonzero(goes_to_reward(last))
        ended: list[Taking] = []
        if len(going):
            self._check_idle()
        while len(going):
            legs = last[going]
            checked = bool(self._checked or (legs["flags"] & _CHECKED).all())
            if not checked and (legs["flags"] & _CHECKED).any():
                self._hold_what_is_under_way()
                raise ValueError("expected all or none of the lines CHECKED; resume them apart")
            unsent = Unsent(self._rings[-1], legs, self._port.next_index())
            last[going] = self._exchange(self.seal(legs) if checked else legs, [*ended, unsent])
            more = goes_to_reward(last[going])
            ended = [*ended, Kept(DONE, last[going[~more]], 0)]
            going = going[more]
        self._under_way = None
        return last

    def _too_late(self, timeout_s: float | None) -> QueueTimeout:
        seconds = self.timeout_s if timeout_s is None else timeout_s
        return self._watch.too_late(seconds, self.in_flight)
