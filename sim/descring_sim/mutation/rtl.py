# SPDX-License-Identifier: Apache-2.0
"""Mutants of the RTL: the testbenches must kill each.

``descring dev mutants`` applies each mutant of ``sim/mutants`` to a copy of the RTL and runs, on
Icarus, the runs that the mutant names and then :data:`LAST_RUNS`, until a case fails. With ``--tier
quick`` it runs instead what the quick tier has on Icarus of the same blocks, and so names which
mutants ``make sim`` kills. A case counts only if it passes on the RTL as it is. What does not
build, or does not end, is no mutant: it shows nothing about the testbenches.

Exit codes: 0 all killed, 1 a survivor or an invalid mutant, 2 an error in what was asked for.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from descring_sim.cosim import block as blocks
from descring_sim.cosim import runner
from descring_sim.cosim.block import Suite
from descring_sim.cosim.runner import RunResult
from descring_sim.mutation import session
from descring_sim.mutation.session import CopyRunner, Finding, Once, nothing_found
from descring_sim.support import paths
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError
from descring_sim.support.mutant import Mutant, MutantError, Run

LAST_RUNS = (Run("rl_runtime_top", "small"), Run("rl_runtime_mmio", "small"))
"""What every mutant meets at last: the core and the whole device."""

FEWEST = 30
"""Fewer mutants than this prove little about the testbenches."""

SEED = 1
SIMULATOR = "icarus"
"""Icarus keeps X, so that a missing gate or reset shows."""

TIMEOUT_S = 300.0

_FATAL = re.compile(r"^FATAL: .*?\b(\w+_A: .*)$", re.MULTILINE)
_RUNNING = re.compile(r"\brunning (\S+) \(\d+/\d+\)")


@dataclass(frozen=True)
class Job:
    """One run of the simulator: the cases of a suite that ``case`` selects, None for all."""

    suite: Suite
    case: str | None
    tier: str = runner.DEFAULT_TIER

    def run(self, *, seed: int, rtl_dir: Path | None, build_root: Path | None) -> RunResult:
        """Run it on other sources than the project's own, or on these for None."""
        own = {"simulator": SIMULATOR, "seed": seed, "case": self.case, "tier": self.tier}
        own |= {"build_root": build_root, "timeout_s": TIMEOUT_S}
        return runner.run(**self.suite.arguments(rtl_dir) | own)


def jobs_of(run: Run) -> list[Job]:
    """The simulator runs of ``run``: the suites of its block.

    Raises:
        MutantError: there is no such block, configuration or case.
    """
    tests_dir = paths.cocotb_tests_dir()
    try:
        suites = blocks.suites_of(tests_dir, run.block)
        chosen = blocks.select(suites, tests_dir, case=run.case, config=run.config)
    except SimulationError as error:
        raise MutantError(f"{run}: {error}") from error
    return [Job(suite, run.case) for suite in chosen]


def quick_jobs_of(block: str) -> list[Job]:
    """The simulator runs that the quick tier has of ``block``."""
    suites = blocks.suites_of(paths.cocotb_tests_dir(), block, quick_on=SIMULATOR)
    return [Job(suite, None, "quick") for suite in suites]


@dataclass
class MutantRunner(CopyRunner):
    """Runs mutants, and the unchanged RTL as the measure of what a failing case means.

    Attributes:
        seed: base seed of every run.
        rtl_dir: the sources to break.
        root: folder of copies and builds.
        last_runs: runs behind those that a mutant names.
        tier: ``full`` for the runs that a mutant names, ``quick`` for those that the quick tier has
            of the same blocks.
    """

    seed: int = SEED
    rtl_dir: Path = field(default_factory=paths.rtl_dir)
    root: Path = field(default_factory=lambda: paths.build_dir() / "mutants")
    last_runs: Sequence[Run] = LAST_RUNS
    tier: str = runner.DEFAULT_TIER
    _sound: Once[Job, str] = field(default_factory=Once)

    def sources(self) -> dict[str, Path]:
        """Return the RTL."""
        return {"rtl": self.rtl_dir}

    def clean(self, home: Path) -> None:
        """Remove the builds; sources, logs and waves stay."""
        shutil.rmtree(home / SIMULATOR, ignore_errors=True)

    def judge(self, mutant: Mutant, home: Path, source: Path) -> Finding:
        """Run the mutant's jobs until a case fails."""
        del source
        for job in self._jobs(mutant):
            result = job.run(seed=self.seed, rtl_dir=home / "rtl", build_root=home)
            if not result.ok:
                return self._finding(job, result)
        return nothing_found(mutant)

    def _jobs(self, mutant: Mutant) -> Iterator[Job]:
        runs = dict.fromkeys((*mutant.runs, *self.last_runs))
        if self.tier == "quick":
            for block in dict.fromkeys(run.block for run in runs):
                yield from quick_jobs_of(block)
        else:
            for run in runs:
                yield from jobs_of(run)

    def _finding(self, job: Job, result: RunResult) -> Finding:
        failed = result.outcome.first_failed
        log = result.log.read_text("utf-8", "replace")
        by = assertion_in(log) if failed is None else f"{failed.label}: {_why(failed.message, log)}"
        if by is None:
            return Finding("invalid", f"{job.suite.cases}: {'; '.join(result.outcome.problems)}")
        problem = self._sound.get(job, lambda: self._problem_of(job))
        if problem:
            raise MutantError(f"{job.suite.cases} fails on the unchanged RTL too: {problem}")
        return Finding("killed", f"{by} ({job.suite.config})")

    def _problem_of(self, job: Job) -> str:
        """Why the job fails on the unchanged sources, empty if it does not."""
        result = job.run(seed=self.seed, rtl_dir=self.rtl_dir, build_root=self.root / "unchanged")
        return "" if result.ok else result.failure_text()


def assertion_in(log: str) -> str | None:
    """The assertion of the RTL that ended the simulation, with the case it ended, from the log.

    Without results this is how a case has failed; anything else that leaves none is no failure of
    a case.
    """
    fatal = _FATAL.search(log)
    running = _RUNNING.findall(log[: fatal.start()]) if fatal else []
    if fatal is None or not running:
        return None
    block, _, case = running[-1].partition(".")
    return f"{block}.{case.partition('.')[2]}: {fatal.group(1)}"


def _why(message: str, log: str) -> str:
    """The reason of a failure in one line: the RTL's own assertion, or the exception's text."""
    fatal = _FATAL.search(log)
    if fatal and "ended prematurely" in message:
        return fatal.group(1)
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Failure)\b", line)]
    text = raised[-1] if raised else (lines or ["failed"])[0]
    return re.sub(r"^[\w.]*AssertionError: ", "", text)[:160]


@session.options("mutants.md")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=SEED, show_default=True)
@click.option(
    "--tier", type=click.Choice(runner.TIERS), default=runner.DEFAULT_TIER, show_default=True
)
@click.option("--resume", is_flag=True, help="Try nothing whose verdict is known; note the others.")
def main(
    jobs: int,
    only: tuple[str, ...],
    seed: int,
    tier: str,
    list_only: bool,
    write: bool,
    resume: bool,
) -> None:
    """Break the RTL in many small ways; every break must be killed."""
    quick = tier == "quick"
    session.campaign(
        "",
        only,
        lambda: MutantRunner(seed=seed, tier=tier),
        session.Page(
            "mutants-quick.md" if quick else "mutants.md",
            "# Mutants and the quick tier" if quick else "# Mutants",
            f"`descring dev mutants --tier quick`, Icarus Verilog, seed {seed}"
            if quick
            else f"`make mutants`, Icarus Verilog, seed {seed}",
            "Each is a small fault injected in a copy of the RTL. It counts as killed when a "
            "case fails that passes on the RTL as it is; runs end with the first case that fails.",
            ("rtl", "cocotb_tests", "pymodel", "sim/mutants", "sim/descring_sim"),
        ),
        jobs=jobs,
        fewest=FEWEST,
        list_only=list_only,
        write=write,
        resume=paths.build_dir() / "mutants" / f"verdicts-{tier}-{seed}.jsonl" if resume else None,
    )


if __name__ == "__main__":
    run_module("descring_sim.mutation.rtl", main)
