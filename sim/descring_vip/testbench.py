# SPDX-License-Identifier: Apache-2.0
"""The base of all testbenches: start, reset, finish, stop, bounded waits, and the report line.

A testbench looks its handles up in ``__init__`` and wires

    pin monitor -> golden model -> checker <- output monitor

so that the driver never feeds the model and a case never computes an expected value.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeVar

import cocotb
from cocotb.handle import HierarchyObject
from cocotb.task import Task, current_task
from cocotb.triggers import SimTimeoutError, Timer, with_timeout

from descring_vip.scoreboard import Checker, LineChecker
from descring_vip.stream.line_stream import LineDriver, LineMonitor, LineSink
from descring_vip.timebase import CLOCK_PERIOD_NS, Timebase, base_seed, case_rng
from descring_vip.x_checker import XChecker

REPORT_ENV = "DESCRING_COSIM_REPORT"
"""Environment variable with the name of the file that every passing case adds a line to."""

_QUIET_CYCLES = 64
"""How often :meth:`Testbench.drained` looks for progress, in cycles."""

_TEST_TASK_PREFIX = "Test "

T = TypeVar("T")


def _case_name() -> str:
    """The running case's name with its parameters, as cocotb's results file has it."""
    return current_task().get_name().removeprefix(_TEST_TASK_PREFIX)


class Case:
    """What every testbench has, also that of a block without a clock.

    Attributes:
        dut: the design.
        rng: the case's only source of randomness.
        checkers: everything that compares; :meth:`conclude` asks them all.
    """

    def __init__(self, dut: HierarchyObject) -> None:
        self.dut = dut
        self.name = _case_name()
        self.rng = case_rng()
        self.checkers: list[Checker] = []

    @property
    def matched(self) -> int:
        """Lines that were compared and held; other values, in a case that compares no lines."""
        lines = sum(part.matched for part in self.checkers if isinstance(part, LineChecker))
        return lines or sum(part.matched for part in self.checkers)

    def conclude(self, cycles: int) -> None:
        """Fail unless everything expected was seen and something was compared; then report.

        Raises:
            AssertionError: expected items left over, or nothing was compared at all.
        """
        for checker in self.checkers:
            checker.finish()
        if not self.matched:
            raise AssertionError(f"{self.name}: nothing was compared")
        cocotb.log.info("matched %d lines in %d cycles", self.matched, cycles)
        report = os.environ.get(REPORT_ENV)
        if report is not None:
            line = {
                "case": self.name,
                "matched": self.matched,
                "seed": base_seed(),
                "cycles": cycles,
            }
            with Path(report).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


class Testbench(Case):
    """Base of a testbench for a design with one clock and an active-low reset.

    A subclass adds its drivers, sinks, monitors and checkers with the ``add_`` methods in its
    ``__init__``, drives every other input to a legal value there, and overrides :meth:`on_reset`
    where a model keeps state.

    Attributes:
        time: clock, reset and cycle numbers.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        *,
        outputs: Iterable[str],
        gated: Collection[str] = (),
        clock: str = "clk_i",
        reset_n: str = "rst_ni",
    ) -> None:
        """``outputs`` names every output of the design: they are watched for X.

        Those of them in ``gated`` never are X, also while their valid is low.
        """
        super().__init__(dut)
        self.time = Timebase(dut, clock=clock, reset_n=reset_n)
        self.x_checker = XChecker(self.time, dut, outputs, gated)
        self.drivers: list[LineDriver] = []
        self.sinks: list[LineSink] = []
        self.monitors: list[LineMonitor] = []
        self._tasks: list[Task[Any]] = []

    def add_task(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run ``coroutine`` beside the case until :meth:`stop`."""
        self._tasks.append(cocotb.start_soon(coroutine))

    def add_driver(self, prefix: str = "", **options: Any) -> LineDriver:
        """A driver of the stream ``prefix`` into the design; options as of LineDriver."""
        driver = LineDriver(self.dut, self.time.clock, prefix, **options)
        self.drivers.append(driver)
        return driver

    def add_sink(self, prefix: str = "") -> LineSink:
        """A sink of the stream ``prefix`` out of the design; it takes nothing until started."""
        sink = LineSink(self.dut, self.time.clock, prefix)
        self.sinks.append(sink)
        return sink

    def add_monitor(self, prefix: str = "", **options: Any) -> LineMonitor:
        """A monitor of the stream ``prefix``; options as of LineMonitor."""
        monitor = LineMonitor(self.dut, self.time, prefix, **options)
        self.monitors.append(monitor)
        return monitor

    def add_checker(self, checker: T) -> T:
        """Have :meth:`finish` ask ``checker`` too."""
        if not isinstance(checker, Checker):
            raise TypeError(f"expected a Checker, got {type(checker).__name__}")
        self.checkers.append(checker)
        return checker

    async def start(self) -> None:
        """Start clock and checks, and bring the design out of its first reset."""
        await self.time.start()
        self.x_checker.start()
        await self.reset()

    async def reset(self, cycles: int = 2) -> None:
        """Reset at any moment: what is in flight is dropped, in the design and in the models."""
        for driver in self.drivers:
            driver.abort()
        self.time.reset_n.value = 0
        await self.time.edge()
        for checker in self.checkers:
            checker.discard()
        self.on_reset()
        await self.time.reset(cycles)

    def on_reset(self) -> None:
        """Bring models into their reset state; called once the design is in reset."""

    async def finish(self) -> None:
        """Wait until everything expected has come, check that, and report what was matched.

        Raises:
            AssertionError: a mismatch, no progress, something left over, or nothing compared.
        """
        await self.drained()
        # A line too many shows up only if there is time for it to come.
        await self.time.cycles(_QUIET_CYCLES)
        self.x_checker.finish()
        cycles = self.time.cycle
        self.stop()
        self.conclude(cycles)

    def stop(self) -> None:
        """Stop the clock and every task of the testbench."""
        for task in self._tasks:
            task.cancel()
        self.x_checker.stop()
        for parts in (self.drivers, self.sinks, self.monitors):
            for part in parts:
                part.stop()
        self.time.stop()

    def is_drained(self) -> bool:
        """Whether nothing is in flight any more; a subclass may know more of it."""
        return not any(driver.queued for driver in self.drivers) and not any(
            getattr(checker, "outstanding", 0) for checker in self.checkers
        )

    def progress(self) -> tuple[int, ...]:
        """Numbers that change while the design gets on: lines in and lines out."""
        return tuple(part.seen for part in self.monitors)

    async def drained(self, stall_cycles: int = 4096) -> None:
        """Wait until :meth:`is_drained`.

        Raises:
            AssertionError: there was no progress for ``stall_cycles`` cycles.
        """
        last, since = self.progress(), self.time.cycle
        while not self.is_drained():
            await self.time.cycles(_QUIET_CYCLES)
            now = self.progress()
            if now != last:
                last, since = now, self.time.cycle
            elif self.time.cycle - since >= stall_cycles:
                raise self.timeout(f"no progress for {stall_cycles} cycles with work left")

    async def until(self, condition: Callable[[], bool], cycles: int, what: str) -> None:
        """Wait for the first edge at which ``condition()`` holds, examining every edge.

        Raises:
            AssertionError: it did not hold within ``cycles`` cycles; ``what`` names the condition.
        """
        for _ in range(cycles):
            await self.time.edge()
            if condition():
                return
        raise self.timeout(f"waited {cycles} cycles for {what}")

    async def within(self, awaitable: Awaitable[T], cycles: int, what: str) -> T:
        """Await anything, for at most ``cycles`` cycles.

        Raises:
            AssertionError: it did not happen in time; ``what`` names the condition.
        """
        try:
            return await with_timeout(awaitable, cycles * CLOCK_PERIOD_NS, "ns")
        except SimTimeoutError:
            raise self.timeout(f"waited {cycles} cycles for {what}") from None

    def timeout(self, text: str) -> AssertionError:
        """The error for a wait that ran out: ``text`` with the state of everything.

        A mismatch that has not been compared yet is the better explanation, and is raised instead.
        """
        for checker in self.checkers:
            checker.flush()
        state = "".join(f"\n  {name}: {value}" for name, value in self.state().items())
        return AssertionError(f"{text} ({self.time.context()}){state}")

    def state(self) -> dict[str, object]:
        """What a timeout prints; a subclass adds heads, tails and states."""
        parts: dict[str, object] = {}
        for number, driver in enumerate(self.drivers):
            parts[f"driver {number}"] = f"{driver.accepted} taken, {driver.queued} queued"
        for monitor in self.monitors:
            parts[f"stream {monitor.label}"] = f"{monitor.seen} lines"
        for checker in self.checkers:
            parts[checker.name] = checker.state()
        return parts


class CombinationalTestbench(Case):
    """Base of a testbench for a block without a clock: inputs settle, outputs are read."""

    _SETTLE_NS = 1

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut)
        self.steps = 0
        self._settle = Timer(self._SETTLE_NS, "ns")

    def context(self) -> str:
        """Vector number and seed, for the text of a failure."""
        return f"vector {self.steps}, seed {base_seed()}"

    async def settle(self) -> None:
        """Let the inputs that were just written work through; counts the vector."""
        await self._settle
        self.steps += 1

    def finish(self) -> None:
        """Check everything and report what was matched."""
        self.conclude(self.steps)
