# SPDX-License-Identifier: Apache-2.0
"""``axi_copy`` against the AXI memory, with the AXI monitor on its bus."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_vip.axi.memory import SLVERR, AxiMemory, Latency
from descring_vip.axi.monitor import AxiMonitor
from descring_vip.handles import bit, is_high, signal
from descring_vip.scoreboard import ValueChecker
from descring_vip.stream.patterns import Idle, Ready, idle_pattern, ready_pattern, streaming
from descring_vip.testbench import Testbench

OUTPUTS = ("busy_o", "error_o", "m_axi_arvalid", "m_axi_awvalid", "m_axi_wvalid", "m_axi_wdata")
WIDTH = 16
"""Bytes of a beat."""


class CopyTestbench(Testbench):
    """Random memory; what is copied must be there, and nothing else may change."""

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut, outputs=OUTPUTS, clock="aclk", reset_n="aresetn")
        self.memory = self.rng.integers(0, 256, 4096, dtype=np.uint8)
        self.bus = AxiMemory(dut, self.time, self.memory, self.rng)
        self.bus.read_latency = self.bus.write_latency = Latency(1, 6)
        self.monitor = self.add_checker(AxiMonitor(dut, self.time, "m_axi"))
        self.beats = self.add_checker(ValueChecker("beats", self.time.context))
        self._start, self._busy = bit(dut, "start_i"), bit(dut, "busy_o")
        self._error = bit(dut, "error_o")
        self._arguments = [signal(dut, name) for name in ("src_i", "dst_i", "count_i")]
        self._start.value = 0
        for handle in self._arguments:
            handle.value = 0

    async def copy(self, src: int, dst: int, count: int, *, fails: bool = False) -> None:
        """Copy ``count`` beats between byte addresses, and compare all of the memory."""
        expected = self.memory.copy()
        if not fails:
            expected[dst : dst + WIDTH * count] = expected[src : src + WIDTH * count]
        for handle, value in zip(self._arguments, (src, dst, count), strict=True):
            handle.value = value
        self._start.value = 1
        await self.time.edge()
        self._start.value = 0
        await self.time.edge()
        await self.until(lambda: not is_high(self._busy), 400 * count, "the end of the copy")
        self.beats.check("error_o", expected=int(fails), actual=int(is_high(self._error)))
        for at in range(0, len(expected), WIDTH):
            want, got = (part[at : at + WIDTH].tobytes() for part in (expected, self.memory))
            self.beats.check(
                f"memory at 0x{at:x}",
                expected=int.from_bytes(want, "little"),
                actual=int.from_bytes(got, "little"),
                digits=2 * WIDTH,
            )

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        self.bus.stop()
        self.monitor.stop()


@cocotb.test()
@streaming
async def test_copies(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """Memory is copied, whatever the pauses of the channels."""
    tb = CopyTestbench(dut)
    tb.bus.pause(
        ar=ready_pattern(ready, tb.rng),
        aw=ready_pattern(ready, tb.rng),
        w=ready_pattern(Ready.RANDOM, tb.rng),
        r=idle_pattern(idle, tb.rng),
        b=idle_pattern(idle, tb.rng),
    )
    await tb.start()
    await tb.copy(src=0x100, dst=0x800, count=12)
    await tb.copy(src=0x800, dst=0x40, count=1)
    await tb.finish()


@cocotb.test()
async def test_stops_at_an_error(dut: HierarchyObject) -> None:
    """A read that the memory refuses ends the copy, and nothing is written."""
    tb = CopyTestbench(dut)
    tb.bus.faults.ranges.append((0x100, 0x110, SLVERR))
    await tb.start()
    await tb.copy(src=0x100, dst=0x800, count=4, fails=True)
    await tb.finish()
