# SPDX-License-Identifier: Apache-2.0
"""The project's own backends: streams through ``descring replay``, programs through the device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_host import BACKENDS as DEVICES
from descring_host import HostError, open_device
from descring_model import contract

from descring_sim.backends import ReplayOptions, open_backend
from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.dut import Answer, Description, DeviceJob, StreamJob
from descring_sim.conform.errors import DutError


@dataclass(frozen=True)
class Traits:
    """What the kit may ask of one backend's replay, and what its device can be opened with."""

    ring_slots: tuple[int, int] | None = None
    workers: tuple[int, int] | None = None
    seed: bool = False
    device_options: tuple[tuple[str, Any], ...] = ()
    settle_s: float = 2.0


TRAITS = {
    "cpu": Traits(ring_slots=(2, 65536), workers=(1, 16)),
    "icarus": Traits(ring_slots=(2, 256), workers=(1, 16), seed=True),
    "verilator": Traits(ring_slots=(2, 256), workers=(1, 16), seed=True),
}


class BackendDut:
    """A backend of ``descring replay``, with its device where there is one."""

    def __init__(self, name: str, **fixed: Any) -> None:
        self.name = name
        self._fixed = fixed
        self._traits = TRAITS.get(name, Traits())

    def describe(self) -> Description:
        """See :class:`descring_sim.conform.dut.Dut`."""
        levels = {"stream"} | ({"device"} if self.name in DEVICES else set())
        capabilities = Capabilities(
            levels=frozenset(levels),
            ring_slots=self._traits.ring_slots,
            publish_tails="device" in levels,
            workers=self._traits.workers,
        )
        return Description(
            self.name,
            f"contract {contract.CONTRACT_HASH:08x}",
            "backend",
            capabilities,
            open_backend(self.name).description,
            self._traits.settle_s,
        )

    def build(self, folder: Path) -> None:
        """A backend is built when it is first run, and kept."""

    def run(self, job: StreamJob | DeviceJob) -> Answer:
        """See :class:`descring_sim.conform.dut.Dut`."""
        if isinstance(job, DeviceJob):
            return self._run_device(job)
        options = ReplayOptions(
            first_index=job.first_index,
            halt=job.halt,
            require_checked=job.require_checked,
            split_reward=job.split_reward,
            workers=self._fixed.get("workers", job.workers),
            ring_depth=self._fixed.get("ring_slots", job.ring_slots),
            seed=job.seed % 2**31 if self._traits.seed else None,
            waves=job.waves and self._traits.seed,
        )
        result = open_backend(self.name).replay(job.lines, options, lambda _count: None)
        return Answer(result.done, result.reward, result.note)

    def _run_device(self, job: DeviceJob) -> Answer:
        options = dict(self._traits.device_options)
        try:
            with open_device(
                self.name, memory=job.memory, first_index=job.first_index, **options
            ) as device:
                job.program(device)
        except HostError as error:
            raise DutError(f"device {self.name}: {error}") from error
        return Answer()
