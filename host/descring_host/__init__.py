# SPDX-License-Identifier: Apache-2.0
"""The host runtime: open a device by name, and talk to it through a queue of 64-byte lines.

    with open_device("cpu") as device, CommandQueue(device) as queue:
        queue.submit(lines)
        completions = queue.drain()

Names are imported when they are first used, so that a worker process can set its signal handlers
before anything else is imported.
"""

from descring_model.lazy import attribute_of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from descring_host.completion import Completion
    from descring_host.cpu import CpuDevice, Peer
    from descring_host.device import BACKENDS, Device, check_identity, open_device
    from descring_host.errors import (
        ContractMismatch,
        DeviceClosed,
        DeviceError,
        DeviceHalted,
        HostError,
        PeerDied,
        QueueFull,
        QueueTimeout,
    )
    from descring_host.queue import CommandQueue
    from descring_host.segment import MemoryReport, clean

__all__ = [
    "BACKENDS",
    "CommandQueue",
    "Completion",
    "ContractMismatch",
    "CpuDevice",
    "Device",
    "DeviceClosed",
    "DeviceError",
    "DeviceHalted",
    "HostError",
    "MemoryReport",
    "Peer",
    "PeerDied",
    "QueueFull",
    "QueueTimeout",
    "check_identity",
    "clean",
    "open_device",
]

_HOMES = {
    "BACKENDS": "device",
    "CommandQueue": "queue",
    "Completion": "completion",
    "ContractMismatch": "errors",
    "CpuDevice": "cpu",
    "Device": "device",
    "DeviceClosed": "errors",
    "DeviceError": "errors",
    "DeviceHalted": "errors",
    "HostError": "errors",
    "MemoryReport": "segment",
    "Peer": "cpu",
    "PeerDied": "errors",
    "QueueFull": "errors",
    "QueueTimeout": "errors",
    "check_identity": "device",
    "clean": "segment",
    "open_device": "device",
}
"""The module of each name."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = attribute_of(__name__, name, _HOMES[name])
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
