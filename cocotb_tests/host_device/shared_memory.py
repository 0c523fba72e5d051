# SPDX-License-Identifier: Apache-2.0
"""A memory behind an AXI4 port, with a latency, many transactions under way, and pauses by seed.

cocotbext-axi's ``AxiRam`` does not fit where time matters: it finishes one burst before it looks at
the next, so a latency would add up, and it takes several times as long a beat.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, Protocol

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.task import Task
from cocotb.triggers import Event, RisingEdge
from lib.axi_rules import DECERR, OKAY
from lib.signals import bit, is_high, read_int, signal
from lib.timebase import Timebase


class Bytes(Protocol):
    """What holds the bytes: bytearray, memoryview, mmap."""

    def __len__(self) -> int: ...
    def __getitem__(self, key: slice, /) -> bytes | bytearray | memoryview: ...
    def __setitem__(self, key: slice, value: bytes, /) -> None: ...


class _Request(NamedTuple):
    id: int
    address: int
    beats: int
    due: int  # the cycle from which it may be answered


class _Ready:
    """The side of a channel that takes: drives ready, waits for valid."""

    def __init__(self, dut: HierarchyObject, time: Timebase, name: str, pauses: _Pauses) -> None:
        self._valid = bit(dut, f"{name}valid")
        self._ready = bit(dut, f"{name}ready")
        self._reset_n = time.reset_n
        self._rises = RisingEdge(self._valid)
        self._edge = RisingEdge(time.clock)
        self._pauses = pauses
        self._is_ready = True
        self._ready.value = 1

    async def handshake(self) -> None:
        """Wait for the edge at which something is taken."""
        while True:
            if not is_high(self._valid):
                await self._rises
            await self._edge
            # A design that does not know of its reset yet may offer anything.
            taken = self._is_ready and is_high(self._valid) and is_high(self._reset_n)
            wanted = not self._pauses.draw()
            if wanted != self._is_ready:
                self._is_ready = wanted
                self._ready.value = int(wanted)
            if taken:
                return


class _Pauses:
    """Draws whether a channel pauses in a cycle."""

    def __init__(self, share: float, rng: np.random.Generator) -> None:
        self._share = share
        self._rng = rng
        self._drawn: deque[bool] = deque()

    def draw(self) -> bool:
        """Whether to pause now."""
        if not self._share:
            return False
        if not self._drawn:
            self._drawn.extend((self._rng.random(256) < self._share).tolist())
        return self._drawn.popleft()


class AxiMemory:
    """Answers the AXI4 master whose signals begin with ``prefix``; reads and writes in order each.

    Only bursts of whole bus words to rising addresses are understood, which is all that the device
    makes; the strobes of a write count. An access outside is answered DECERR.

    Attributes:
        beats_read: words given out. ``beats_written`` counts those taken in.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        time: Timebase,
        prefix: str,
        memory: Bytes,
        rng: np.random.Generator,
        *,
        latency: int = 0,
        backpressure: float = 0.0,
    ) -> None:
        """Serve from now on.

        Args:
            dut: has the port.
            time: of the design.
            prefix: of the signals, without the last underscore.
            memory: address 0 of the bus is its first byte; it is used in place.
            rng: the pauses' source of randomness.
            latency: cycles between a request and its answer, at least.
            backpressure: share of the cycles in which each channel pauses.
        """
        self._memory = memory
        self._time = time
        self._latency = latency
        self._edge = RisingEdge(time.clock)
        self._pauses = _Pauses(backpressure, rng)
        self.beats_read = 0
        self.beats_written = 0
        self._aw, self._w, self._ar = (
            _Ready(dut, time, f"{prefix}_{name}", self._pauses) for name in ("aw", "w", "ar")
        )
        names = [
            *("awid", "awaddr", "awlen", "wdata", "wstrb", "bid", "bresp"),
            *("arid", "araddr", "arlen", "rid", "rdata", "rresp"),
        ]
        self._signal = {name: signal(dut, f"{prefix}_{name}") for name in names}
        bits = ("bvalid", "bready", "rvalid", "rready", "rlast")
        self._bit = {name: bit(dut, f"{prefix}_{name}") for name in bits}
        self._bytes = len(self._signal["wdata"]) // 8
        self._all_lanes = (1 << self._bytes) - 1
        for name in ("bvalid", "rvalid", "rlast"):
            self._bit[name].value = 0
        for name in ("bid", "bresp", "rid", "rdata", "rresp"):
            self._signal[name].value = 0
        self._to_read: deque[_Request] = deque()
        self._to_write: deque[_Request] = deque()
        self._to_answer: deque[tuple[_Request, int]] = deque()
        self._words: deque[tuple[int, int]] = deque()  # data and strobes not stored yet
        self._beat, self._response = 0, OKAY  # of the oldest write
        self._asked, self._written = Event(), Event()
        self._tasks: list[Task[None]] = [
            cocotb.start_soon(task)
            for task in (
                self._take_addresses("ar", self._ar, self._to_read),
                self._take_addresses("aw", self._aw, self._to_write),
                self._give_data(),
                self._take_data(),
                self._give_responses(),
            )
        ]

    def stop(self) -> None:
        """Serve no more."""
        for task in self._tasks:
            task.cancel()

    async def _take_addresses(self, name: str, port: _Ready, queue: deque[_Request]) -> None:
        identity, address, length = (self._signal[name + part] for part in ("id", "addr", "len"))
        while True:
            await port.handshake()
            due = self._time.cycle + self._latency
            queue.append(_Request(read_int(identity), read_int(address), read_int(length) + 1, due))
            if name == "ar":
                self._asked.set()
            else:
                self._write()

    async def _until(self, cycle: int) -> None:
        await self._time.cycles(max(0, cycle - self._time.cycle))

    async def _offer(self, valid: str, ready: str) -> None:
        """Raise valid, with the payload that stands, until ready; then lower it."""
        self._bit[valid].value = 1
        await self._edge
        while not is_high(self._bit[ready]):
            await self._edge
        self._bit[valid].value = 0

    async def _pause(self) -> None:
        while self._pauses.draw():
            await self._edge

    async def _give_data(self) -> None:
        data, last = self._signal["rdata"], self._bit["rlast"]
        while True:
            while not self._to_read:
                self._asked.clear()
                await self._asked.wait()
            request = self._to_read.popleft()
            await self._until(request.due)
            self._signal["rid"].value = request.id
            for beat in range(request.beats):
                at = request.address + beat * self._bytes
                inside = at + self._bytes <= len(self._memory)
                word = self._memory[at : at + self._bytes] if inside else bytes(self._bytes)
                await self._pause()
                data.value = int.from_bytes(word, "little")
                self._signal["rresp"].value = OKAY if inside else DECERR
                last.value = int(beat == request.beats - 1)
                await self._offer("rvalid", "rready")
                self.beats_read += 1

    async def _take_data(self) -> None:
        data, strobes = self._signal["wdata"], self._signal["wstrb"]
        while True:
            await self._w.handshake()
            self._words.append((read_int(data), read_int(strobes)))
            self._write()

    def _write(self) -> None:
        """Store the data that have come and whose address has; either may be ahead."""
        while self._words and self._to_write:
            request = self._to_write[0]
            word, lanes = self._words.popleft()
            if not self._store(request.address + self._beat * self._bytes, word, lanes):
                self._response = DECERR
            self._beat += 1
            if self._beat == request.beats:
                due = self._time.cycle + self._latency
                self._to_answer.append((self._to_write.popleft()._replace(due=due), self._response))
                self._beat, self._response = 0, OKAY
                self._written.set()

    def _store(self, at: int, word: int, lanes: int) -> bool:
        """Write a word's bytes whose strobes are set; False outside the memory."""
        if at + self._bytes > len(self._memory):
            return False
        line = word.to_bytes(self._bytes, "little")
        if lanes == self._all_lanes:
            self._memory[at : at + self._bytes] = line
        else:
            for lane in range(self._bytes):
                if lanes >> lane & 1:
                    self._memory[at + lane : at + lane + 1] = line[lane : lane + 1]
        self.beats_written += 1
        return True

    async def _give_responses(self) -> None:
        while True:
            while not self._to_answer:
                self._written.clear()
                await self._written.wait()
            request, response = self._to_answer.popleft()
            await self._until(request.due)
            await self._pause()
            self._signal["bid"].value = request.id
            self._signal["bresp"].value = response
            await self._offer("bvalid", "bready")
