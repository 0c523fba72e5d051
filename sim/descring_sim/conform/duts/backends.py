# SPDX-License-Identifier: Apache-2.0
"""The project's own backends: streams through ``descring replay``, programs through the device.

Starting a simulator costs seconds, so those of Icarus and Verilator stay up from test to test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from descring_host import BACKENDS as DEVICES
from descring_host import HostError, open_device
from descring_model import contract

from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.dut import Description, DeviceJob, StreamJob, StreamResult
from descring_sim.conform.duts.device_pool import SimulatedDevices
from descring_sim.conform.duts.stream_pool import CoreStreams
from descring_sim.conform.errors import DutError, DutUnavailable
from descring_sim.cosim import simulators
from descring_sim.replay.registry import open_backend


@dataclass(frozen=True)
class Traits:
    """What the kit may ask of one backend's replay, and what its device can be opened with.

    ``simulated`` states that it is RTL, ``simulator`` that its processes are reused. ``device`` is
    its name among devices when that is another.
    """

    ring_slots: tuple[int, int] | None = None
    workers: tuple[int, int] | None = None
    seed: bool = False
    waves: bool = False
    simulator: bool = False
    simulated: bool = False
    interrupt: bool = False
    bus_errors: bool = False
    may_be_missing: bool = False
    device: str | None = None
    device_options: tuple[tuple[str, Any], ...] = ()
    settle_s: float = 2.0


_SIMULATOR = Traits(
    *((2, 256), (1, 16)),
    seed=True,
    waves=True,
    simulator=True,
    simulated=True,
    interrupt=True,
    bus_errors=True,
    settle_s=10.0,
)

TRAITS = {
    "cpu": Traits(ring_slots=(2, 65536), workers=(1, 16)),
    "icarus": _SIMULATOR,
    "verilator": _SIMULATOR,
    "verilated": Traits(
        *((2, 256), (1, 16)),
        seed=True,
        waves=True,
        simulated=True,
        interrupt=True,
        bus_errors=True,
        settle_s=10.0,
    ),
    "cuda": Traits(
        (2, 65536), (1, 16), may_be_missing=True, device_options=(("shape", "throughput"),)
    ),
    "cuda-latency": Traits(
        ring_slots=(2, 65536),
        may_be_missing=True,
        device="cuda",
        device_options=(("shape", "latency"),),
    ),
}


def _tools(name: str, traits: Traits) -> tuple[tuple[str, str], ...]:
    if not traits.simulated:
        return ()
    found = simulators.find(name if traits.simulator else "verilator")
    return ((found.name, found.version),)


class BackendDut:
    """A backend of ``descring replay``, with its device where there is one.

    ``fixed`` are options that every stream gets, whatever a test asks for, and ``workers`` every
    device too; ``device_options`` are those of devices alone.
    """

    def __init__(
        self, name: str, *, device_options: Mapping[str, Any] | None = None, **fixed: Any
    ) -> None:
        self.name = name
        self._device_options = dict(device_options or {})
        self._fixed = fixed
        self._traits = TRAITS.get(name, Traits())
        self._device_name = self._traits.device or name
        self._streams = CoreStreams(name) if self._traits.simulator else None
        self._devices = SimulatedDevices(self._open) if self._traits.simulator else None

    def describe(self) -> Description:
        """See :class:`descring_sim.conform.dut.Dut`."""
        traits = self._traits
        has_device = self._device_name in DEVICES
        capabilities = Capabilities(
            levels=frozenset({"stream", "device"} if has_device else {"stream"}),
            ring_slots=None if "ring_slots" in self._fixed else traits.ring_slots,
            publish_tails=has_device,
            workers=None if "workers" in self._fixed else traits.workers,
            interrupt=traits.interrupt,
            bus_errors=traits.bus_errors,
            byte_writes=traits.simulator,
            # Through rings of two slots and threads a long stream takes minutes.
            exhaustive=not traits.simulated and "ring_slots" not in self._fixed,
        )
        return Description(
            self.name,
            f"contract {contract.CONTRACT_HASH:08x}",
            "backend",
            capabilities,
            open_backend(self.name).description,
            traits.settle_s,
            traits.waves,
            _tools(self.name, traits),
        )

    def build(self, folder: Path) -> None:
        """A backend is built when it is first run, and kept."""
        if self._traits.may_be_missing:
            try:
                self._open(DeviceJob(lambda _device: None)).close()
            except HostError as error:
                raise DutUnavailable(" ".join(str(error).split())) from error

    def run(self, job: StreamJob | DeviceJob) -> StreamResult:
        """See :class:`descring_sim.conform.dut.Dut`."""
        if isinstance(job, DeviceJob):
            return self._run_device(job)
        request = replace(
            job.request,
            workers=self._fixed.get("workers", job.workers),
            ring_slots=self._fixed.get("ring_slots", job.ring_slots),
            seed=job.seed % 2**31 if self._traits.seed else None,
            waves=job.waves and self._traits.waves,
        )
        if self._streams is not None and not request.waves:
            return self._streams.answer(job.lines, request, job.timeout_s)
        result = open_backend(self.name).replay(job.lines, request, lambda _count: None)
        return StreamResult(result.done, result.reward, result.note)

    def _run_device(self, job: DeviceJob) -> StreamResult:
        if self._devices is not None:
            return self._devices.run(job)
        try:
            with self._open(job) as device:
                job.program(device)
        except HostError as error:
            raise DutError(f"device {self.name}: {error}") from error
        return StreamResult()

    def _open(self, job: DeviceJob) -> Any:
        options = dict(self._traits.device_options) | self._device_options
        if "workers" in self._fixed:
            options["workers"] = self._fixed["workers"]
        if self._traits.simulator:
            options |= {"seed": job.seed % 2**31, "waves": job.waves}
        return open_device(
            self._device_name, memory=job.memory, first_index=job.first_index, **options
        )
