# SPDX-License-Identifier: Apache-2.0
"""Waiting for a device: how long, when it is pointless, and what is said when it was in vain."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from descring_model import contract

from descring_host.errors import DeviceError, DeviceHalted, QueueTimeout
from descring_host.native import nanoseconds
from descring_host.ports import DONE, REWARD, SLICE_S, Geometry, Port

if TYPE_CHECKING:
    from descring_host.device import Device

_MASK = 0xFFFFFFFF
_REG = contract.OFFSET
_STATUS = contract.MASK["STATUS"]


class Patience:
    """A deadline, and ever longer rests while waiting for it."""

    def __init__(self, timeout_s: float) -> None:
        nanoseconds(timeout_s)
        self.timeout_s = timeout_s
        self.renew()

    def renew(self) -> None:
        """Start anew: something has happened."""
        self._end = time.monotonic() + self.timeout_s
        self.rounds = 0

    @property
    def left_s(self) -> float:
        """Seconds to the deadline, 0 behind it."""
        return max(0.0, self._end - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the deadline has passed."""
        return self.left_s == 0.0

    def rest(self) -> None:
        """Give the core away; after a while sleep."""
        self.rounds += 1
        time.sleep(0 if self.rounds < 200 else 0.0002)


class Watch:
    """Waits on one device for completions or room, and knows when that is pointless."""

    def __init__(self, device: Device, port: Port, geometry: Geometry) -> None:
        self._device = device
        self._port = port
        self._split = geometry.split

    @property
    def halted(self) -> bool:
        """Whether a STOP (or a bus error) has halted the device."""
        return bool(self._device.read32(_REG["STATUS"]) & _STATUS["HALTED"])

    def check_device(self) -> None:
        """Raise if waiting is pointless: the peer is gone, or the device has failed."""
        check_peer = getattr(self._device, "check_peer", None)
        if check_peer is not None:
            check_peer()
        if self._device.read32(_REG["STATUS"]) & _STATUS["BUS_ERROR"]:
            raise DeviceError(
                "the device reports a bus error at descriptor index "
                f"{self._device.read32(_REG['CMD_HEAD'])}; mend the memory, clear STATUS.BUS_ERROR "
                "and continue_after_stop()"
            )

    def check_halted(self) -> None:
        """Raise :class:`DeviceHalted` if all that is left waits behind a STOP."""
        self.check_device()
        if self.halted and not self._port.ready(DONE):
            if self._split and self._port.ready(REWARD):
                return
            waiting = self._device.read32(_REG["CMD_TAIL"]) - self._device.read32(_REG["CMD_HEAD"])
            raise DeviceHalted(
                f"a STOP halted the device at index {self._device.read32(_REG['CMD_HEAD'])}; "
                f"{waiting & _MASK} descriptors wait behind it for continue_after_stop()"
            )

    def for_completion(self, ring: int, timeout_s: float) -> int:
        """Completions in ``ring`` as soon as there are any; 0 if none came in time."""
        wait = Patience(timeout_s)
        while True:
            self._device.wait(min(SLICE_S, wait.left_s))
            ready = self._port.ready(ring)
            if ready:
                return ready
            if wait.over:
                self.check_device()
                return 0
            wait.rest()

    def rest(self, wait: Patience) -> None:
        """Let the device make progress, for a slice of what is left of ``wait``."""
        self._device.wait(min(SLICE_S, wait.left_s))
        if not self._port.ready(DONE) and not (self._split and self._port.ready(REWARD)):
            wait.rest()

    def for_room(self, wait: Patience, progress: str) -> None:
        """Wait a little for room in the command ring; ``QueueTimeout`` once ``wait`` is over."""
        if self._port.room():
            return
        if wait.over:
            self.check_device()
            raise QueueTimeout(
                f"no room in the command ring for {wait.timeout_s} s; {progress}; "
                f"{self._port.ready(DONE)} completions lie in the done ring untaken"
                + ("; the device is halted by a STOP" if self.halted else "")
            )
        self._device.wait(min(SLICE_S, wait.left_s))
        if not self._port.room():
            wait.rest()

    def too_late(self, seconds: float, in_flight: int) -> QueueTimeout:
        """The error that nothing came; raises a better one if the device is gone."""
        self.check_device()
        return QueueTimeout(
            f"no completion for {seconds} s; {in_flight} descriptors are in flight, the "
            f"oldest unanswered at index {self._device.read32(_REG['CMD_HEAD'])}"
        )
