# SPDX-License-Identifier: Apache-2.0
"""Drawn mutants of Python, judged by the tests that execute the changed line.

Where these pass, the test files run in full that import the changed module, or execute the line
outside their functions: when it is imported, or in a process that they start. A line that a process
executes which cannot be measured, as one that is killed, is covered by no test. Where there are no
such files either, those run that execute anything of the source.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from descring_sim.mutation.host import HostMutantRunner
from descring_sim.mutation.sampled import lasting
from descring_sim.mutation.sampled.campaign import Found
from descring_sim.mutation.sampled.change import Change
from descring_sim.mutation.sampled.covering import Covering, CoveringJudge
from descring_sim.mutation.sampled.python_changes import lines_run
from descring_sim.mutation.sampled.suites import (
    HOST_OPTIONS,
    PROGRAMS,
    QUICK,
    Area,
    test_names,
    tiers,
)

SLOWER = 4.0
"""How much longer than unchanged, and than this many seconds more, a run may take."""
LEAST_S = 60.0
MEMORY_KIB = 16 << 20

VERDICT_PATH = tuple(
    f"descring_sim/conform/{name}.py"
    for name in ("execute", "status", "suite/stream_check", "verdict", "worker", "worker_pool")
)
"""Where the kit makes a verdict of what an implementation does. What its tests are worth is shown
by the wrong implementations that they have to reject, not here."""


@dataclass
class CheckoutRunner(HostMutantRunner):
    """Apply mutants to copies of a folder whose tests look for the checkout around it."""

    def sources(self) -> dict[str, Path]:
        """Return the folder, under its own name."""
        return {self.source.name: self.source}

    def copy(self, name: str) -> Path:
        """Return the folder in a new copy of the checkout, whose other entries are links."""
        whole = self.root / name
        shutil.rmtree(whole, ignore_errors=True)
        whole.mkdir(parents=True)
        for entry in self.source.parent.iterdir():
            if entry.name not in (self.source.name, ".git", "build"):
                (whole / entry.name).symlink_to(entry)
        home = whole / self.source.name
        shutil.copytree(self.source, home, ignore=shutil.ignore_patterns("__pycache__", "tmp*"))
        return home

    def clean(self, home: Path) -> None:
        """Remove what is left of the copy."""
        shutil.rmtree(home.parent)


@dataclass
class PythonJudge(CoveringJudge[Covering]):
    """Draws changes of Python sources and judges them by the tests that execute them."""

    RUNNER: ClassVar[type[HostMutantRunner]] = CheckoutRunner
    memory_kib: int | None = MEMORY_KIB

    def _covering_of(self, area: Area, folder: Path) -> Covering:
        return Covering(area, self._runner(area), folder, test_names(area))

    def _tried(self, area: Area, file: str, change: Change, home: Path) -> Found:
        text = (area.folder / file).read_text(encoding="utf-8")
        line = text.count("\n", 0, change.begins(text)) + 1
        near = [f"tests/test_{name}.py" for name in tiers(area, file)[0]]
        covering = self._measured(area)
        lines = lines_run(text, line)
        first = self._soonest(covering, covering.tests_of(file, lines))
        rest = [name for name in near if name not in first]
        rest += [name for name in covering.files_of(file, lines) if name not in first + rest]
        if not first and not rest:
            rest = covering.importing(file)
        every = [
            (tier, nodes, SLOWER * sum(map(covering.seconds_of, nodes)) + LEAST_S)
            for tier, nodes in (("covering tests", first), ("near tests", rest))
        ]
        text = f"{len(first)} covering tests and {len(rest)} files pass"
        return self._by_tiers(area, home, every) or Found(
            "survived", "none", lasting.survived(text, lasting.tests_key(area))
        )


def areas(root: Path) -> tuple[Area, ...]:
    """The Python sources that are mutated, each with its suite."""

    def area(
        folder: str, files: Iterable[str], suite: str, tests: str, options: tuple[str, ...]
    ) -> Area:
        lists = root / "sim" / "mutants" / suite
        known = lists if lists.is_dir() else None
        return Area(root / folder, suite, tuple(sorted(files)), known, tests, options)

    def packages(folder: str, *names: str) -> list[str]:
        home = root / folder
        return [str(p.relative_to(home)) for name in names for p in (home / name).rglob("*.py")]

    host = packages("host", "descring_host", "descring_rollouts")
    return (
        area("pymodel", packages("pymodel", "descring_model"), "model", "test_*.py", QUICK),
        replace(area("host", host, "host", "test_*.py", HOST_OPTIONS), programs=PROGRAMS),
        area("sim", VERDICT_PATH, "conform", "test_conform_*.py", QUICK),
    )
