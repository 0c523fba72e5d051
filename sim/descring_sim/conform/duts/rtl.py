# SPDX-License-Identifier: Apache-2.0
"""A foreign core in SystemVerilog: connected by its port map alone, run in a simulator."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from descring_model import DESC_DTYPE, Lines, contract, line_bytes

from descring_sim import build as builds
from descring_sim import runner, simulators
from descring_sim.build import locked
from descring_sim.conform.core_job import CORE_JOB_VARIABLE, CoreJob, CoreResult
from descring_sim.conform.dut import Answer, Description, DeviceJob, StreamJob, Violation
from descring_sim.conform.duts.file import DutFile
from descring_sim.conform.duts.wrapper import PORTS, WRAPPER, PortMap, render
from descring_sim.conform.errors import ConformError, DutError, DutHung
from descring_sim.errors import SimulationError
from descring_sim.runner import RunResult
from descring_sim.stream_simulation import StreamFailed, StreamHung, StreamSimulation

CASES = "conform_core.conform_core_cases"
SERVER = "conform_core.conform_core_server_cases"
DEFAULT_PATIENCE = 4096
DEFAULT_SLOTS = 16
_KEYS = (
    *("sources", "includes", "top", "simulator", "parameters", "clock", "reset", "ports", "tie"),
    *("ring_slots", "patience_cycles"),
)
_NEEDS_PORTS = {
    "split_reward": ("split_reward", "reward_valid", "reward_ready", "reward_data"),
    "require_checked": ("require_checked",),
    "first_index": ("first_index",),
    "doorbell": ("cmd_tail",),
    "halt": ("resume",),
}
"""Capabilities, and the ports without which they cannot be shown."""

# Foreign sources are not ours to mend: what Verilator warns of in them is no error here.
_QUIET = "".join(
    f"/* verilator lint_off {code} */"
    for code in (
        *("WIDTHEXPAND", "WIDTHTRUNC", "UNUSEDSIGNAL", "UNUSEDPARAM", "CASEINCOMPLETE", "CASEX"),
        *("UNOPTFLAT", "BLKSEQ", "SYNCASYNCNET", "DECLFILENAME", "TIMESCALEMOD", "PINMISSING"),
        *("PINCONNECTEMPTY", "IMPLICIT", "MULTIDRIVEN", "LATCH", "INITIALDLY", "COMBDLY"),
        *("SELRANGE", "CMPCONST", "UNSIGNED", "GENUNNAMED", "MULTITOP", "UNDRIVEN"),
    )
)
_IDENTIFIER = re.compile(r"!?[A-Za-z_][\w$]*")


class RtlDut:
    """Builds the core behind a generated wrapper, and runs each stream in a simulation."""

    def __init__(self, file: DutFile) -> None:
        file.only_keys(*_KEYS)
        self._file = file
        self._sources = self._files("sources")
        if not self._sources:
            raise file.complain("sources", "at least one file or pattern", [])
        self._headers = self._files("includes") if "includes" in file.table else []
        self._simulator = file.text("simulator", "verilator")
        if self._simulator not in simulators.SIMULATORS:
            raise file.complain("simulator", "icarus or verilator", self._simulator)
        self._reset = self._table("reset", ("port", "active", "cycles"))
        self._map = self._port_map()
        self._slots = self._number("ring_slots", DEFAULT_SLOTS, 1, 65536)
        self._patience = self._number("patience_cycles", DEFAULT_PATIENCE, 64, 100_000_000)
        self._check_claims()
        self._home = Path()
        self._live: StreamSimulation | None = None

    # ------------------------------------------------------------------ reading the file

    def _files(self, key: str) -> list[Path]:
        found: dict[Path, None] = {}
        for pattern in self._file.words(key):
            matches = sorted(self._file.folder.glob(pattern))
            if not matches:
                raise ConformError(f"{self._file.path}: rtl.{key}: nothing matches {pattern!r}")
            found |= {match: None for match in matches if match.is_file()}
        return list(found)

    def _table(self, key: str, known: tuple[str, ...] | None = None) -> Mapping[str, Any]:
        table = self._file.table.get(key, {})
        if not isinstance(table, dict):
            raise self._file.complain(key, "a table", table)
        for name in table:
            if known is not None and name not in known:
                raise ConformError(
                    f"{self._file.path}: [rtl.{key}] has no {name!r}; it has {', '.join(known)}"
                )
        return table

    def _number(self, key: str, default: int, low: int, high: int) -> int:
        value = self._file.table.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._file.complain(key, f"a number from {low} to {high}", value)
        return value

    def _port_map(self) -> PortMap:
        ports = self._table("ports", tuple(PORTS))
        for name, foreign in ports.items():
            if not isinstance(foreign, str) or not _IDENTIFIER.fullmatch(foreign):
                raise self._file.complain(f"ports.{name}", "the name of a port", foreign)
        for name, port in PORTS.items():
            if port.needed and name not in ports:
                raise ConformError(
                    f"{self._file.path}: [rtl.ports] lacks {name}, the core's {port.direction} of "
                    f"{port.width} bits: {port.meaning}"
                )
        active = self._reset.get("active", "low")
        if active not in ("low", "high"):
            raise self._file.complain("reset.active", "low or high", active)
        tie = self._table("tie")
        for name, value in tie.items():
            if not isinstance(value, str):
                raise self._file.complain(f"tie.{name}", "an expression as a text", value)
        return PortMap(
            top=self._file.text("top"),
            clock=self._file.text("clock", "clk"),
            reset=str(self._reset.get("port", "rst_n")),
            reset_high=active == "high",
            ports=ports,
            tie=tie,
            parameters=self._table("parameters"),
        )

    def _check_claims(self) -> None:
        capabilities = self._file.description.capabilities
        path = self._file.path
        if capabilities.levels != {"stream"}:
            raise ConformError(
                f"{path}: a port map joins a core by its line ports, which has the level stream "
                "and no other; for a shell with AXI registers write a plugin of level device"
            )
        if capabilities.rings != "chip":
            raise ConformError(f'{path}: a core with line ports has capabilities.rings = "chip"')
        for claim, ports in _NEEDS_PORTS.items():
            missing = [port for port in ports if port not in self._map.ports]
            if getattr(capabilities, claim) and missing:
                raise ConformError(
                    f"{path}: capabilities.{claim} is true, which needs rtl.ports.{missing[0]}; "
                    "name the port, or set the capability to false"
                )
        if "STOP" in capabilities.opcodes and "resume" not in self._map.ports:
            raise ConformError(
                f"{path}: capabilities.opcodes has STOP, which needs rtl.ports.resume; name the "
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
        given = self._file.description
        try:
            found = simulators.find(self._simulator)
        except SimulationError as error:
            raise ConformError(str(error)) from error
        details = f"{given.details}, {self._map.top} in {found.name} {found.version}"
        return Description(
            given.name, given.version, "rtl", given.capabilities, details, given.settle_s, True
        )

    def build(self, folder: Path) -> None:
        """Copy the sources beside the generated wrapper, and compile them."""
        texts = {f"{WRAPPER}.sv": _QUIET + "\n" + render(self._map)}
        for path in self._sources:
            name = path.stem + ".sv" if path.suffix in (".sv", ".v") else path.name
            if name in texts:
                raise DutError(f"{self._file.path}: two sources are called {name}")
            texts[name] = _QUIET + path.read_text(encoding="utf-8", errors="replace")
        for path in self._headers:
            texts[path.name] = path.read_text(encoding="utf-8", errors="replace")
        digest = hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()[:12]
        home = folder / f"rtl-{digest}"
        with locked(folder / f"{home.name}.lock"):
            if not (home / "sources").is_dir():
                part = home / f"sources.{os.getpid()}"
                part.mkdir(parents=True)
                for name, text in texts.items():
                    (part / name).write_text(text, encoding="utf-8")
                part.rename(home / "sources")
        self._home = home
        try:
            builds.build(
                simulators.find(self._simulator),
                top=WRAPPER,
                parameters={},
                rtl_dir=(home / "sources").resolve(),
                build_root=(home / "sim").resolve(),
                waves=False,
            )
        except SimulationError as error:
            raise DutError(" ".join(str(error).split())) from error

    def run(self, job: StreamJob | DeviceJob) -> Answer:
        """See :class:`descring_sim.conform.dut.Dut`."""
        if isinstance(job, DeviceJob):
            raise DutError("a core with line ports has no registers")
        folder = Path(tempfile.mkdtemp(prefix="job-", dir=self._home))
        keep = job.waves
        try:
            core = CoreJob(
                folder=folder,
                first_index=job.first_index,
                halt=job.halt,
                require_checked=job.require_checked,
                split_reward=job.split_reward,
                host=job.host,
                ring_slots=self._slots,
                has_halted="halted" in self._map.ports,
                reset_cycles=int(self._reset.get("cycles", 4)),
                patience=self._patience,
                seed=job.seed,
            )
            core.save()
            core.submissions.write_bytes(line_bytes(job.lines).tobytes())
            if job.waves:
                return self._answer(core, self._simulate(core, job))
            return self._reuse(core, job)
        finally:
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)

    def _simulate(self, core: CoreJob, job: StreamJob) -> RunResult:
        try:
            return runner.run(
                simulator=self._simulator,
                top=WRAPPER,
                cases=CASES,
                seed=job.seed % 2**31,
                waves=job.waves,
                rtl_dir=self._home / "sources",
                build_root=self._home / "sim",
                run_dir=core.folder / "run",
                extra_env={CORE_JOB_VARIABLE: str(core.folder)},
                timeout_s=job.timeout_s,
            )
        except SimulationError as error:
            raise DutError(str(error)) from error

    def _reuse(self, core: CoreJob, job: StreamJob) -> Answer:
        """The answer of this process's simulation, which is left running."""
        if self._live is None or self._live.gone:
            try:
                self._live = StreamSimulation(
                    self._simulator,
                    top=WRAPPER,
                    cases=SERVER,
                    parameters={},
                    seed=job.seed % 2**31,
                    rtl_dir=self._home / "sources",
                    build_root=self._home / "sim",
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

    def _answer(self, core: CoreJob, run: RunResult) -> Answer:
        if not run.ok or not core.result.is_file():
            text = run.failure_text().replace(run.rerun_line(run.outcome.first_failed), "see below")
            if any("no end after" in problem for problem in run.outcome.problems):
                raise DutHung(text)
            raise DutError(text)
        return _judged(core, CoreResult.load(core.result), str(run.waves) if run.waves else None)


def _judged(core: CoreJob, result: CoreResult, waves: str | None) -> Answer:
    if result.hung:
        raise DutHung(result.hung + (f"; waves {waves}" if waves else ""))
    violation = Violation(result.rule, result.text) if result.rule else None
    done, reward = (_lines(path) for path in core.rings)
    return Answer(done, reward, f"{result.cycles} cycles", waves, violation)


def _lines(path: Path) -> Lines:
    data = path.read_bytes()
    if len(data) % contract.DESC_BYTES:
        raise DutError(f"{path.name} holds {len(data)} bytes, which are no whole lines")
    lines: Lines = np.frombuffer(data, DESC_DTYPE)
    return lines
