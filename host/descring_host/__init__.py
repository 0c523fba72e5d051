# SPDX-License-Identifier: Apache-2.0
"""The host runtime: open a device by name, and talk to it through a queue of 64-byte lines.

with open_device("cpu") as device, CommandQueue(device) as queue:
    queue.submit(lines)
    completions = queue.drain()
"""

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
