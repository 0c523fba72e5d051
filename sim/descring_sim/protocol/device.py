# SPDX-License-Identifier: Apache-2.0
"""What passes between a host program and the simulator that its device runs in.

The memory window is shared. Everything else are messages through two pipes: a request holds
operations, which the testbench carries out in order, and its reply a result for each. While no
request is in progress, simulated time stops.

A signal handler of the host may raise between any two steps of a call. So a message is written and
read as a whole or not at all: it fits into ``PIPE_BUF`` bytes, and replies are packets of their
pipe. And posted writes are numbered: one that was sent, but of which the host does not know that it
was, is sent again, and skipped if it was carried out.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
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
    """What a request can ask for, and the result that is returned."""

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
    WRITE_BYTES = 8
    """Write bytes of a register: 0. Its address is bits 15:0 of ``address``, bits 19:16 strobes."""


STROBES_LSB = 16
"""The strobes of :attr:`Op.WRITE_BYTES` in the address."""


class Waited(IntEnum):
    """How a WAIT ended."""

    POSTED = 0
    """Something was written to memory, and then nothing for a while."""
    IDLE = 1
    """Nothing was, and nothing will be before the host does something."""
    BUSY = 2
    """Nothing was so far."""


class Operation(NamedTuple):
    """One operation; ``address`` and ``value`` are u32.

    ``number`` (u64) grows from one posted write to the next; 0 is that of everything else.
    """

    op: Op
    address: int = 0
    value: int = 0
    number: int = 0


class LinkBroken(Exception):
    """The other end is gone."""


_HEAD = struct.Struct("<II")  # sequence number, how many operations or results follow
_OPERATION = struct.Struct("<IIIQ")
_RESULT = struct.Struct("<I")

REQUEST_MAX = (select.PIPE_BUF - _HEAD.size) // _OPERATION.size
"""How many operations fit into a request: a pipe takes that many bytes as a whole or not at all."""


def open_requests(path: str) -> int:
    """Open the pipe of requests for reading."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def open_replies(path: str) -> int:
    """Open the pipe of replies for writing: as packets, each of which one read returns."""
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_DIRECT)
    return file


def _write(file: int, message: bytes) -> None:
    try:
        written = os.write(file, message)
    except BrokenPipeError:
        raise LinkBroken from None
    if written != len(message):
        raise LinkBroken(f"expected {len(message)} bytes to be written, got {written}")


def send_request(file: int, sequence: int, operations: Sequence[Operation]) -> None:
    """Ask for at most :data:`REQUEST_MAX` ``operations``."""
    body = b"".join(_OPERATION.pack(*operation) for operation in operations)
    _write(file, _HEAD.pack(sequence, len(operations)) + body)


def receive_request(file: int) -> tuple[int, list[Operation]]:
    """Wait for the next request: its sequence number and operations."""
    sequence, count = _HEAD.unpack(_read(file, _HEAD.size))
    body = _read(file, _OPERATION.size * count)
    return sequence, [
        Operation(Op(op), address, value, number)
        for op, address, value, number in _OPERATION.iter_unpack(body)
    ]


def _read(file: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = os.read(file, count - len(data))
        if not part:
            raise LinkBroken
        data += part
    return data


def send_reply(file: int, sequence: int, results: Sequence[int]) -> None:
    """Reply to the request ``sequence``."""
    body = b"".join(_RESULT.pack(result) for result in results)
    _write(file, _HEAD.pack(sequence, len(results)) + body)


def receive_reply(file: int) -> tuple[int, list[int]]:
    """Wait for the next reply: the number of its request, and the results.

    Raises:
        LinkBroken: the other end is gone, or this is not a whole reply.
    """
    packet = os.read(file, select.PIPE_BUF)
    if len(packet) < _HEAD.size:
        raise LinkBroken
    sequence, count = _HEAD.unpack_from(packet)
    if len(packet) != _HEAD.size + _RESULT.size * count:
        raise LinkBroken(f"expected a reply of {count} results, got {len(packet)} bytes")
    return sequence, [result for (result,) in _RESULT.iter_unpack(packet[_HEAD.size :])]
