# SPDX-License-Identifier: Apache-2.0
"""A foreign core in SystemVerilog: connected by its port map alone, run in a simulator."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from descring_model import (
    DESC_DTYPE,
    Lines,
    complete,
    contract,
    line_bytes,
    longest_decode,
)

from descring_sim.conform.dut import Description, DeviceJob, StreamJob, StreamResult, Violation
from descring_sim.conform.duts.core_wrapper import PORTS, WRAPPER, render
from descring_sim.conform.duts.dut_file import DutFile
from descring_sim.conform.duts.port_check import check_map, read_ports
from descring_sim.conform.duts.rtl_source import KEYS, RtlSource
from descring_sim.conform.errors import ConformError, DutError, DutHung
from descring_sim.cosim import runner
from descring_sim.cosim.runner import RunResult
from descring_sim.cosim.stream_server import StreamFailed, StreamHung, StreamSimulation
from descring_sim.protocol.stream import FOLDER_VARIABLE, CoreFolder, CoreResult
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

CASES = "descring_vip.servers.core"
DEFAULT_PATIENCE = 4096
DEFAULT_SLOTS = 16
_NEEDS_PORTS = {
    "split_reward": ("split_reward", "reward_valid", "reward_ready", "reward_data"),
    "require_checked": ("require_checked",),
    "first_index": ("first_index",),
    "doorbell": ("cmd_tail",),
    "halt": ("resume",),
    "enable": ("enable", "resume"),
    "halted": ("halted",),
}
"""Capabilities, and the ports without which they cannot be shown."""


class RtlDut:
    """Builds the core behind a generated wrapper, and runs each stream in a simulation."""

    def __init__(self, file: DutFile) -> None:
        file.only_keys(*KEYS, "ring_slots", "patience_cycles")
        self._file = file
        self._source = RtlSource(file, tuple(PORTS))
        for name, port in PORTS.items():
            if port.needed and name not in self._source.ports:
                raise ConformError(
                    f"{file.path}: [core.ports] lacks {name}, the core's {port.direction} of "
                    f"{port.width} bits: {port.meaning}"
                )
        self._slots = self._number("ring_slots", DEFAULT_SLOTS, 1, 65536)
        self._patience = self._number("patience_cycles", DEFAULT_PATIENCE, 64, 100_000_000)
        self._check_claims()
        self._live: StreamSimulation | None = None

    def _number(self, key: str, default: int, low: int, high: int) -> int:
        return self._source.number(key, self._file.table.get(key, default), low, high)

    def _check_claims(self) -> None:
        capabilities = self._file.description.capabilities
        path = self._file.path
        if capabilities.levels != {"stream"}:
            raise ConformError(
                f"{path}: a port map joins a core by its line ports, which has the level stream "
                "and no other; a shell with AXI registers is of the kind axi-device"
            )
        if capabilities.rings != "chip":
            raise ConformError(f'{path}: a core with line ports has capabilities.rings = "chip"')
        for claim, ports in _NEEDS_PORTS.items():
            missing = [port for port in ports if port not in self._source.ports]
            if getattr(capabilities, claim) and missing:
                raise ConformError(
                    f"{path}: capabilities.{claim} is true, which needs core.ports.{missing[0]}; "
                    "name the port, or set the capability to false"
                )
        if "STOP" in capabilities.opcodes and "resume" not in self._source.ports:
            raise ConformError(
                f"{path}: capabilities.opcodes has STOP, which needs core.ports.resume; name the "
                "port, or leave STOP out"
            )
        for name in ("ring_slots", "workers"):
            if getattr(capabilities, name) is not None:
                raise ConformError(
                    f"{path}: capabilities.{name}: a core is built with one set of parameters; "
                    "leave it out"
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
        mapped = [
            (f"core.ports.{name}", foreign.removeprefix("!"), PORTS[name].direction, 0)
            for name, foreign in self._source.ports.items()
        ]
        check_map(self._source, read_ports(self._source), mapped)
        self._source.copy(folder, WRAPPER, render(self._source))
        self._source.build(WRAPPER)

    def run(self, job: StreamJob | DeviceJob) -> StreamResult:
        """See :class:`descring_sim.conform.dut.Dut`."""
        if isinstance(job, DeviceJob):
            raise DutError("a core with line ports has no registers")
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=self._source.home))
        keep = job.waves
        try:
            core = CoreFolder(
                folder,
                replace(job.request, ring_slots=self._slots),
                host=job.host,
                has_halted="halted" in self._source.ports,
                reset_cycles=self._source.reset_cycles,
                # A cycle a token is slow, and is no hang.
                patience=self._patience + longest_decode(job.lines),
                stops=_accepted_stops(job),
            )
            core.save()
            core.submissions.write_bytes(line_bytes(job.lines).tobytes())
            if job.waves:
                return self._answer(core, self._simulate(core, job))
            return self._reuse(core, job)
        finally:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _simulate(self, core: CoreFolder, job: StreamJob) -> RunResult:
        try:
            return runner.run(
                simulator=self._source.simulator,
                top=WRAPPER,
                cases=CASES,
                tests_dir=paths.vip_root(),
                seed=job.seed % 2**31,
                waves=job.waves,
                rtl_dir=self._source.rtl_dir,
                build_root=self._source.build_root,
                run_dir=core.folder / "run",
                extra_env={FOLDER_VARIABLE: str(core.folder)},
                timeout_s=job.timeout_s,
            )
        except SimulationError as error:
            raise DutError(str(error)) from error

    def _reuse(self, core: CoreFolder, job: StreamJob) -> StreamResult:
        """The result of this process's simulation, which is left running."""
        if self._live is None or self._live.gone:
            try:
                self._live = StreamSimulation(
                    self._source.simulator,
                    top=WRAPPER,
                    cases=CASES,
                    parameters={},
                    seed=job.seed % 2**31,
                    rtl_dir=self._source.rtl_dir,
                    build_root=self._source.build_root,
                )
            except SimulationError as error:
                raise DutError(str(error)) from error
        live, self._live = self._live, None
        try:
            live.carry_out(core.folder, job.timeout_s)
        except StreamHung as error:
            raise DutHung(str(error)) from error
        except StreamFailed as error:
            raise DutError(str(error)) from error
        result = CoreResult.load(core.result)
        if result.hung or result.rule:
            live.close()
        else:
            self._live = live
        return _judged(core, result, None)

    def _answer(self, core: CoreFolder, run: RunResult) -> StreamResult:
        waves = str(run.waves) if run.waves else None
        if not run.ok or not core.result.is_file():
            text = run.failure_text().replace(run.rerun_line(run.outcome.first_failed), "see below")
            if any("no end after" in problem for problem in run.outcome.problems):
                raise DutHung(text, waves)
            raise DutError(text)
        return _judged(core, CoreResult.load(core.result), waves)


def _accepted_stops(job: StreamJob) -> list[int]:
    results = complete(job.lines, first_index=job.first_index, require_checked=job.require_checked)
    stops: list[int] = np.flatnonzero(results["flags"] & contract.FLAG["STOPPED"]).tolist()
    return stops


def _judged(core: CoreFolder, result: CoreResult, waves: str | None) -> StreamResult:
    if result.hung:
        raise DutHung(result.hung, waves)
    violation = Violation(result.rule, result.text) if result.rule else None
    done, reward = (_lines(path) for path in core.rings)
    return StreamResult(done, reward, f"{result.cycles} cycles", waves, violation)


def _lines(path: Path) -> Lines:
    data = path.read_bytes()
    if len(data) % contract.DESC_BYTES:
        raise DutError(f"{path.name} holds {len(data)} bytes, which are no whole lines")
    lines: Lines = np.frombuffer(data, DESC_DTYPE)
    return lines
