# SPDX-License-Identifier: Apache-2.0
"""Drawn mutants of C and Python, judged by the pytest suite of their folder.

A mutant is a copy of the folder with one file replaced. It meets the test files that the
hand-written mutants of the same file name and those that import it, then all others of the suite.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import random
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from descring_sim.mutation.host import HostMutantRunner
from descring_sim.mutation.sampled.campaign import Found, Sampled, by_turns
from descring_sim.mutation.sampled.change import Change, Changes
from descring_sim.mutation.sampled.runs import failure_of
from descring_sim.mutation.session import Once
from descring_sim.mutation.suite_run import Failure, node_of
from descring_sim.support import mutant as lists
from descring_sim.support import paths
from descring_sim.support.mutant import MutantError

LONGEST_S = 900.0
"""Of the tests of a tier; a mutant's endless loop ends there."""

AGAIN_S = 120.0
"""Of the one test that has killed a mutant before."""


@dataclass(frozen=True)
class Area:
    """A folder with sources, its suite, and the lists of its hand-written mutants.

    Attributes:
        folder: what is copied; its tests are in ``tests``.
        suite: what the runs of its mutants begin with.
        files: the sources to draw from, by their path in ``folder``.
        lists: folder of the hand-written lists; None where there are none.
        tests: pattern of the test files.
        options: what pytest gets beside the tests.
        programs: folder with programs of the tests; None where there are none.
    """

    folder: Path
    suite: str
    files: tuple[str, ...]
    lists: Path | None
    tests: str = "test_*.py"
    options: tuple[str, ...] = ()
    programs: str | None = None

    def name_of(self, file: str) -> str:
        """The name of a file in judgements and reports."""
        return f"{self.folder.name}/{file}"


PROGRAMS = "native/check"
"""C programs of the host's tests, which may change while a kill still counts."""
QUICK = ("-m", "not nightly")
_SIMULATED = ("verilator", "icarus", "verilated", "cuda", "test_cycles_of_the_rtl")
_LEFT_OUT = " and ".join(f"not {word}" for word in _SIMULATED)
SANITIZED = ("random_stores_into_a_live", "closing_while_another_thread_is_inside")
"""Programs of C under a sanitizer, which maps more than the bound on a mutant's memory."""
HOST_OPTIONS = (*QUICK, "-k", " and ".join([_LEFT_OUT, *(f"not {word}" for word in SANITIZED)]))
"""Over simulators and kernels, and in C, the host's suite executes nothing more of the host."""
NATIVE_OPTIONS = (*QUICK, "-k", f"{_LEFT_OUT} and not find_a_word_that_is_not_checked")
"""Nor for C: a test that looks for lines of the sources, and fails on any change of them."""


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


def test_names(area: Area) -> list[str]:
    """Return the names of the test files of ``area``, without ``test_``."""
    files = (area.folder / "tests").glob(area.tests)
    return sorted(path.stem.removeprefix("test_") for path in files)


@functools.cache
def tiers(area: Area, file: str) -> tuple[list[str], list[str]]:
    """Return the test files that know ``file``, and all others of the suite."""
    near = [*dict.fromkeys([*_named_by_lists(area, file), *_importing(area, file)])]
    return near, [name for name in test_names(area) if name not in near]


@dataclass
class SuiteJudge:
    """Draws changes of the sources of ``areas`` and judges them by their suites.

    Attributes:
        areas: where the sources are.
        changes: the tool.
        out: where copies go.
        seed: of the sample.
        memory_kib: bound on the address space of a process, None for none.
        killers: what killed mutants, by name, when other sources than theirs were different.
    """

    RUNNER: ClassVar[type[HostMutantRunner]] = HostMutantRunner
    """What makes the copies."""

    areas: Sequence[Area]
    changes: Changes
    out: Path
    seed: int
    memory_kib: int | None = None
    killers: dict[str, Found] = field(default_factory=dict)
    _sound: Once[tuple[Path, tuple[str, ...]], bool] = field(default_factory=Once)
    _of: dict[str, tuple[Area, str, Change]] = field(default_factory=dict)
    _runners: dict[Path, HostMutantRunner] = field(default_factory=dict)
    _kills: Counter[tuple[Path, str]] = field(default_factory=Counter)
    """How many each test, and each test file, has killed."""

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
        them: else an operator of few places, as the memory orders, would hardly be drawn. Where the
        sample is small it is of some files only, the longer ones sooner.
        """
        found: list[Sampled] = []
        wanted = [a for a in self.areas if any(a.name_of(f) in names for f in a.files)]
        for number, area in enumerate(wanted):
            count = sample // len(wanted) + (number < sample % len(wanted))
            rng = random.Random(self.seed)
            texts = {
                file: (area.folder / file).read_text(encoding="utf-8")
                for file in area.files
                if area.name_of(file) in names
            }
            # By its length; what is not drawn from need not be listed.
            files = rng.choices([*texts], [len(text) for text in texts.values()], k=count)
            every = [
                (area, file, place)
                for file in dict.fromkeys(files)
                for place in self.changes(texts[file])
            ]
            rng.shuffle(every)
            drawn: dict[tuple[str, Change], None] = {}
            for _, file, place in by_turns(every, lambda place: place[2].kind.partition("_")[0]):
                if len(drawn) == count:
                    break
                change = place.made()
                if change is not None:
                    drawn[file, change] = None
            found += [self._sampled(area, *one) for one in drawn]
        return found

    def _sampled(self, area: Area, file: str, change: Change) -> Sampled:
        text = (area.folder / file).read_text(encoding="utf-8")
        start = change.begins(text)
        line = text.count("\n", 0, start) + 1
        old = " ".join(text[change.start : change.end].split())
        new = " ".join(change.new.split())
        name = area.name_of(file)
        whole = text.splitlines()[line - 1]
        column = start - (text.rfind("\n", 0, start) + 1)
        # A line may have the same operator twice, and a judgement is of one.
        place = f", {column - len(whole) + len(whole.lstrip())}" if whole.count(old) > 1 else ""
        digest = hashlib.sha256(f"{name}\0{change}".encode()).hexdigest()[:8]
        sampled = Sampled(
            f"{Path(file).stem}-{digest}",
            name,
            f"{name}:{line}",
            whole.strip(),
            f"{change.kind}{place}: {old[:60]} -> {new[:60] or 'nothing'}",
            None,
            f"{name}:{line} {change.kind}: {old[:200]} -> {new[:200] or 'nothing'}",
        )
        self._of[sampled.name] = (area, file, change)
        return sampled

    def _runner(self, area: Area) -> HostMutantRunner:
        if area.folder not in self._runners:
            self._runners[area.folder] = self.RUNNER(
                source=area.folder, root=self.out / area.folder.name, suite=area.suite
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
            runner.prepare(home, source)
            again = self._killed_again(area, home, self.killers.get(sampled.name))
            return again or self._tried(area, file, change, home)
        except MutantError as error:
            return Found("invalid", "none", str(error)[:200])
        finally:
            runner.clean(home)

    def _killed_again(self, area: Area, home: Path, before: Found | None) -> Found | None:
        """Try the test alone that has killed the mutant ``before``."""
        node = node_of(before.by) if before else None
        if before is None or node is None or not (home / node.partition("::")[0]).is_file():
            return None
        try:
            return self._by_tiers(area, home, [(before.tier, [node], AGAIN_S)])
        except MutantError:
            return None  # there is no such test any more, or it fails anyway

    def _tried(self, area: Area, file: str, change: Change, home: Path) -> Found:
        """What the tests find in the copy ``home``, in which ``change`` is made."""
        del change
        near, others = tiers(area, file)
        every = [
            (tier, [f"tests/test_{name}.py" for name in names], LONGEST_S)
            for tier, names in (("near tests", near), ("suite", others))
        ]
        return self._by_tiers(area, home, every) or Found(
            "survived", "none", f"{len(near) + len(others)} test files pass"
        )

    def _by_tiers(
        self,
        area: Area,
        home: Path,
        every: Sequence[tuple[str, Sequence[str], float]],
        limits: Mapping[str, float] | None = None,
    ) -> Found | None:
        """Return the kill by the first of ``every`` tier that has one, None where none has.

        Args:
            area: of the mutant.
            home: its copy.
            every: name, tests and bound in seconds of each tier.
            limits: seconds that a test may take, by its node.

        Raises:
            MutantError: no test kills it, and some fail on the unchanged sources too.
        """
        broken: list[Failure] = []
        for tier, nodes, seconds in every:
            killer = self._killer(area, home, nodes, seconds, broken, limits) if nodes else None
            if killer is not None:
                self._kills[area.folder, f"tests/{killer.file}.py"] += 1
                self._kills[area.folder, killer.node] += 1
                return Found("killed", tier, str(killer))
        if broken:
            raise MutantError(f"fails on the unchanged sources too: {broken[0]}")
        return None

    def _killer(
        self,
        area: Area,
        home: Path,
        nodes: Sequence[str],
        seconds: float,
        broken: list[Failure],
        limits: Mapping[str, float] | None,
    ) -> Failure | None:
        """Return what fails of ``nodes`` in the copy ``home`` alone, None where nothing does.

        A test that fails on the unchanged sources too is added to ``broken``, and the others run
        without it: it tells nothing of the mutant.
        """
        out: list[str] = []
        while left := [node for node in nodes if node not in out]:
            failure = self._failure(area, home, left, seconds, out, limits)
            if failure is None:
                return None
            again = self._again(left, failure)
            key = (area.folder, again)
            if self._sound.get(key, functools.partial(self._passes, area, again, seconds, limits)):
                return failure
            broken.append(failure)
            if failure.test is None:
                return None
            out += again
        return None

    @staticmethod
    def _again(nodes: Sequence[str], failure: Failure) -> tuple[str, ...]:
        """What has to pass on the unchanged sources for ``failure`` to count."""
        if failure.test is None:
            return tuple(nodes)
        return (failure.node,)

    def _failure(
        self,
        area: Area,
        home: Path,
        nodes: Sequence[str],
        seconds: float,
        left_out: Sequence[str] = (),
        limits: Mapping[str, float] | None = None,
    ) -> Failure | None:
        """The first failure of ``nodes``, but for ``left_out``, in the copy ``home``."""
        variables = {paths.BUILD_DIR_VARIABLE: str(self.out / "build")}
        return failure_of(
            home,
            [*area.options, *nodes],
            area.suite,
            seconds=seconds,
            variables=variables,
            memory_kib=self.memory_kib,
            left_out=left_out,
            limits=limits,
        )

    def _passes(
        self,
        area: Area,
        nodes: Sequence[str],
        seconds: float,
        limits: Mapping[str, float] | None,
    ) -> bool:
        runner = self._runner(area)
        home = runner.copy(f"unchanged-{threading.get_ident()}")
        try:
            return self._failure(area, home, nodes, seconds, limits=limits) is None
        finally:
            runner.clean(home)
