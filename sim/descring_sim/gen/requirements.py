# SPDX-License-Identifier: Apache-2.0
"""Writes ``docs/requirements.md`` and decides whether every rule has the tests it requires."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from descring_model import rules
from descring_model.engine import rules as engine_rules
from descring_model.rollouts import rules as rollout_rules

from descring_sim.gen.citations import (
    COCOTB_SUITES,
    PROOFS_FOLDER,
    SUITE_FOLDERS,
    Proof,
    Scan,
    TestCase,
    tracked_rules,
)
from descring_sim.support.markdown import GENERATED, table

MUST_EXIST = (rules.MODEL, rules.RTL)
"""Suites whose absence is an error and not merely a state of the work."""

SUITE_TITLES: dict[str, str] = {
    rules.MODEL: "golden model",
    rules.RTL: "RTL",
    rules.HOST: "host runtime",
    rules.SHELL: "AXI shell",
}

_INTRODUCTION = """\
# Requirements and their tests

Each rule of [the contract](contract.md), of [the rollout runtime](rollout-contract.md) and of [the
engine](engine-contract.md), and the tests that cite it in their docstrings. Every suite that the
row of a rule does not mark with a dash must have a test of it; `MISSING` fails `make test`. RTL
tests are cocotb cases; each runs in every configuration of its block, on both simulators. The
[quick tier](results/tiers.md) has every case too, in fewer configurations.

A proof is a property of [the proofs](formal.md) that states the rule, or a part of it, for all
inputs; [proofs.md](results/proofs.md) has the outcome of each. The last column shows how
the rule is verified in the RTL: *simulated*, *proven*, or *both*.

"""


def tests_of(rule: str, suite: str, scan: Scan) -> list[TestCase]:
    """The tests of ``suite`` that cite ``rule``."""
    return [test for test in scan.tests if test.suite == suite and rule in test.cited]


def proofs_of(rule: str, scan: Scan) -> list[Proof]:
    """The proven properties that cite ``rule``."""
    return [proof for proof in scan.proofs if rule in proof.cited]


def evidence(rule: str, scan: Scan) -> str:
    """What stands behind the rule in the RTL: simulated, proven, both, or a dash."""
    simulated = any(tests_of(rule, suite, scan) for suite in COCOTB_SUITES)
    proven = bool(proofs_of(rule, scan))
    if simulated and proven:
        return "both"
    return "simulated" if simulated else "proven" if proven else "—"


def findings(scan: Scan) -> list[str]:
    """What is wrong, one line each: bad citations, absent suites, rules without their tests."""
    found = list(scan.problems)
    for suite in MUST_EXIST:
        if suite not in scan.built:
            found.append(
                f"suite {suite}: expected tests in {SUITE_FOLDERS[suite]}, found none; every rule "
                f"that requires it is untested"
            )
    for rule in tracked_rules():
        for suite in rule.suites:
            if suite in scan.built and not tests_of(rule.rule, suite, scan):
                found.append(
                    f"rule {rule.rule}: no test in {SUITE_FOLDERS[suite]} cites it; write one "
                    f"whose docstring starts with [{rule.rule}]"
                )
    return found


def _cell(rule: rules.Rule, suite: str, scan: Scan) -> str:
    tests = tests_of(rule.rule, suite, scan)
    if tests:
        names = "<br>".join(f"`{PurePosixPath(test.file).name}::{test.name}`" for test in tests)
        return f"{len(tests)}: {names}"
    if suite not in rule.suites:
        return "—"
    return "MISSING" if suite in scan.built or suite in MUST_EXIST else "not built yet"


def _proof_cell(rule: str, scan: Scan) -> str:
    proofs = proofs_of(rule, scan)
    names = "<br>".join(f"`{proof}`" for proof in proofs)
    return f"{len(proofs)}: {names}" if proofs else "—"


def _summary(scan: Scan) -> Iterable[tuple[str, ...]]:
    for suite, title in SUITE_TITLES.items():
        owed = [rule for rule in tracked_rules() if suite in rule.suites]
        covered = [rule for rule in owed if tests_of(rule.rule, suite, scan)]
        tests = [test for test in scan.tests if test.suite == suite]
        citing = [test for test in tests if test.cited]
        state = "built" if suite in scan.built else "not built yet"
        yield (
            title,
            f"`{SUITE_FOLDERS[suite]}`",
            state,
            str(len(tests)),
            str(len(citing)),
            f"{len(covered)} of {len(owed)}",
        )
    citing_proofs = [proof for proof in scan.proofs if proof.cited]
    stated = {rule for proof in scan.proofs for rule in proof.cited}
    yield (
        "proofs",
        f"`{PROOFS_FOLDER}`",
        "built" if scan.proofs else "not built yet",
        str(len(scan.proofs)),
        str(len(citing_proofs)),
        str(len(stated)),
    )


SUMMARY_HEAD = ("suite", "folder", "state", "tests", "tests that cite a rule", "rules covered")


def summary(scan: Scan) -> str:
    """One line a suite, for people at a terminal."""
    return "".join(
        f"{title}: {tests} tests in {folder.strip('`')}, {citing} cite a rule, {covered} rules "
        f"covered ({state})\n"
        for title, folder, state, tests, citing, covered in _summary(scan)
    )


def _sections(
    title: str,
    sections: Mapping[int, tuple[str, str]],
    listed: Iterable[rules.Rule],
    suites: Iterable[str],
    scan: Scan,
    *,
    device: bool,
) -> str:
    """A table a section; with ``device`` also the proofs and what stands behind it in the RTL."""
    columns = tuple(suites)
    head = ("rule", "text", *(SUITE_TITLES[suite] for suite in columns))
    parts = []
    for number, (name, _) in sections.items():
        rows = []
        for rule in listed:
            if rule.section == number:
                row = [rule.rule, rule.text, *(_cell(rule, suite, scan) for suite in columns)]
                if device:
                    row += [_proof_cell(rule.rule, scan), evidence(rule.rule, scan)]
                rows.append(tuple(row))
        if rows:
            parts.append(f"## {title}{number}. {name}\n\n")
            parts.append(table((*head, "proofs", "RTL") if device else head, rows))
    return "".join(parts)


def render(scan: Scan) -> str:
    """The text of the page."""
    parts = [
        GENERATED,
        _INTRODUCTION,
        table(SUMMARY_HEAD, _summary(scan)),
        _sections("", rules.SECTIONS, rules.all_rules(), SUITE_TITLES, scan, device=True),
        _sections(
            "Rollouts ",
            rollout_rules.SECTIONS,
            rollout_rules.all_rules(),
            (rules.MODEL, rules.HOST),
            scan,
            device=False,
        ),
        _sections(
            "Engine ",
            engine_rules.SECTIONS,
            engine_rules.all_rules(),
            (rules.MODEL, rules.HOST),
            scan,
            device=False,
        ),
    ]
    return "".join(parts).rstrip("\n") + "\n"
