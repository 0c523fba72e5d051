# SPDX-License-Identifier: Apache-2.0
"""Wrong implementations by the statement: each rule, each way to get it wrong, at each level.

They are variants of one implementation in C, ``sim/conform_mutants/contract.c``, which was written
from the contract's text and not from any of ours. It is compiled once; an environment variable
chooses what is wrong.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from descring_sim.conform.dut import Dut
from descring_sim.conform.duts.find import find_dut
from descring_sim.conform.execute import run_test
from descring_sim.conform.proof.families import Statement
from descring_sim.conform.proof.mutants import examples_dir
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.suite.declare import Test

VARIABLE = "WRONG"
_TIMEOUT_S = 60.0
_SEED = 1


@dataclass(frozen=True)
class Outcome:
    """What the kit reports of one: the test that named the rule, and whether it is a quick one."""

    statement: Statement
    by: str
    quick: bool
    named: tuple[str, ...]
    seconds: float

    @property
    def rejected(self) -> bool:
        """Whether it was rejected under its rule."""
        return bool(self.by)


def prepare(folder: Path) -> Dut:
    """Compile the implementation in ``folder``; it is right while :data:`VARIABLE` is not set."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = examples_dir().parents[1] / "sim" / "conform_mutants"
    for path in source.glob("contract*"):
        shutil.copy(path, folder)
    dut = find_dut(str(folder / "contract.toml"))
    dut.build(folder / "build")
    return dut


_GENERAL = ("RING-006", "RING-002", "LIFE-003", "CNT-001", "DESC-023", "RING-008", "RING-013")
"""Rules of which the tests at the level of devices meet lines of every kind."""


def _order(statement: Statement) -> list[Test]:
    """The tests of its level: those of its rule first, quick ones before others."""
    tests = [test for test in all_tests() if test.level == statement.level]
    own = [test for test in tests if test.rule == statement.rule]
    other = [t for t in tests if t.rule in _GENERAL and t.rule != statement.rule]
    ordered = sorted(own, key=lambda test: not test.smoke)
    return ordered + sorted(other, key=lambda test: not test.smoke)


def try_statement(dut: Dut, statement: Statement) -> Outcome:
    """Run tests until one names the rule, in this process."""
    started = time.monotonic()
    description = dut.describe()
    named: dict[str, None] = {}
    os.environ[VARIABLE] = statement.choice
    try:
        for test in _order(statement):
            if test.missing(description.capabilities):
                continue
            result = run_test(dut, description, test, _SEED, timeout_s=_TIMEOUT_S, waves=False)
            if result.status.bad and result.failure is not None:
                named |= dict.fromkeys(result.failure.rules)
                if statement.rule in result.failure.rules:
                    seconds = time.monotonic() - started
                    return Outcome(statement, test.id, test.smoke, tuple(named), seconds)
    finally:
        del os.environ[VARIABLE]
    return Outcome(statement, "", False, tuple(named), time.monotonic() - started)
