# SPDX-License-Identifier: Apache-2.0
"""A foreign device behind AXI: connected by its port map alone, driven through its registers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from descring_model import contract

from descring_sim.conform.dut import Description, DeviceJob, StreamJob, StreamResult
from descring_sim.conform.duts.axi_port_map import PORTS, WRAPPER, ShellMap
from descring_sim.conform.duts.device_pool import SimulatedDevices
from descring_sim.conform.duts.dut_file import DutFile
from descring_sim.conform.duts.port_check import check_map, read_ports
from descring_sim.conform.duts.rtl_source import KEYS, RtlSource
from descring_sim.conform.errors import ConformError
from descring_sim.cosim.device import SimulatorDevice
from descring_sim.cosim.device_process import Design
from descring_sim.replay.device import stream_through

DEFAULT_LATENCY = 20
_LATENCY_MAX = 10_000
_STALLS = 0.2
"""Share of the cycles in which each channel of the rings' port refuses."""
_VERSION, _HASH = (contract.OFFSET[name] for name in ("VERSION", "CONTRACT_HASH"))
_SLOTS = 1024
_MEMORY = 1 << 20
_BIG_MEMORY = 16 << 20


class AsPresent:
    """A device as a queue takes it: lines of an earlier version keep their bytes in the present.

    What its registers name is judged by the tests of registers.
    """

    def __init__(self, device: SimulatorDevice) -> None:
        self._device = device

    def __getattr__(self, name: str) -> Any:
        return getattr(self._device, name)

    def read32(self, offset: int) -> int:
        """As the device's, but for the names of earlier versions."""
        value = self._device.read32(offset)
        if offset == _VERSION and value in contract.EARLIER_HASHES:
            return contract.VERSION
        if offset == _HASH and value in contract.EARLIER_HASHES.values():
            return contract.CONTRACT_HASH
        return value


class ShellDut:
    """Builds the device behind a generated wrapper, and serves it as our own simulators' devices.

    Its memory responds late, and a write reaches it with the response, so that a device that runs
    ahead of its memory shows.
    """

    def __init__(self, file: DutFile) -> None:
        file.only_keys(*KEYS, "registers", "memory", "latency_cycles")
        self._file = file
        self._source = RtlSource(file, tuple(PORTS))
        self._map = ShellMap(self._source)
        self._latency = self._source.number(
            "latency_cycles", file.table.get("latency_cycles", DEFAULT_LATENCY), 1, _LATENCY_MAX
        )
        self._check_claims()
        self._devices = SimulatedDevices(self._open)

    def _check_claims(self) -> None:
        capabilities = self._file.description.capabilities
        path, ports = self._file.path, self._source.ports
        if capabilities.rings != "memory":
            raise ConformError(f'{path}: an AXI device has capabilities.rings = "memory"')
        for claim in ("backpressure", "doorbell", "workers"):
            if getattr(capabilities, claim):
                raise ConformError(f"{path}: capabilities.{claim} is for cores; leave it out")
        for claim, port in (("first_index", "first_index"), ("interrupt", "irq")):
            if getattr(capabilities, claim) and port not in ports:
                raise ConformError(
                    f"{path}: capabilities.{claim} is true, which needs axi-device.ports.{port}; "
                    "name the port, or set the capability to false"
                )
        if capabilities.byte_writes and "wstrb" in self._map.absent["registers"]:
            raise ConformError(
                f"{path}: capabilities.byte_writes is true, which needs the signal wstrb of "
                "axi-device.registers; set the capability to false"
            )
        if capabilities.bus_errors:
            for name in ("bresp", "rresp"):
                if name in self._map.absent["memory"]:
                    raise ConformError(
                        f"{path}: capabilities.bus_errors is true, which needs the signal {name} "
                        "of axi-device.memory; set the capability to false"
                    )
        if "window_last" not in ports and "LIFE-002" not in capabilities.not_claimed:
            raise ConformError(
                f"{path}: without axi-device.ports.window_last, the address of the last byte of "
                "memory, a device cannot know where its memory ends; name the port, or add "
                "LIFE-002 to capabilities.not_claimed"
            )

    # ------------------------------------------------------------------ the plugin

    def describe(self) -> Description:
        """See :class:`descring_sim.conform.dut.Dut`."""
        return self._source.describe()

    def made_of(self) -> list[Path]:
        """The files of the design."""
        return self._source.made_of()

    def build(self, folder: Path) -> None:
        """Hold the map against the top, copy the sources beside the wrapper, and compile them."""
        ports = read_ports(self._source)
        check_map(self._source, ports, self._map.wanted(ports))
        self._source.copy(folder, WRAPPER, self._map.render(ports))
        self._source.build(WRAPPER)

    def run(self, job: StreamJob | DeviceJob) -> StreamResult:
        """See :class:`descring_sim.conform.dut.Dut`."""
        if isinstance(job, DeviceJob):
            return self._devices.run(job)
        answers: list[StreamResult] = []
        slots = job.ring_slots or _SLOTS
        request = replace(job.request, ring_slots=slots)

        def program(device: SimulatorDevice) -> None:
            present: Any = AsPresent(device)  # all that a queue calls
            done, reward = stream_through(present, job.lines, request, lambda _count: None)
            answers.append(StreamResult(done, reward))

        actual = self._devices.run(
            DeviceJob(
                program,  # type: ignore[arg-type]
                memory=_MEMORY if slots <= _SLOTS else _BIG_MEMORY,
                first_index=job.first_index,
                seed=job.seed,
                waves=job.waves,
            )
        )
        return StreamResult(answers[0].done, answers[0].reward, waves=actual.waves)

    def _open(self, job: DeviceJob) -> SimulatorDevice:
        return SimulatorDevice(
            self._source.simulator,
            job.memory,
            design=Design(
                top=WRAPPER,
                rtl_dir=self._source.rtl_dir,
                build_root=self._source.build_root,
                reset_cycles=self._source.reset_cycles,
            ),
            first_index=job.first_index,
            seed=job.seed % 2**31,
            latency=self._latency,
            late_writes=True,
            backpressure=_STALLS,
            waves=job.waves,
        )
