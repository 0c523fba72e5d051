# SPDX-License-Identifier: Apache-2.0
"""Devices in simulators that stay up from program to program: starting one costs seconds."""

from __future__ import annotations

from collections.abc import Callable

from descring_host import HostError

from descring_sim.conform.dut import DeviceJob, StreamResult
from descring_sim.conform.errors import DutError
from descring_sim.cosim.device import SimulatorDevice

_KEPT = 2
"""One that most tests use, and one with memory of another size."""


class SimulatedDevices:
    """Carries out programs, each on a device whose reset was pulled before it."""

    def __init__(self, open_one: Callable[[DeviceJob], SimulatorDevice]) -> None:
        self._open_one = open_one
        self._live: dict[int, SimulatorDevice] = {}

    def run(self, job: DeviceJob) -> StreamResult:
        """Carry out ``job``; with waves on a device of its own.

        Raises:
            DutError: the device cannot be started, or fails.
        """
        try:
            device = None if job.waves else self._live.pop(job.memory, None)
            if device is None:
                device = self._open_one(job)
            else:
                device.reset(job.first_index)
            try:
                job.program(device)
            except BaseException:
                device.close()
                raise
            if job.waves:
                device.close()
                return StreamResult(waves=device.waves)
            self._live[job.memory] = device
            if len(self._live) > _KEPT:
                self._live.pop(next(iter(self._live))).close()
        except HostError as error:
            raise DutError(" ".join(str(error).split())) from error
        return StreamResult()
