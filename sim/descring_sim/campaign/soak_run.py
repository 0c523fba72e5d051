# SPDX-License-Identifier: Apache-2.0
"""Runs suites with many seeds: several seeds in one simulation, several simulations at a time."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from descring_sim.campaign.soak_journal import Failure, Record
from descring_sim.cosim import build as builds
from descring_sim.cosim import results, runner
from descring_sim.cosim.block import Suite, cases_of
from descring_sim.cosim.results import FATAL
from descring_sim.cosim.simulators import Simulator
from descring_sim.cosim.testcases import Selection
from descring_sim.support import processes
from descring_sim.support.errors import SimulationError

BATCH_S = 30.0
"""Wall-clock time that one simulation should take: what a kill costs."""

MOST_SEEDS = 64
"""Of one simulation."""

_BATCH_MODULE = "descring_vip.seed_batch"
_BATCH_ENV = "DESCRING_SEED_BATCH"
_ENDED_EARLY = "the simulation ended prematurely"
"""In the text of every case that had not ended when the simulator did."""


@dataclass
class Work:
    """What is left to do of one suite on one simulator."""

    simulator: Simulator
    suite: Suite
    digest: str
    pending: list[int]
    goal: int
    """How many seeds there are, those done before included."""
    seed_s: float | None = None
    """What a seed took the last time."""

    def take(self) -> tuple[int, ...]:
        """Return the seeds of the next simulation; they are no longer pending."""
        count = 1 if self.seed_s is None else int(BATCH_S / max(self.seed_s, 0.01))
        count = max(1, min(count, MOST_SEEDS))
        seeds, self.pending = tuple(self.pending[:count]), self.pending[count:]
        return seeds


class _Ended(NamedTuple):
    outcome: results.Outcome
    log: Path


@dataclass
class Engine:
    """Builds suites once and runs them with seeds.

    Attributes:
        tests_dir: folder on the path inside the simulator.
        rtl_dir: the sources, but for suites with sources of their own.
        build_root: where builds go.
        folder: where logs of failing runs go.
        case: selects cases as ``--case`` does; all for None.
        tier: how much of each case is done, ``quick`` or ``full``.
    """

    tests_dir: Path
    rtl_dir: Path
    build_root: Path
    folder: Path
    case: str | None = None
    tier: str = "full"
    _confirmed: set[tuple[str, str, str]] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def run_seeds(self, work: Work, seeds: Sequence[int]) -> Record:
        """Run one suite with ``seeds`` and return what became of it.

        Raises:
            SimulationError: it could not be built.
        """
        started = time.monotonic()
        ended = self._simulate(work, seeds)
        lost = ended.outcome.problems or any(
            _ENDED_EARLY in case.message for case in ended.outcome.cases
        )
        parts = [(tuple(seeds), ended)]
        if lost and len(seeds) > 1:
            # A simulator that ends early takes the seeds behind the failing one with it.
            parts = [((seed,), self._simulate(work, [seed])) for seed in seeds]
        failures: list[Failure] = []
        for some, part in parts:
            failures += self._failures(work, some, part)
        return Record(
            simulator=work.simulator.name,
            suite=work.suite.name,
            digest=work.digest,
            seeds=tuple(seeds),
            cases=sum(part.outcome.executed for _, part in parts),
            matched=sum(part.outcome.matched for _, part in parts),
            wall_s=time.monotonic() - started,
            failures=tuple(failures),
        )

    def _simulate(self, work: Work, seeds: Sequence[int]) -> _Ended:
        suite = work.suite
        product = builds.build(
            work.simulator,
            top=suite.of.top,
            parameters=suite.parameters,
            rtl_dir=suite.of.rtl_dir or self.rtl_dir,
            build_root=self.build_root,
            waves=False,
        )
        name = re.sub(r"[^\w.+-]+", "_", suite.name)
        run_dir = self.folder / "runs" / work.simulator.name / f"{name}-{seeds[0]}"
        shutil.rmtree(run_dir, ignore_errors=True)
        run_dir.mkdir(parents=True)
        batch = {"module": suite.cases, "filter": self._filter(suite), "seeds": list(seeds)}
        log = run_dir / "sim.log"
        code = builds.run_child(
            runner.specification(
                work.simulator,
                product,
                top=suite.of.top,
                cases=_BATCH_MODULE,
                test_filter=None,
                seed=seeds[0],
                run_dir=run_dir,
                waves=None,
            ),
            file=run_dir / "run.json",
            log=log,
            timeout_s=suite.of.timeout_s,
            env=runner.environment(run_dir, self.tests_dir)
            | runner.tier_environment(self.tier, self.case)
            | dict(suite.of.extra_env)
            | {_BATCH_ENV: json.dumps(batch)},
        )
        outcome = runner.judge(code, run_dir, suite.of.timeout_s)
        if not outcome.problems and outcome.first_failed is None:
            shutil.rmtree(run_dir)
        return _Ended(outcome, log)

    def _rerun(self, work: Work, test: str, seed: int) -> str:
        return runner.rerun_line(work.simulator.name, test, work.suite.config, seed, tier=self.tier)

    def _filter(self, suite: Suite) -> str | None:
        if self.case is None:
            return None
        return Selection(self.case).cocotb_filter(suite.cases, cases_of(suite, self.tests_dir))

    def _failures(self, work: Work, seeds: tuple[int, ...], ended: _Ended) -> list[Failure]:
        failures = []
        for problem in ended.outcome.problems:
            line = self._rerun(work, work.suite.block, seeds[0])
            text = f"{problem}\n{processes.log_tail(ended.log)}"
            failures.append(Failure(seeds[0], "", text, line, str(ended.log)))
        for case in ended.outcome.cases:
            if case.status != "failed":
                continue
            label, _, seed = case.label.rpartition("@")
            line = self._rerun(work, label, int(seed))
            text = "\n".join(runner.essence(case.message))
            if _ENDED_EARLY in case.message:
                fatal = FATAL.search(ended.log.read_text("utf-8", "replace"))
                text += f"\n{fatal.group().strip() if fatal else processes.log_tail(ended.log)}"
            text += self._alone(work, label, int(seed))
            failures.append(Failure(int(seed), label, text, line, str(ended.log)))
            if _ENDED_EARLY in case.message:
                break  # The cases behind it have not run.
        return failures

    def _alone(self, work: Work, label: str, seed: int) -> str:
        """Repeat the first failure of a case by itself; what to add to its text."""
        key = (work.simulator.name, work.suite.name, label)
        with self._guard:
            if key in self._confirmed:
                return ""
            self._confirmed.add(key)
        arguments = work.suite.arguments(self.rtl_dir) | {
            "simulator": work.simulator.name,
            "seed": seed,
            "case": label,
            "tier": self.tier,
            "tests_dir": self.tests_dir,
            "build_root": self.build_root,
            "run_dir": self.folder / "runs" / work.simulator.name / f"alone-{seed}",
        }
        try:
            again = runner.run(**arguments)
        except SimulationError as error:
            return f"\nit could not be repeated alone: {error}"
        return "\nit passes alone: it depends on what ran before it" if again.ok else ""


def run(
    engine: Engine,
    work: list[Work],
    jobs: int,
    done: Callable[[Record], None],
) -> None:
    """Run everything that is pending, ``jobs`` simulations at a time.

    Suites advance alike, so that a soak that is ended early has run every block.

    Args:
        engine: runs a batch of seeds.
        work: what is to be done; its seeds are used up.
        jobs: simulations at a time.
        done: is told of every record, in this thread.

    Raises:
        SimulationError: a suite could not be built; what was running is still recorded.
    """
    running: dict[Future[Record], Work] = {}
    error: SimulationError | None = None
    with ThreadPoolExecutor(jobs) as pool:
        while True:
            idle = [item for item in work if item.pending and item not in running.values()]
            # Shared out while there is nothing else to do than what is running.
            idle = idle or [item for item in work if item.pending]
            while error is None and idle and len(running) < jobs:
                item = max(idle, key=lambda item: len(item.pending) / item.goal)
                running[pool.submit(engine.run_seeds, item, item.take())] = item
                idle = [item for item in idle if item.pending and item not in running.values()]
            if not running:
                break
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                item = running.pop(future)
                try:
                    record = future.result()
                except SimulationError as problem:
                    error = problem
                    continue
                item.seed_s = record.wall_s / len(record.seeds)
                done(record)
    if error is not None:
        raise error
