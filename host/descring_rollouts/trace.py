# SPDX-License-Identifier: Apache-2.0
"""The trace of a run: when each thing happened, and the latencies in between."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_host import Device, HostError
from descring_host.trace_rings import EVENT_DTYPE, DeviceClock, Ring, make_ring, ring_events
from descring_model import Lines
from descring_model.rollouts import seeing
from descring_model.rollouts.records import Records

from descring_rollouts.core import Core
from descring_rollouts.model_core import RolloutCore
from descring_rollouts.native import lib
from descring_rollouts.watch import Watcher

HOST = "host"
"""Name of the ring of the thread that runs the ticks."""
DEFAULT_EVENTS = 1 << 18
_EVENT = seeing.TRACE_EVENT
_OF_ROLLOUTS = (_EVENT["ALLOC"], _EVENT["TRAJECTORY_DONE"])


@dataclass(frozen=True)
class Clock:
    """Nanoseconds of the host's time-stamp counter, from two readings of both clocks."""

    stamp: int
    per_ns: float

    def ns(self, stamps: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Nanoseconds since the first reading, ``(n,)`` int64."""
        ticks = (stamps - np.uint64(self.stamp)).view(np.int64)
        found: npt.NDArray[np.int64] = np.rint(ticks / self.per_ns).astype(np.int64)
        return found


@dataclass(frozen=True)
class Latencies:
    """One pair of events.

    Attributes:
        first: name of the event that a latency begins with.
        second: of the one that it ends with.
        ns: ``(n,)`` int64, nanoseconds of each match.
        unmatched: events of either kind without a partner.
    """

    first: str
    second: str
    ns: npt.NDArray[np.int64]
    unmatched: int

    @property
    def name(self) -> str:
        """``FIRST -> SECOND``."""
        return f"{self.first} -> {self.second}"

    def quantiles(self) -> dict[str, float]:
        """p50, p90, p99 and p99.9 in nanoseconds from an HDR histogram of three digits.

        Raises:
            HostError: hdrhistogram is not installed.
        """
        try:
            from hdrh.histogram import HdrHistogram
        except ImportError:
            raise HostError(
                "expected hdrhistogram, which is not installed; run: pip install 'descring[trace]'"
            ) from None
        histogram = HdrHistogram(1, 3_600_000_000_000, 3)
        values, counts = np.unique(np.maximum(self.ns, 1), return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            histogram.record_value(value, count)
        names = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}
        return {name: float(histogram.get_value_at_percentile(p)) for name, p in names.items()}


class Trace(Watcher):
    """Records the runs of one runtime with the native core; each run begins it anew.

    ::

        trace = Trace(device)
        list(Runtime(device, watchers=[trace]).run([40], samples=4, new_tokens=90))
        print(trace.latencies()[0].quantiles())

    Attributes:
        overwritten: events lost, by the name of their ring.
        clock: of the host's stamps.
        device_clock: of a device with stamps of its own clock alone, by the host's [TRC-005].
    """

    def __init__(self, device: Device, *, events: int = DEFAULT_EVENTS) -> None:
        """Trace the runs on ``device``.

        Args:
            device: one with a method ``trace`` has tracks of its own: cpu, verilated, cuda.
            events: that the ring of each thread holds, a power of two; the default takes 8 MiB.

        Raises:
            ValueError: another number of events.
        """
        make_ring(1 if events > 0 and not events & (events - 1) else events)
        self._device = device
        self._events = events
        self._rings: dict[str, Ring] = {}
        self._core: Core | None = None
        self._first = (0, 0)
        self.clock = Clock(0, 1.0)
        self.device_clock: DeviceClock | None = None
        self.overwritten: dict[str, int] = {}

    def started(self, core: RolloutCore, config: Records, requests: Records) -> None:
        """Give every thread a ring.

        Raises:
            HostError: the golden model's core, which has no trace.
        """
        if not isinstance(core, Core):
            raise HostError("expected the native core to be traced, got another; leave core out")
        self._rings = {}
        self.device_clock = None
        self._core = core
        core.trace(self._ring(HOST))
        attach = getattr(self._device, "trace", None)
        if attach is not None:
            attach(self._ring)
        self._first = _look()

    def submitted(self, lines: Lines) -> None:
        """Note each line of a window."""
        if self._core is not None:
            self._core.note("COMMITTED", lines)

    def taken(self, lines: Lines) -> None:
        """Note each completion of a window."""
        if self._core is not None:
            self._core.note("POLLED", lines)

    def ended(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the rings back."""
        if self._core is None:
            return
        self._core.trace(None)
        self._core = None
        detach = getattr(self._device, "trace", None)
        if detach is not None:
            with suppress(HostError):  # a closed device has no threads
                detach(None)
                self.device_clock = getattr(self._device, "trace_clock", None)
        stamp, now = _look()
        self.clock = Clock(self._first[0], (stamp - self._first[0]) / max(1, now - self._first[1]))
        self.overwritten = {name: ring_events(ring)[1] for name, ring in self._rings.items()}

    @property
    def device_clock_error(self) -> float:
        """Most that the host's stamps of a device with a clock of its own are off, nanoseconds."""
        return self.device_clock.error / self.clock.per_ns if self.device_clock else 0.0

    def tracks(self) -> dict[str, Records]:
        """The events of each thread, ``(n,)`` of EVENT_DTYPE, the oldest first."""
        return {name: ring_events(ring)[0] for name, ring in self._rings.items()}

    def events(self) -> Records:
        """The events of all threads in the order of their stamps, ``(n,)`` of EVENT_DTYPE."""
        parts = list(self.tracks().values()) or [np.empty(0, dtype=EVENT_DTYPE)]
        whole = np.concatenate(parts)
        ordered: Records = whole[np.argsort(whole["host"], kind="stable")]
        return ordered

    def latencies(self) -> list[Latencies]:
        """The pairs of the contract, in its order [TRC-004]."""
        events = self.events()
        return [match(events, first, second, self.clock) for first, second in seeing.TRACE_PAIRS]

    def _ring(self, name: str) -> Ring:
        self._rings[name] = make_ring(self._events)
        return self._rings[name]


def _look() -> tuple[int, int]:
    """The stamp and the nanoseconds of one moment: of several readings the closest."""
    readings = []
    for _ in range(16):
        before = int(lib.hr_stamp())
        now = time.monotonic_ns()
        after = int(lib.hr_stamp())
        readings.append((after - before, before + (after - before) // 2, now))
    _, stamp, now = min(readings)
    return stamp, now


def match(events: Records, first: str, second: str, clock: Clock) -> Latencies:
    """Latencies from ``first`` to ``second`` of the same rollout and leg [TRC-004].

    Args:
        events: ``(n,)`` of EVENT_DTYPE, in any order.
        first: name of an event.
        second: likewise.
        clock: turns stamps into nanoseconds.
    """
    numbers = _EVENT[first], _EVENT[second]
    by_rollout = any(number in _OF_ROLLOUTS for number in numbers)
    keys, stamps = [], []
    for number in numbers:
        mine = events[events["event"] == number]
        if by_rollout and number == _EVENT["REWARD_POSTED"]:
            mine = mine[mine["detail"] == 1]
        leg = np.zeros(len(mine), dtype=np.uint64) if by_rollout else mine["leg"].astype(np.uint64)
        keys.append(mine["rollout"].astype(np.uint64) << np.uint64(32) | leg)
        stamps.append(mine["host"])
    # A key that comes again, as in a ring of several runs, is of no use.
    places = [_places_once(key) for key in keys]
    _, left, right = np.intersect1d(
        keys[0][places[0]], keys[1][places[1]], assume_unique=True, return_indices=True
    )
    began, ended = stamps[0][places[0]][left], stamps[1][places[1]][right]
    spans = clock.ns(ended) - clock.ns(began)
    total = sum(len(key) for key in keys)
    return Latencies(first, second, spans, total - 2 * len(spans))


def _places_once(keys: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Where the keys are that occur once, in the order of the keys."""
    _, places, counts = np.unique(keys, return_index=True, return_counts=True)
    found: npt.NDArray[np.intp] = places[counts == 1]
    return found
