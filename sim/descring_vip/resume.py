# SPDX-License-Identifier: Apache-2.0
"""The host's part in STOP, for designs with ``resume_i`` and ``halted_o`` [LIFE-003]."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.task import Task
from cocotb.triggers import RisingEdge

from descring_vip.handles import signal
from descring_vip.timebase import Timebase


class Resumer:
    """Drives ``resume_i``: single pulses, or pulses at random whatever the design does.

    Random pulses end every halt sooner or later, and most of them must have no effect.
    """

    def __init__(self, dut: HierarchyObject, timebase: Timebase) -> None:
        self._resume = signal(dut, "resume_i")
        self._edge = RisingEdge(timebase.clock)
        self._task: Task[None] | None = None
        self._resume.value = 0

    def start(self, rng: np.random.Generator, *, longest_gap: int = 24) -> None:
        """Pulse with up to ``longest_gap`` cycles between, until :meth:`stop`."""
        self.stop()
        self._task = cocotb.start_soon(self._at_random(rng, longest_gap))

    def stop(self) -> None:
        """Drive nothing but 0 any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._resume.value = 0

    async def pulse(self) -> None:
        """One cycle of ``resume_i``; returns at the edge that sees it."""
        self._resume.value = 1
        await self._edge
        self._resume.value = 0

    async def _at_random(self, rng: np.random.Generator, longest_gap: int) -> None:
        while True:
            for _ in range(int(rng.integers(0, longest_gap + 1))):
                await self._edge
            await self.pulse()
