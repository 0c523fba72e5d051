# SPDX-License-Identifier: Apache-2.0
"""Trying wrong implementations, one by one.

Each must be rejected, and the rule that it breaks must be among those that the failures name.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from descring_sim.conform.duts.find import find_dut
from descring_sim.conform.errors import ConformError, DutError
from descring_sim.conform.execute import run_test
from descring_sim.conform.proof.mutants import WrongImplementation
from descring_sim.conform.status import TestResult
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.support.mutant import MutantError

TIMEOUT_S = 20.0
SEED = 1


@dataclass(frozen=True)
class Trial:
    """What the kit reported of a wrong implementation."""

    mutant: WrongImplementation
    failures: tuple[TestResult, ...]
    tests: int
    seconds: float
    problem: str = ""

    @property
    def named(self) -> list[str]:
        """The rules that failures name, the most often named first."""
        counted = Counter(
            rule for result in self.failures if result.failure for rule in result.failure.rules
        )
        return [rule for rule, _ in counted.most_common()]

    @property
    def rejected(self) -> bool:
        """Whether it was rejected under the rule that it breaks."""
        return not self.problem and self.mutant.rule in self.named

    @property
    def by(self) -> str:
        """The first test that named the rule."""
        return next(
            (
                result.test
                for result in self.failures
                if result.failure and self.mutant.rule in result.failure.rules
            ),
            "nothing",
        )


def try_mutant(mutant: WrongImplementation, root: Path) -> Trial:
    """Make ``mutant`` and run the tests of its rule on it, in this process."""
    started = time.monotonic()
    home = root / mutant.name
    try:
        dut = find_dut(mutant.write(home))
        description = dut.describe()
        dut.build(home / "build")
    except (ConformError, DutError, MutantError) as error:
        return Trial(mutant, (), 0, time.monotonic() - started, str(error))
    results = [
        run_test(dut, description, test, SEED, timeout_s=TIMEOUT_S, waves=False)
        for test in all_tests()
        if test.rule == mutant.rule and not test.missing(description.capabilities)
    ]
    failures = tuple(result for result in results if result.status.bad)
    return Trial(mutant, failures, len(results), time.monotonic() - started)
