# SPDX-License-Identifier: Apache-2.0
"""The one interface of all backends, and the one place where they are opened by name."""

from __future__ import annotations

import functools
import importlib.metadata
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from descring_model import GoldenDevice, contract

from descring_host.cpu import CpuDevice
from descring_host.errors import DEVICE_CLOSED, ContractMismatch, DeviceClosed, DeviceError
from descring_host.fork import BELONGS_TO_PARENT, belongs_to_this_process

DEFAULT_MEMORY = 16 << 20
"""Bytes of the memory window of a backend opened without a size."""


@runtime_checkable
class Device(Protocol):
    """What stands behind a doorbell.

    A device may also have ``native_port(geometry)``, a faster way to the same rings, and
    ``check_peer()``, which raises when the process behind it is gone; a queue uses them if there.
    With ``trace(make_ring)`` its threads write trace events [TRC-003].
    """

    @property
    def memory(self) -> npt.NDArray[np.uint8]:
        """The window that rings lie in, 1-D uint8; the device sees offsets into it."""
        ...

    def read32(self, offset: int) -> int:
        """Read the register at this byte address."""
        ...

    def write32(self, offset: int, value: int) -> None:
        """Write the register at this byte address."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Let the device make progress, for at most this many seconds."""
        ...

    def close(self) -> None:
        """Give the device back."""
        ...

    def __enter__(self) -> Device: ...

    def __exit__(self, *_: object) -> None: ...


class ModelDevice(GoldenDevice):
    """The golden model as a host opens it: also a context manager, as every backend.

    Several threads may use it, and close it; an access that a signal's handler interrupts goes on
    in the next.
    """

    def __init__(self, memory: int, *, first_index: int = 0) -> None:
        self._access = threading.RLock()
        self._closed_because = ""
        super().__init__(memory, first_index=first_index)
        belongs_to_this_process(self)

    def read32(self, offset: int) -> int:
        """See :class:`Device`."""
        with self._access:
            return super().read32(offset)

    def write32(self, offset: int, value: int) -> None:
        """See :class:`Device`."""
        with self._access:
            super().write32(offset, value)

    def wait(self, timeout_s: float) -> None:
        """See :class:`Device`."""
        with self._access:
            super().wait(timeout_s)
            self._run()

    def close(self) -> None:
        """See :class:`Device`."""
        self._closed_because = self._closed_because or DEVICE_CLOSED
        with self._access:
            super().close()

    def abandon(self) -> None:
        """See :class:`descring_host.fork.Owned`."""
        self._closed_because = f"the device is not this process's: {BELONGS_TO_PARENT}"
        self._access = threading.RLock()  # a thread of the parent's may have held it
        super().close()

    def _check_open(self) -> None:
        if self._closed_because:
            raise DeviceClosed(self._closed_because)

    def __enter__(self) -> ModelDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open_model(*, memory: int = DEFAULT_MEMORY, first_index: int = 0) -> Device:
    return ModelDevice(memory, first_index=first_index)


def _open_cpu(*, memory: int = DEFAULT_MEMORY, **options: Any) -> Device:
    return CpuDevice(memory, **options)


Opener = Callable[..., Device]
"""Opens a device: called with the options of :func:`open_device`."""

ENTRY_POINTS = "descring.devices"
"""Entry point group in which a package declares its backends, so that this one need not know it."""

_BUILT_IN: dict[str, Opener] = {"model": _open_model, "cpu": _open_cpu}


@functools.cache
def _declared() -> dict[str, importlib.metadata.EntryPoint]:
    """The backends that installed packages declare. The files are read once a process."""
    found = importlib.metadata.entry_points(group=ENTRY_POINTS)
    return {point.name: point for point in sorted(found) if point.name not in _BUILT_IN}


class _Backends(Mapping[str, Opener]):
    """Backend name to opener; a declared backend is imported when it is first opened."""

    def __getitem__(self, name: str) -> Opener:
        if name in _BUILT_IN:
            return _BUILT_IN[name]
        try:
            opener: Opener = _declared()[name].load()
        except ImportError as error:
            raise DeviceError(f"backend {name} cannot be imported: {error}") from error
        return opener

    def __contains__(self, name: object) -> bool:
        return name in _BUILT_IN or name in _declared()

    def __iter__(self) -> Iterator[str]:
        yield from _BUILT_IN
        yield from _declared()

    def __len__(self) -> int:
        return len(_BUILT_IN) + len(_declared())


BACKENDS: Mapping[str, Opener] = _Backends()
"""Every backend of this installation: ``model``, ``cpu``, and those that packages declare as entry
points of the group ``descring.devices``."""


def check_identity(device: Device) -> None:
    """Refuse a device that is none, or was built from another contract [HASH-001].

    Raises:
        DeviceError: register ID or VERSION is wrong.
        ContractMismatch: CONTRACT_HASH differs; the text says both.
    """
    for name, expected in (("ID", contract.DEVICE_ID), ("VERSION", contract.VERSION)):
        got = device.read32(contract.REGISTER[name].offset)
        if got != expected:
            raise DeviceError(
                f"register {name}: expected 0x{expected:08X}, got 0x{got:08X}; "
                "this is no device of this contract version"
            )
    got = device.read32(contract.REGISTER["CONTRACT_HASH"].offset)
    if got != contract.CONTRACT_HASH:
        raise ContractMismatch(
            f"the device has contract hash {got:08x}, this host {contract.CONTRACT_HASH:08x}; "
            "build both from the same contract (make gen)"
        )


def open_device(backend: str, **options: Any) -> Device:
    """Open a device by the name of its backend.

    Args:
        backend: ``"model"`` (the golden model), ``"cpu"`` (native workers), or another of
            :data:`BACKENDS`.
        **options: of the backend: ``memory`` (bytes of the window) and ``first_index`` for all;
            see :class:`~descring_host.cpu.CpuDevice` for more of ``cpu``.

    Raises:
        ValueError: an unknown backend or option, or a value out of range.
        DeviceError: it can't be opened; the text says why.
        ContractMismatch: it was built from another contract.
    """
    if backend not in BACKENDS:
        raise ValueError(f"expected a backend out of {', '.join(BACKENDS)}, got {backend!r}")
    try:
        device = BACKENDS[backend](**options)
    except TypeError as error:
        raise ValueError(f"options of backend {backend}: {error}") from error
    try:
        check_identity(device)
    except BaseException:
        device.close()
        raise
    return device
