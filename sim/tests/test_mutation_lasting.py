# SPDX-License-Identifier: Apache-2.0
"""Which results of earlier runs count, and that the test with the most kills runs first."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from descring_sim.mutation.sampled import command, lasting, suites
from descring_sim.mutation.sampled.campaign import Found
from descring_sim.mutation.sampled.covering import Covering, CoveringJudge
from descring_sim.mutation.sampled.suites import Area
from descring_sim.mutation.suite_run import Failure

MORE = "def test_more():\n    assert True\n"


@pytest.fixture
def area(tmp_path: Path) -> Area:
    """A folder with one test."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_more.py").write_text(MORE)
    return Area(tmp_path, "toy", ("calc.py",), None)


def _killed(by: str, tier: str = "covering tests") -> Found:
    return Found("killed", tier, by)


def test_a_result_counts_as_long_as_its_test_is_there(area: Area) -> None:
    """A survivor is tried again after any change of the suite, a kill without its test."""
    found = [
        _killed("test_more.test_more[1-2]: AssertionError"),
        _killed("test_more.test_gone: AssertionError"),
        _killed("test_gone.test_more: AssertionError"),
        _killed("toy.all: no end in 60 s"),
        Found("survived", "none", lasting.survived("1 files pass", lasting.tests_key(area))),
    ]
    assert [*map(lasting.of_suites((area,)), found)] == [True, False, False, True, True]
    (area.folder / "tests" / "test_more.py").write_text("\n" + MORE)
    assert [*map(lasting.of_suites((area,)), found)] == [True, False, False, True, False]


def test_programs_of_the_tests_are_tests(area: Area) -> None:
    """A survivor is tried again when one changes; the sources are what they were."""
    area = replace(area, programs=suites.PROGRAMS)
    program = area.folder / suites.PROGRAMS / "stress.c"
    program.parent.mkdir(parents=True)
    program.write_text("int main(void) { return 0; }\n")
    (area.folder / "native" / "link.c").write_text("int x;\n")
    met, sources = lasting.tests_key(area), command.contents(area.folder / "native")
    program.write_text("int main(void) { return 1; }\n")
    assert lasting.tests_key(area) != met
    assert command.contents(area.folder / "native") == sources
    (area.folder / "native" / "link.c").write_text("int y;\n")
    assert command.contents(area.folder / "native") != sources


def test_a_result_of_the_rtl_counts_as_long_as_its_case_or_property_is_there(
    tmp_path: Path,
) -> None:
    """What SAT has proven counts whatever the suite is."""
    tests, formal = tmp_path / "tests", tmp_path / "formal"
    for folder in (tests / "toy", formal):
        folder.mkdir(parents=True)
    (tests / "toy" / "toy_cases.py").write_text("async def test_sum(dut):\n    pass\n")
    (formal / "toy_props.sv").write_text("Kept_A: assert property (a);\n")
    key = lasting.suite_key(tests, formal)
    found = [
        _killed("toy@four: toy.test_sum: AssertionError", "testbench"),
        _killed("toy@four: toy.test_gone: assert test_sum == 1", "testbench"),
        _killed("toy@four: no end in 120 s", "device"),
        _killed("refuted: Kept_A (toy/prove)", "proof"),
        _killed("refuted: Kept_A, Gone_A (toy/prove)", "proof"),
        Found("equivalent", "SAT", "equal outputs and next state for all inputs"),
        Found("survived", "proof", lasting.survived("1 runs pass", key)),
    ]
    counted = [True, False, True, True, False, True, True]
    assert [*map(lasting.of_benches(tests, formal), found)] == counted
    (formal / "toy_props.sv").write_text("Kept_A: assert property (a && b);\n")
    assert [*map(lasting.of_benches(tests, formal), found)] == [*counted[:-1], False]


def test_what_kills_most_in_its_time_runs_first(
    area: Area, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the quickest does; which test kills a mutant changes nothing of the verdict."""
    took = {"tests/a.py::test_a": 1.0, "tests/b.py::test_b": 0.1, "tests/c.py::test_c": 30.0}
    judge = CoveringJudge[Covering]((area,), lambda _: (), tmp_path, 1)
    covering = Covering(area, judge._runner(area), tmp_path, [])
    covering._seconds = took
    assert judge._soonest(covering, took) == [*(f"tests/{n}.py::test_{n}" for n in "bac")]
    for name, kills in (("c", 2), ("a", 1)):
        for _ in range(kills):
            failure = Failure(name, f"test_{name}[0]", "AssertionError")
            monkeypatch.setattr(suites, "failure_of", lambda *_, f=failure, **__: f)
            monkeypatch.setattr(judge, "_passes", lambda *_: True)
            found = judge._by_tiers(area, tmp_path, [("near", list(took), 1.0)])
            assert found == _killed(str(failure), "near")
    assert judge._soonest(covering, took) == [*(f"tests/{n}.py::test_{n}" for n in "acb")]
