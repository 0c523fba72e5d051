# SPDX-License-Identifier: Apache-2.0
"""The kit states no: each wrong implementation is rejected, under the rule that it breaks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from conform_support import named, rules_with_tests, run_rules
from descring_sim.conform.duts.find import find_dut
from descring_sim.conform.proof.families import statements
from descring_sim.conform.proof.mutants import WrongImplementation, load
from descring_sim.conform.proof.statements import prepare, try_statement
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.support.mutant import MutantError

ROOT = Path(__file__).parents[2]
PYTHON = load(("python",))
C = load(("c",))


def test_every_rule_has_a_wrong_implementation() -> None:
    """Every rule that has a test has an implementation that breaks it."""
    assert {mutant.rule for mutant in load()} >= rules_with_tests()


def test_the_guide_counts_what_is_there() -> None:
    """The numbers of tests and of wrong implementations in docs/conformance.md."""
    text = " ".join((ROOT / "docs" / "conformance.md").read_text(encoding="utf-8").split())
    tests, wrong = all_tests(), statements()
    levels, ways = Counter(test.level for test in tests), Counter(one.level for one in wrong)
    assert (
        f"{len(tests)} tests of {len({test.rule for test in tests})} rules: {levels['stream']} of "
        f"streams, {levels['device']} of devices; {sum(test.smoke for test in tests)} of them are "
        "quick"
    ) in text
    repeated = sum(test.id.endswith("-through-rings") for test in tests)
    assert f"{repeated} of the stream tests, those about lines, are repeated" in text
    assert f"has {len(load())} wrong implementations" in text
    assert (
        f"wrong in {len(wrong)} ways, one at a time: {ways['stream']} of streams and "
        f"{ways['device']} of devices, of {len({one.rule for one in wrong})} rules"
    ) in text


def test_each_has_a_name_of_its_own() -> None:
    """Two that break one rule do not share a folder: they may be tried at the same time."""
    names = [mutant.name for mutant in load()]
    assert len(set(names)) == len(names)
    assert {"shell-RING-008", "shell-RING-008-2"} <= set(names)


@pytest.mark.parametrize("mutant", PYTHON + C, ids=lambda mutant: mutant.name)
def test_is_rejected_under_its_rule(mutant: WrongImplementation, tmp_path: Path) -> None:
    """The tests of the rule fail, and name it."""
    dut = find_dut(mutant.write(tmp_path / "dut"))
    dut.build(tmp_path / "build")
    assert mutant.rule in named(run_rules(dut, [mutant.rule]))


def test_wrong_statements_are_rejected(tmp_path: Path) -> None:
    """Some of the ways to get a statement of the contract wrong; the command tries all of them."""
    dut = prepare(tmp_path / "contract")
    chosen = [one for one in statements() if one.family != "slot-bits"][::60]
    outcomes = [try_statement(dut, one) for one in chosen]
    assert len(outcomes) > 10
    assert [o.statement for o in outcomes if not o.rejected] == []


def test_a_list_that_does_not_fit_is_an_error(tmp_path: Path) -> None:
    """A search text that the source has not is refused, and no right implementation is tried."""
    gone = WrongImplementation(
        "gone", "completion.py", "nothing", "no such text", "x", language="python", rule="DEC-001"
    )
    with pytest.raises(MutantError, match=r"expected its search text once .* found it 0 times"):
        gone.write(tmp_path / "dut")
