# SPDX-License-Identifier: Apache-2.0
"""Runs the testbenches of all blocks with many fresh seeds, on each simulator.

``descring dev soak``, or ``make soak``. The seeds are consecutive, from a first
one that is drawn or given. What is done is kept: the same command continues a soak that was ended,
and runs again only the suites whose inputs have changed since. A failing case goes to
``cocotb_tests/regressions.toml``, so that every later run has it.

Exit codes: 0 nothing failed, 1 a case failed, 2 an error, or ended before the end.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import click
from descring_model.program import DescringError

from descring_sim.campaign import soak_run
from descring_sim.campaign.soak_inputs import digest
from descring_sim.campaign.soak_journal import Failure, Journal, Record, Session
from descring_sim.campaign.soak_run import Engine, Work
from descring_sim.cosim import block as blocks
from descring_sim.cosim import runner, simulators
from descring_sim.cosim.block import Suite
from descring_sim.cosim.simulators import Simulator
from descring_sim.support import paths, progress, provenance
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files
from descring_sim.support.markdown import table
from descring_sim.support.seeds import new_seed

DEFAULT_SEEDS = 10
_SAY_EVERY_S = 60.0
_LISTED = 5
"""Seeds that are listed of a failing case."""


@dataclass(frozen=True)
class Options:
    """What a soak is asked for."""

    simulator: str
    tier: str
    case: str | None
    config: str | None
    seeds: int
    first: int | None
    jobs: int
    folder: Path
    rotate: bool = False

    @property
    def session(self) -> str:
        """The name under which the seeds of this selection are kept."""
        chosen = [self.simulator, self.tier, self.case, self.config, self.seeds]
        return json.dumps(chosen + ["rotate"] * self.rotate)


class Soak:
    """A soak: what is to be done, what is done, and the report."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.journal = Journal(options.folder)
        chosen = options.simulator
        names = simulators.SIMULATORS if chosen == "all" else (chosen,)
        self.simulators = [simulators.find(name) for name in names]
        self.tests_dir, self.rtl_dir = paths.cocotb_tests_dir(), paths.rtl_dir()
        suites = blocks.suites_of(self.tests_dir)
        self.suites = blocks.select(
            suites, self.tests_dir, case=options.case, config=options.config
        )
        self.engine = Engine(
            tests_dir=self.tests_dir,
            rtl_dir=self.rtl_dir,
            build_root=paths.build_dir() / "sim",
            folder=options.folder,
            case=options.case,
            tier=options.tier,
        )
        self.session, self.note = self._session()
        self.seeds = range(self.session.first, self.session.first + self.session.seeds)
        self.records: list[Record] = []
        self.work = list(self._work())

    def _session(self) -> tuple[Session, str]:
        options = self.options
        kept = self.journal.session(options.session)
        if options.first is not None:
            return Session(options.first, options.seeds), "given"
        if kept is not None and not kept.finished:
            return kept, "of the soak that was ended"
        # Consecutive seeds must stay below what simulators take.
        first = new_seed() % (2**31 - 1 - options.seeds) + 1
        return Session(first, options.seeds), "drawn"

    def _seeds_of(self, suite: Suite) -> list[int]:
        """Return the seeds that ``suite`` runs with: all, or those whose turn its configuration is.

        The turn follows from the seed alone, so that results of a longer soak count in this one.
        """
        if not self.options.rotate:
            return list(self.seeds)
        configs = [other.config for other in self.suites if other.cases == suite.cases]
        turn = configs.index(suite.config)
        return [seed for seed in self.seeds if seed % len(configs) == turn]

    def _work(self) -> Iterator[Work]:
        known: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for record in self.journal.records():
            known[record.simulator, record.suite].append(record)
        stale = 0
        for simulator in self.simulators:
            for suite in self.suites:
                now = self._digest(suite, simulator)
                seeds = self._seeds_of(suite)
                done: set[int] = set()
                seed_s = None
                for record in known[simulator.name, suite.name]:
                    mine = set(record.seeds) & set(seeds)
                    if record.digest != now:
                        stale += bool(
                            mine and record.digest.partition("/")[2] == now.partition("/")[2]
                        )
                    elif mine and mine == set(record.seeds):
                        self.records.append(record)
                        done |= mine
                        seed_s = record.wall_s / len(record.seeds)
                pending = [seed for seed in seeds if seed not in done]
                yield Work(simulator, suite, now, pending, len(seeds), seed_s)
        if stale:
            self.note += f"; {stale} results are of other sources, and their suites run again"

    def _digest(self, suite: Suite, simulator: Simulator) -> str:
        selected = f"/{self.options.tier}/{self.options.case or ''}"
        return digest(suite, simulator, self.tests_dir, self.rtl_dir) + selected

    def _must_be_current(self, record: Record) -> None:
        """Refuse a result of sources that were edited while it was made."""
        simulator = next(one for one in self.simulators if one.name == record.simulator)
        suite = next(one for one in self.suites if one.name == record.suite)
        if self._digest(suite, simulator) != record.digest:
            raise SimulationError(
                f"the sources of {record.suite} were edited while it ran; run the soak again, "
                "which keeps the results of all other suites"
            )

    @property
    def done(self) -> int:
        """Suites that have run, counted with each seed."""
        return sum(len(record.seeds) for record in self.records)

    @property
    def total(self) -> int:
        """Suites to run, counted with each seed."""
        return len(self.simulators) * sum(len(self._seeds_of(suite)) for suite in self.suites)

    @property
    def failures(self) -> list[tuple[Record, Failure]]:
        """Every failure, with the record that it is in."""
        return [(record, failure) for record in self.records for failure in record.failures]

    def run(self) -> None:
        """Run what is pending, with progress on standard error."""
        self.journal.keep_session(self.options.session, self.session)
        began, said = time.monotonic(), time.monotonic()
        with progress.progress_bar() as bar:
            task = bar.add_task("soak", total=self.total, completed=self.done)

            def note(record: Record) -> None:
                nonlocal said
                self._must_be_current(record)
                self.journal.add(record)
                self.records.append(record)
                for failure in record.failures:
                    bar.console.print(
                        f"FAILED: {failure.rerun}", markup=False, highlight=False, soft_wrap=True
                    )
                bar.update(task, completed=self.done)
                if bar.console.is_terminal or time.monotonic() - said < _SAY_EVERY_S:
                    return
                said = time.monotonic()
                minutes = (said - began) / 60
                click.echo(
                    f"soak: {self.done} of {self.total} runs, {len(self.failures)} failures, "
                    f"{minutes:.0f} min",
                    err=True,
                )

            soak_run.run(self.engine, self.work, self.options.jobs, note)
        if self.done == self.total:
            self.session = replace(self.session, finished=True)
            self.journal.keep_session(self.options.session, self.session)

    # ------------------------------------------------------------------ the report

    def _row(self, simulator: Simulator) -> list[str]:
        mine = [record for record in self.records if record.simulator == simulator.name]
        due = Counter(seed for suite in self.suites for seed in self._seeds_of(suite))
        run = Counter(seed for record in mine for seed in record.seeds)
        whole = [seed for seed in self.seeds if due[seed] and run[seed] == due[seed]]
        failed = sum(len(record.failures) for record in mine)
        return [
            f"{simulator.name} {simulator.version}",
            f"{len(whole)}",
            f"{whole[0]} to {whole[-1]}" if whole else "",
            f"{len(self.suites)}",
            f"{sum(record.cases for record in mine):,}",
            f"{sum(record.matched for record in mine):,}",
            f"{failed}",
            f"{sum(record.wall_s for record in mine) / 60:.0f}",
        ]

    def overview(self) -> str:
        """Return the table of the simulators."""
        head = ("simulator", "seeds", "from, to", "suites", "case runs", "matched", "failed", "min")
        return table(head, (self._row(simulator) for simulator in self.simulators))

    def failing(self) -> Iterator[str]:
        """Yield a paragraph for each case that failed, with what reruns it."""
        grouped: dict[tuple[str, str, str], list[Failure]] = defaultdict(list)
        for record, failure in self.failures:
            grouped[record.simulator, record.suite, failure.case].append(failure)
        for (simulator, suite, case), found in grouped.items():
            seeds = [failure.seed for failure in found]
            listed = ", ".join(map(str, seeds[:_LISTED])) + ", ..." * (len(seeds) > _LISTED)
            text = "\n".join(f"    {line}" for line in found[0].text.splitlines())
            yield (
                f"{simulator}, {suite}, {case or 'the whole run'}: "
                f"failed with {len(seeds)} of {len(self.seeds)} seeds ({listed})\n{text}\n"
                f"    rerun: {found[0].rerun}\n    log:   {found[0].log}\n"
            )

    def report(self) -> str:
        """Return the report as Markdown."""
        state = "complete" if self.done == self.total else f"{self.done} of {self.total} runs done"
        failed = len(self.failures)
        verdict = f"{failed} failures" if failed else "no failure"
        origin = f"{provenance.machine()}, {provenance.today()}"
        if paths.checkout_root() is not None:
            origin += f", commit {provenance.commit('rtl', 'cocotb_tests', 'pymodel', 'sim')}"
        text = f"# Soak\n\n{verdict}, {state}.\n\n{self.overview()}{origin}\n"
        failing = "\n".join(f"```\n{paragraph}```\n" for paragraph in self.failing())
        text += f"\nLength of each case: {self.options.tier} tier.\n"
        if self.options.rotate:
            text += "Each seed runs every module of cases in one of its configurations, in turn.\n"
        return text + (f"\n## Failures\n\n{failing}" if failing else "")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--sim", type=click.Choice(["all", *simulators.SIMULATORS]), default="all")
@click.option("--seeds", type=click.IntRange(1, 10**6), default=DEFAULT_SEEDS, show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="The first seed; default: drawn.")
@click.option("--tier", type=click.Choice(runner.TIERS), default="quick", show_default=True)
@click.option("--case", metavar="REGEX", help="Cases whose block.name matches only.")
@click.option("--config", metavar="NAME", help="This named configuration only.")
@click.option(
    "--rotate",
    is_flag=True,
    help="Each seed runs every module of cases in one of its configurations, in turn.",
)
@click.option("-n", "--jobs", type=click.IntRange(1, 64), default=os.cpu_count() or 1)
@click.option("--fresh", is_flag=True, help="Forget what earlier soaks have done.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="State, logs and report; default: build/soak.",
)
def main(
    sim: str,
    seeds: int,
    seed: int | None,
    tier: str,
    case: str | None,
    config: str | None,
    rotate: bool,
    jobs: int,
    fresh: bool,
    folder: Path | None,
) -> None:
    """Run all testbenches with fresh seeds; the same command continues where it was ended."""
    folder = (folder or paths.build_dir() / "soak").resolve()
    options = Options(sim, tier, case or None, config or None, seeds, seed, jobs, folder, rotate)
    try:
        with _alone(folder):
            if fresh:
                Journal(folder).forget()
            _soak(options)
    except (DescringError, OSError) as error:
        click.echo(f"soak: {error}", err=True)
        raise SystemExit(2) from error


def _soak(options: Options) -> None:
    soak = Soak(options)
    click.echo(
        f"soak: seeds {soak.seeds[0]} to {soak.seeds[-1]} ({soak.note}), "
        f"{len(soak.suites)} suites, {soak.done} of {soak.total} runs done",
        err=True,
    )
    report = options.folder / "report.md"

    def write() -> None:
        write_files({report: soak.report()})

    def end(_number: int, _frame: object) -> NoReturn:
        # At once: simulations end with this process, and what they have done is in the journal.
        write()
        click.echo(f"soak: ended at {soak.done} of {soak.total}; the same command continues")
        sys.stdout.flush()
        os._exit(2)

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, end) for number in signals]
    try:
        soak.run()
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
        write()
    for paragraph in itertools.islice(soak.failing(), 20):
        click.echo(paragraph)
    click.echo(soak.overview(), nl=False)
    click.echo(f"report: {report}")
    if soak.failures:
        raise SystemExit(1)


class _alone:
    """One soak in a folder at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SimulationError(
                f"another soak runs in {self._folder}; wait for it, or give another --folder"
            ) from None

    def __exit__(self, *_: object) -> None:
        self._file.close()


if __name__ == "__main__":
    run_module("descring_sim.campaign.soak", main)
