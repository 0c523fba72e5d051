# SPDX-License-Identifier: Apache-2.0
"""Testbench of the timer: in each cycle, whether the wait is late, compared with a count of it."""

from __future__ import annotations

from cocotb.handle import HierarchyObject
from descring_vip.handles import bit, is_high, parameter
from descring_vip.scoreboard import ValueChecker
from descring_vip.testbench import Testbench


class ResetTimerTestbench(Testbench):
    """Drives the wait and the reset; every edge is compared.

    Attributes:
        limit: cycles of a wait after which it is late.
    """

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut, outputs=["late_o"])
        self.limit = 1 << parameter(dut, "TimeoutLog2")
        self._waiting = bit(dut, "waiting_i")
        self._late = bit(dut, "late_o")
        self._waiting.value = 0
        self._late_cycles = 0
        self._checker = self.add_checker(ValueChecker("timer", self.time.context))

    async def start(self) -> None:
        """Start the clock, and compare from the first reset on."""
        await super().start()
        self.add_task(self._compare())

    async def wait(self, cycles: int) -> None:
        """A wait of so many cycles, and no wait in the cycle after it."""
        self._waiting.value = 1
        for _ in range(cycles):
            await self.time.edge()
        self._waiting.value = 0
        await self.time.edge()

    async def reset_amid_a_wait(self, before: int, cycles: int, after: int) -> None:
        """A wait with a reset of ``cycles`` cycles in it, which it begins anew behind."""
        self._waiting.value = 1
        for value, count in ((1, before), (0, cycles), (1, after)):
            self.time.reset_n.value = value
            for _ in range(count):
                await self.time.edge()
        self._waiting.value = 0
        await self.time.edge()

    def compared_late(self) -> None:
        """Fail unless a wait was late."""
        if not self._late_cycles:
            raise AssertionError(f"{self.name}: no wait of {self.limit} cycles was compared")

    async def _compare(self) -> None:
        waited = 0
        while True:
            await self.time.edge()
            late = waited >= self.limit
            self._late_cycles += late
            self._checker.check("late_o", expected=late, actual=is_high(self._late), digits=1)
            counts = is_high(self._waiting) and is_high(self.time.reset_n)
            waited = waited + 1 if counts else 0
