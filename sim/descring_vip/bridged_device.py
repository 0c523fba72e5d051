# SPDX-License-Identifier: Apache-2.0
"""A synchronous host program inside a cocotb case: a thread that runs in step with the simulation.

    device = BridgedDevice(host, time, window)
    completions = await device.run(program)

where ``program(device)`` is what would run outside on :func:`descring_host.open_device`. While it
computes, simulated time stops; a register access or a wait advances it. So the program can
be stepped through in a debugger, or step the device cycle by cycle, with waves of all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from cocotb.task import bridge, resume

from descring_vip.device_host import DeviceHost
from descring_vip.timebase import Timebase

T = TypeVar("T")

_WAIT_CYCLES = 256


class BridgedDevice:
    """The device of a live simulation, as a host program sees it.

    Attributes:
        memory: what host and device share, (bytes,) uint8.
    """

    def __init__(
        self,
        host: DeviceHost,
        time: Timebase,
        window: npt.NDArray[np.uint8],
        max_cycles: int | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            host: masters of the live device.
            time: its clock.
            window: memory that host and device share, (bytes,) uint8.
            max_cycles: the clock cycle from which on a wait is an error; None for no such end.
        """
        self._host = host
        self._time = time
        self._max_cycles = max_cycles
        self.memory = window

    async def run(self, program: Callable[[BridgedDevice], T]) -> T:
        """Run ``program`` in a thread to its end, and return what it returns."""
        outcome: T = await bridge(program)(self)
        return outcome

    def read32(self, offset: int) -> int:
        """Read the register at this byte address."""
        return resume(self._host.read)(offset)

    def write32(self, offset: int, value: int) -> None:
        """Write the register at this byte address."""
        resume(self._host.write)(offset, value)

    def wait(self, timeout_s: float) -> None:
        """Advance simulated time until completions have come, or for a while; seconds of the
        wall do not count here.

        Raises:
            TimeoutError: the program still waits in cycle ``max_cycles``.
        """
        if self._max_cycles is not None and self.cycle >= self._max_cycles:
            raise TimeoutError(f"the host program still waits in cycle {self.cycle}")
        resume(self._host.wait)(_WAIT_CYCLES)

    def step(self, cycles: int = 1) -> None:
        """Advance simulated time by so many clock cycles."""
        resume(self._time.cycles)(cycles)

    @property
    def cycle(self) -> int:
        """Clock cycles since the start."""
        return self._time.cycle

    def close(self) -> None:
        """The simulation continues: its case ends it."""

    def __enter__(self) -> BridgedDevice:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
