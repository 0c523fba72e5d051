# SPDX-License-Identifier: Apache-2.0
"""What all devices over the native core have in common: registers, rings, waiting, closing."""

from __future__ import annotations

import weakref
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from descring_host.errors import DeviceClosed, DeviceError
from descring_host.native import check_u32, lib, nanoseconds
from descring_host.ports import Geometry, NativePort


class NativeDevice:
    """Registers and rings of a segment; who works on it is a subclass's affair.

    A subclass sets ``memory`` and ``_device``, and defines :meth:`check_peer` and :meth:`close`.
    """

    memory: npt.NDArray[np.uint8]
    """The memory window, 1-D uint8."""

    def __init__(self) -> None:
        self._closed = False
        self._device: Any = None
        self._ports: weakref.WeakSet[NativePort] = weakref.WeakSet()

    def read32(self, offset: int) -> int:
        """Read the register at this byte address; 0 for an unknown one [DB-004]."""
        return int(lib.hd_read32(self._handle(), check_u32("register offset", offset)))

    def write32(self, offset: int, value: int) -> None:
        """Write a register; done, as far as the host can see, when the call returns.

        Raises:
            ValueError: an offset or value that is no u32.
            DeviceError: a worker that is alive did not react.
        """
        handle = self._handle()
        offset = check_u32("register offset", offset)
        if lib.hd_write32(handle, offset, check_u32("register value", value)):
            self.check_peer()
            raise DeviceError(
                "the worker is alive but did not let go of the device in 30 s; is it stopped?"
            )

    def wait(self, timeout_s: float) -> None:
        """Sleep until a completion can be taken or the device halts, at most ``timeout_s``.

        Raises:
            PeerDied: the worker is gone.
        """
        if not lib.hd_wait(self._handle(), nanoseconds(timeout_s)):
            self.check_peer()

    def check_peer(self) -> None:
        """Raise :class:`PeerDied` if the worker is gone."""
        raise NotImplementedError

    def native_port(self, geometry: Geometry) -> NativePort:
        """The queue's fast way to rings that lie as ``geometry`` says."""
        port = NativePort(self._handle(), geometry, self.check_peer)
        self._ports.add(port)
        return port

    def close(self) -> None:
        """Give the device back; harmless if repeated."""
        raise NotImplementedError

    def _close_ports(self) -> None:
        for port in list(self._ports):
            port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _handle(self) -> Any:
        if self._closed:
            raise DeviceClosed("the device is closed; open a new one")
        return self._device
