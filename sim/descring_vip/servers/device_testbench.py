# SPDX-License-Identifier: Apache-2.0
"""Testbench of a host program's device: the program asks through a pipe, and shares its memory.

Between two requests the simulator is blocked in the read of the pipe.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from cocotb.handle import HierarchyObject
from descring_sim.protocol.device import (
    JOB_VARIABLE,
    STROBES_LSB,
    DeviceJob,
    LinkBroken,
    Op,
    Operation,
    open_replies,
    open_requests,
    receive_request,
    send_reply,
)

from descring_vip.device_host import DeviceHost
from descring_vip.testbench import Case
from descring_vip.timebase import Timebase


class HostDeviceTestbench(Case):
    """The device, and its host's requests."""

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut)
        job = DeviceJob.load(Path(os.environ[JOB_VARIABLE]))
        self.time = Timebase(dut)
        self._reset_cycles = job.reset_cycles
        self._requests = open_requests(job.requests)
        self._replies = open_replies(job.replies)
        self._last = 0  # the number of the last operation that had one
        self._host = DeviceHost(
            dut,
            self.time,
            _window(job),
            self.rng,
            first_index=job.first_index,
            latency=job.latency,
            late_writes=job.late_writes,
            backpressure=job.backpressure,
            monitor=job.monitor,
        )

    async def start(self) -> None:
        """Bring the device out of reset, and tell the host program."""
        await self.time.start()
        await self.time.reset(self._reset_cycles)
        send_reply(self._replies, 0, [])

    async def serve(self) -> None:
        """Carry out requests until one is to close, or the host program is gone."""
        going = True
        while going:
            try:
                sequence, operations = receive_request(self._requests)
                results = [await self._carry_out(operation) for operation in operations]
                going = operations[-1].op is not Op.CLOSE
                send_reply(self._replies, sequence, results)
            except LinkBroken:
                return

    def finish(self) -> None:
        """End. What is in flight is dropped: a host may end at any time."""
        self._host.stop()
        self.time.stop()

    async def _carry_out(self, operation: Operation) -> int:
        if operation.number:
            if operation.number <= self._last:
                return 0  # the host did not know that it had been sent
            self._last = operation.number
        if operation.op is Op.READ:
            return await self._host.read(operation.address)
        if operation.op is Op.WRITE:
            await self._host.write(operation.address, operation.value)
        if operation.op is Op.WRITE_BYTES:
            strobes, address = divmod(operation.address, 1 << STROBES_LSB)
            await self._host.write(address, operation.value, strobes)
        if operation.op is Op.WAIT:
            return await self._host.wait(operation.value)
        if operation.op is Op.IRQ:
            return self._host.interrupt()
        if operation.op is Op.FAIL:
            self._host.fail(operation.address, operation.value)
        if operation.op is Op.CLEAR:
            self._host.clear_bus_errors()
        if operation.op is Op.RESET:
            self._host.restart(operation.value)
            await self.time.reset(self._reset_cycles)
        return 0


def _window(job: DeviceJob) -> npt.NDArray[np.uint8]:
    """The host program's memory window: the same pages."""
    file = os.open(job.memory, os.O_RDWR | os.O_CLOEXEC)
    try:
        return np.frombuffer(mmap.mmap(file, os.fstat(file).st_size), dtype=np.uint8)
    finally:
        os.close(file)
