# SPDX-License-Identifier: Apache-2.0
"""Testbench of the AXI protocol monitor: plays scenarios on bare wires and asks what it noticed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cocotb.handle import HierarchyObject
from cocotb.types import LogicArray
from descring_vip.axi.monitor import AxiMonitor, AxiViolation, Violation
from descring_vip.axi.rules import PAYLOAD, SOURCE
from descring_vip.handles import Signal, parameter, signal
from descring_vip.scoreboard import ValueChecker
from descring_vip.testbench import Case
from descring_vip.timebase import Timebase

from axi_monitor.scenarios import Cycle, Scenario, X

_QUIET_CYCLES = 4


class MonitorTestbench(Case):
    """Bare wires with a monitor on each bus.

    Attributes:
        monitors: of the AXI4 bus and of the AXI4-Lite bus.
        values: checker of what the monitors said.
        bus_bytes: width of the AXI4 bus.
    """

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut)
        self.time = Timebase(dut)
        self.values = ValueChecker("monitor", self.time.context)
        self.checkers.append(self.values)
        self.bus_bytes = parameter(dut, "DataWidth") // 8
        self._noticed: list[Violation] = []
        self._prefixes = ("m_axi", "s_axil")
        self.monitors = [
            AxiMonitor(
                dut, self.time, prefix, lite=prefix == "s_axil", on_violation=self._noticed.append
            )
            for prefix in self._prefixes
        ]
        self._wires = [self._handles(prefix) for prefix in self._prefixes]

    def _handles(self, prefix: str) -> dict[str, Signal]:
        names = [
            channel + name
            for channel, payload in PAYLOAD.items()
            for name in ("valid", "ready", *payload)
        ]
        return {
            name: signal(self.dut, f"{prefix}_{name}")
            for name in names
            if hasattr(self.dut, f"{prefix}_{name}")
        }

    async def start(self, *, drive: bool = True) -> None:
        """Start the clock; with ``drive`` the wires are this testbench's."""
        if drive:
            for lite in (False, True):
                self._drive({}, lite)
        await self.time.start()
        await self.time.reset()
        await self.time.cycles(2)

    def finish(self) -> None:
        """Report what was compared."""
        assert not self._noticed, self._noticed
        for monitor in self.monitors:
            monitor.finish()
            monitor.stop()
        self.time.stop()
        self.conclude(self.time.cycle)

    def _drive(self, cycle: Cycle, lite: bool) -> None:
        self.time.reset_n.value = int(cycle.get("rst_ni", 1))
        for name, handle in self._wires[lite].items():
            value = cycle.get(name, 0)
            if value == X:
                value = "X" * len(handle)
            handle.value = LogicArray(value) if isinstance(value, str) else value

    async def _play(self, scenario: Scenario, lite: bool) -> None:
        for cycle in scenario:
            self._drive(cycle, lite)
            await self.time.edge()
        self._drive({}, lite)
        await self.time.cycles(_QUIET_CYCLES)

    async def _clear(self, lite: bool) -> None:
        """A reset, so that a scenario's debts are its own."""
        await self._play([{"rst_ni": 0}] * 3, lite)
        self._noticed.clear()

    async def expect(self, scenario: Scenario, rules: Sequence[str], *, lite: bool = False) -> None:
        """Play ``scenario``; the monitor must name just ``rules``, each at least once."""
        await self._play(scenario, lite)
        self.monitors[lite].finish()
        named = {violation.rule for violation in self._noticed}
        if named != set(rules):
            texts = "".join(f"\n  {violation}" for violation in self._noticed)
            raise self.values.fail(f"expected {sorted(rules)}, actual {sorted(named)}{texts}")
        self.values.check("rules", expected=len(rules), actual=len(named))
        await self._clear(lite)

    async def expect_sources_that_wait(self) -> set[str]:
        """Let each source wait for ready, and not wait; the rules that were named."""
        named = set()
        for channel, source in SOURCE.items():
            monitor = self.monitors[0]
            await monitor.expect_offer(channel, 20)
            rule = f"AXI4_ERR{source}_{channel.upper()}VALID_WAIT"
            assert [violation.rule for violation in self._noticed] == [rule], self._noticed
            named.add(rule)
            self._noticed.clear()
            self._drive({f"{channel}valid": 1}, False)
            await monitor.expect_offer(channel, 20)
            assert rule not in {violation.rule for violation in self._noticed}
            await self._clear(False)
        return named

    async def expect_failure(self, scenario: Scenario, pattern: str) -> None:
        """Play ``scenario`` to a monitor of the usual kind, which must raise what ``pattern`` says.

        A monitor raises inside its own task, which would end this case; so its look at an edge is
        called here.
        """
        monitor = AxiMonitor(self.dut, self.time, "m_axi")
        monitor.stop()
        monitor.look()  # the last edge of reset
        self._drive(scenario[0], False)
        await self.time.edge()
        try:
            monitor.look()
        except AxiViolation as violation:
            assert re.search(pattern, str(violation), re.DOTALL), str(violation)
            self.values.check("failures", expected=1, actual=1)
        else:
            raise self.values.fail("expected the monitor to raise")
        await self._clear(False)
