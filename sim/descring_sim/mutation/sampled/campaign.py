# SPDX-License-Identifier: Apache-2.0
"""A campaign over drawn mutants: a journal to continue from, judgements, results."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import click

from descring_sim.mutation.sampled.judgements import Judgement
from descring_sim.support import suggest
from descring_sim.support.errors import SimulationError
from descring_sim.support.journal import Journal

Status = Literal["killed", "equivalent", "judged", "survived", "invalid"]
"""Killed; equivalent by proof; judged equivalent in writing; survived; or no program at all."""


@dataclass(frozen=True)
class Sampled:
    """A drawn mutant.

    Attributes:
        name: short, and the same for the same mutation of the same source.
        module: the module or file that is changed.
        place: file and line.
        source: the line, as it is in the source.
        change: what is changed, in the words of the tool; judgements name it.
        bit: which bit is changed, None where the change has none.
        text: everything about it, for people.
    """

    name: str
    module: str
    place: str
    source: str
    change: str
    bit: int | None
    text: str


class Found(NamedTuple):
    """What trying a mutant has found: status, the tier that told, and which test or why."""

    status: Status
    tier: str
    by: str


@dataclass(frozen=True)
class Result:
    """A mutant, what was found, and the seconds that it took; of a judged one, the reason."""

    mutant: Sampled
    status: Status
    tier: str
    by: str
    seconds: float
    reason: str = ""

    @property
    def good(self) -> bool:
        """Whether nothing is left to do about it."""
        return self.status in ("killed", "equivalent", "judged")

    @property
    def found(self) -> Found:
        """What was found."""
        return Found(self.status, self.tier, self.by)


Judge = Callable[[Sampled], Found]


@dataclass(frozen=True)
class Stage:
    """A part of the tiers, which all mutants meet before any meets the next stage.

    Attributes:
        judge: returns what tries a mutant, given all that the stage is to try.
        settled: whether a known result spares a mutant the stage; a survivor may lack tiers.
    """

    judge: Callable[[Sequence[Sampled]], Judge]
    settled: Callable[[Found], bool] = lambda found: True


def one_stage(judge: Judge) -> tuple[Stage]:
    """Return the stages of a judge that needs to know nothing but its mutant."""
    return (Stage(lambda left: judge),)


class Progress:
    """The journal of a campaign: what is known of mutants of the same sources and tests."""

    def __init__(
        self,
        path: Path,
        contents: str,
        settled: Callable[[Found], bool] = lambda found: True,
        written: Iterable[Mapping[str, Any]] = (),
    ) -> None:
        """Read ``path``, if there is one.

        Args:
            path: the journal.
            contents: names sources and tests; what is known of others does not count.
            settled: whether a result still counts, or its mutant is to be tried again.
            written: entries of the last written campaign, which the journal's follow.

        Raises:
            SimulationError: a line of it is none that this class writes.
        """
        self.contents = contents
        self._journal = Journal(path, "the result of a mutant")
        self._settled = settled
        self._known: dict[str, tuple[Found, float]] = {}
        self.killers: dict[str, Found] = {}
        """The last kill of each mutant, of whatever sources."""
        for entry in written:
            self._know(entry)
        self._journal.read(self._know)

    def _know(self, entry: Any) -> None:
        found = Found(entry["status"], str(entry["tier"]), str(entry["by"]))
        if found.status not in get_args(Status):
            raise ValueError(f"no status {found.status}")
        if found.status == "killed":
            self.killers[str(entry["name"])] = found
        if str(entry["contents"]) == self.contents and self._settled(found):
            self._known[str(entry["name"])] = (found, float(entry["seconds"]))

    def of(self, mutant: Sampled) -> Result | None:
        """Return the known result of ``mutant``."""
        if mutant.name not in self._known:
            return None
        found, seconds = self._known[mutant.name]
        return Result(mutant, found.status, found.tier, found.by, seconds)

    def add(self, result: Result) -> None:
        """Note a result."""
        entry = {"contents": self.contents, "name": result.mutant.name, "status": result.status}
        entry |= {"tier": result.tier, "by": result.by, "seconds": str(round(result.seconds, 1))}
        self._journal.add(entry)
        self._known[result.mutant.name] = (result.found, result.seconds)

    def all_of(self, mutants: Sequence[Sampled], stages: Sequence[Stage]) -> list[Sampled]:
        """Return those of ``mutants`` that no stage has to try any more."""
        return [
            mutant
            for mutant in mutants
            if (known := self.of(mutant)) is not None and stages[-1].settled(known.found)
        ]


def chosen(mutants: Sequence[Sampled], only: Sequence[str]) -> list[Sampled]:
    """Return those of ``mutants`` that ``only`` names, all where it is empty.

    Raises:
        click.UsageError: there is no such mutant in the sample.
    """
    known = {mutant.name for mutant in mutants}
    for name in only:
        if name not in known:
            near = ", ".join(suggest.near(name, known))
            raise click.UsageError(
                f"--only: the sample has no mutant {name!r}; near: {near}; a mutant is drawn again "
                "by the --sample and --seed of its run, from the same sources"
            )
    return [mutant for mutant in mutants if not only or mutant.name in only]


def run(
    mutants: Sequence[Sampled],
    stages: Sequence[Stage],
    judgements: Sequence[Judgement],
    progress: Progress,
    jobs: int,
) -> list[Result]:
    """Try what is not known yet, ``jobs`` at a time; print each, return all in order.

    A stage tries the survivors of the one before it.

    Raises:
        SimulationError: nothing can be found out of some modules, as a suite fails on the
            unchanged sources; the mutants of the others have been tried.
    """
    started = time.monotonic()
    results: dict[str, Result] = {}
    failed: dict[str, SimulationError] = {}

    def note(result: Result) -> None:
        results[result.mutant.name] = judged = _judged(result, judgements)
        done, total = len(results), len(mutants)
        click.echo(
            f"[{done:{len(str(total))}}/{total}] {time.monotonic() - started:5.0f} s "
            f"{judged.status:<10} {judged.mutant.name:<28} {judged.mutant.place} "
            f"{judged.mutant.change}: {judged.tier}, {judged.reason or judged.by}"
        )

    waiting = mutants
    for stage in stages:
        survivors = set()
        for result in _stage(waiting, stage, progress, failed, jobs):
            if result.status == "survived" and stage is not stages[-1]:
                survivors.add(result.mutant.name)
            else:
                note(result)
        waiting = [mutant for mutant in waiting if mutant.name in survivors]
    if failed:
        raise SimulationError("\n".join(f"{name}: {error}" for name, error in failed.items()))
    return [results[mutant.name] for mutant in mutants]


def _stage(
    mutants: Sequence[Sampled],
    stage: Stage,
    progress: Progress,
    failed: dict[str, SimulationError],
    jobs: int,
) -> Iterator[Result]:
    """Yield what ``stage`` finds of each of ``mutants``, first what is known.

    A module that nothing can be found out of is added to ``failed``, and yields nothing more.
    """
    left = []
    for mutant in mutants:
        known = progress.of(mutant)
        if known is not None and stage.settled(known.found):
            yield known
        else:
            left.append(mutant)
    judge = stage.judge(left)

    def attempt(mutant: Sampled) -> Result | None:
        if mutant.module in failed:
            return None
        began = time.monotonic()
        try:
            found = judge(mutant)
        except SimulationError as error:
            failed.setdefault(mutant.module, error)
            return None
        before = progress.of(mutant)
        seconds = time.monotonic() - began + (before.seconds if before else 0.0)
        result = Result(mutant, *found, seconds=seconds)
        if result.status != "invalid":
            progress.add(result)
        return result

    # What has to be built for a module is built beside the others.
    turns = by_turns(left, lambda mutant: mutant.module)
    with ThreadPoolExecutor(jobs) as pool:
        tries = [pool.submit(attempt, mutant) for mutant in turns]
        try:
            for done in as_completed(tries):
                result = done.result()
                if result is not None:
                    yield result
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_Item = TypeVar("_Item")


def by_turns(items: Sequence[_Item], group: Callable[[_Item], str]) -> list[_Item]:
    """Return ``items`` in an order that takes one of each group in turn."""
    seen: Counter[str] = Counter()
    turns = []
    for item in items:
        turns.append((seen[group(item)], item))
        seen[group(item)] += 1
    return [item for _, item in sorted(turns, key=lambda turn: turn[0])]


def _judged(result: Result, judgements: Sequence[Judgement]) -> Result:
    if result.status != "survived":
        return result
    mutant = result.mutant
    for judgement in judgements:
        if judgement.matches(mutant.module, mutant.source, mutant.change, mutant.bit):
            return replace(result, status="judged", reason=judgement.reason)
    return result


def contradicted(results: Sequence[Result], judgements: Sequence[Judgement]) -> list[str]:
    """Return a sentence for each mutant that is killed although it was judged equivalent."""
    return [
        f"{judgement.where}: judged equivalent, and {mutant.name} ({mutant.text}) is killed by "
        f"{result.by}; remove or narrow the entry"
        for result in results
        if result.status == "killed"
        for mutant in [result.mutant]
        for judgement in judgements
        if judgement.matches(mutant.module, mutant.source, mutant.change, mutant.bit)
    ]


def score(results: Sequence[Result]) -> str:
    """Return the result in one line."""
    counts = Counter(result.status for result in results)
    parts = [f"{counts['killed']} of {len(results)} mutants killed"]
    parts += [f"{counts[s]} {s}" for s in get_args(Status)[1:] if counts[s]]
    return ", ".join(parts)


def require(condition: bool, text: str) -> None:
    """Raise a SimulationError with ``text`` unless ``condition`` holds."""
    if not condition:
        raise SimulationError(text)
