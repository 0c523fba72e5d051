# SPDX-License-Identifier: Apache-2.0
"""A device whose worker runs behind a bus: on a GPU, or on what stands for one in a test."""

from __future__ import annotations

import ctypes
import os
import time
import weakref
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from descring_host import DeviceError, PeerDied
from descring_host.native import ffi, lib, nanoseconds
from descring_host.native_device import NativeDevice, open_native
from descring_host.native_port import STILL_S, STILL_SLICE_NS
from descring_host.segment import Segment
from descring_host.trace_rings import (
    HEAD_DTYPE,
    ClockReading,
    DeviceClock,
    MakeRing,
    Ring,
    fill_ring,
)

DEFAULT_MEMORY = 16 << 20
_END_S = 5.0
"""How long a worker that was told to end may take."""

_ENDED = {
    1: "it was told to stop",
    2: "it saw no heartbeat of this process for {heartbeat_s} s (was the process stopped?)",
    3: "its deadline of {deadline_s} s is over",
    4: "it was lost: {error}",
}


class Launcher(Protocol):
    """Starts workers on a link (``host/include/hw_link.h``), one at a time."""

    newest: bool
    """Whether the worker takes the newest line from the link, and completes ahead of the ring."""
    posting: int
    """Blocks of the worker that post completions; each has a trace ring of its own."""

    def allocate(self, size: int) -> ctypes.Array[ctypes.c_uint8]:
        """Zeroed memory that both sides address alike, until the array is gone."""
        ...

    def launch(self, link: int) -> None:
        """Start a worker on the link at this address; :class:`DeviceError` if that fails."""
        ...

    def running(self) -> bool:
        """Whether the worker has not ended yet, well or badly."""
        ...

    def error(self) -> str:
        """Error of a worker that ended without a reason."""
        ...

    def close(self) -> None:
        """Give up what the launcher holds; no worker runs any more."""
        ...


@dataclass(frozen=True)
class _Tracing:
    """A trace that is being written: the caller's rings, and those that the worker writes."""

    rings: list[Ring]
    written: list[Ring]
    memory: ctypes.Array[ctypes.c_uint8]
    begin: list[ClockReading]


_READINGS = 32
"""Of both clocks, at either end of a trace; the closest counts."""


class RemoteDevice(NativeDevice):
    """The full register interface, served by the native core; the lines go over the link.

    Attributes:
        trace_clock: of the last trace that has ended: the worker's clock by the host's stamps.
    """

    def __init__(
        self,
        launcher: Launcher,
        memory: int = DEFAULT_MEMORY,
        *,
        first_index: int = 0,
        heartbeat_s: float = 1.0,
        deadline_s: float | None = None,
    ) -> None:
        """Lay out the memory and start the worker.

        Args:
            launcher: starts the worker.
            memory: bytes of the memory window.
            first_index: the value of every index after reset [RING-012].
            heartbeat_s: the worker ends when this process has not shown life for so long.
            deadline_s: the worker's longest life; None: no limit.

        Raises:
            ValueError: an option out of range.
            DeviceError: the worker does not start.
        """
        super().__init__()
        if not 0.1 <= heartbeat_s <= 60:
            raise ValueError(f"heartbeat_s: expected 0.1 to 60, got {heartbeat_s}")
        if deadline_s is not None and not deadline_s > 0:
            raise ValueError(f"deadline_s: expected more than 0, got {deadline_s}")
        self._launcher = launcher
        self._tracing: _Tracing | None = None
        self.trace_clock: DeviceClock | None = None
        self._heartbeat_s = heartbeat_s
        self._deadline_s = deadline_s
        self._segment = Segment.within(launcher.allocate, memory, first_index)
        device = self._device = open_native(self._segment)
        try:
            self._start()
        except BaseException:
            lib.hd_close(device)
            launcher.close()
            raise
        self._window = self._segment.window
        # An exception that leaves the device unclosed must still end its worker.
        self._lent: list[Any] = [self._segment]
        self._finalizer = weakref.finalize(self, _end, launcher, device, self._lent)

    def _start(self) -> None:
        failed = lib.hd_serve_remote(
            self._device,
            self._launcher.newest,
            nanoseconds(self._heartbeat_s),
            nanoseconds(self._deadline_s or 0.0),
        )
        if failed:
            raise DeviceError(f"cannot start the heartbeat: {os.strerror(failed)}")
        try:
            self._launcher.launch(int(lib.hd_link(self._device)))
        except BaseException:
            lib.hd_leave_remote(self._device)
            raise

    def check_peer(self) -> None:
        """Raise :class:`PeerDied` if the worker is gone."""
        handle = self._handle()
        running = self._launcher.running()
        ended = self._open(lib.hd_remote_ended(handle))
        if running and not ended:
            return
        if not ended:
            lib.hd_lose_remote(handle)
            ended = self._open(lib.hd_remote_ended(handle))
        counts = ffi.new("hd_counts_t *")
        self._open(lib.hd_counts(handle, counts))
        why = _ENDED[ended].format(
            heartbeat_s=self._heartbeat_s,
            deadline_s=self._deadline_s,
            error=self._launcher.error(),
        )
        raise PeerDied(
            f"the worker has ended: {why}; the oldest descriptor without a completion is index "
            f"{counts.cmd_head}; call restart_worker() to resume",
            int(counts.cmd_head),
        )

    def restart_worker(self) -> None:
        """Start a worker on the state that the last one left.

        Raises:
            DeviceError: the last one still runs, has left a state from which none can
                resume, or the new one does not start.
        """
        with self._life:
            handle = self._handle()
            if self._launcher.running():
                raise DeviceError("the worker is running; there is nothing to restart")
            lib.hd_leave_remote(handle)
            self._open(lib.hd_unrecoverable(handle))
            self._start()

    def trace(self, make_ring: MakeRing | None) -> None:
        """Have each block that posts completions write trace events into a ring of its own.

        They are in the rings, with stamps of the host, when the trace ends [TRC-005].

        Args:
            make_ring: makes a ring for a block by its name [TRC-003]; None: no longer.

        Raises:
            PeerDied: the worker is gone; the rings of a trace that ends stay empty.
        """
        with self._life:
            self._handle()
            if self._tracing is not None:
                self._end_trace(self._tracing)
            if make_ring is None:
                return
            rings = [make_ring(f"GPU worker {n}") for n in range(self._launcher.posting)]
            memory = self._launcher.allocate(sum(map(len, rings)))
            written = np.split(np.frombuffer(memoryview(memory), dtype=np.uint8), len(rings))
            for ring, own in zip(rings, written, strict=True):
                own[: HEAD_DTYPE.itemsize] = ring[: HEAD_DTYPE.itemsize]
            self._lent.append(memory)
            self._tracing = _Tracing(rings, written, memory, [])
            self._trace_into(ctypes.addressof(memory))
            self._tracing.begin.extend(self._clock_readings())

    def _end_trace(self, tracing: _Tracing) -> None:
        self.trace_clock = None
        try:
            end = self._clock_readings()
        finally:
            self._trace_into(0)
            self._tracing = None
            self._lent.remove(tracing.memory)
        if not tracing.begin:
            return  # its begin has failed
        self.trace_clock = DeviceClock.of(tracing.begin, end)
        for ring, written in zip(tracing.rings, tracing.written, strict=True):
            fill_ring(ring, written, self.trace_clock)

    def _trace_into(self, address: int) -> None:
        deadline = time.monotonic() + STILL_S
        while self._open(lib.hd_trace_remote(self._device, address, STILL_SLICE_NS)):
            self._check_still(deadline)

    def _clock_readings(self) -> list[ClockReading]:
        """Readings of both clocks, one right after the other."""
        found = []
        reading = ffi.new("hd_clock_reading_t *")
        deadline = time.monotonic() + STILL_S
        for _ in range(_READINGS):
            while self._open(lib.hd_read_clock(self._device, STILL_SLICE_NS, reading)):
                self._check_still(deadline)
            found.append(ClockReading(int(reading.before), int(reading.after), int(reading.device)))
        return found

    def _end(self) -> None:
        """End the worker; :class:`DeviceError` if it does not end."""
        self._finalizer()
        self._segment.close()

    def abandon(self) -> None:
        """In a forked child: the device is the parent's."""
        super().abandon()
        finalizer = getattr(self, "_finalizer", None)
        if finalizer is not None:
            finalizer.detach()


_STUCK: list[Any] = []
"""Memory that a worker which does not end may still write to: never given to anyone else."""


def _end(launcher: Launcher, device: Any, memory: list[Any]) -> None:
    """Wake the callers, tell the worker to end, and wait for both before their memory goes."""
    lib.hd_close(device)
    deadline = time.monotonic() + _END_S
    try:
        while launcher.running():
            if time.monotonic() > deadline:
                raise DeviceError(f"the worker did not end within {_END_S} s of being told to")
            time.sleep(0.0001)
    except BaseException:
        _STUCK.extend(memory)
        raise
    launcher.close()
