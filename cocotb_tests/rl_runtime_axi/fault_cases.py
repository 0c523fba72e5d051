# SPDX-License-Identifier: Apache-2.0
"""The fault table of :mod:`descring_sim.faults.kinds`, with the protocol of both buses watched.

``DESCRING_FAULTS`` says how many seeds of each kind, the number of the first, and a folder for the
counts: ``count:first:folder``. A few seeds without it.
"""

from __future__ import annotations

import itertools
import json
import os
from collections import Counter
from pathlib import Path

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.task import bridge, resume
from descring_sim.faults.kinds import KINDS, run_seed
from descring_sim.faults.lockstep_host import Setting
from descring_vip.axi.lite import AxilHost
from descring_vip.axi.memory import SLVERR, AxiMemory, Latency
from descring_vip.axi.monitor import AxiMonitor
from descring_vip.handles import signal
from descring_vip.scoreboard import ValueChecker
from descring_vip.stream.patterns import Idle, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench
from descring_vip.tier import share
from descring_vip.timebase import base_seed

FAULTS_ENV = "DESCRING_FAULTS"
_FEW = f"{share(3)}:0:"
_MORE = 30
"""Seeds that are added at most until there was a fault."""


class FaultTestbench(Testbench):
    """Memory and registers of the device for a host that runs in a thread of its own."""

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut, outputs=("irq_o", "m_axi_awvalid", "m_axi_wvalid", "m_axi_arvalid"))
        self.memory = np.zeros(0, dtype=np.uint8)
        self._first_index = signal(dut, "first_index_i")
        self._window_last = signal(dut, "window_last_i")
        self._first_index.value = self._window_last.value = 0
        self.bus = AxiMemory(dut, self.time, self.memory, self.rng)
        self.host = AxilHost(dut, self.time)
        self.seeds = self.add_checker(ValueChecker("seeds", self.time.context))
        self._protocol = [
            self.add_checker(AxiMonitor(dut, self.time, "m_axi")),
            self.add_checker(AxiMonitor(dut, self.time, "s_axil", lite=True)),
        ]

    async def renew(self, setting: Setting, seed: int) -> None:
        """Reset, with an empty memory; latency and pauses are drawn from ``seed``."""
        rng = np.random.default_rng(seed)
        self.memory = np.zeros(setting.memory_bytes, dtype=np.uint8)
        self.bus.memory = self.memory
        self.bus.faults.ranges.clear()
        self.bus.read_latency = self.bus.write_latency = Latency(1, setting.latency)
        self.bus.write_late = bool(rng.integers(2))
        idle, ready = ((Idle.NONE, Ready.ALWAYS), (Idle.RANDOM, Ready.RANDOM))[rng.integers(2)]
        self.bus.pause(**{name: idle_pattern(idle, rng) for name in ("b", "r")})
        self.bus.pause(**{name: ready_pattern(ready, rng) for name in ("aw", "w", "ar")})
        self._first_index.value = setting.first_index
        self._window_last.value = setting.memory_bytes - 1
        await self.reset()

    def on_reset(self) -> None:
        """Nothing is under way on either bus."""
        self.bus.reset()
        self.host.release()

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        self.bus.stop()
        for monitor in self._protocol:
            monitor.stop()


class BridgedDevice:
    """The device of the testbench, for synchronous code in a thread."""

    def __init__(self, tb: FaultTestbench) -> None:
        self._tb = tb
        self.memory = tb.memory
        self._read = resume(tb.host.read)
        self._write = resume(tb.host.write)
        self._step = resume(tb.time.cycles)

    def read32(self, offset: int) -> int:
        """Read a register."""
        return self._read(offset)

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        self._write(offset, value)

    def step(self, cycles: int) -> None:
        """Let time pass."""
        self._step(cycles)

    def inject_bus_error(self, start: int, stop: int) -> None:
        """Answer accesses of these bytes with an error."""
        self._tb.bus.faults.ranges.append((start, stop, SLVERR))

    def clear_bus_errors(self) -> None:
        """Let every access succeed again."""
        self._tb.bus.faults.ranges.clear()


@cocotb.test()
@cocotb.parametrize(kind=list(KINDS))
async def test_fault(dut: HierarchyObject, kind: str) -> None:
    """[DB-001] [DB-002] [DB-003] [DESC-020] [DESC-022] [LIFE-004] [LIFE-005] [RING-005] [RING-006]

    A few seeds of each kind here; ``make faults`` runs as many as the table has.
    """
    count, first, folder = os.environ.get(FAULTS_ENV, _FEW).split(":", 2)
    tb = FaultTestbench(dut)
    await tb.start()
    counts: Counter[str] = Counter()
    renew = resume(tb.renew)

    def opener(setting: Setting, seed: int) -> BridgedDevice:
        renew(setting, seed)
        return BridgedDevice(tb)

    @bridge
    def run(number: int) -> None:
        run_seed(kind, base_seed(), number, opener, counts)

    numbers = itertools.count(int(first))
    for number in itertools.islice(numbers, int(count)):
        await run(number)
        tb.seeds.matched += 1
    # Rings so small that a seed leaves no room for its fault are drawn too.
    for number in itertools.islice(numbers, _MORE):
        if counts["faults"]:
            break
        await run(number)
        tb.seeds.matched += 1
    if not counts["faults"]:
        raise AssertionError(f"{kind}: no fault was ever made")
    if folder:
        report = Path(folder) / f"{kind}.json"
        report.write_text(json.dumps({**counts, "cycles": tb.time.cycle}), encoding="utf-8")
    await tb.finish()
