# SPDX-License-Identifier: Apache-2.0
"""Testbench of a host program's device: the program asks through a pipe, and shares its memory.

Between two requests the simulator stands still: it is blocked in the reading of the pipe.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cocotb.handle import HierarchyObject
from descring_model import contract
from descring_sim.device_link import (
    JOB_VARIABLE,
    DeviceJob,
    LinkBroken,
    Op,
    Operation,
    Waited,
    receive_request,
    send_reply,
)
from lib.axi_memory import AxiMemory, Latency, Written
from lib.axi_monitor import AxiMonitor
from lib.patterns import Pattern
from lib.signals import signal
from lib.testbench import Case
from lib.timebase import Timebase

from host_device.register_host import AxilHost

_REGISTER = {name: register.offset for name, register in contract.REGISTER.items()}
_STATUS = {bits.name: bits.mask for bits in contract.REGISTER["STATUS"].bits}
_REGISTER_SPACE = 1 << 12

_LOOK_CYCLES = 16
"""How often a WAIT looks for writes to memory; also how long after the last one it goes on."""
_IDLE_CYCLES = 64
"""Cycles without a write after which a WAIT asks the device whether it has anything to do."""


class HostDeviceTestbench(Case):
    """The device, the memory at its AXI4 port, and the host's end of its AXI4-Lite port."""

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut)
        job = DeviceJob.load(Path(os.environ[JOB_VARIABLE]))
        self.time = Timebase(dut)
        window = self._window(job)
        signal(dut, "first_index_i").value = job.first_index
        signal(dut, "window_last_i").value = len(window) - 1
        self._requests = os.open(job.requests, os.O_RDONLY | os.O_CLOEXEC)
        self._replies = os.open(job.replies, os.O_WRONLY | os.O_CLOEXEC)
        self._registers = AxilHost(dut, self.time, "s_axil")
        self._memory = AxiMemory(dut, self.time, window, self.rng)
        latency = Latency(job.latency, job.latency)
        self._memory.read_latency = self._memory.write_latency = latency
        if job.backpressure:
            names = ("ar", "r", "aw", "w", "b")
            self._memory.pause(**{name: self._pauses(job.backpressure) for name in names})
        self._memory.on_write = self._written
        self._lines_written = 0
        self._monitors = []
        if job.monitor:
            self._monitors = [
                AxiMonitor(dut, self.time, "m_axi"),
                AxiMonitor(dut, self.time, "s_axil", lite=True),
            ]

    @staticmethod
    def _window(job: DeviceJob) -> npt.NDArray[np.uint8]:
        file = os.open(job.memory, os.O_RDWR | os.O_CLOEXEC)
        try:
            return np.frombuffer(mmap.mmap(file, os.fstat(file).st_size), dtype=np.uint8)
        finally:
            os.close(file)

    def _pauses(self, share: float) -> Pattern:
        """Pauses of a cycle or more, at random, which make up ``share`` of the cycles."""
        while True:
            for paused in (self.rng.random(256) < share).tolist():
                yield (0, 1) if paused else (1, 0)

    def _written(self, beat: Written) -> None:
        self._lines_written += 1

    async def start(self) -> None:
        """Bring the device out of reset, and tell the host program."""
        await self.time.start()
        await self.time.reset()
        send_reply(self._replies, 0, [])

    async def serve(self) -> None:
        """Carry out requests until one is to close, or the host program is gone."""
        going = True
        while going:
            try:
                sequence, operations = receive_request(self._requests)
                numbers = [await self._carry_out(operation) for operation in operations]
                going = operations[-1].op is not Op.CLOSE
                send_reply(self._replies, sequence, numbers)
            except LinkBroken:
                return

    def finish(self) -> None:
        """Hold the buses to their debts, and end."""
        for monitor in self._monitors:
            monitor.stop()
        self._memory.stop()
        self.time.stop()

    async def _carry_out(self, operation: Operation) -> int:
        address, value = operation.address, operation.value
        if operation.op is Op.READ:
            # There are no registers beyond the port's address space: 0, as for unknown ones.
            return await self._registers.read(address) if address < _REGISTER_SPACE else 0
        if operation.op is Op.WRITE:
            if address < _REGISTER_SPACE:
                await self._registers.write(address, value)
            return 0
        return await self._wait(value) if operation.op is Op.WAIT else 0

    async def _wait(self, cycles: int) -> Waited:
        """Run until the device has written to memory and then not for a while."""
        first = seen = self._lines_written
        for cycle in range(_LOOK_CYCLES, cycles + 1, _LOOK_CYCLES):
            await self.time.cycles(_LOOK_CYCLES)
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
        status = await self._registers.read(_REGISTER["STATUS"])
        if status & _STATUS["HALTED"] or not status & _STATUS["RUNNING"]:
            return True
        head = await self._registers.read(_REGISTER["CMD_HEAD"])
        return head == await self._registers.read(_REGISTER["CMD_TAIL"])
