# SPDX-License-Identifier: Apache-2.0
"""A host's accesses to registers behind an AXI4-Lite port, one at a time.

cocotbext-axi's ``AxiLiteMaster`` does the same with several tasks a channel, and takes several
times as long an access; a device in a simulator makes little else.
"""

from __future__ import annotations

from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge

from lib.axi_rules import OKAY
from lib.signals import bit, is_high, read_int, signal
from lib.timebase import Timebase

_PATIENCE = 1000


class RegisterHost:
    """Drives the AXI4-Lite slave whose signals begin with ``prefix``."""

    def __init__(self, dut: HierarchyObject, time: Timebase, prefix: str) -> None:
        self._time = time
        self._edge = RisingEdge(time.clock)
        names = ("awvalid", "awready", "wvalid", "wready", "bvalid", "bready", "arvalid", "arready")
        self._bit = {name: bit(dut, f"{prefix}_{name}") for name in (*names, "rvalid", "rready")}
        self._signal = {
            name: signal(dut, f"{prefix}_{name}")
            for name in ("awaddr", "awprot", "wdata", "wstrb", "bresp", "araddr", "arprot", "rdata")
        }
        self._rresp = signal(dut, f"{prefix}_rresp")
        for name in ("awvalid", "wvalid", "arvalid"):
            self._bit[name].value = 0
        for name in ("awaddr", "awprot", "wdata", "wstrb", "araddr", "arprot"):
            self._signal[name].value = 0
        for name in ("bready", "rready"):
            self._bit[name].value = 1

    async def read(self, address: int) -> int:
        """Read a register; returns at the edge at which the answer is there."""
        self._signal["araddr"].value = address
        await self._offer("ar")
        await self._answer("rvalid", address)
        self._check(read_int(self._rresp), address)
        return read_int(self._signal["rdata"])

    async def write(self, address: int, value: int) -> None:
        """Write a register; returns at the edge at which the response is there."""
        self._signal["awaddr"].value = address
        self._signal["wdata"].value = value
        self._signal["wstrb"].value = 0xF
        await self._offer("aw", "w")
        await self._answer("bvalid", address)
        self._check(read_int(self._signal["bresp"]), address)

    async def _offer(self, *channels: str) -> None:
        """Raise valid of channels until ready, each for itself."""
        offering = set(channels)
        for channel in channels:
            self._bit[f"{channel}valid"].value = 1
        for _ in range(_PATIENCE):
            await self._edge
            for channel in [name for name in offering if is_high(self._bit[f"{name}ready"])]:
                self._bit[f"{channel}valid"].value = 0
                offering.remove(channel)
            if not offering:
                return
        raise self._stuck(f"{' and '.join(sorted(offering))} not taken")

    async def _answer(self, valid: str, address: int) -> None:
        for _ in range(_PATIENCE):
            await self._edge
            if is_high(self._bit[valid]):
                return
        raise self._stuck(f"no answer for register 0x{address:03x}")

    def _check(self, response: int, address: int) -> None:
        if response != OKAY:
            raise AssertionError(
                f"register 0x{address:03x} was answered {response}, expected OKAY "
                f"({self._time.context()})"
            )

    def _stuck(self, what: str) -> AssertionError:
        return AssertionError(f"{what} for {_PATIENCE} cycles ({self._time.context()})")
