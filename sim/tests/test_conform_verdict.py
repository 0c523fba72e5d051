# SPDX-License-Identifier: Apache-2.0
"""From results to the verdict, in a terminal and in files."""

from __future__ import annotations

import datetime
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conform_support import plugin
from descring_sim.conform.duts.model import ModelDut
from descring_sim.conform.errors import ConformError
from descring_sim.conform.report.lines import field_diff
from descring_sim.conform.report.terminal import SHOWN, print_failures, print_table
from descring_sim.conform.report.write import write_report
from descring_sim.conform.session import judge_one
from descring_sim.conform.status import Failure, LineDiff, Status, TestResult
from descring_sim.conform.suite import declare
from descring_sim.conform.suite.catalogue import all_tests, select
from descring_sim.conform.verdict import Verdict, skipped
from rich.console import Console

DESCRIPTION = ModelDut().describe()
NOP = select(["OP-000/nop"])[0]
SILENT = Console(file=io.StringIO())


# ------------------------------------------------------------------ the verdict


def verdict_of(*results: TestResult, **values: Any) -> Verdict:
    """A verdict with these results."""
    tests = tuple(next(t for t in all_tests() if t.id == r.test) for r in results)
    began = datetime.datetime.now(datetime.UTC)
    return Verdict(
        **{
            **{"reference": "x", "description": DESCRIPTION, "results": results},
            **{"selected": tests, "seed": 1, "seconds": 1.0, "started": began, **values},
        }
    )


def result_of(test: str, status: Status, *rules: str, **values: Any) -> TestResult:
    """A result with a failure where it is a bad one."""
    failure = Failure("it is wrong", rules, **values) if status.bad else None
    return TestResult(test, test.partition("/")[0], status, 1, failure=failure, reason="needs it")


def test_each_status_of_a_rule() -> None:
    """The worst result decides; a rule that another test names is broken by that."""
    rows = {
        row.rule.rule: (row.status, row.reason)
        for row in verdict_of(
            result_of("OP-000/nop", Status.PASSED),
            result_of("OP-001/decode", Status.HUNG, "OP-001", "DEC-003"),
            result_of("DEC-003/done-wins", Status.PASSED),
            result_of("OP-002/reward", Status.NOT_CLAIMED),
            result_of("REG-000/access", Status.NOT_APPLICABLE),
        ).rows()
    }
    assert rows == {
        "OP-000": (Status.PASSED, ""),
        "OP-001": (Status.HUNG, "it is wrong"),
        "DEC-003": (Status.FAILED, "broken in OP-001/decode"),
        "OP-002": (Status.NOT_CLAIMED, "needs it"),
        "REG-000": (Status.NOT_APPLICABLE, "needs it"),
    }
    (row,) = verdict_of(selected=(NOP,)).rows()
    assert (row.status, row.reason) == (Status.ERROR, "there is no result")


def test_a_whole_run_shows_what_is_not_applicable() -> None:
    """The table of a run about all other rules lists those that no device can break."""
    results = tuple(result_of(test.id, Status.PASSED) for test in all_tests())
    rows = verdict_of(*results).rows()
    shown = [row.rule.rule for row in rows if row.status is Status.NOT_APPLICABLE]
    assert sorted(shown) == sorted(declare.NOT_APPLICABLE)


def test_what_is_not_run_has_a_reason() -> None:
    """Of a capability that is not claimed, of a rule that is disclaimed, of rings in memory."""
    claims = replace(DESCRIPTION.capabilities, checked=False, not_claimed=frozenset({"OP-000"}))
    described = replace(DESCRIPTION, capabilities=claims)
    result = skipped(NOP, described, 1)
    assert result is not None
    assert result.reason == "needs rule OP-000 (not_claimed)"
    on_chip = next(test for test in all_tests() if test.rule == "RING-011")
    result = skipped(on_chip, DESCRIPTION, 1)
    assert result is not None
    assert result.status is Status.NOT_APPLICABLE
    assert skipped(NOP, DESCRIPTION, 1) is None


def test_no_test_within_the_claims_is_an_error() -> None:
    """Nothing was judged, so there is no verdict."""
    on_chip = [test for test in all_tests() if test.rule == "RING-011"]
    with pytest.raises(ConformError, match=r"model: none of the \d+ tests is within its capab"):
        judge_one(
            "model", on_chip, seed=1, jobs=1, timeout_s=9.0, console=Console(file=io.StringIO())
        )


def test_the_quick_run_leaves_out_costly_tests_where_lines_are_slow(tmp_path: Path) -> None:
    """They are in that of an implementation that claims ``exhaustive``."""
    costly = [test for test in all_tests() if test.costly]
    assert costly
    stream = next(test for test in costly if test.level == "stream")
    ran = {}
    for fast in (True, False):
        folder = tmp_path / str(fast)
        folder.mkdir()
        reference = plugin(folder, "return result")
        file = Path(reference.partition(":")[0])
        describe = (
            "    def describe(self):\n        import dataclasses\n"
            "        mine = super().describe()\n"
            f"        claims = dataclasses.replace(mine.capabilities, exhaustive={fast})\n"
            "        return dataclasses.replace(mine, capabilities=claims)\n"
        )
        file.write_text(file.read_text().replace("    def run(", describe + "    def run("))
        verdict = judge_one(
            reference, [NOP, stream], seed=1, jobs=1, timeout_s=20.0, console=SILENT, smoke=True
        )
        ran[fast] = [result.test for result in verdict.results]
    assert ran == {True: [NOP.id, stream.id], False: [NOP.id]}


def test_failures_are_repeated_with_waves(tmp_path: Path) -> None:
    """Where the implementation has waves: the result stays that of the first run."""
    body = (
        "import dataclasses\n"
        "        result.done['kv_offset'] ^= np.uint64(job.waves or 2)\n"
        "        return dataclasses.replace(result, waves='w.fst' if job.waves else None)"
    )
    reference = plugin(tmp_path, body)
    file = Path(reference.partition(":")[0])
    describe = (
        "    def describe(self):\n        import dataclasses\n"
        "        return dataclasses.replace(super().describe(), waves=True)\n"
    )
    file.write_text(file.read_text().replace("    def run(", describe + "    def run("))
    verdict = judge_one(reference, [NOP], seed=1, jobs=1, timeout_s=20.0, console=SILENT)
    (result,) = verdict.results
    assert result.failure is not None
    assert result.failure.waves == "w.fst"
    assert result.failure.diff is not None
    expected, actual = result.failure.diff.expected, result.failure.diff.actual
    assert expected is not None
    assert actual is not None
    assert [a ^ b for a, b in zip(expected, actual, strict=True) if a != b] == [2]


# ------------------------------------------------------------------ reports


def test_the_terminal_shows_some_failures_and_counts_the_rest() -> None:
    """With the difference, the waves and the last line of the log of each."""
    diff = LineDiff(3, "done", None, b"\1" * 64, b"\2" * 64)
    bad = result_of(
        *("OP-000/nop", Status.FAILED, "OP-000"), diff=diff, waves="w.fst", log="first\nlast\n"
    )
    silent = TestResult("OP-001/decode", "OP-001", Status.ERROR, 1)
    verdict = verdict_of(bad, silent, *[bad] * SHOWN)
    output = io.StringIO()
    console = Console(file=output, width=120)
    print_failures(console, verdict)
    print_table(console, verdict)
    text = output.getvalue()
    assert "breaks OP-000" in text
    assert "waves:  w.fst" in text
    assert "log:    last" in text
    assert "first" not in text
    assert "and 2 more; write all of them with --output DIR" in text
    assert "OP-001/decode: error\n  repeat:" in text


def test_a_line_that_is_not_there_has_no_values() -> None:
    """A completion too many, and one that is missing."""
    rows = field_diff(LineDiff(0, "done", None, None, b"\1" * 64))
    assert {row.expected for row in rows} == {None}
    assert all(row.differs for row in rows)


@pytest.mark.parametrize("spoil", ["folder", "file"])
def test_a_report_that_cannot_be_written_is_one_line(tmp_path: Path, spoil: str) -> None:
    """A folder below a file, and a folder in the place of a file."""
    folder = tmp_path / "out"
    if spoil == "folder":
        folder.write_text("")
    else:
        (folder / "badge.svg").mkdir(parents=True)
    with pytest.raises(ConformError, match="--output ") as caught:
        write_report(folder, verdict_of(result_of("OP-000/nop", Status.PASSED)))
    assert len(str(caught.value).splitlines()) == 1


def test_a_report_of_a_whole_run_conforms(tmp_path: Path) -> None:
    """A green badge, and the word without a part."""
    results = tuple(result_of(test.id, Status.PASSED) for test in all_tests())
    write_report(tmp_path, verdict_of(*results))
    assert json.loads((tmp_path / "verdict.json").read_text())["verdict"] == "conforms"
    assert "#2e7d32" in (tmp_path / "badge.svg").read_text()
