# SPDX-License-Identifier: Apache-2.0
"""Rings of trace events in memory of their own [TRC-003]."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from descring_model.rollouts import seeing
from descring_model.rollouts.records import dtype_of

from descring_host.errors import DeviceError

Ring = npt.NDArray[np.uint8]
"""A head of 64 bytes, then events; at a multiple of 64."""
MakeRing = Callable[[str], Ring]
"""Makes a ring for the thread of this name."""

EVENT_DTYPE = dtype_of(seeing.TRACE)
HEAD_DTYPE = dtype_of(seeing.TRACE_HEAD)
EVENTS_MAX = 1 << 28
_LINE = 64


@dataclass(frozen=True)
class ClockReading:
    """A reading of two clocks: ``device`` was read at a moment between the host's stamps."""

    before: int
    after: int
    device: int


@dataclass(frozen=True)
class DeviceClock:
    """How the clock of a device stands to the host's stamps: a line through two readings [TRC-005].

    Attributes:
        first: before the first event.
        last: behind the last.
        step: what the device's clock advances by at a time.
    """

    first: ClockReading
    last: ClockReading
    step: int

    @classmethod
    def of(cls, begin: list[ClockReading], end: list[ClockReading]) -> DeviceClock:
        """From several readings before and behind the events: of each the closest.

        Raises:
            DeviceError: the device's clock did not advance in between.
        """
        read = np.array([reading.device for reading in (*begin, *end)], dtype=np.int64)
        first, last = (min(side, key=lambda it: it.after - it.before) for side in (begin, end))
        if last.device <= first.device:
            raise DeviceError(
                f"expected the device's clock to advance, got {first.device} and {last.device}"
            )
        return cls(first, last, int(np.gcd.reduce(np.diff(read))))

    @cached_property
    def per_stamp(self) -> float:
        """Of the device's units in one of the host's stamps."""
        stamps = (self.last.before + self.last.after - self.first.before - self.first.after) / 2
        return (self.last.device - self.first.device) / stamps

    @property
    def error(self) -> float:
        """Most that a stamp of :meth:`stamps` between the readings is off, in stamps."""
        widest = max(self.first.after - self.first.before, self.last.after - self.last.before)
        return widest / 2 + self.step / self.per_stamp

    def stamps(self, device: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """The host's stamps at these times of the device, ``(n,)``."""
        since = (device - np.uint64(self.first.device)).view(np.int64)
        ticks = np.rint(since / self.per_stamp).astype(np.int64)
        start = np.int64((self.first.before + self.first.after) // 2)
        return (ticks + start).view(np.uint64)

    def device(self, stamp: int) -> int:
        """The device's time at a stamp of the host."""
        start = (self.first.before + self.first.after) // 2
        return self.first.device + round((stamp - start) * self.per_stamp)


def make_ring(events: int) -> Ring:
    """An empty ring whose pages are there already, so that writing makes no page fault.

    Args:
        events: that it holds, a power of two up to 2^28.

    Raises:
        ValueError: another number.
    """
    if not 0 < events <= EVENTS_MAX or events & (events - 1):
        raise ValueError(f"events: expected a power of two up to {EVENTS_MAX}, got {events}")
    size = HEAD_DTYPE.itemsize + events * EVENT_DTYPE.itemsize
    raw = np.empty(size + _LINE, dtype=np.uint8)
    start = -raw.ctypes.data % _LINE
    ring = raw[start : start + size]
    ring[:] = 0
    ring[: HEAD_DTYPE.itemsize].view(HEAD_DTYPE)["mask"] = events - 1
    return ring


def ring_events(ring: Ring) -> tuple[npt.NDArray[np.void], int]:
    """What a ring holds, the oldest first, ``(n,)`` of EVENT_DTYPE; and how many it has lost.

    The thread that writes must stand still.
    """
    head = ring[: HEAD_DTYPE.itemsize].view(HEAD_DTYPE)[0]
    events = ring[HEAD_DTYPE.itemsize :].view(EVENT_DTYPE)
    written = int(head["written"])
    if written <= len(events):
        return events[:written].copy(), 0
    return np.roll(events, -(written % len(events))), written - len(events)


def fill_ring(ring: Ring, source: Ring, clock: DeviceClock) -> None:
    """Put what ``source`` holds, a ring of the same size, into ``ring`` with stamps of the host.

    The oldest event is the one with the oldest stamp.

    Args:
        ring: empty.
        source: with a device's own times alone [TRC-005].
        clock: of these.
    """
    events, lost = ring_events(source)
    events["host"] = clock.stamps(events["device"])
    ordered = events[np.argsort(events["host"], kind="stable")]
    ring[: HEAD_DTYPE.itemsize].view(HEAD_DTYPE)["written"] = lost + len(events)
    places = (lost + np.arange(len(events))) % max(1, len(events))
    ring[HEAD_DTYPE.itemsize :].view(EVENT_DTYPE)[places] = ordered
