# SPDX-License-Identifier: Apache-2.0
"""The project's own backends: streams through ``descring replay``, programs through the device.

Starting a simulator costs seconds, so those of Icarus and Verilator stay up from test to test.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descring_host import BACKENDS as DEVICES
from descring_host import Device, HostError, open_device
from descring_model import contract

from descring_sim.backends import ReplayOptions, open_backend
from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.dut import Answer, Description, DeviceJob, StreamJob
from descring_sim.conform.duts.core_streams import CoreStreams
from descring_sim.conform.errors import DutError, DutUnavailable

_CTRL = contract.REGISTER["CTRL"].offset
_STATUS = contract.REGISTER["STATUS"].offset
_RESET = contract.register_bit("CTRL", "RESET")
_READY = contract.register_bit("STATUS", "READY")
_RESET_S = 10.0
_KEPT_DEVICES = 2
"""Devices in simulators that stay up: one that most tests use, one for the others in turn."""


@dataclass(frozen=True)
class Traits:
    """What the kit may ask of one backend's replay, and what its device can be opened with.

    ``simulator`` says that it is one: its processes are reused, and its device is reset through
    the register CTRL instead. ``device`` is its name among devices when that is another.
    """

    ring_slots: tuple[int, int] | None = None
    workers: tuple[int, int] | None = None
    seed: bool = False
    waves: bool = False
    simulator: bool = False
    interrupt: bool = False
    bus_errors: bool = False
    may_be_missing: bool = False
    device: str | None = None
    device_options: tuple[tuple[str, Any], ...] = ()
    settle_s: float = 2.0


_SIMULATOR = Traits((2, 256), (1, 16), seed=True, waves=True, simulator=True, settle_s=10.0)

TRAITS = {
    "cpu": Traits(ring_slots=(2, 65536), workers=(1, 16)),
    "icarus": _SIMULATOR,
    "verilator": _SIMULATOR,
    "verilated": Traits(
        (2, 256), (1, 16), seed=True, waves=True, interrupt=True, bus_errors=True, settle_s=10.0
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
        self._devices: dict[tuple[int, int], Device] = {}

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
        )
        return Description(
            self.name,
            f"contract {contract.CONTRACT_HASH:08x}",
            "backend",
            capabilities,
            open_backend(self.name).description,
            traits.settle_s,
            traits.waves,
        )

    def build(self, folder: Path) -> None:
        """A backend is built when it is first run, and kept."""
        if self._traits.may_be_missing:
            try:
                self._open(1 << 20, 0).close()
            except HostError as error:
                raise DutUnavailable(" ".join(str(error).split())) from error

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
            waves=job.waves and self._traits.waves,
        )
        if self._streams is not None and not options.waves:
            return self._streams.answer(job.lines, options, job.timeout_s)
        result = open_backend(self.name).replay(job.lines, options, lambda _count: None)
        return Answer(result.done, result.reward, result.note)

    def _run_device(self, job: DeviceJob) -> Answer:
        key = (job.memory, job.first_index)
        try:
            device = self._devices.pop(key, None) or self._open(*key)
            try:
                job.program(device)
                kept = self._traits.simulator and _reset(device)
            except BaseException:
                device.close()
                raise
            if not kept:
                device.close()
                return Answer()
            self._devices[key] = device
            if len(self._devices) > _KEPT_DEVICES:
                self._devices.pop(next(iter(self._devices))).close()
        except HostError as error:
            raise DutError(f"device {self.name}: {error}") from error
        return Answer()

    def _open(self, memory: int, first_index: int) -> Device:
        options = dict(self._traits.device_options) | self._device_options
        if "workers" in self._fixed:
            options["workers"] = self._fixed["workers"]
        return open_device(self._device_name, memory=memory, first_index=first_index, **options)


def _reset(device: Device) -> bool:
    """Bring a device back to where it was when it was opened; whether that worked."""
    device.write32(_CTRL, _RESET)
    deadline = time.monotonic() + _RESET_S
    while not device.read32(_STATUS) & _READY:
        if time.monotonic() > deadline:
            return False
        device.wait(0.002)
    return True
