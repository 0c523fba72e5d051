# SPDX-License-Identifier: Apache-2.0
"""Drawn mutants of C, judged by the pytest suite of their folder.

A mutant is a copy of the folder with one file replaced. It meets the test files that the
hand-written mutants of the same file name and those that import it, then all others of the suite.
"""

from __future__ import annotations

import ast
import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from descring_sim.mutation.host import HostMutantRunner
from descring_sim.mutation.sampled.campaign import Found, Sampled
from descring_sim.support import mutant as lists
from descring_sim.support.mutant import MutantError, Run


@dataclass(frozen=True)
class Change:
    """The text of a file from ``start`` to ``end`` becomes ``new``; ``kind`` is what that is."""

    start: int
    end: int
    new: str
    kind: str


Changes = Callable[[str], Sequence[Change]]
"""All changes that a tool can make to a source."""


@dataclass(frozen=True)
class Area:
    """A folder with sources, its suite, and the lists of its hand-written mutants.

    Attributes:
        folder: what is copied; its tests are in ``tests``.
        suite: what the runs of its mutants begin with.
        files: the sources to draw from, by their path in ``folder``.
        lists: folder of the hand-written lists; None where there are none.
        tests: pattern of the test files.
    """

    folder: Path
    suite: str
    files: tuple[str, ...]
    lists: Path | None
    tests: str = "test_*.py"

    def name_of(self, file: str) -> str:
        """The name of a file in judgements and reports."""
        return f"{self.folder.name}/{file}"


_Place = tuple[Area, str, Change]


def _by_turns(places: Sequence[_Place]) -> list[_Place]:
    """``places`` in an order that takes one of each operator in turn."""
    seen: Counter[str] = Counter()
    turns = []
    for place in places:
        operator = place[2].kind.partition("_")[0]
        turns.append((seen[operator], place))
        seen[operator] += 1
    return [place for _, place in sorted(turns, key=lambda turn: turn[0])]


def _named_by_lists(area: Area, file: str) -> list[str]:
    if area.lists is None:
        return []
    return [
        run.config
        for mutant in lists.load(area.lists)
        if mutant.file == file
        for run in mutant.runs
        if run.block == area.suite
    ]


def _importing(area: Area, file: str) -> Iterator[str]:
    """The test files that import the module ``file``, or name the C file."""
    stem = Path(file).stem
    for path in sorted((area.folder / "tests").glob(area.tests)):
        text = path.read_text(encoding="utf-8")
        words = {word for node in ast.walk(ast.parse(text)) for word in _imported(node)}
        if stem in words or re.search(rf"\b{re.escape(Path(file).name)}\b", text):
            yield path.stem.removeprefix("test_")


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {part for alias in node.names for part in alias.name.split(".")}
    if isinstance(node, ast.ImportFrom):
        return {*(node.module or "").split("."), *(alias.name for alias in node.names)}
    return set()


def tiers(area: Area, file: str) -> tuple[list[str], list[str]]:
    """Return the test files that know ``file``, and all others of the suite."""
    near = [*dict.fromkeys([*_named_by_lists(area, file), *_importing(area, file)])]
    every = sorted(
        path.stem.removeprefix("test_") for path in (area.folder / "tests").glob(area.tests)
    )
    return near, [name for name in every if name not in near]


@dataclass
class SuiteJudge:
    """Draws changes of the sources of ``areas`` and judges them by their suites.

    Attributes:
        areas: where the sources are.
        changes: the tool.
        out: where copies go.
        seed: of the sample.
    """

    areas: Sequence[Area]
    changes: Changes
    out: Path
    seed: int
    _of: dict[str, tuple[Area, str, Change]] = field(default_factory=dict)
    _runners: dict[Path, HostMutantRunner] = field(default_factory=dict)

    def files(self) -> list[str]:
        """Return the names of all sources."""
        return [area.name_of(file) for area in self.areas for file in area.files]

    def source_of(self, name: str) -> Path:
        """Return the file of a name."""
        for area in self.areas:
            if name.startswith(f"{area.folder.name}/"):
                return area.folder.parent / name
        return Path(name)

    def draw(self, names: Sequence[str], sample: int) -> list[Sampled]:
        """Return ``sample`` mutants of the files ``names``.

        As many of each area as of every other; there, as many of each operator, as far as it has
        them: else an operator of few places, as the memory orders, would hardly be drawn.
        """
        found: list[Sampled] = []
        wanted = [a for a in self.areas if any(a.name_of(f) in names for f in a.files)]
        for number, area in enumerate(wanted):
            every = [
                (area, file, change)
                for file in area.files
                if area.name_of(file) in names
                for change in self.changes((area.folder / file).read_text(encoding="utf-8"))
            ]
            count = sample // len(wanted) + (number < sample % len(wanted))
            random.Random(self.seed).shuffle(every)
            found += [self._sampled(*one) for one in _by_turns(every)[:count]]
        return found

    def _sampled(self, area: Area, file: str, change: Change) -> Sampled:
        text = (area.folder / file).read_text(encoding="utf-8")
        line = text.count("\n", 0, change.start) + 1
        old = " ".join(text[change.start : change.end].split())
        new = " ".join(change.new.split())
        name = area.name_of(file)
        digest = hashlib.sha256(f"{name}\0{change}".encode()).hexdigest()[:8]
        sampled = Sampled(
            f"{Path(file).stem}-{digest}",
            name,
            f"{name}:{line}",
            text.splitlines()[line - 1].strip(),
            f"{change.kind}: {old[:60]} -> {new[:60] or 'nothing'}",
            None,
            f"{name}:{line} {change.kind}: {old[:200]} -> {new[:200] or 'nothing'}",
        )
        self._of[sampled.name] = (area, file, change)
        return sampled

    def _runner(self, area: Area) -> HostMutantRunner:
        if area.folder not in self._runners:
            self._runners[area.folder] = HostMutantRunner(
                source=area.folder,
                root=self.out / area.folder.name,
                suite=area.suite,
                marks="not nightly",
            )
        return self._runners[area.folder]

    def judge(self, sampled: Sampled) -> Found:
        """Try ``sampled``, which :meth:`draw` has returned."""
        area, file, change = self._of[sampled.name]
        runner = self._runner(area)
        home = runner.copy(sampled.name)
        try:
            source = home / file
            text = source.read_text(encoding="utf-8")
            mutated = text[: change.start] + change.new + text[change.end :]
            source.write_text(mutated, encoding="utf-8")
            near, others = tiers(area, file)
            runner.prepare(home, source)
            for tier, names in (("near tests", near), ("suite", others)):
                for name in names:
                    killer = runner.killer(home, Run(area.suite, name))
                    if killer is not None:
                        return Found("killed", tier, killer)
            return Found("survived", "none", f"{len(near) + len(others)} test files pass")
        except MutantError as error:
            return Found("invalid", "none", str(error)[:200])
        finally:
            runner.clean(home)
