# SPDX-License-Identifier: Apache-2.0
"""The verdict on one implementation: results of tests gathered by rule."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from descring_model import contract
from descring_model.rules import SECTIONS, Rule, all_rules

from descring_sim.conform.dut import Description
from descring_sim.conform.status import Bin, Status, TestResult
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.suite.declare import NOT_APPLICABLE, ONLY_ON_CHIP, Test
from descring_sim.support import paths
from descring_sim.support.provenance import commit_of
from descring_sim.support.visible import visible

_WORST = (Status.FAILED, Status.HUNG, Status.ERROR)


@dataclass(frozen=True)
class RuleRow:
    """One rule in the verdict: its status, why, and the results of its own tests."""

    rule: Rule
    status: Status
    reason: str
    results: tuple[TestResult, ...]

    @property
    def passed(self) -> int:
        """Tests of the rule that passed."""
        return sum(result.status is Status.PASSED for result in self.results)


@dataclass(frozen=True)
class Verdict:
    """Everything that a report contains about one run on one implementation.

    ``reference`` is what the user called the implementation; ``selected`` the tests that the run
    was about, of which each has a result.
    """

    reference: str
    description: Description
    results: tuple[TestResult, ...]
    selected: tuple[Test, ...]
    seed: int
    seconds: float
    started: datetime.datetime
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> Counter[Status]:
        """How many tests have which status."""
        return Counter(result.status for result in self.results)

    @property
    def partial(self) -> str:
        """What part of the suite the run was about; empty if it was all of it."""
        whole = len(all_tests())
        count = len(self.selected)
        return "" if count == whole else f"{count} of {whole} tests"

    @property
    def ok(self) -> bool:
        """Whether every test that ran passed, and at least one did."""
        return not any(result.status.bad for result in self.results) and bool(
            self.counts[Status.PASSED]
        )

    @property
    def failures(self) -> list[TestResult]:
        """The bad results, in the order of the contract."""
        return [result for result in self.results if result.status.bad]

    @property
    def named(self) -> Counter[str]:
        """The rules that failures name, with how many failures name each."""
        return Counter(
            rule for result in self.failures if result.failure for rule in result.failure.rules
        )

    @property
    def bins(self) -> Counter[Bin]:
        """What was covered, by lines."""
        total: Counter[Bin] = Counter()
        for result in self.results:
            total.update(result.bins)
        return total

    def rows(self) -> list[RuleRow]:
        """The rules that the run was about, in the order of the contract."""
        about = {test.rule for test in self.selected}
        whole = len(about) > 1 and self._is_whole()
        return [
            self._row(rule)
            for rule in all_rules()
            if rule.rule in about or (whole and rule.rule in NOT_APPLICABLE)
        ]

    def _is_whole(self) -> bool:
        return {test.rule for test in self.selected} >= {
            rule.rule for rule in all_rules() if rule.rule not in NOT_APPLICABLE
        }

    def _row(self, rule: Rule) -> RuleRow:
        if rule.rule in NOT_APPLICABLE:
            return RuleRow(rule, Status.NOT_APPLICABLE, NOT_APPLICABLE[rule.rule], ())
        results = tuple(result for result in self.results if result.rule == rule.rule)
        statuses = {result.status for result in results}
        for status in _WORST:
            if status in statuses:
                failing = next(result for result in results if result.status is status)
                reason = failing.failure.text if failing.failure else ""
                return RuleRow(rule, status, reason, results)
        if self.named[rule.rule]:
            by = next(
                result.test
                for result in self.failures
                if result.failure and rule.rule in result.failure.rules
            )
            return RuleRow(rule, Status.FAILED, f"broken in {by}", results)
        if Status.PASSED in statuses:
            return RuleRow(rule, Status.PASSED, "", results)
        reasons = "; ".join(dict.fromkeys(result.reason for result in results))
        if Status.NOT_CLAIMED in statuses:
            return RuleRow(rule, Status.NOT_CLAIMED, reasons, results)
        if Status.NOT_APPLICABLE in statuses:
            return RuleRow(rule, Status.NOT_APPLICABLE, reasons, results)
        return RuleRow(rule, Status.ERROR, "there is no result", results)

    def rerun(self, result: TestResult) -> str:
        """The command that repeats one test."""
        return visible(
            f"descring conform {shlex.quote(self.reference)} "
            f"--only {shlex.quote(result.test)} --seed {result.seed}"
        )


def skipped(test: Test, description: Description, seed: int) -> TestResult | None:
    """The result of a test that is not to be run, with the reason; None if it is to be."""
    missing = test.missing(description.capabilities)
    if not missing:
        return None
    if test.rule in ONLY_ON_CHIP and description.capabilities.rings == "memory":
        reason = "its rings lie in memory"
        return TestResult(test.id, test.rule, Status.NOT_APPLICABLE, seed, reason=reason)
    reason = f"needs {', '.join(missing)}"
    return TestResult(test.id, test.rule, Status.NOT_CLAIMED, seed, reason=reason)


def section_title(number: int) -> str:
    """Number and title of a section of the contract, with its backticks."""
    return f"{number}. {SECTIONS[number][0]}"


def versions() -> dict[str, str]:
    """The versions that a verdict depends on."""
    found = {
        "descring": importlib.metadata.version("descring"),
        "contract": f"{contract.VERSION}, hash {contract.CONTRACT_HASH:08x}",
        "python": platform.python_version(),
        "numpy": importlib.metadata.version("numpy"),
        "machine": f"{platform.system()} {platform.machine()}",
    }
    root = paths.checkout_root()
    if root is not None and (commit := commit_of(root)):
        found["descring commit"] = commit
    return found


def bins_by(bins: Counter[Bin], axes: Sequence[int]) -> Counter[tuple[str, ...]]:
    """Sum bins over all axes but these."""
    total: Counter[tuple[str, ...]] = Counter()
    for key, count in bins.items():
        total[tuple(key[axis] for axis in axes)] += count
    return total
