# SPDX-License-Identifier: Apache-2.0
"""A host's side of ``rl_runtime_axi``: registers, memory, and waiting for completions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from cocotb.handle import HierarchyObject
from descring_model import contract
from descring_sim.protocol.device import Waited

from descring_vip.axi.lite import ALL_BYTES, AxilHost
from descring_vip.axi.memory import DECERR, SLVERR, AxiMemory, Latency, Written
from descring_vip.axi.monitor import AxiMonitor
from descring_vip.handles import bit, read_int, signal
from descring_vip.stream.patterns import Pattern
from descring_vip.timebase import Timebase

_REGISTER = contract.OFFSET
_STATUS = contract.MASK["STATUS"]
_REGISTER_SPACE = 1 << 12

_LOOK_CYCLES = 16
"""How often a wait looks for writes to memory; also how long after the last one it continues."""
_IDLE_CYCLES = 64
"""Cycles without a write after which a wait asks the device whether it has anything to do."""


class DeviceHost:
    """Drives every input of the device but clock and reset.

    Attributes:
        memory: behind the AXI4 port.
        monitors: of both buses, if asked for.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        time: Timebase,
        window: npt.NDArray[np.uint8],
        rng: np.random.Generator,
        *,
        first_index: int = 0,
        latency: int = 1,
        late_writes: bool = False,
        backpressure: float = 0.0,
        monitor: bool = False,
    ) -> None:
        """Put ``window`` behind the AXI4 port; it is used in place.

        Args:
            dut: the device.
            time: of the device.
            window: the memory, ``(n,)`` uint8; address 0 is its first byte.
            rng: the memory's source of randomness.
            first_index: the value of every index after reset.
            latency: cycles from a memory access to its response.
            late_writes: a write reaches memory with its response rather than with its data.
            backpressure: share of the cycles in which each AXI channel refuses, on the average.
            monitor: hold both buses to the AXI standard.
        """
        self._time = time
        self._rng = rng
        self._lines_written = 0
        self._fails = 0
        self._irq = bit(dut, "irq_o")
        self._first_index = signal(dut, "first_index_i")
        self._first_index.value = first_index
        signal(dut, "window_last_i").value = len(window) - 1
        self._registers = AxilHost(dut, time)
        self.memory = AxiMemory(dut, time, window, rng)
        self.memory.read_latency = self.memory.write_latency = Latency(latency, latency)
        self.memory.write_late = late_writes
        self.memory.on_write = self._count
        if backpressure:
            names = ("ar", "r", "aw", "w", "b")
            self.memory.pause(**{name: self._pauses(backpressure) for name in names})
        self.monitors: list[AxiMonitor] = []
        if monitor:
            self.monitors = [
                AxiMonitor(dut, time, "m_axi"),
                AxiMonitor(dut, time, "s_axil", lite=True),
            ]

    def _pauses(self, share: float) -> Pattern:
        """Pauses of a cycle or more, at random, which make up ``share`` of the cycles.

        Stretches without any and stretches with twice as many take turns at random.
        """
        while True:
            now = min(share * int(self._rng.integers(0, 3)), 0.95)
            for paused in (self._rng.random(256) < now).tolist():
                yield (0, 1) if paused else (1, 0)

    def _count(self, beat: Written) -> None:
        self._lines_written += 1

    async def read(self, address: int) -> int:
        """Read a register; 0 beyond the port's address space, as of unknown ones [DB-004]."""
        return await self._registers.read(address) if address < _REGISTER_SPACE else 0

    async def write(self, address: int, value: int, strobes: int = ALL_BYTES) -> None:
        """Write a register, or the bytes ``strobes`` of it."""
        if address < _REGISTER_SPACE:
            await self._registers.write(address, value, strobes)

    async def wait(self, cycles: int) -> Waited:
        """Run until the device has written to memory and then not for a while."""
        first = seen = self._lines_written
        for cycle in range(_LOOK_CYCLES, cycles + 1, _LOOK_CYCLES):
            await self._time.cycles(_LOOK_CYCLES)
            now = self._lines_written
            if now == seen:
                if seen != first:
                    return Waited.POSTED
                if cycle % _IDLE_CYCLES == 0 and await self._is_idle():
                    return Waited.IDLE
            seen = now
        return Waited.BUSY if seen == first else Waited.POSTED

    async def _is_idle(self) -> bool:
        """Whether the device has nothing to do before the host does something."""
        status = await self.read(_REGISTER["STATUS"])
        if status & _STATUS["HALTED"] or not status & _STATUS["RUNNING"]:
            return True
        head = await self.read(_REGISTER["CMD_HEAD"])
        return head == await self.read(_REGISTER["CMD_TAIL"])

    def interrupt(self) -> int:
        """The level of the interrupt [IRQ-001]."""
        return read_int(self._irq)

    def fail(self, start: int, stop: int) -> None:
        """Return an error for every access that touches the bytes ``[start, stop)`` [LIFE-005].

        SLVERR and DECERR by turns.
        """
        self._fails += 1
        response = SLVERR if self._fails % 2 else DECERR
        self.memory.faults.ranges.append((start, stop, response))

    def clear_bus_errors(self) -> None:
        """Let every access succeed again."""
        self.memory.faults.ranges.clear()

    def restart(self, first_index: int) -> None:
        """Bring the bus to where it was at the start; for a hard reset of the device."""
        self._first_index.value = first_index
        self.clear_bus_errors()
        self.memory.reset()

    def stop(self) -> None:
        """Serve and watch no more."""
        for monitor in self.monitors:
            monitor.stop()
        self.memory.stop()
