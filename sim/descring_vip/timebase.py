# SPDX-License-Identifier: Apache-2.0
"""The time of a case: clock, reset, cycle numbers, and the seed that its randomness comes from."""

from __future__ import annotations

import os

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.handle import HierarchyObject, LogicObject
from cocotb.simtime import get_sim_time
from cocotb.triggers import RisingEdge, Timer
from cocotb.utils import get_sim_steps

CLOCK_PERIOD_NS = 10


def base_seed() -> int:
    """Return the seed of the whole run, which a rerun needs.

    While a case runs, ``cocotb.RANDOM_SEED`` is derived from it and the case's name, so a case
    alone draws the same numbers.
    """
    return int(os.environ["COCOTB_RANDOM_SEED"])


def case_rng() -> np.random.Generator:
    """The generator of the running case. Call it once a case: every call restarts it."""
    return np.random.default_rng(cocotb.RANDOM_SEED)


class Timebase:
    """Clock and active-low reset of a design.

    Attributes:
        clock: the handle of the clock.
        reset_n: the handle of the reset.
    """

    def __init__(
        self, dut: HierarchyObject, *, clock: str = "clk_i", reset_n: str = "rst_ni"
    ) -> None:
        """Drive the ports that ``clock`` and ``reset_n`` name."""
        self.clock: LogicObject = getattr(dut, clock)
        self.reset_n: LogicObject = getattr(dut, reset_n)
        # The simulator-side clock is four times faster than one in Python.
        self._driver = Clock(self.clock, CLOCK_PERIOD_NS, "ns", impl="gpi")
        self._edge = RisingEdge(self.clock)
        self._step = get_sim_steps(CLOCK_PERIOD_NS, "ns")
        self._start = get_sim_time("step")

    @property
    def cycle(self) -> int:
        """Rising edges since :meth:`start`; the number of the edge just now, counted from 1."""
        return (int(get_sim_time("step") - self._start) + self._step // 2) // self._step

    def context(self) -> str:
        """Cycle and seed, for the text of a failure."""
        return f"cycle {self.cycle}, seed {base_seed()}"

    async def start(self) -> None:
        """Start the clock with the design in reset."""
        self.reset_n.value = 0
        self.clock.value = 0
        await Timer(CLOCK_PERIOD_NS, "ns")
        self._start = get_sim_time("step")
        # Starting low gives every simulator the same number of edges.
        self._driver.start(start_high=False)

    def stop(self) -> None:
        """Stop the clock."""
        self._driver.stop()

    async def reset(self, cycles: int = 2) -> None:
        """Hold the design in reset for ``cycles`` edges; returns after the first edge without."""
        self.reset_n.value = 0
        for _ in range(cycles):
            await self._edge
        self.reset_n.value = 1
        await self._edge

    async def edge(self) -> None:
        """Wait for the next rising edge; what is read then are the values before it."""
        await self._edge

    async def cycles(self, count: int) -> None:
        """Wait for ``count`` rising edges, at the cost of two."""
        if count > 1:
            # A step past the edge, so that the edge itself is surely over.
            await Timer(self._step * (count - 1) + 1, "step")
        if count > 0:
            await self._edge
