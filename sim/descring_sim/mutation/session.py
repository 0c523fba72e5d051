# SPDX-License-Identifier: Apache-2.0
"""Trying a list of mutants, of any kind of source, and reporting the verdicts."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import click

from descring_sim.mutation.mutant import Mutant, MutantError, load
from descring_sim.support import paths, provenance, suggest
from descring_sim.support.files import write_files

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


class Resumed:
    """A runner that knows what earlier runs over the same sources have found.

    Each verdict is noted at once, so that no end of a run loses it; an invalid one is tried again.
    """

    def __init__(self, mutant_runner: MutantRunner, journal: Path, contents: str) -> None:
        """Read ``journal``, if there is one; ``contents`` names the sources.

        Raises:
            MutantError: a line of it is none that this class writes.
        """
        self._runner = mutant_runner
        self._journal = journal
        self._contents = contents
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Status, str, float]] = {}
        lines = journal.read_text("utf-8", "replace").splitlines() if journal.is_file() else []
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                if entry["contents"] == contents:
                    verdict = (entry["status"], entry["by"], float(entry["seconds"]))
                    self._known[entry["name"]] = verdict
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise MutantError(
                    f"{journal}:{number}: expected a verdict that was noted, got {line[:80]!r}; "
                    "remove the file"
                ) from error

    def try_mutant(self, mutant: Mutant) -> Verdict:
        """What is known of ``mutant``, or what comes of it now."""
        if mutant.name in self._known:
            return Verdict(mutant, *self._known[mutant.name])
        verdict = self._runner.try_mutant(mutant)
        if verdict.status != "invalid":
            entry = {"contents": self._contents, "name": mutant.name, "status": verdict.status}
            entry |= {"by": verdict.by, "seconds": str(round(verdict.seconds, 1))}
            with self._lock:
                self._journal.parent.mkdir(parents=True, exist_ok=True)
                with self._journal.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
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
        except MutantError as error:
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
