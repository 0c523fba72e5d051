# SPDX-License-Identifier: Apache-2.0
"""The table of requirements: what counts as a test of a rule, and what makes the gate fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_model import rules
from descring_sim.cli.gen import requirements as command
from descring_sim.gen import requirements
from descring_sim.gen.citations import SUITE_FOLDERS, scan, tracked_rules
from descring_sim.support.errors import SimulationError
from descring_sim.support.rule_citations import citations, expand

KNOWN = frozenset(rule.rule for rule in tracked_rules())

COCOTB_CASE = """\
import cocotb


@cocotb.test()
async def completes(dut):
    \"\"\"{cited} Behaves.\"\"\"
    assert dut
"""

COCOTB_SWEEP = """\
from descring_sim.cosim.block import Block

test_block = Block(top="block", cases=("{module}",))
"""

PYTEST_CASE = """\
def test_behaves():
    \"\"\"{cited} Behaves.\"\"\"
    assert 1 + 1 == 2
"""


def _required(suite: str) -> list[str]:
    return [rule.rule for rule in tracked_rules() if suite in rule.suites]


def _brackets(cited: list[str]) -> str:
    return " ".join(f"[{rule}]" for rule in cited)


def _write(root: Path, suite: str, cited: list[str]) -> Path:
    """One test of ``suite`` that cites ``cited``; returns the file it is in."""
    folder = root / SUITE_FOLDERS[suite]
    if suite == rules.RTL:
        folder = folder / "block"
    folder.mkdir(parents=True, exist_ok=True)
    if suite in (rules.RTL, rules.SHELL):
        module = f"{folder.name}.block_cases"
        (folder / "test_block.py").write_text(COCOTB_SWEEP.format(module=module))
        file = folder / "block_cases.py"
        file.write_text(COCOTB_CASE.format(cited=_brackets(cited)))
    else:
        file = folder / "test_unit.py"
        file.write_text(PYTEST_CASE.format(cited=_brackets(cited)))
    return file


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose model and RTL suites cover every rule that they must cover."""
    for suite in (rules.MODEL, rules.RTL):
        _write(tmp_path, suite, _required(suite))
    return tmp_path


def _findings(root: Path) -> list[str]:
    return requirements.findings(scan(root))


def _check(root: Path) -> tuple[int, str]:
    result = CliRunner().invoke(command, ["--check", "--root", str(root)])
    return result.exit_code, result.output


def test_complete_suites_pass(checkout: Path) -> None:
    """Every required rule is cited: exit 0 with the numbers; a suite not yet built is no fault."""
    code, output = _check(checkout)
    assert code == 0, output
    required = len(_required(rules.MODEL))
    assert (
        f"1 tests in pymodel/tests, 1 cite a rule, {required} of {required} rules covered" in output
    )
    assert "0 tests in host/tests" in output
    assert "not built yet" in output


@pytest.mark.parametrize("suite", [rules.MODEL, rules.RTL])
def test_uncited_rule_fails_in_its_suite(checkout: Path, suite: str) -> None:
    """Each required rule left out in turn is the one finding, and the command exits with 1."""
    for rule in _required(suite):
        _write(checkout, suite, [other for other in _required(suite) if other != rule])
        (finding,) = _findings(checkout)
        assert finding.startswith(f"rule {rule}: no test in {SUITE_FOLDERS[suite]} cites it")
    code, output = _check(checkout)
    assert code == 1
    assert rule in output


@pytest.mark.parametrize("suite", [rules.HOST, rules.SHELL])
def test_suite_that_exists_must_cover_its_rules(checkout: Path, suite: str) -> None:
    """As soon as a suite has one test, its required rules must be covered."""
    _write(checkout, suite, [])
    assert len(_findings(checkout)) == len(_required(suite)) > 0
    _write(checkout, suite, _required(suite))
    assert _findings(checkout) == []


@pytest.mark.parametrize("suite", [rules.MODEL, rules.RTL])
@pytest.mark.parametrize("emptied", ["no folder", "no test"])
def test_absent_suite_fails(checkout: Path, suite: str, emptied: str) -> None:
    """Without tests the model and RTL suites are an error, also where the folder is there."""
    for file in (checkout / SUITE_FOLDERS[suite]).rglob("*.py"):
        file.unlink()
    if emptied == "no folder":
        (checkout / SUITE_FOLDERS[suite]).rename(checkout / "elsewhere")
    code, output = _check(checkout)
    assert code == 1
    assert f"suite {suite}: expected tests in {SUITE_FOLDERS[suite]}, found none" in output


def test_rule_of_another_suite_does_not_count(checkout: Path) -> None:
    """A model test that cites a rule does not pay for the RTL's, nor a shell test."""
    _write(checkout, rules.RTL, [rule for rule in _required(rules.RTL) if rule != "DB-001"])
    _write(checkout, rules.SHELL, [*_required(rules.SHELL), "DB-001"])
    (finding,) = _findings(checkout)
    assert finding.startswith("rule DB-001: no test in cocotb_tests ")


@pytest.mark.parametrize(
    ("cited", "text"),
    [
        ("[DESC-099]", "the contract has no rule DESC-099"),
        ("[DESC-001..DESC-099]", "the contract has no rule DESC-099"),
        ("[DB-001] [DB-009]", "the contract has no rule DB-009"),
        ("Later on [DB-009] stands", "the contract has no rule DB-009"),
        ("[DESC-001, DESC-002]", "neither a rule id nor a range"),
        ("[desc-001]", "neither a rule id nor a range"),
        ("[]", "neither a rule id nor a range"),
        ("[DESC-001..DB-003]", "upwards within one group"),
        ("[DESC-013..DESC-001]", "upwards within one group"),
        ("[OP-000..OP-ERR]", "must be numbered"),
    ],
)
def test_bad_citation_fails(checkout: Path, cited: str, text: str) -> None:
    """A citation that names nothing is a finding with the test's place."""
    file = checkout / "pymodel" / "tests" / "test_other.py"
    file.write_text(PYTEST_CASE.format(cited=cited))
    (finding,) = _findings(checkout)
    assert finding.startswith("pymodel/tests/test_other.py::test_behaves: ")
    assert text in finding


def test_range_stands_for_the_rules_between_its_ends() -> None:
    """Ranges are hexadecimal where ids are, and take in only rules that exist."""
    assert expand("DESC-001..DESC-013", KNOWN) == tuple(f"DESC-{n:03}" for n in range(1, 14))
    assert expand("REG-008..REG-014", KNOWN) == ("REG-008", "REG-00C", "REG-010", "REG-014")
    opcodes = ("OP-001", "OP-002", "OP-003", "OP-004", "OP-010", "OP-011")
    assert expand("OP-001..OP-011", KNOWN) == opcodes


def test_citations_stand_at_the_start_and_may_wrap() -> None:
    """Brackets count up to the first other word, over line ends, without repetition."""
    text = "[DB-001] [DB-002]\n    [DB-001] Does this [DB-003] and a[3]."
    assert citations(text, KNOWN) == ("DB-001", "DB-002")


DISABLED = {
    "pytest skip": "import pytest\n\n@pytest.mark.skip\n",
    "pytest skip with reason": "import pytest\n\n@pytest.mark.skip(reason='later')\n",
    "pytest xfail": "import pytest\n\n@pytest.mark.xfail(strict=True)\n",
}


@pytest.mark.parametrize("decorator", DISABLED.values(), ids=DISABLED)
def test_disabled_test_does_not_count(checkout: Path, decorator: str) -> None:
    """A rule whose only test is skipped or expected to fail is untested, and both are named."""
    file = _write(checkout, rules.MODEL, _required(rules.MODEL))
    file.write_text(decorator + file.read_text())
    findings = _findings(checkout)
    assert "keeps it from failing" in findings[0]
    assert "suite model: expected tests" in findings[1]


@pytest.mark.parametrize("argument", ["skip=True", "expect_fail=True", "expect_error=ValueError"])
def test_disabled_cocotb_case_does_not_count(checkout: Path, argument: str) -> None:
    """A cocotb case that is skipped or expected to fail tests nothing."""
    file = _write(checkout, rules.RTL, _required(rules.RTL))
    file.write_text(file.read_text().replace("test()", f"test({argument})"))
    assert f"@cocotb.test({argument}) keeps it from failing" in _findings(checkout)[0]
    file.write_text(file.read_text().replace(argument, "skip=False, timeout_time=1"))
    assert _findings(checkout) == []


def test_empty_test_does_not_count(checkout: Path) -> None:
    """A test of a docstring and nothing else is a finding, and covers nothing."""
    file = _write(checkout, rules.MODEL, _required(rules.MODEL))
    file.write_text(file.read_text().replace("assert 1 + 1 == 2", "..."))
    findings = _findings(checkout)
    assert findings[0] == "pymodel/tests/test_unit.py::test_behaves: the test is empty"
    assert "suite model: expected tests" in findings[1]


def test_case_that_nothing_runs_does_not_count(checkout: Path) -> None:
    """Cocotb cases in a module that no pytest function names are never run."""
    _write(checkout, rules.RTL, _required(rules.RTL))
    (checkout / "cocotb_tests" / "block" / "test_block.py").write_text("")
    assert "no block names its module 'block.block_cases'" in _findings(checkout)[0]


@pytest.mark.parametrize(
    "text",
    [
        "class TestGroup:\n    def test_x(self):\n        '''{cited} x'''\n        assert self\n",
        "class Machine:\n    '''{cited} x'''\n    x = 1\n\n\nTestMachine = Machine.TestCase\n",
        "async def test_x():\n    '''{cited} x'''\n    assert test_x\n",
    ],
    ids=["method", "hypothesis machine", "coroutine"],
)
def test_every_shape_of_test_counts(checkout: Path, text: str) -> None:
    """Methods of a class, Hypothesis machines and coroutines cite rules like functions."""
    file = _write(checkout, rules.MODEL, [])
    file.write_text(text.format(cited=_brackets(_required(rules.MODEL))))
    assert _findings(checkout) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("support.py", PYTEST_CASE),
        ("test_unit.py", PYTEST_CASE.replace("test_behaves", "helper")),
        ("test_unit.py", PYTEST_CASE.replace('"""{cited}', '"""Names {cited}')),
        ("test_unit.py", "# {cited}\n" + PYTEST_CASE.replace("{cited} ", "")),
    ],
    ids=["no test file", "no test function", "not at the start", "in a comment"],
)
def test_what_is_no_citation_does_not_count(checkout: Path, name: str, text: str) -> None:
    """Only a docstring of something that pytest collects, and only its start, covers rules."""
    file = _write(checkout, rules.MODEL, [])
    file.unlink()
    (file.parent / name).write_text(text.format(cited=_brackets(_required(rules.MODEL))))
    assert any("DESC-001" in item or "suite model" in item for item in _findings(checkout))


def test_broken_test_file_is_an_error(checkout: Path) -> None:
    """A file that is no Python ends the command with 2 and its place."""
    file = _write(checkout, rules.MODEL, [])
    file.write_text("def test_x(:\n")
    with pytest.raises(SimulationError, match=r"test_unit\.py:1: .*correct the file"):
        scan(checkout)
    code, output = _check(checkout)
    assert code == 2
    assert "test_unit.py:1:" in output


def test_without_check_findings_are_shown_and_the_command_succeeds(checkout: Path) -> None:
    """A plain call is for people at work: it tells what is missing, and exits with 0."""
    _write(checkout, rules.RTL, _required(rules.RTL)[1:])
    result = CliRunner().invoke(command, ["--root", str(checkout)])
    assert result.exit_code == 0
    assert f"rule {_required(rules.RTL)[0]}: no test in cocotb_tests" in result.output


def test_page_shows_tests_counts_and_gaps(checkout: Path) -> None:
    """Rows name the tests with their number, a gap, a suite not built, and a rule not required."""
    _write(checkout, rules.RTL, [rule for rule in _required(rules.RTL) if rule != "DB-001"])
    rows = {
        line.split(" | ")[0].removeprefix("| "): line.removesuffix(" |").split(" | ")
        for line in requirements.render(scan(checkout)).splitlines()
        if line.startswith("| ")
    }
    assert [rule for rule in KNOWN if rule not in rows] == []
    model, rtl = "1: `test_unit.py::test_behaves`", "1: `block_cases.py::completes`"
    assert rows["DB-002"][2:] == [model, rtl, "—", "—", "—", "simulated"]
    assert rows["DB-001"][2:] == [model, "MISSING", "—", "—", "—", "—"]
    assert rows["DB-005"][2:] == ["—", "—", "not built yet", "—", "—", "—"]
    assert rows["LIFE-005"][2:] == [model, "—", "—", "not built yet", "—", "—"]


PROPERTIES = """\
// [{rule}] It holds.
`HW_ASSERT_IF(Holds_A, 1'b1, q == d)
// [DB-003] It can happen.
`HW_COVER(Happens_C, q)
"""

TASK = """\
[tasks]
all_{kind} {kind}
[files]
block_props.sv
"""


def _prove(root: Path, rule: str, kind: str = "prove") -> None:
    """A proof of a property that cites ``rule``."""
    folder = root / "formal"
    folder.mkdir()
    (folder / "block_props.sv").write_text(PROPERTIES.format(rule=rule))
    (folder / "block.sby").write_text(TASK.format(kind=kind))


def test_page_says_simulated_proven_or_both(checkout: Path) -> None:
    """A property counts for the rules it cites; that something can happen is no proof."""
    _write(checkout, rules.RTL, [rule for rule in _required(rules.RTL) if rule != "DB-001"])
    _prove(checkout, "DB-001")
    result = scan(checkout)
    assert [str(proof) for proof in result.proofs] == ["block::Holds_A"]
    assert requirements.evidence("DB-001", result) == "proven"
    assert requirements.evidence("DB-003", result) == "simulated"
    _write(checkout, rules.RTL, _required(rules.RTL))
    assert requirements.evidence("DB-001", scan(checkout)) == "both"


def test_property_that_no_task_proves_is_no_proof(checkout: Path) -> None:
    """A cover shows that a case exists, not that the property holds there."""
    _prove(checkout, "DB-001", kind="cover")
    assert scan(checkout).proofs == ()


def test_property_that_cites_an_unknown_rule_is_an_error(checkout: Path) -> None:
    """A misspelt rule would look like a proof of nothing."""
    _prove(checkout, "DB-999")
    with pytest.raises(SimulationError, match=r"Holds_A: the contract has no rule DB-999"):
        scan(checkout)
