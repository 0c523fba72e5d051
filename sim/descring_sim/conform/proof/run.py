# SPDX-License-Identifier: Apache-2.0
"""Trying wrong implementations: ``python -m descring_sim.conform.proof``.

Each must be rejected, and the rule that it breaks must be among those that the failures name. With
``--whole`` all tests are run and not only those of the rule, which shows what else is named.
"""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from descring_sim.conform.command import describe
from descring_sim.conform.errors import ConformError
from descring_sim.conform.proof.mutants import Mutant
from descring_sim.conform.status import TestResult
from descring_sim.conform.suite.registry import Test, all_tests
from descring_sim.conform.supervise import Task, run_all

TIMEOUT_S = 20.0
SEED = 1


@dataclass(frozen=True)
class Trial:
    """What the kit said of a wrong implementation."""

    mutant: Mutant
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


def try_mutant(mutant: Mutant, root: Path, *, whole: bool = False) -> Trial:
    """Make ``mutant`` and run the tests of its rule on it, or all tests."""
    started = time.monotonic()
    home = root / mutant.id
    try:
        reference = mutant.write(home)
        description = describe(reference, home / "build")
    except ConformError as error:
        return Trial(mutant, (), 0, time.monotonic() - started, str(error))
    tests = [
        test
        for test in all_tests()
        if (whole or test.rule == mutant.rule) and not test.missing(description.capabilities)
    ]
    results = run_all(reference, home / "build", _tasks(tests), jobs=1, timeout_s=TIMEOUT_S)
    failures = tuple(result for result in results if result.status.bad)
    return Trial(mutant, failures, len(tests), time.monotonic() - started)


def _tasks(tests: list[Test]) -> list[Task]:
    return [Task(test.id, SEED) for test in tests]


def try_all(mutants: list[Mutant], root: Path, *, jobs: int, whole: bool = False) -> list[Trial]:
    """Try all, ``jobs`` at a time, in order."""
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(lambda mutant: try_mutant(mutant, root, whole=whole), mutants))
