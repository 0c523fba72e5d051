# SPDX-License-Identifier: Apache-2.0
"""Testbench of the bridge: the device with a memory of its own, and a program beside it."""

from __future__ import annotations

import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import Lines, complete, goes_to_reward
from descring_vip.bridged_device import BridgedDevice
from descring_vip.device_host import DeviceHost
from descring_vip.scoreboard import LineChecker, ValueChecker
from descring_vip.stream.lines import split
from descring_vip.testbench import Case
from descring_vip.timebase import Timebase

_MEMORY = 1 << 16
_MAX_CYCLES = 1 << 14


class BridgeTestbench(Case):
    """The device with monitors at both buses, and the golden model's word on completions.

    Attributes:
        device: what the host program is given.
        identity: compares what the program says of registers.
    """

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut)
        self.time = Timebase(dut)
        window = np.zeros(_MEMORY, dtype=np.uint8)
        self._host = DeviceHost(dut, self.time, window, self.rng, latency=20, monitor=True)
        self.device = BridgedDevice(self._host, self.time, window, _MAX_CYCLES)
        self.identity = ValueChecker("registers", self.time.context)
        self._lines = LineChecker("completions", self.time.context)
        self.checkers += [self.identity, self._lines, *self._host.monitors]

    async def start(self) -> None:
        """Bring the device out of reset."""
        await self.time.start()
        await self.time.reset()

    def compare_exchange(self, submissions: Lines, completions: Lines) -> None:
        """Compare completions with the model's, byte by byte."""
        self._compare(complete(submissions), completions)

    def compare_resumed(self, firsts: Lines, lasts: Lines) -> None:
        """Compare where resumed rollouts ended with where the model's legs end."""
        expected = firsts.copy()
        while goes_to_reward(expected).any():
            going = goes_to_reward(expected)
            expected[going] = complete(expected[going])
        self._compare(expected, lasts)

    def _compare(self, expected: Lines, actual: Lines) -> None:
        for line in split(expected):
            self._lines.expect(line)
        for line in split(actual):
            self._lines.observe(line, self.time.cycle)

    def finish(self) -> None:
        """Check that nothing is owed, and report."""
        cycles = self.time.cycle
        self._host.stop()
        self.time.stop()
        self.conclude(cycles)
