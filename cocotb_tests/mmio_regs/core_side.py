# SPDX-License-Identifier: Apache-2.0
"""Plays the core and the bus towards ``mmio_regs``: indices, pulses and levels."""

from __future__ import annotations

from dataclasses import dataclass

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from descring_vip.handles import is_high, read_int, signal
from descring_vip.timebase import Timebase

U32 = 1 << 32
_INDICES = ("cmd_head_i", "done_tail_i", "done_head_i", "reward_tail_i", "reward_head_i")
_PULSES = ("post_i", "post_error_i", "post_tokens_i", "stall_i", "announce_i", "bus_error_i")
_LEVELS = ("halted_i", "busy_i")


@dataclass(frozen=True)
class Rates:
    """Probabilities a cycle, of what a core may do by itself."""

    post: float = 0.0
    error: float = 0.3
    to_reward: float = 0.3
    take: float = 0.0
    stall: float = 0.0
    announce: float = 0.0
    bus_error: float = 0.0
    halt: float = 0.0
    busy: float = 0.0


QUIET = Rates()
LIVELY = Rates(post=0.4, take=0.3, stall=0.3, announce=0.2, bus_error=0.02, halt=0.05, busy=0.1)


class CoreSide:
    """Drives every input of ``mmio_regs`` that comes from the core.

    It behaves as a core must: it answers only published descriptors, one index a posting, and is in
    its reset state after a reset, soft or hard. In between it does what :attr:`rates` says, or what
    a case asks for with :meth:`pulse` and :meth:`level`.

    Attributes:
        drain_cycles: how long the bus takes to come to rest in a soft reset.
    """

    def __init__(
        self, dut: HierarchyObject, time: Timebase, rng: np.random.Generator, *, on_chip: bool
    ) -> None:
        self.rates = QUIET
        self.drain_cycles = 0
        self._draining = 0
        self._time = time
        self._rng = rng
        self._on_chip = on_chip
        self._to_reward = False
        self._first_index = signal(dut, "first_index_i")
        self._cmd_tail = signal(dut, "cmd_tail_o")
        self._soft_reset = signal(dut, "soft_reset_o")
        self._host_heads = {ring: signal(dut, f"{ring}_head_o") for ring in ("done", "reward")}
        self._sizes = {ring: signal(dut, f"{ring}_log2_o") for ring in ("done", "reward")}
        self._handles = {name: signal(dut, name) for name in _INDICES + _PULSES + _LEVELS}
        self._edge = RisingEdge(time.clock)
        self._planned: dict[str, int] = {}
        self._values = dict.fromkeys(self._handles, 0)
        for handle in self._handles.values():
            handle.value = 0
        self._bus_idle = signal(dut, "bus_idle_i")
        self._bus_idle.value = 1
        self._reset_late = signal(dut, "reset_late_i")
        self._late = 0
        self._reset_late.value = 0
        self._task = cocotb.start_soon(self._run())

    def stop(self) -> None:
        """Let the pins rest as they are."""
        self._task.cancel()

    def value(self, name: str) -> int:
        """What this side drives on the input ``name``."""
        return self._values[name]

    def level(self, name: str, value: int) -> None:
        """Drive an index or a level from now on."""
        self._drive(name, value % U32)

    async def pulse(self, **inputs: int) -> None:
        """Drive these inputs for one cycle; returns when that cycle has begun.

        An access that is started then meets the pulse. A posting moves the indices after it.
        """
        unknown = inputs.keys() - set(_PULSES)
        if unknown:
            raise ValueError(f"{sorted(unknown)} are no pulses; there are {', '.join(_PULSES)}")
        self._planned = inputs
        await self._edge

    def _drive(self, name: str, value: int) -> None:
        if self._values[name] != value:
            self._values[name] = value
            self._handles[name].value = value

    async def _run(self) -> None:
        while True:
            await self._edge
            if not is_high(self._time.reset_n) or is_high(self._soft_reset):
                first = read_int(self._first_index)
                for name in self._handles:
                    self._drive(name, first if name in _INDICES else 0)
                self._draining -= 1
                self._bus_idle.value = int(self._draining <= 0)
                # Of two reads in a row one meets it. After the reset it means nothing, and stays.
                self._late = 1 - self._late
                self._reset_late.value = self._late
                continue
            # What the bus still has to do shows in the reset only.
            self._draining = self.drain_cycles
            self._bus_idle.value = int(self._draining <= 0)
            if self._values["post_i"]:
                self._advance("cmd_head_i")
                self._advance("reward_tail_i" if self._to_reward else "done_tail_i")
            for name in _PULSES:
                self._drive(name, self._planned.get(name, 0))
            self._planned = {}
            if self.rates is not QUIET:
                self._act()

    def _advance(self, name: str) -> None:
        self._drive(name, (self._values[name] + 1) % U32)

    def _occupancy(self, ring: str) -> int:
        head = self._values[f"{ring}_head_i"] if self._on_chip else read_int(self._host_heads[ring])
        return (self._values[f"{ring}_tail_i"] - head) % U32

    def _act(self) -> None:
        rates, draw = self.rates, self._rng.random(9)
        self._to_reward = bool(draw[0] < rates.to_reward)
        ring = "reward" if self._to_reward else "done"
        waiting = read_int(self._cmd_tail) != self._values["cmd_head_i"]
        room = self._occupancy(ring) < 1 << read_int(self._sizes[ring])
        if waiting and room and draw[1] < rates.post:
            error = int(draw[2] < rates.error)
            most = 32 if draw[1] < rates.post / 2 else (1 << 32) - 1  # of a DECODE; of a ROLLOUT
            tokens = 0 if error else int(self._rng.integers(0, most, endpoint=True))
            self._drive("post_i", 1)
            self._drive("post_error_i", error)
            self._drive("post_tokens_i", tokens)
        elif draw[1] < rates.stall:
            self._drive("stall_i", 1)
        if draw[3] < rates.bus_error:
            self._drive("bus_error_i", 1)
        if draw[8] < rates.announce:
            self._drive("announce_i", 1)
        if draw[4] < rates.halt:
            self._drive("halted_i", 1 - self._values["halted_i"])
        if draw[5] < rates.busy:
            self._drive("busy_i", 1 - self._values["busy_i"])
        for number, other in enumerate(("done", "reward")):
            if self._on_chip and draw[6 + number] < rates.take and self._occupancy(other):
                self._advance(f"{other}_head_i")
