# SPDX-License-Identifier: Apache-2.0
"""Drawn mutants of C, judged by the tests that execute the changed line.

Where these pass, those run that kill a process: what it has executed is not known. A line that no
test executes meets the test files that know the source.

A mutant of which the compiler makes the same object ends as equivalent before any test (trivial
compiler equivalence: Papadakis et al., ICSE 2015). A weaker memory order, though, is most often the
same instruction on x86-64, and a sanitizer may still tell the two apart; it meets the tests first.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from descring_sim.mutation.host import HostMutantRunner
from descring_sim.mutation.sampled import lasting
from descring_sim.mutation.sampled.c_build import CountingRunner, NativeRunner
from descring_sim.mutation.sampled.c_changes import MEMORY_ORDER, lines_run
from descring_sim.mutation.sampled.c_covering import NativeCovering
from descring_sim.mutation.sampled.campaign import Found
from descring_sim.mutation.sampled.change import Change
from descring_sim.mutation.sampled.covering import CoveringJudge
from descring_sim.mutation.sampled.suites import LONGEST_S, Area, test_names, tiers

SLOWER = 4.0
"""How much longer than measured, and than this many seconds more, a test may take."""
LEAST_S = 30.0

_EQUIVALENT = Found(
    "equivalent",
    "compiler",
    f"the compiler makes the same object of it for {platform.machine()}",
)


@dataclass
class NativeJudge(CoveringJudge[NativeCovering]):
    """Draws changes of C sources and judges them by the tests that execute them."""

    RUNNER: ClassVar[type[HostMutantRunner]] = NativeRunner

    def _covering_of(self, area: Area, folder: Path) -> NativeCovering:
        counting = CountingRunner(
            source=area.folder, root=self.out / "counted" / area.folder.name, suite=area.suite
        )
        return NativeCovering(area, counting, folder, test_names(area))

    def _tried(self, area: Area, file: str, change: Change, home: Path) -> Found:
        runner = self._runner(area)
        assert isinstance(runner, NativeRunner)
        same = runner.same(home)
        if same and change.kind != MEMORY_ORDER:
            return _EQUIVALENT
        text = (area.folder / file).read_text(encoding="utf-8")
        lines, label = lines_run(text, change.start, change.end)
        covering = self._measured(area)
        first = self._soonest(covering, covering.tests_of(file, lines, widely=label))
        others = covering.uncounted()
        if not first:
            others += [
                node for name in tiers(area, file)[0] for node in covering.functions_of(name)
            ]
        rest = self._soonest(
            covering, {n for n in others if n not in first and n.partition("::")[0] not in first}
        )
        limits = {node: SLOWER * covering.seconds_of(node) + LEAST_S for node in (*first, *rest)}
        every = [
            (tier, nodes, max(LONGEST_S, SLOWER * sum(map(covering.seconds_of, nodes))))
            for tier, nodes in (("covering tests", first), ("other tests", rest))
        ]
        killed = self._by_tiers(area, home, every[:1] if same else every, limits)
        if killed is None and same:
            return _EQUIVALENT
        text = f"{len(first)} covering tests and {len(rest)} others pass"
        return killed or Found("survived", "none", lasting.survived(text, lasting.tests_key(area)))
