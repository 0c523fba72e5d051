# SPDX-License-Identifier: Apache-2.0
"""Trying a list of mutants, of any kind of source, and reporting the verdicts."""

from __future__ import annotations

import re
import shutil
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar, get_args

import click
from descring_model.program import DescringError

from descring_sim.support import paths, provenance, suggest
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files
from descring_sim.support.journal import Journal
from descring_sim.support.mutant import Mutant, MutantError, load
from descring_sim.support.typed import check_types

Status = Literal["killed", "equivalent", "survived", "invalid"]


@dataclass(frozen=True)
class Verdict:
    """The verdict on one mutant: the case that killed it, or why none did."""

    mutant: Mutant
    status: Status
    by: str
    seconds: float

    @property
    def good(self) -> bool:
        """Whether the verdict is what the mutant's entry expects."""
        return self.status == ("equivalent" if self.mutant.equivalent else "killed")


class MutantRunner(Protocol):
    """Runs mutants, and finds out whether they are killed."""

    def try_mutant(self, mutant: Mutant) -> Verdict:
        """Apply ``mutant`` to a copy of the sources and run until something fails."""
        ...


class Finding(NamedTuple):
    """What a try has found: status, the case or reason, and seconds, None for those it took."""

    status: Status
    by: str
    seconds: float | None = None


def nothing_found(mutant: Mutant) -> Finding:
    """Return the finding on a mutant under which every test passed."""
    if mutant.equivalent:
        return Finding("equivalent", mutant.equivalent)
    return Finding("survived", "nothing")


class CopyRunner(ABC):
    """Applies each mutant to a copy of the sources below ``root``, and judges the copy.

    Attributes:
        root: where the copies go.
    """

    root: Path

    @abstractmethod
    def sources(self) -> Mapping[str, Path]:
        """Return the folders by their path in the copy; the first has the mutants' files."""

    @abstractmethod
    def judge(self, mutant: Mutant, home: Path, source: Path) -> Finding:
        """Run tests on the copy ``home``, whose file ``source`` was changed, until one fails.

        Raises:
            MutantError, SimulationError: nothing can be found out.
        """

    def clean(self, home: Path) -> None:
        """Remove what is left of the copy."""
        shutil.rmtree(home)

    def copy(self, name: str) -> Path:
        """Return a new copy of the sources."""
        home = self.root / name
        shutil.rmtree(home, ignore_errors=True)
        for place, folder in self.sources().items():
            ignored = shutil.ignore_patterns("__pycache__", "tmp*")
            shutil.copytree(folder, home / place, ignore=ignored)
        return home

    def try_mutant(self, mutant: Mutant) -> Verdict:
        """Apply ``mutant`` to a copy of the sources and run until something fails."""
        started = time.monotonic()
        home = self.copy(mutant.name)
        try:
            source = mutant.apply(home / next(iter(self.sources())))
            found = self.judge(mutant, home, source)
        except (MutantError, SimulationError) as error:
            found = Finding("invalid", str(error))
        finally:
            self.clean(home)
        seconds = time.monotonic() - started if found.seconds is None else found.seconds
        return Verdict(mutant, found.status, found.by, seconds)


_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Once(Generic[_Key, _Value]):
    """Values that are found out once a key, however many threads ask."""

    def __init__(self) -> None:
        self._known: dict[_Key, _Value] = {}
        self._locks: defaultdict[_Key, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()

    def get(self, key: _Key, find: Callable[[], _Value]) -> _Value:
        """Return the value of ``key``; ``find`` is called where it is not known."""
        with self._guard:
            lock = self._locks[key]
        with lock:
            if key not in self._known:
                self._known[key] = find()
            return self._known[key]


class Resumed:
    """A runner that knows what earlier runs over the same sources have found.

    Each verdict is noted at once, so that no end of a run loses it; an invalid one is tried again.
    """

    def __init__(self, mutant_runner: MutantRunner, journal: Path, contents: str) -> None:
        """Read ``journal``, if there is one; ``contents`` names the sources.

        Raises:
            DescringError: a line of it is none that this class writes.
        """
        self._runner = mutant_runner
        self._journal = Journal(journal, "a verdict that was noted")
        self._contents = contents
        self._known: dict[str, Finding] = {}
        self._journal.read(self._know)

    def _know(self, entry: Any) -> None:
        if entry["status"] not in get_args(Status):
            raise ValueError("a status that is none")
        if entry["contents"] == self._contents:
            found = check_types(Finding(entry["status"], entry["by"], float(entry["seconds"])))
            self._known[entry["name"]] = found

    def try_mutant(self, mutant: Mutant) -> Verdict:
        """What is known of ``mutant``, or what comes of it now."""
        if mutant.name in self._known:
            found = self._known[mutant.name]
            return Verdict(mutant, found.status, found.by, found.seconds or 0.0)
        verdict = self._runner.try_mutant(mutant)
        if verdict.status != "invalid":
            entry = {"contents": self._contents, "name": mutant.name, "status": verdict.status}
            self._journal.add(entry | {"by": verdict.by, "seconds": str(round(verdict.seconds, 1))})
        return verdict


@dataclass(frozen=True)
class Page:
    """A page of results: its file in docs/results, what is in it, and what it depends on."""

    name: str
    title: str
    command: str
    preface: str
    folders: tuple[str, ...]


def try_all(mutants: Sequence[Mutant], mutant_runner: MutantRunner, jobs: int) -> list[Verdict]:
    """Try all ``mutants``, ``jobs`` at a time; prints each as it is done, returns them in order."""
    verdicts: dict[str, Verdict] = {}
    with ThreadPoolExecutor(jobs) as pool:
        tries = [pool.submit(mutant_runner.try_mutant, mutant) for mutant in mutants]
        try:
            for done in as_completed(tries):
                verdict = done.result()
                verdicts[verdict.mutant.name] = verdict
                click.echo(
                    f"[{len(verdicts):{len(str(len(mutants)))}}/{len(mutants)}] "
                    f"{verdict.status:<10} {verdict.mutant.name:<32} "
                    f"{verdict.seconds:5.1f} s  {verdict.by}"
                )
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return [verdicts[mutant.name] for mutant in mutants]


def score(verdicts: Sequence[Verdict]) -> str:
    """The result in one line."""
    counts = Counter(verdict.status for verdict in verdicts)
    line = f"{counts['killed']} of {len(verdicts)} mutants killed"
    return line + "".join(
        f", {counts[status]} {status}"
        for status in ("equivalent", "survived", "invalid")
        if counts[status]
    )


def table(verdicts: Sequence[Verdict]) -> list[str]:
    """The verdicts as a table in Markdown."""
    rows = ["| mutant | file | what it breaks | killed by | seconds |", "|---|---|---|---|---|"]
    for verdict in verdicts:
        by = verdict.by if verdict.status == "killed" else f"**{verdict.status}**: {verdict.by}"
        cells = (
            verdict.mutant.name,
            verdict.mutant.file,
            verdict.mutant.breaks,
            by,
            f"{verdict.seconds:.1f}",
        )
        rows.append(
            "| " + " | ".join(re.sub(r"\s+", " ", c).replace("|", r"\|") for c in cells) + " |"
        )
    return rows


def write_page(path: Path, page: Page, verdicts: Sequence[Verdict], begun_at: str) -> None:
    """Write a page of results, with date and the revision that the run began at."""
    ended_at = provenance.commit(*page.folders)
    commit = begun_at if ended_at == begun_at else f"{begun_at}, at its end {ended_at}"
    lines = [
        page.title,
        "",
        f"{page.command}; {provenance.today()}, commit {commit}: **{score(verdicts)}**.",
        "",
        page.preface,
        "",
        *table(verdicts),
        "",
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_files({path: "\n".join(lines)})


def _chosen(mutants: list[Mutant], only: Sequence[str]) -> list[Mutant]:
    known = {mutant.name for mutant in mutants}
    for name in only:
        if name not in known:
            near = ", ".join(suggest.near(name, known))
            raise click.UsageError(f"--only: there is no mutant {name!r}; near: {near}")
    return [mutant for mutant in mutants if not only or mutant.name in only]


def options(page: str) -> Callable[[Callable[..., None]], click.Command]:
    """Declare the options of every campaign, which writes ``page`` of docs/results."""
    declared = (
        click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True),
        click.option(
            "--only", multiple=True, metavar="ID", help="Try this mutant only; may be repeated."
        ),
        click.option("--list", "list_only", is_flag=True, help="Print the list and try nothing."),
        click.option("--write", is_flag=True, help=f"Write docs/results/{page} too."),
    )

    def declare(command: Callable[..., None]) -> click.Command:
        for option in reversed(declared):
            command = option(command)
        return click.command(context_settings={"help_option_names": ["-h", "--help"]})(command)

    return declare


def command(
    text: str,
    folder: str,
    mutant_runner: Callable[[], MutantRunner],
    page: Page,
    fewest: int,
    select: Callable[[list[Mutant]], list[Mutant]] = list,
) -> click.Command:
    """Return the command of a campaign that has no options of its own; ``text`` is its help.

    The other arguments are those of :func:`campaign`.
    """

    @options(page.name)
    def main(jobs: int, only: tuple[str, ...], list_only: bool, write: bool) -> None:
        campaign(
            folder,
            only,
            mutant_runner,
            page,
            jobs=jobs,
            fewest=fewest,
            list_only=list_only,
            write=write,
            select=select,
        )

    main.help = text
    return main


def campaign(
    folder: str,
    only: Sequence[str],
    mutant_runner: Callable[[], MutantRunner],
    page: Page,
    *,
    jobs: int,
    fewest: int,
    list_only: bool,
    write: bool,
    resume: Path | None = None,
    select: Callable[[list[Mutant]], list[Mutant]] = list,
) -> None:
    """Try the mutants listed in ``sim/mutants/<folder>``; exit code 1 unless each is killed.

    Args:
        folder: of the lists, below ``sim/mutants``.
        only: names of the mutants to try, all for none.
        mutant_runner: makes the runner.
        page: the page of results.
        jobs: how many are tried at a time.
        fewest: fewer mutants than this are an error, unless ``only`` names them.
        list_only: print the list and try nothing.
        write: write the page.
        resume: note verdicts in this file, and try nothing whose verdict over the same sources is
            there already.
        select: which of the listed mutants concern the runner.

    Raises:
        click.UsageError: what was asked for does not fit together, or the list is wrong.
    """
    root = paths.checkout_root()
    if root is None:
        raise click.UsageError("mutants belong to a checkout of descring, not to a wheel")
    if write and only:
        raise click.UsageError("--write wants all mutants; leave --only out")
    try:
        mutants = _chosen(select(load(root / "sim" / "mutants" / folder)), only)
    except MutantError as error:
        raise click.UsageError(str(error)) from error
    if list_only:
        for mutant in mutants:
            click.echo(f"{mutant.name:<32} {mutant.file:<30} {mutant.breaks}")
        return
    if not only and len(mutants) < fewest:
        click.echo(f"expected at least {fewest} mutants, the list has {len(mutants)}", err=True)
        sys.exit(1)
    begun_at = provenance.commit(*page.folders) if write else ""
    started = time.monotonic()
    runner_of_all = mutant_runner()
    if resume is not None:
        contents = provenance.contents(*page.folders)
        if contents is None:
            raise click.UsageError(
                f"--resume wants {', '.join(page.folders)} as they are committed"
            )
        try:
            runner_of_all = Resumed(runner_of_all, resume, contents)
        except DescringError as error:
            raise click.UsageError(str(error)) from error
    verdicts = try_all(mutants, runner_of_all, jobs)
    click.echo()
    click.echo("\n".join(table(verdicts)))
    click.echo(f"\n{score(verdicts)}, in {time.monotonic() - started:.0f} s")
    if write:
        write_page(root / "docs" / "results" / page.name, page, verdicts, begun_at)
    bad = [verdict for verdict in verdicts if not verdict.good]
    for verdict in bad:
        click.echo(
            f"{verdict.status}: {verdict.mutant.name} ({verdict.mutant.breaks}): {verdict.by}; "
            f"again with --only {verdict.mutant.name}",
            err=True,
        )
    if bad:
        sys.exit(1)
