# SPDX-License-Identifier: Apache-2.0
"""What passes between a host program and the simulator that its device runs in.

The memory window is shared. Everything else are messages through two pipes: a request holds any
number of operations, which the testbench carries out in order, and its reply a number for each.
While no request is in progress, simulated time stops.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple

JOB_VARIABLE = "DESCRING_DEVICE_JOB"
"""Environment variable that names the job's file inside the simulator."""


@dataclass(frozen=True)
class DeviceJob:
    """What the testbench is told.

    Attributes:
        memory: path of the file to map as the memory window; the AXI memory is this mapping.
        requests: path of the pipe to read. ``replies`` is that to write.
        first_index: the value of every index after reset.
        latency: cycles from a memory access to its response.
        late_writes: a write reaches memory with its response rather than with its data.
        backpressure: share of the cycles, 0 to below 1, in which each AXI channel refuses.
        monitor: hold both buses to the AXI standard all the time.
        reset_cycles: how long the device is held in reset.
    """

    memory: str
    requests: str
    replies: str
    first_index: int
    latency: int
    late_writes: bool
    backpressure: float
    monitor: bool
    reset_cycles: int

    def save(self, path: Path) -> None:
        """Write it to ``path``."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> DeviceJob:
        """The job in ``path``."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


class Op(IntEnum):
    """What a request can ask for, and the number that is returned."""

    READ = 0
    """Read a register: its value."""
    WRITE = 1
    """Write a register: 0."""
    WAIT = 2
    """Run until completions have come, for at most ``value`` cycles: a :class:`Waited`."""
    CLOSE = 3
    """End the simulation: 0."""
    IRQ = 4
    """The level of the interrupt."""
    FAIL = 5
    """Return an error for every access to the bytes from ``address`` to before ``value``: 0."""
    CLEAR = 6
    """Let every access succeed again: 0."""
    RESET = 7
    """Hold the device in reset, with ``value`` as the first index, and the bus with it: 0."""


class Waited(IntEnum):
    """How a WAIT ended."""

    POSTED = 0
    """Something was written to memory, and then nothing for a while."""
    IDLE = 1
    """Nothing was, and nothing will be before the host does something."""
    BUSY = 2
    """Nothing was so far."""


class Operation(NamedTuple):
    """One operation; ``address`` and ``value`` are u32."""

    op: Op
    address: int = 0
    value: int = 0


class LinkBroken(Exception):
    """The other end is gone."""


_HEAD = struct.Struct("<II")  # sequence number, how many operations or numbers follow
_OPERATION = struct.Struct("<III")
_NUMBER = struct.Struct("<I")


def _read(file: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = os.read(file, count - len(data))
        if not part:
            raise LinkBroken
        data += part
    return data


def _write(file: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(file, data) :]
        except BrokenPipeError:
            raise LinkBroken from None


def send_request(file: int, sequence: int, operations: Sequence[Operation]) -> None:
    """Ask for ``operations``."""
    body = b"".join(_OPERATION.pack(*operation) for operation in operations)
    _write(file, _HEAD.pack(sequence, len(operations)) + body)


def receive_request(file: int) -> tuple[int, list[Operation]]:
    """Wait for the next request: its sequence number and operations."""
    sequence, count = _HEAD.unpack(_read(file, _HEAD.size))
    body = _read(file, _OPERATION.size * count)
    return sequence, [
        Operation(Op(op), address, value) for op, address, value in _OPERATION.iter_unpack(body)
    ]


def send_reply(file: int, sequence: int, numbers: Sequence[int]) -> None:
    """Reply to the request ``sequence``."""
    body = b"".join(_NUMBER.pack(number) for number in numbers)
    _write(file, _HEAD.pack(sequence, len(numbers)) + body)


def receive_reply(file: int) -> tuple[int, list[int]]:
    """Wait for the next reply: the number of its request, and the numbers."""
    sequence, count = _HEAD.unpack(_read(file, _HEAD.size))
    body = _read(file, _NUMBER.size * count)
    return sequence, [number for (number,) in _NUMBER.iter_unpack(body)]
