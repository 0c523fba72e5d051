# SPDX-License-Identifier: Apache-2.0
"""Windows through a device's rings: submitted whole, returned whole, in the order of the index."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from descring_host import CommandQueue, Device, HostError, QueueTimeout
from descring_host.waiting import Patience
from descring_model import DESC_DTYPE, Lines
from descring_model.lines import copy_lines
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError

_LSB = {item.name: item.lsb for item in contract.USER_DATA}
_MASK = {item.name: (1 << item.width) - 1 for item in contract.USER_DATA}
_WAIT_S = 0.002
"""How long one look at the done ring waits before the reward ring is looked at again."""


@dataclass
class _Open:
    """A window in flight: its number's low bits, what has returned, and what has not."""

    number: int
    lines: Lines
    missing: npt.NDArray[np.bool_]


class WindowLane:
    """The windows in flight on one device, which nothing else may use meanwhile.

    A completion finds its place by its ``user_data`` [WIN-003], so it does not matter which of the
    two rings it returns through.
    """

    def __init__(
        self,
        device: Device,
        *,
        ring_slots: int,
        split_reward: bool,
        checked: bool,
        timeout_s: float,
    ) -> None:
        self._queue = CommandQueue(
            device,
            cmd_slots=ring_slots,
            split_reward=split_reward,
            require_checked=checked,
            timeout_s=timeout_s,
        )
        self._split = split_reward
        self._checked = checked
        self._open: deque[_Open] = deque()

    def submit(self, lines: Lines) -> None:
        """Submit one window, which is not empty.

        Raises:
            HostError: the device does not take it.
        """
        number = int(lines["user_data"][0]) >> _LSB["WINDOW"] & _MASK["WINDOW"]
        window = _Open(number, np.empty_like(lines), np.ones(len(lines), dtype=np.bool_))
        self._open.append(window)
        self._queue.submit(self._queue.seal(lines) if self._checked else lines)

    def take(self) -> Lines:
        """The completions of the oldest window, once all are there, in the order of the index.

        Raises:
            RolloutError: BAD_COMPLETION: one that belongs to no line in flight.
            QueueTimeout: some did not return within the queue's time limit.
            HostError: the device is gone or has failed.
        """
        window = self._open[0]
        wait = Patience(self._queue.timeout_s)
        while window.missing.any():
            taken = self._poll()
            if len(taken):
                self._place(taken)
                wait.renew()
            elif wait.over:
                raise QueueTimeout(
                    f"window {window.number}: expected {len(window.lines)} completions within "
                    f"{self._queue.timeout_s} s, index {int(np.argmax(window.missing))} is missing"
                )
        self._open.popleft()
        return window.lines

    def close(self) -> None:
        """Drain what is in flight and give up the rings; close a device that does not return it."""
        try:
            if self._queue.in_flight:
                self._queue.drain()
        except HostError:
            self._queue.device.close()
        self._open.clear()
        self._queue.close()

    def _poll(self) -> Lines:
        if self._split:
            taken = self._queue.poll(reward=True)
            if len(taken):
                return taken
        return self._queue.poll(timeout_s=_WAIT_S)

    def _place(self, taken: Lines) -> None:
        """Put completions at the places of their lines."""
        words = taken["user_data"]
        numbers = (words >> np.uint64(_LSB["WINDOW"]) & np.uint64(_MASK["WINDOW"])).astype(int)
        places = (words >> np.uint64(_LSB["INDEX"]) & np.uint64(_MASK["INDEX"])).astype(int)
        left = len(taken)
        for window in self._open:
            mine = np.flatnonzero(numbers == window.number)
            if not len(mine):
                continue
            index = places[mine]
            bad = index >= len(window.lines)
            bad[~bad] = ~window.missing[index[~bad]]
            if bad.any() or np.bincount(index).max() > 1:
                raise RolloutError(
                    "BAD_COMPLETION",
                    f"window {window.number}: expected each line once, got indices "
                    f"{index.tolist()} with {np.flatnonzero(window.missing).tolist()} missing",
                )
            returned = np.empty(len(mine), dtype=DESC_DTYPE)
            copy_lines(returned, taken[mine])
            window.lines[index] = returned
            window.missing[index] = False
            left -= len(mine)
        if left:
            raise RolloutError(
                "BAD_COMPLETION", f"expected lines of windows in flight, got {left} of others"
            )
