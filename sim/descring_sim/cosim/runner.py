# SPDX-License-Identifier: Apache-2.0
"""Building a top module, running cocotb cases on it, and judging the results.

:func:`run` is the one way into a simulator: pytest's fixture ``cosim`` and ``descring replay`` both
use it. A failing run is repeated by :func:`rerun_with_waves`: the first failing case alone, with
the same seed, and with waves of the last cycles before the failure.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from descring_sim.cosim import build as builds
from descring_sim.cosim import results, simulators
from descring_sim.cosim import testcases as case_names
from descring_sim.cosim.results import CaseResult, Outcome
from descring_sim.cosim.simulators import Simulator
from descring_sim.support import build_cache, paths, plain_paths, processes
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import FileError
from descring_sim.support.seeds import new_seed
from descring_sim.waves import views, window

DEFAULT_CONFIG = "default"
"""Name of the configuration of a block that has only one."""

DEFAULT_TIMEOUT_S = 600.0
"""Wall-clock limit of one simulator run."""

WAVE_CYCLES = 1000
"""Cycles before a failure that the waves of its repetition show, unless told otherwise."""

TIERS = ("quick", "full")
"""How much of each case is done; ``descring_vip.tier`` states what quick leaves out."""

DEFAULT_TIER = "full"
"""What runs unless the quick tier is asked for."""

TIER_VARIABLE = "DESCRING_TIER"
"""Environment variable that names the tier inside the simulator."""

EVERY_VARIABLE = "DESCRING_EVERY"
"""Environment variable that makes every combination of a case exist in the quick tier too."""


@dataclass(frozen=True)
class RunResult:
    """A finished simulator run; ``ok`` tells whether it may count as good."""

    simulator: str
    version: str
    top: str
    module: str
    config: str
    seed: int
    tier: str
    outcome: Outcome
    log: Path
    waves: Path | None
    waves_from_ns: float
    built: bool
    wall_s: float

    @property
    def ok(self) -> bool:
        """Whether cases ran, all passed, and each of them compared something."""
        return not self.outcome.problems and self.outcome.first_failed is None

    @property
    def matched(self) -> int:
        """Lines compared and found equal."""
        return self.outcome.matched

    def rerun_line(self, case: CaseResult | None) -> str:
        """Return the command that repeats ``case``, or the whole run for None."""
        test = case_names.block_of(self.module) if case is None else case.label
        return rerun_line(self.simulator, test, self.config, self.seed, tier=self.tier)

    def summary(self) -> dict[str, Any]:
        """Return what the closing lines need, as plain values."""
        return {
            "simulator": self.simulator,
            "version": self.version,
            "cases": self.outcome.executed,
            "failed": sum(case.status == "failed" for case in self.outcome.cases),
            "skipped": sum(case.status == "skipped" for case in self.outcome.cases),
            "matched": self.matched,
            "waves": str(self.waves) if self.waves else None,
        }

    def failure_text(self, rerun: RunResult | None = None) -> str:
        """Report what failed, the seed, how to repeat it, and where log and waves are.

        Args:
            rerun: the repetition of the first failing case with waves on.
        """
        failed = [case for case in self.outcome.cases if case.status == "failed"]
        where = f"{self.simulator} {self.version}, {self.module}, configuration {self.config}"
        count = f"{len(failed)} of {self.outcome.executed} cases failed" if failed else "failed"
        lines = [f"{where}: {count}"]
        lines += [f"  {problem}" for problem in self.outcome.problems]
        for case in failed[:3]:
            lines.append(f"  {case.label}:")
            lines += [f"    {line}" for line in essence(case.message)]
        if len(failed) > 3:
            lines.append(f"  and {len(failed) - 3} more, all in the log")
        if self.outcome.problems or any(not case.message for case in failed[:3]):
            lines += ["  the log ends with:", processes.log_tail(self.log)]
        lines.append(f"  seed:  {self.seed}")
        lines.append(f"  rerun: {self.rerun_line(self.outcome.first_failed)}")
        lines.append(f"  log:   {self.log}")
        lines += (rerun or self)._wave_lines()
        if rerun is not None and rerun.ok:
            lines.append(
                "  note: the case passes when it runs alone; it depends on those before it"
            )
        return "\n".join(lines)

    def _wave_lines(self) -> list[str]:
        """Where the waves are, what of the run they show, and what opens them."""
        if self.waves is None:
            return []
        lines = [f"  waves: {self.waves}"]
        if self.waves_from_ns:
            lines.append(f"         from {self.waves_from_ns:.0f} ns on; WAVES=1 records all of it")
        surfer, gtkwave = views.commands(self.waves)
        return [*lines, f"  open:  {surfer}", f"  or:    {gtkwave}"]


def rerun_line(
    simulator: str, test: str, config: str, seed: int, *, tier: str = DEFAULT_TIER
) -> str:
    """Return the command that repeats the cases ``test`` of a configuration with a seed."""
    return (
        f"make sim {'FULL=1 ' * (tier == 'full')}SIM={simulator} TEST={shlex.quote(test)} "
        f"CONFIG={shlex.quote(config)} SEED={seed}"
    )


def essence(message: str) -> list[str]:
    """Return the lines of an exception's text that people need: all of a short one, else its end.

    cocotb gives the whole traceback; its frames are in the log.
    """
    lines = [line.rstrip() for line in message.splitlines() if line.strip()]
    last_frame = max(
        (i for i, line in enumerate(lines) if re.match(r'\s+File ".*", line \d+', line)), default=-1
    )
    return lines[last_frame + 1 :][:20] if last_frame >= 0 else lines[:20]


def _run_dir(
    root: Path, simulator: str, module: str, config: str, rtl_dir: Path, waves: bool
) -> Path:
    name = re.sub(r"[^\w.+-]+", "_", f"{module}-{config}")
    if rtl_dir != _default_rtl_dir():
        name += f"-{hashlib.sha256(str(rtl_dir).encode()).hexdigest()[:8]}"
    return root / "runs" / simulator / (name + "-waves" * waves)


def _default_rtl_dir() -> Path | None:
    with contextlib.suppress(FileNotFoundError):
        return paths.rtl_dir().resolve()
    return None


def run(
    *,
    simulator: str,
    top: str,
    cases: str | Sequence[str],
    parameters: builds.Parameters | None = None,
    config: str = DEFAULT_CONFIG,
    seed: int | None = None,
    case: str | None = None,
    tier: str = DEFAULT_TIER,
    waves: bool = False,
    waves_from_ns: float = 0.0,
    rtl_dir: Path | None = None,
    tests_dir: Path | None = None,
    build_root: Path | None = None,
    run_dir: Path | None = None,
    extra_env: Mapping[str, str] | None = None,
    plusargs: Sequence[str] = (),
    timeout_s: float = DEFAULT_TIMEOUT_S,
    coverage: bool = False,
) -> RunResult:
    """Build ``top``, run cocotb modules on it in one process, and judge the outcome.

    Args:
        simulator: ``icarus`` or ``verilator``.
        top: the module under test.
        cases: dotted names of cocotb modules of one block below ``tests_dir``, or of one module.
        parameters: parameters of ``top``.
        config: the name that the user knows these parameters by.
        seed: base seed of everything random in the run; random when None.
        case: regular expression as in :class:`descring_sim.cosim.testcases.Selection`; all cases
            when None.
        tier: ``quick`` or ``full``; a case that is asked for by its parameters exists in both.
        waves: write waves (FST).
        waves_from_ns: simulated time at which they begin.
        rtl_dir: other sources than the project's own.
        tests_dir: folder on the path inside the simulator, the project's own when None.
        build_root: where builds, logs and waves go; ``build/sim`` when None.
        run_dir: where this run's files go; a folder below ``build_root`` when None.
        extra_env: more environment variables for the simulator.
        plusargs: more of them for the simulator.
        timeout_s: wall-clock limit, after which the simulator is killed.
        coverage: count coverage, into ``coverage.dat`` in the run's folder (Verilator only).

    Returns:
        The result, good or bad: a failing case is no exception.

    Raises:
        SimulationError: nothing could be run: simulator missing, sources refused, no such case.
    """
    found = simulators.find(simulator)
    seed = new_seed() if seed is None else seed
    rtl_dir = (rtl_dir or paths.rtl_dir()).resolve()
    tests_dir = (tests_dir or paths.cocotb_tests_dir()).resolve()
    build_root = (build_root or paths.build_dir() / "sim").resolve()
    modules = [cases] if isinstance(cases, str) else list(cases)
    module = modules[0] if len(modules) == 1 else case_names.block_of(modules[0])
    run_dir = run_dir or _run_dir(build_root, simulator, module, config, rtl_dir, waves)
    known = case_names.of_modules(modules, tests_dir)
    modules, test_filter = case_names.selected(case, known)

    started = time.monotonic()
    product = builds.build(
        found,
        top=top,
        parameters=parameters or {},
        rtl_dir=rtl_dir,
        build_root=build_root,
        waves=waves,
        coverage=coverage,
    )
    wave_file = run_dir / "waves.fst" if waves else None
    with build_cache.locked(run_dir.with_name(run_dir.name + ".lock")):
        run_dir.mkdir(parents=True, exist_ok=True)
        files = {name: run_dir / name for name in ("results.xml", "report.jsonl", "sim.log")}
        for file in (*files.values(), run_dir / "waves.fst", run_dir / "coverage.dat"):
            file.unlink(missing_ok=True)
        code = builds.run_child(
            specification(
                found,
                product,
                top=top,
                cases=modules,
                test_filter=test_filter,
                seed=seed,
                run_dir=run_dir,
                waves=wave_file,
                waves_from_ns=waves_from_ns,
                plusargs=plusargs,
            ),
            file=run_dir / "run.json",
            log=files["sim.log"],
            timeout_s=timeout_s,
            env=environment(run_dir, tests_dir)
            | tier_environment(tier, case)
            | dict(extra_env or {}),
        )
        outcome = judge(code, run_dir, timeout_s)
        if wave_file is not None and wave_file.is_file():
            # What a killed simulator leaves behind is no whole file, and the disk may be full.
            with contextlib.suppress(SimulationError, FileError):
                views.save(wave_file, rtl_dir)
    return RunResult(
        simulator=simulator,
        version=found.version,
        top=top,
        module=module,
        config=config,
        seed=seed,
        tier=tier,
        outcome=outcome,
        log=files["sim.log"],
        waves=wave_file if wave_file is not None and wave_file.is_file() else None,
        waves_from_ns=waves_from_ns,
        built=product.fresh,
        wall_s=time.monotonic() - started,
    )


def specification(
    simulator: Simulator,
    product: builds.Build,
    *,
    top: str,
    cases: str | Sequence[str],
    test_filter: str | None,
    seed: int,
    run_dir: Path,
    waves: Path | None,
    waves_from_ns: float = 0.0,
    plusargs: Sequence[str] = (),
) -> dict[str, object]:
    """Return what :mod:`descring_sim.cosim.child` is told of a run in ``run_dir``."""
    wave_args, wave_plusargs = simulator.wave_options(waves, waves_from_ns) if waves else ([], [])
    return {
        "simulator": simulator.name,
        "action": "test",
        "arguments": {
            "test_module": cases,
            "hdl_toplevel": top,
            "hdl_toplevel_lang": "verilog",
            "test_filter": test_filter,
            "seed": seed,
            "test_args": wave_args,
            "plusargs": [*simulator.plusargs(seed), *wave_plusargs, *plusargs],
            "waves": waves is not None,
            "build_dir": str(product.directory),
            "test_dir": str(run_dir),
            "results_xml": str(run_dir / "results.xml"),
        },
    }


def environment(run_dir: Path, tests_dir: Path) -> dict[str, str]:
    """Return the environment of a run in ``run_dir``."""
    return simulators.environment() | {
        "PYTHONPATH": str(plain_paths.plain(tests_dir)),
        results.REPORT_VARIABLE: str(run_dir / "report.jsonl"),
    }


def tier_environment(tier: str, case: str | None) -> dict[str, str]:
    """Return what tells cases their tier; one asked for by its parameters exists in both."""
    return {TIER_VARIABLE: tier, EVERY_VARIABLE: "1" * ("/" in (case or ""))}


def judge(code: int | None, run_dir: Path, timeout_s: float) -> Outcome:
    """Return the outcome of the run in ``run_dir`` that ended with ``code``, None if killed."""
    if code is None:
        log = (run_dir / "sim.log").read_text("utf-8")
        running = re.findall(r"running (\S+) \(\d+/\d+\)", log)
        case = f" in {running[-1]}" if running else ""
        return Outcome(problems=(f"killed{case}: no end after {timeout_s:.0f} s of wall-clock",))
    outcome = results.evaluate(run_dir / "results.xml", run_dir / "report.jsonl")
    if code != 0 and not outcome.problems and outcome.first_failed is None:
        problem = f"every case passed, but the simulator ended with exit code {code}"
        return replace(outcome, problems=(problem,))
    return outcome


def rerun_with_waves(result: RunResult, *, last: int, **arguments: Any) -> RunResult | None:
    """Repeat the first failing case of ``result`` alone, with its seed, recording its last cycles.

    Args:
        result: a failed run.
        last: how many cycles before the failure the waves show.
        arguments: the arguments that :func:`run` was given.

    Returns:
        The repetition, or None when no single case failed (a crash, a hang, no case at all).
    """
    failed = result.outcome.first_failed
    if failed is None:
        return None
    arguments |= {"seed": result.seed, "case": failed.label, "waves": True, "run_dir": None}
    for _ in range(2):
        start_ns = max(0.0, math.ceil(failed.sim_ns - last * window.CYCLE_NS))
        again = run(**arguments, waves_from_ns=start_ns)
        # A case that depends on those before it takes another time alone, which is known only now.
        actual = again.outcome.cases[0] if len(again.outcome.cases) == 1 else failed
        if abs(actual.sim_ns - failed.sim_ns) < 1:
            break
        failed = actual
    return again
