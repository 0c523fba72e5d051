# SPDX-License-Identifier: Apache-2.0
"""The device between a master and a memory that others wrote: cocotbext-axi's, as they are.

The other cases use a memory and a master of our own, which know latency and errors and are fast;
this one sees to it that theirs and ours understand the bus alike.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotbext.axi import (  # type: ignore[import-untyped]
    AxiBus,
    AxiLiteBus,
    AxiLiteMaster,
    AxiRam,
)
from descring_model import complete, contract, line_bytes, ring_log2
from descring_model.streams import generate
from descring_vip.axi.monitor import AxiMonitor
from descring_vip.handles import signal
from descring_vip.scoreboard import LineChecker
from descring_vip.testbench import Testbench
from descring_vip.tier import sweep
from mmio_regs.register_reference import ENABLE, PUBLISH_TAILS
from rl_runtime_mmio.device_scoreboard import OFFSET

_WINDOW = 1 << 16
_CMD, _DONE = 0x1000 + 128, 0x4000 + 128
_LOG2 = 4
_LINES = 60


class LibraryTestbench(Testbench):
    """An ``AxiRam`` behind the device and an ``AxiLiteMaster`` before it."""

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut, outputs=("irq_o", "m_axi_awvalid", "m_axi_wvalid", "m_axi_arvalid"))
        signal(dut, "first_index_i").value = 0
        signal(dut, "window_last_i").value = _WINDOW - 1
        reset = {"reset": self.time.reset_n, "reset_active_level": False}
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), self.time.clock, size=_WINDOW, **reset)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), self.time.clock, **reset)
        parts = (self.ram.write_if, self.ram.read_if, self.host.write_if, self.host.read_if)
        for part in parts:
            part.log.setLevel(logging.WARNING)
        self.done = self.add_checker(LineChecker("done ring", self.time.context))
        self._protocol = [
            self.add_checker(AxiMonitor(dut, self.time, "m_axi")),
            self.add_checker(AxiMonitor(dut, self.time, "s_axil", lite=True)),
        ]

    def pause_everything(self) -> None:
        """Every channel of the library's pauses at random."""
        for part in (self.ram.write_if, self.host.write_if):
            for channel in (part.aw_channel, part.w_channel, part.b_channel):
                channel.set_pause_generator(self._coin())
        for part in (self.ram.read_if, self.host.read_if):
            for channel in (part.ar_channel, part.r_channel):
                channel.set_pause_generator(self._coin())

    def _coin(self) -> Iterator[bool]:
        return itertools.cycle((self.rng.random(97) < 0.5).tolist())

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        for monitor in self._protocol:
            monitor.stop()

    async def write(self, name: str, value: int) -> None:
        """Write the register called ``name``."""
        await self.host.write_dword(OFFSET[name], value)

    async def read(self, name: str) -> int:
        """Read the register called ``name``."""
        return int(await self.host.read_dword(OFFSET[name]))


@cocotb.test()
@sweep(pauses=[False, True], publish=[0, PUBLISH_TAILS])
async def test_library_memory_and_master(dut: HierarchyObject, pauses: bool, publish: int) -> None:
    """[DESC-015] [RING-001] [RING-006] [RING-007] [RING-013] [DB-004] Every line, in order."""
    tb = LibraryTestbench(dut)
    await tb.start()
    if pauses:
        tb.pause_everything()
    lines = generate(_LINES, seed=int(tb.rng.integers(1 << 32)), profile="decode")
    for line in line_bytes(complete(lines)):
        tb.done.expect(line.tobytes())
    await tb.write("RING_LOG2", ring_log2(_LOG2, _LOG2, _LOG2))
    await tb.write("CMD_BASE_LO", _CMD)
    await tb.write("DONE_BASE_LO", _DONE)
    await tb.write("CTRL", ENABLE | publish)
    rows, slots, tail, taken = line_bytes(lines), 1 << _LOG2, 0, 0
    while taken < _LINES:
        count = min(_LINES - tail, slots - (tail - await tb.read("CMD_HEAD")))
        for index in range(tail, tail + count):
            tb.ram.write(_CMD + 64 * (index % slots), rows[index].tobytes())
        tail += count
        await tb.write("DOORBELL", tail)
        done = await tb.read("DONE_TAIL")
        for index in range(taken, done):
            at = _DONE + 64 * (index % slots)
            tb.done.observe(bytes(tb.ram.read(at, contract.DESC_BYTES)), index)
        taken = done
        await tb.write("DONE_HEAD", taken)
        if tb.time.cycle > 60_000:
            raise tb.timeout(f"{taken} taken")
    await tb.time.cycles(200)
    if publish:
        word = np.frombuffer(bytes(tb.ram.read(_DONE - 64, 4)), dtype="<u4")[0]
        assert word == _LINES, f"the tail in memory is {word}, expected {_LINES}"
    await tb.finish()
