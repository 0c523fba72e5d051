# SPDX-License-Identifier: Apache-2.0
"""Memory behind an AXI4 master: one byte array, with latency, pauses and error responses.

The channels are cocotbext-axi's. Its ``AxiRam`` does not fit: it serves one burst after the other
without any latency, and it knows no DECERR.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.handle import HierarchyObject
from cocotb.task import Task
from cocotbext.axi import AxiReadBus, AxiResp, AxiWriteBus  # type: ignore[import-untyped]
from cocotbext.axi.axi_channels import (  # type: ignore[import-untyped]
    AxiARSink,
    AxiAWSink,
    AxiBSource,
    AxiRSource,
    AxiWSink,
)

from lib.lines import LINE_BYTES
from lib.patterns import Pattern
from lib.timebase import Timebase

OKAY, SLVERR, DECERR = (
    int(response) for response in (AxiResp.OKAY, AxiResp.SLVERR, AxiResp.DECERR)
)

SHORTEST_LATENCY = 2
"""Cycles from a request to its first answer, at least: the channels' own time."""

_ALL_LANES = (1 << LINE_BYTES) - 1


class Burst(NamedTuple):
    """One burst: byte address of its first line, and lines."""

    address: int
    lines: int


class Written(NamedTuple):
    """One beat that was written: byte address, the 64 bytes on the bus, and their strobes."""

    address: int
    data: bytes
    strobes: int


@dataclass
class Latency:
    """Cycles from the last handshake of a request to the first of its answer, drawn evenly.

    Both ends count; answers of one kind keep the order of their requests.
    """

    shortest: int = SHORTEST_LATENCY
    longest: int = SHORTEST_LATENCY

    def draw(self, rng: np.random.Generator) -> int:
        """The latency of the next answer."""
        if self.shortest == self.longest:
            return self.shortest
        return int(rng.integers(self.shortest, self.longest + 1))


@dataclass
class AxiFaults:
    """Which accesses are answered with an error.

    A beat that touches a failing range is not performed; the others of its burst are. Numbers of
    ``once_reads`` are of lines read, those of ``once_writes`` of write bursts, since the start.
    """

    ranges: list[tuple[int, int, int]] = field(default_factory=list)
    once_reads: dict[int, int] = field(default_factory=dict)
    once_writes: dict[int, int] = field(default_factory=dict)

    def response(self, address: int, strobes: int = _ALL_LANES) -> int:
        """The response to an access of the lanes ``strobes`` of the line at ``address``."""
        for start, stop, response in self.ranges:
            if start < address + LINE_BYTES and stop > address:
                low, high = max(start - address, 0), min(stop - address, LINE_BYTES)
                if strobes & ((1 << high) - (1 << low)):
                    return response
        return OKAY


class AxiMemory:
    """Serves the read or the write channels of a master with 512-bit data, or both.

    Attributes:
        memory: the bytes, ``(n,)`` uint8, address 0 first; an access beyond them gets DECERR.
        faults: which accesses fail.
        read_latency: of reads; ``write_latency`` likewise.
        write_late: data reach the memory with the response rather than with the last beat.
        reads: the bursts that were read; ``writes`` those that were written.
        on_write: is told of each beat that reaches the memory.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        time: Timebase,
        memory: npt.NDArray[np.uint8],
        rng: np.random.Generator,
        *,
        prefix: str = "m_axi",
        reads: bool = True,
        writes: bool = True,
    ) -> None:
        self.memory = memory
        self.faults = AxiFaults()
        self.read_latency = Latency()
        self.write_latency = Latency()
        self.write_late = False
        self.reads: list[Burst] = []
        self.writes: list[Burst] = []
        self.lines_read = 0
        self.on_write: Callable[[Written], None] | None = None
        self._rng = rng
        self._time = time
        self._channels: dict[str, Any] = {}
        self._tasks: list[Task[None]] = []
        reset = {"reset": time.reset_n, "reset_active_level": False}
        if reads:
            read_bus = AxiReadBus.from_prefix(dut, prefix)
            self._channels["ar"] = AxiARSink(read_bus.ar, time.clock, **reset)
            self._channels["r"] = AxiRSource(read_bus.r, time.clock, **reset)
        if writes:
            write_bus = AxiWriteBus.from_prefix(dut, prefix)
            self._channels["aw"] = AxiAWSink(write_bus.aw, time.clock, **reset)
            self._channels["w"] = AxiWSink(write_bus.w, time.clock, **reset)
            self._channels["b"] = AxiBSource(write_bus.b, time.clock, **reset)
        self.reset()

    def pause(self, **patterns: Pattern | None) -> None:
        """Take or offer on channel ``ar``, ``r``, ``aw``, ``w`` or ``b`` as a pattern says.

        The pattern counts cycles ``(on, off)``; None: always.
        """
        for name, pattern in patterns.items():
            channel = self._channels[name]
            channel.clear_pause_generator()
            channel.pause = False
            if pattern is not None:
                channel.set_pause_generator(_paused(pattern))

    def reset(self) -> None:
        """Forget everything under way; for a hard reset of the master."""
        self.stop()
        for channel in self._channels.values():
            channel.clear()
        if "ar" in self._channels:
            self._start(self._serve_reads())
        if "aw" in self._channels:
            self._start(self._serve_writes())

    def stop(self) -> None:
        """Serve nothing any more."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    def _start(self, work: Any) -> None:
        self._tasks.append(cocotb.start_soon(work))

    # ------------------------------------------------------------------ reads

    async def _serve_reads(self) -> None:
        due: deque[tuple[int, Burst, int]] = deque()
        source, last = self._channels["r"], 0
        server: Task[None] | None = None
        while True:
            request = await self._channels["ar"].recv()
            burst = Burst(int(request.araddr), int(request.arlen) + 1)
            self.reads.append(burst)
            last = max(last, self._time.cycle + self.read_latency.draw(self._rng))
            due.append((last, burst, int(request.arid)))
            if server is None or server.done():
                server = cocotb.start_soon(self._answer_reads(due, source))
                self._tasks = [task for task in self._tasks if not task.done()] + [server]

    async def _answer_reads(self, due: deque[tuple[int, Burst, int]], source: Any) -> None:
        while due:
            cycle, burst, number = due.popleft()
            await self._time.cycles(cycle - SHORTEST_LATENCY - self._time.cycle)
            for line in range(burst.lines):
                beat = source._transaction_obj()
                beat.rid = number
                beat.rdata, beat.rresp = self._read(burst.address + line * LINE_BYTES)
                beat.rlast = int(line == burst.lines - 1)
                source.send_nowait(beat)

    def _read(self, address: int) -> tuple[int, int]:
        response = self.faults.response(address)
        response = self.faults.once_reads.pop(self.lines_read, response)
        self.lines_read += 1
        if address + LINE_BYTES > len(self.memory):
            response = DECERR
        if response != OKAY:
            # What comes with an error is no data.
            return int.from_bytes(self._rng.bytes(LINE_BYTES), "little"), response
        return int.from_bytes(self.memory[address : address + LINE_BYTES].tobytes(), "little"), OKAY

    # ------------------------------------------------------------------ writes

    async def _serve_writes(self) -> None:
        due: deque[tuple[int, Burst, list[Written], int]] = deque()
        source, last = self._channels["b"], 0
        server: Task[None] | None = None
        while True:
            request = await self._channels["aw"].recv()
            burst = Burst(int(request.awaddr), int(request.awlen) + 1)
            beats = [await self._beat(burst, line) for line in range(burst.lines)]
            self.writes.append(burst)
            if not self.write_late:
                beats = [beat for beat in beats if not self._write(beat)]
            last = max(last, self._time.cycle + self.write_latency.draw(self._rng))
            due.append((last, burst, beats, int(request.awid)))
            if server is None or server.done():
                server = cocotb.start_soon(self._answer_writes(due, source))
                self._tasks = [task for task in self._tasks if not task.done()] + [server]

    async def _beat(self, burst: Burst, line: int) -> Written:
        beat = await self._channels["w"].recv()
        data = int(beat.wdata).to_bytes(LINE_BYTES, "little")
        return Written(burst.address + line * LINE_BYTES, data, int(beat.wstrb))

    async def _answer_writes(
        self, due: deque[tuple[int, Burst, list[Written], int]], source: Any
    ) -> None:
        number = 0
        while due:
            cycle, _, beats, identity = due.popleft()
            await self._time.cycles(cycle - SHORTEST_LATENCY - self._time.cycle)
            # What could not be written before, or is written only now.
            responses = [self._denied(beat) for beat in beats if not self._write(beat)]
            answer = source._transaction_obj()
            answer.bid = identity
            answer.bresp = max(responses, default=OKAY)
            answer.bresp = self.faults.once_writes.pop(number, answer.bresp)
            number += 1
            source.send_nowait(answer)

    def _denied(self, beat: Written) -> int:
        if beat.address + LINE_BYTES > len(self.memory):
            return DECERR
        return self.faults.response(beat.address, beat.strobes)

    def _write(self, beat: Written) -> bool:
        """Perform a beat; False where it gets an error response."""
        if self._denied(beat) != OKAY:
            return False
        at = slice(beat.address, beat.address + LINE_BYTES)
        if beat.strobes == _ALL_LANES:
            self.memory[at] = np.frombuffer(beat.data, dtype=np.uint8)
        else:
            lanes = [lane for lane in range(LINE_BYTES) if beat.strobes >> lane & 1]
            self.memory[beat.address + np.array(lanes, dtype=np.int64)] = np.frombuffer(
                beat.data, dtype=np.uint8
            )[lanes]
        if self.on_write is not None:
            self.on_write(beat)
        return True


def _paused(pattern: Pattern) -> Iterator[bool]:
    """What cocotbext-axi wants to know each cycle: whether to pause."""
    for on, off in pattern:
        for paused, cycles in ((False, on), (True, off)):
            for _ in range(cycles):
                yield paused
