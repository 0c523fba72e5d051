# SPDX-License-Identifier: Apache-2.0
"""Memory behind an AXI4 master: one byte array, with latency, pauses and error responses.

cocotbext-axi's ``AxiRam`` serves one burst after the other without any latency, knows no DECERR,
and takes five coroutines; the case that uses it is there to have this one judged by another. One
coroutine here serves all channels, and sleeps while nothing is requested or outstanding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import cocotb
import numpy as np
import numpy.typing as npt
from cocotb.handle import HierarchyObject
from cocotb.task import Task
from cocotb.triggers import Event, RisingEdge
from descring_model import contract

from descring_vip.axi.faults import AxiFaults, Burst, Latency
from descring_vip.axi.rules import DECERR, INCR, OKAY, SLVERR
from descring_vip.handles import bit, is_high, read_int, signal
from descring_vip.stream.patterns import Gate, Pattern
from descring_vip.timebase import Timebase

__all__ = [
    "DECERR",
    "OKAY",
    "SLVERR",
    "AxiFaults",
    "AxiMemory",
    "Burst",
    "Latency",
    "Response",
    "Written",
]
_READ_CHANNELS = ("ar", "r")
_WRITE_CHANNELS = ("aw", "w", "b")
_TAKEN = ("ar", "aw", "w")
# What a master may leave out, with the value that the standard gives it then.
_OPTIONAL = {"len": 0, "id": 0, "burst": INCR}


class Written(NamedTuple):
    """What was written: byte address, the bytes on the bus, and their strobes.

    It is one beat; on a bus that is narrower than a line, as many as a burst has in that line.
    """

    address: int
    data: bytes
    strobes: int

    def with_next(self, beat: Written) -> Written:
        """With the beat behind it."""
        strobes = self.strobes | beat.strobes << len(self.data)
        return Written(self.address, self.data + beat.data, strobes)


class Response(NamedTuple):
    """A response to a write burst, or to one beat of a read."""

    burst: Burst
    response: int
    write: bool


class _DueBeat(NamedTuple):
    """A beat of read data, from which cycle on it may be returned; its data if read early."""

    cycle: int
    address: int
    last: int
    id: int
    early: tuple[int, int] | None


class AxiMemory:
    """Serves the read or the write channels of an AXI4 master, or both.

    The data bus may have any width that the standard allows. Bursts have rising addresses and beats
    as wide as the bus, from an address that is a multiple of that; anything else is a failure, and
    so is an address below :attr:`origin`. Of the request signals, ``len``, ``id`` and ``burst`` may
    be missing, as may ``wstrb`` and the ids of responses.

    Attributes:
        width: bytes of a beat.
        memory: the bytes, ``(n,)`` uint8; an access beyond them gets DECERR.
        origin: the address of the first byte on the bus. All other addresses, here and of what is
            seen, count from there.
        faults: which accesses fail.
        read_latency: of reads; ``write_latency`` likewise.
        read_early: data are read with the request rather than as they are returned.
        write_late: data reach the memory with the response rather than with the last beat.
        reads: the bursts that were read; ``writes`` those that were written.
        on_write: is told of each beat that reaches the memory.
        on_response: is told of each response as it becomes valid.
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
        self.origin = 0
        self.faults = AxiFaults()
        self.read_latency = Latency()
        self.write_latency = Latency()
        self.read_early = False
        self.write_late = False
        self.on_write: Callable[[Written], None] | None = None
        self.on_response: Callable[[Response], None] | None = None
        self._rng = rng
        self._time = time
        names = _READ_CHANNELS * reads + _WRITE_CHANNELS * writes
        self._reads, self._writes = reads, writes
        self._gates = {name: Gate(None) for name in names}
        self._valid = {name: bit(dut, f"{prefix}_{name}valid") for name in names}
        self._ready = {name: bit(dut, f"{prefix}_{name}ready") for name in names}
        needed = ["araddr", "rdata", "rresp", "rlast"] * reads
        needed += ["awaddr", "wdata", "wlast", "bresp"] * writes
        optional = [f"ar{part}" for part in ("size", *_OPTIONAL)] * reads + ["rid"] * reads
        optional += [f"aw{part}" for part in ("size", *_OPTIONAL)] * writes
        optional += ["wstrb", "bid"] * writes
        present = [name for name in optional if hasattr(dut, f"{prefix}_{name}")]
        self._ports = {name: signal(dut, f"{prefix}_{name}") for name in (*needed, *present)}
        self.width = len(self._ports["rdata" if reads else "wdata"]) // 8
        self._all_lanes = (1 << self.width) - 1
        self._wake = Event()
        self._tasks: list[Task[None]] = []
        self.reset()

    def pause(self, **patterns: Pattern | None) -> None:
        """Take or offer on channel ``ar``, ``r``, ``aw``, ``w`` or ``b`` by a pattern.

        The pattern counts cycles ``(on, off)``; None: always.
        """
        for name, pattern in patterns.items():
            self._gates[name] = Gate(pattern)

    def reset(self) -> None:
        """Forget everything in flight; for the start, and for a hard reset of the master."""
        self.stop()
        self.reads: list[Burst] = []
        self.writes: list[Burst] = []
        self._read_due: deque[_DueBeat] = deque()
        self._last_due = {"r": 0, "b": 0}
        self._addresses: deque[Burst] = deque()
        self._beats: deque[tuple[int, int]] = deque()
        self._write_due: deque[tuple[int, Burst, list[Written]]] = deque()
        self._driven = dict.fromkeys(self._gates, False)
        for name in self._gates:
            (self._ready if name in _TAKEN else self._valid)[name].value = 0
        for name in self._ports:
            if name[0] in "rb" and name[:2] != "bu":
                self._ports[name].value = 0
        self._tasks = [cocotb.start_soon(self._serve())]
        self._tasks += [
            cocotb.start_soon(self._rouse(name)) for name in self._gates if name in _TAKEN
        ]

    @property
    def half_written(self) -> bool:
        """Whether a write burst has its address and not all of its data, or the other way round."""
        return bool(self._addresses or self._beats)

    def stop(self) -> None:
        """Serve nothing any more."""
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def _rouse(self, name: str) -> None:
        asked = RisingEdge(self._valid[name])
        while True:
            await asked
            self._wake.set()

    async def _serve(self) -> None:
        edge = RisingEdge(self._time.clock)
        while True:
            await edge
            self._wake.clear()
            if not is_high(self._time.reset_n):
                continue
            now = self._time.cycle
            busy = False
            if self._reads:
                busy |= self._serve_reads(now)
            if self._writes:
                busy |= self._serve_writes(now)
            if not busy:
                await self._wake.wait()

    def _take(self, name: str) -> bool:
        """Whether a request or beat is taken at this edge; drives ready for the next."""
        valid = is_high(self._valid[name])
        taken = valid and self._driven[name]
        ready = self._gates[name].step()
        if ready != self._driven[name]:
            self._driven[name] = ready
            self._ready[name].value = int(ready)
        return taken

    def _gone(self, name: str) -> bool:
        """Whether nothing is pending any more: the master takes it at this edge."""
        return not self._driven[name] or is_high(self._ready[name])

    def _offer(self, name: str, offered: bool) -> None:
        if offered != self._driven[name]:
            self._driven[name] = offered
            self._valid[name].value = int(offered)

    def _due(self, name: str, now: int, latency: Latency) -> int:
        self._last_due[name] = max(self._last_due[name], now + latency.draw(self._rng))
        return self._last_due[name]

    def _burst(self, name: str) -> Burst:
        """The request that is on the channel ``name``."""
        address = read_int(self._ports[f"{name}addr"])
        length, number, kind = (
            read_int(self._ports[name + part]) if name + part in self._ports else default
            for part, default in _OPTIONAL.items()
        )
        if address < self.origin:
            raise AssertionError(
                f"an access of 0x{address:x}, below the memory at 0x{self.origin:x} "
                f"({self._time.context()})"
            )
        if kind != INCR:
            raise AssertionError(f"a burst whose addresses do not rise ({self._time.context()})")
        size = self._ports.get(f"{name}size")
        beat = self.width if size is None else 1 << read_int(size)
        if beat != self.width or address % beat:
            raise AssertionError(
                f"expected aligned beats of {self.width} bytes, got beats of {beat} "
                f"bytes from 0x{address:x} ({self._time.context()})"
            )
        return Burst(address - self.origin, length + 1, number, self.width)

    # ------------------------------------------------------------------ reads

    def _serve_reads(self, now: int) -> bool:
        if self._take("ar"):
            burst = self._burst("ar")
            self.reads.append(burst)
            due = self._due("r", now, self.read_latency)
            for beat in range(burst.beats):
                address = burst.address + beat * self.width
                early = self._read(address) if self.read_early else None
                last = int(beat == burst.beats - 1)
                self._read_due.append(_DueBeat(due, address, last, burst.id, early))
        if self._gone("r"):
            gate = self._gates["r"].step()
            offered = bool(self._read_due) and self._read_due[0].cycle <= now + 1 and gate
            if offered:
                _, address, last, number, early = self._read_due.popleft()
                data, response = early or self._read(address)
                if self.on_response is not None:
                    read = Burst(address, 1, number, self.width)
                    self.on_response(Response(read, response, write=False))
                for name, value in (("data", data), ("resp", response), ("last", last)):
                    self._ports[f"r{name}"].value = value
                if "rid" in self._ports:
                    self._ports["rid"].value = number
            self._offer("r", offered)
        return bool(self._read_due) or self._driven["r"] or is_high(self._valid["ar"])

    def _read(self, address: int) -> tuple[int, int]:
        response = self.faults.response(address, self.width)
        stop = address + self.width
        if stop > len(self.memory):
            response = DECERR
        if response != OKAY:
            self.faults.met += 1
            # What comes with an error is no data.
            return int.from_bytes(self._rng.bytes(self.width), "little"), response
        return int.from_bytes(self.memory[address:stop].tobytes(), "little"), OKAY

    # ------------------------------------------------------------------ writes

    def _serve_writes(self, now: int) -> bool:
        ports = self._ports
        if self._take("aw"):
            self._addresses.append(self._burst("aw"))
        if self._take("w"):
            strobes = read_int(ports["wstrb"]) if "wstrb" in ports else self._all_lanes
            self._beats.append((read_int(ports["wdata"]), strobes))
        while self._addresses and len(self._beats) >= self._addresses[0].beats:
            self._whole_burst(self._addresses.popleft(), now)
        if self._gone("b"):
            gate = self._gates["b"].step()
            offered = bool(self._write_due) and self._write_due[0][0] <= now + 1 and gate
            if offered:
                self._answer_write(*self._write_due.popleft()[1:])
            self._offer("b", offered)
        return (
            bool(self._write_due or self._addresses or self._beats)
            or self._driven["b"]
            or is_high(self._valid["aw"])
            or is_high(self._valid["w"])
        )

    def _whole_burst(self, burst: Burst, now: int) -> None:
        beats: list[Written] = []
        for beat in range(burst.beats):
            data, strobes = self._beats.popleft()
            address = burst.address + beat * self.width
            written = Written(address, data.to_bytes(self.width, "little"), strobes)
            if beats and address % contract.DESC_BYTES:
                written = beats.pop().with_next(written)
            beats.append(written)
        self.writes.append(burst)
        if not self.write_late:
            beats = [beat for beat in beats if not self._write(beat)]
        self._write_due.append((self._due("b", now, self.write_latency), burst, beats))

    def _answer_write(self, burst: Burst, beats: list[Written]) -> None:
        # What could not be written before, or is written only now.
        responses = [self._denied(beat) for beat in beats if not self._write(beat)]
        response = max(responses, default=OKAY)
        response = self.faults.once(burst) or response
        self.faults.met += response != OKAY
        if self.on_response is not None:
            self.on_response(Response(burst, response, write=True))
        self._ports["bresp"].value = response
        if "bid" in self._ports:
            self._ports["bid"].value = burst.id

    def _denied(self, beat: Written) -> int:
        if beat.address + len(beat.data) > len(self.memory):
            return DECERR
        return self.faults.response(beat.address, len(beat.data), beat.strobes)

    def _write(self, beat: Written) -> bool:
        """Perform a beat; False where it gets an error response."""
        if self._denied(beat) != OKAY:
            return False
        data = np.frombuffer(beat.data, dtype=np.uint8)
        at = slice(beat.address, beat.address + len(data))
        if beat.strobes == (1 << len(data)) - 1:
            self.memory[at] = data
        else:
            lanes = [lane for lane in range(len(data)) if beat.strobes >> lane & 1]
            self.memory[at][lanes] = data[lanes]  # a view, so it is written
        if self.on_write is not None:
            self.on_write(beat)
        return True
