# SPDX-License-Identifier: Apache-2.0
"""What all devices over the native core have in common: registers, rings, waiting, closing."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from descring_host.errors import DEVICE_CLOSED, DeviceClosed
from descring_host.fork import BELONGS_TO_PARENT, belongs_to_this_process
from descring_host.native import check_u32, ffi, lib, nanoseconds
from descring_host.native_port import (
    STILL_S,
    STILL_SLICE_NS,
    NativePort,
    corrupt,
    stands_not_still,
)
from descring_host.ports import SLICE_S, Geometry
from descring_host.segment import Segment


def open_native(segment: Segment) -> Any:
    """A native device on a segment: its handle, which keeps the memory as long as it lives.

    A thread may be inside a call with it when the device is closed, so it is freed with its last
    reference, of which such a call has one.
    """
    base = segment.base
    device = lib.hd_open(base, len(base))
    if device == ffi.NULL:
        raise MemoryError("no memory for a device handle")
    return ffi.gc(device, lambda handle, _memory=base: lib.hd_free(handle))


class NativeDevice:
    """Registers and rings of a segment; who works on it is a subclass's affair.

    A subclass sets ``_segment`` and ``_device``, and defines :meth:`check_peer` and
    :meth:`_end`. Any thread may close a device: calls inside it end with :class:`DeviceClosed`, and
    nothing that they use is given back before the last of them has left.
    """

    _segment: Segment

    def __init__(self) -> None:
        self._closed = ""
        self._device: Any = None
        self._window: npt.NDArray[np.uint8] | None = None
        self._ports: weakref.WeakSet[NativePort] = weakref.WeakSet()
        self._life = threading.RLock()
        belongs_to_this_process(self)

    @property
    def memory(self) -> npt.NDArray[np.uint8]:
        """The memory window, 1-D uint8; an array that was asked for outlives the device.

        Raises:
            DeviceClosed: in a forked child.
        """
        if self._window is None:
            raise DeviceClosed(self._closed or DEVICE_CLOSED)
        return self._window

    def read32(self, offset: int) -> int:
        """Read the register at this byte address; 0 for an unknown one [DB-004]."""
        return self._open(lib.hd_read32(self._handle(), check_u32("register offset", offset)))

    def write32(self, offset: int, value: int) -> None:
        """Write a register; done, as far as the host can see, when the call returns.

        Raises:
            ValueError: an offset or value that is no u32.
            DeviceError: a worker that is alive did not react.
        """
        handle = self._handle()
        offset, value = check_u32("register offset", offset), check_u32("register value", value)
        deadline = time.monotonic() + STILL_S
        # In slices, for a signal's handler runs between them.
        while self._open(lib.hd_write32(handle, offset, value, STILL_SLICE_NS)):
            self._check_still(deadline)

    def wait(self, timeout_s: float) -> None:
        """Sleep until a completion can be taken or the device halts, at most ``timeout_s``.

        Raises:
            PeerDied: the worker is gone.
        """
        left = nanoseconds(timeout_s)
        end = time.monotonic_ns() + left
        while not self._open(lib.hd_wait(self._handle(), min(left, int(SLICE_S * 1e9)))):
            self.check_peer()
            left = end - time.monotonic_ns()
            if left <= 0:
                return

    def check_peer(self) -> None:
        """Raise :class:`PeerDied` if the worker is gone."""
        raise NotImplementedError

    def native_port(self, geometry: Geometry) -> NativePort:
        """The queue's fast way to rings that lie as ``geometry`` says."""
        port = NativePort(self._handle(), geometry, self.check_peer)
        self._ports.add(port)
        if self._closed:  # meanwhile
            port.close()
        return port

    def close(self) -> None:
        """Give the device back; harmless if repeated, and if another thread is inside a call."""
        with self._life:
            if self._closed and self._window is None:
                return
            self._closed = self._closed or DEVICE_CLOSED
            for port in list(self._ports):
                port.close()
            self._end()

    def _end(self) -> None:
        """End what works on the device, and give back what it has; harmless if repeated."""
        raise NotImplementedError

    def abandon(self) -> None:
        """See :class:`descring_host.fork.Owned`."""
        self._closed = f"the device is not this process's: {BELONGS_TO_PARENT}"
        self._window = None
        self._life = threading.RLock()  # a thread of the parent's may have held it
        for port in list(self._ports):
            port.abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handle(self) -> Any:
        if self._closed:
            raise DeviceClosed(self._closed)
        return self._device

    def _check_still(self, deadline: float) -> None:
        """Raise if the worker is gone, or had until ``deadline`` to stand still, or to reply."""
        self.check_peer()
        if time.monotonic() > deadline:
            raise stands_not_still()

    def _open(self, number: int) -> int:
        """A result of the native core, unless it is that the device is closed or corrupt."""
        if number == lib.HD_CLOSED:
            raise DeviceClosed(self._closed or DEVICE_CLOSED)
        if number == lib.HD_CORRUPT:
            raise corrupt(self._device)
        return number
