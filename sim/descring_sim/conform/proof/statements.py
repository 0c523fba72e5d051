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


_GENERAL = ("FLAG-010", "DESC-023", "RING-006", "LIFE-003", "CNT-001", "RING-002", "RING-008")
"""Rules of which the tests meet lines of every kind."""
_LAST = (
    "OP-ERR/every-opcode",
    "OP-ERR/every-opcode-checked-the-other-way",
    "OP-ERR/every-opcode-through-rings",
    "OP-ERR/every-opcode-checked-the-other-way-through-rings",
)
"""Tests that take longest."""


def _order(statement: Statement) -> list[Test]:
    """The tests of its level: those of its rule first, quick ones before others."""

    def place(test: Test) -> tuple[bool, bool, bool, bool]:
        own = test.rule == statement.rule
        return not own, test.id in _LAST, not test.smoke, test.rule not in _GENERAL

    return sorted((test for test in all_tests() if test.level == statement.level), key=place)


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
