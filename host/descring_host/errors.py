# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a host program and a device; every text says what to do."""

from __future__ import annotations

import numpy as np
from descring_model import DESC_DTYPE, Lines

DEVICE_CLOSED = "the device is closed; open a new one"
QUEUE_CLOSED = "the queue is closed; make a new one"


class HostError(Exception):
    """Anything that the host runtime reports; wrong arguments are ``ValueError`` instead."""


class ContractMismatch(HostError):
    """The device was built from another contract; using it would corrupt data [HASH-001]."""


class DeviceError(HostError):
    """The device refused its configuration, failed, or can't be opened."""


class DeviceClosed(DeviceError):
    """A device or queue was used after its ``close()``, was closed while a call was inside, or
    belongs to the process that this one was forked from."""


class ArithmeticRefused(HostError):
    """The calling thread's floating-point arithmetic is not what the engine's bits need."""


class QueueFull(HostError):
    """No room in the command ring, and the queue's policy is to say so; nothing was submitted."""


class QueueTimeout(HostError):
    """What was waited for did not happen in time."""


class DeviceHalted(HostError):
    """A STOP was answered and descriptors behind it wait for ``continue_after_stop()``.

    ``completions`` holds the lines that were taken before this was found, so that none is lost.
    """

    def __init__(self, message: str, completions: Lines | None = None) -> None:
        super().__init__(message)
        self.completions = np.empty(0, dtype=DESC_DTYPE) if completions is None else completions


class PeerDied(HostError):
    """The process at the other side of the rings is gone.

    ``index`` is the ring index of the oldest descriptor without a completion.
    """

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.index = index
