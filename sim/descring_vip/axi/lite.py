# SPDX-License-Identifier: Apache-2.0
"""Master and monitor of an AXI4-Lite register port.

cocotbext-axi's ``AxiLiteMaster`` takes ten coroutines and most of a millisecond for an access; the
case that uses it is there to have this one judged by another.
"""

from __future__ import annotations

from collections.abc import Callable

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.task import Task
from cocotb.triggers import Event, RisingEdge

from descring_vip.handles import bit, is_high, read_int, signal
from descring_vip.stream.patterns import Gate, Pattern
from descring_vip.timebase import Timebase

ALL_BYTES = 0xF
_CHANNELS = ("aw", "w", "b", "ar", "r")
_PATIENCE = 2_000
"""Cycles after which an access that gets no response fails."""


class AxilHost:
    """Makes register accesses, one after the other; every response must be OKAY [DB-004]."""

    def __init__(self, dut: HierarchyObject, time: Timebase, prefix: str = "s_axil") -> None:
        self._time = time
        self._edge = RisingEdge(time.clock)
        self._gates = {name: Gate(None) for name in _CHANNELS}
        self._valid = {name: bit(dut, f"{prefix}_{name}valid") for name in _CHANNELS}
        self._ready = {name: bit(dut, f"{prefix}_{name}ready") for name in _CHANNELS}
        ports = (
            "awaddr",
            "awprot",
            "wdata",
            "wstrb",
            "bresp",
            "araddr",
            "arprot",
            "rdata",
            "rresp",
        )
        self._ports = {name: signal(dut, f"{prefix}_{name}") for name in ports}
        for name in ("awaddr", "awprot", "wdata", "wstrb", "araddr", "arprot"):
            self._ports[name].value = 0
        self.release()

    def release(self) -> None:
        """Offer and take nothing; for a hard reset, once the task that made an access was ended."""
        for name in ("aw", "w", "ar"):
            self._valid[name].value = 0
        for name in ("b", "r"):
            self._ready[name].value = 0

    def pause(self, **patterns: Pattern | None) -> None:
        """Offer or take on channel ``aw``, ``w``, ``b``, ``ar``, ``r`` by a pattern."""
        for name, pattern in patterns.items():
            self._gates[name] = Gate(pattern)

    async def write(self, address: int, value: int, strobes: int = ALL_BYTES) -> None:
        """Write a register, or the bytes ``strobes`` of it; returns with the response."""
        self._ports["awaddr"].value = address
        self._ports["wdata"].value = value
        self._ports["wstrb"].value = strobes
        await self._exchange(("aw", "w"), "b", address)

    async def read(self, address: int) -> int:
        """Read a register."""
        self._ports["araddr"].value = address
        return await self._exchange(("ar",), "r", address)

    async def _exchange(self, requests: tuple[str, ...], answer: str, address: int) -> int:
        waiting, offered, ready = list(requests), set(), False
        for _ in range(_PATIENCE):
            for name in waiting:
                if name not in offered and self._gates[name].step():
                    offered.add(name)
                    self._valid[name].value = 1
            opens = self._gates[answer].step()
            if opens != ready:
                ready = opens
                self._ready[answer].value = int(ready)
            await self._edge
            for name in [name for name in waiting if name in offered]:
                if is_high(self._ready[name]):
                    waiting.remove(name)
                    self._valid[name].value = 0
            if ready and is_high(self._valid[answer]):
                self._ready[answer].value = 0
                return self._answered(answer, address)
        raise AssertionError(
            f"the access of 0x{address:03x} got no response within {_PATIENCE} cycles "
            f"({self._time.context()})"
        )

    def _answered(self, channel: str, address: int) -> int:
        response = read_int(self._ports[f"{channel}resp"])
        if response:
            raise AssertionError(
                f"the access of 0x{address:03x} got the response {response}, expected OKAY "
                f"({self._time.context()})"
            )
        return read_int(self._ports["rdata"]) if channel == "r" else 0


class AxilMonitor:
    """Sees accesses at the pins.

    ``on_write(address, value)`` is called once address and data of a whole word are taken,
    ``on_read()`` when a read's address is, ``on_answer(address, value)`` when its response is,
    which may be much later than the design made it.

    Attributes:
        accesses: how many were seen.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        time: Timebase,
        *,
        on_write: Callable[[int, int], None],
        on_read: Callable[[], None],
        on_answer: Callable[[int, int], None],
        prefix: str = "s_axil",
    ) -> None:
        self._time = time
        self._watched = ("aw", "w", "ar", "r")
        self._valid = {name: bit(dut, f"{prefix}_{name}valid") for name in self._watched}
        self._ready = {name: bit(dut, f"{prefix}_{name}ready") for name in self._watched}
        ports = ("awaddr", "wdata", "wstrb", "araddr", "rdata")
        self._ports = {name: signal(dut, f"{prefix}_{name}") for name in ports}
        self._on_write = on_write
        self._on_read = on_read
        self._on_answer = on_answer
        self.accesses = 0
        self._wake = Event()
        self._tasks: list[Task[None]] = []
        self.reset()

    def reset(self) -> None:
        """Forget accesses in flight; for a hard reset."""
        self.stop()
        self._address: int | None = None
        self._data: tuple[int, int] | None = None
        self._reading: int | None = None
        self._tasks = [cocotb.start_soon(self._watch())]
        self._tasks += [cocotb.start_soon(self._rouse(name)) for name in self._watched]

    def stop(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()

    async def _rouse(self, name: str) -> None:
        asked = RisingEdge(self._valid[name])
        while True:
            await asked
            self._wake.set()

    async def _watch(self) -> None:
        edge = RisingEdge(self._time.clock)
        while True:
            await edge
            self._wake.clear()
            on_offer = [name for name in self._watched if is_high(self._valid[name])]
            if not on_offer:
                await self._wake.wait()
                continue
            if is_high(self._time.reset_n):
                self._look([name for name in on_offer if is_high(self._ready[name])])

    def _look(self, taken: list[str]) -> None:
        ports = self._ports
        if "aw" in taken:
            self._address = read_int(ports["awaddr"])
        if "w" in taken:
            self._data = read_int(ports["wdata"]), read_int(ports["wstrb"])
        if self._address is not None and self._data is not None:
            address, (value, strobes) = self._address, self._data
            self._address = self._data = None
            self.accesses += 1
            if strobes == ALL_BYTES:
                self._on_write(address, value)
        if "r" in taken:
            if self._reading is None:
                raise AssertionError(f"a response without a read ({self._time.context()})")
            address, self._reading = self._reading, None
            self.accesses += 1
            self._on_answer(address, read_int(ports["rdata"]))
        if "ar" in taken:
            self._reading = read_int(ports["araddr"])
            self._on_read()
