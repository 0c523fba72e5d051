# SPDX-License-Identifier: Apache-2.0
"""``descring conform --against``: a verdict held against an earlier one."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conform_support import WRONG
from descring_sim.conform.duts.model import ModelDut
from descring_sim.conform.errors import ConformError
from descring_sim.conform.report.against import Change, compare, read_earlier
from descring_sim.conform.report.machine import to_json
from descring_sim.conform.report.page import to_page
from descring_sim.conform.status import Failure, Status, TestResult
from descring_sim.conform.suite.catalogue import all_tests
from descring_sim.conform.verdict import Verdict

Command = Callable[..., subprocess.CompletedProcess[str]]
TESTS = all_tests()[:12]
PASSED, FAILED, HUNG = Status.PASSED, Status.FAILED, Status.HUNG
SKIPPED, OUTSIDE = Status.NOT_CLAIMED, Status.NOT_APPLICABLE


def verdict(*outcomes: tuple[Status, str] | None, seed: int = 1, **versions: str) -> Verdict:
    """A verdict in which the tests of the catalogue end so, in their order; None is not run."""
    pairs = [(test, end) for test, end in zip(TESTS, outcomes, strict=False) if end]
    results = tuple(
        TestResult(
            test.id,
            test.rule,
            status,
            seed,
            failure=Failure("text", (rule,)) if status.bad else None,
        )
        for test, (status, rule) in pairs
    )
    tests = tuple(test for test, _ in pairs)
    began = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    return Verdict("x.toml", ModelDut().describe(), results, tests, seed, 1.0, began, versions)


def written(folder: Path, old: Verdict) -> Path:
    """The JSON of a verdict."""
    path = folder / "verdict.json"
    path.write_text(to_json(old), encoding="utf-8")
    return path


BEFORE = (
    (PASSED, ""),
    (PASSED, ""),
    (FAILED, "OP-001"),
    (FAILED, "OP-001"),
    (FAILED, "OP-001"),
    (PASSED, ""),
    (SKIPPED, ""),
    (SKIPPED, ""),
    (FAILED, "OP-001"),
    (PASSED, ""),
)
NOW = (
    (PASSED, ""),
    (FAILED, "OP-002"),
    (PASSED, ""),
    (FAILED, "OP-002"),
    (HUNG, "OP-001"),
    (SKIPPED, ""),
    (PASSED, ""),
    (OUTSIDE, ""),
    (FAILED, "OP-001"),
    None,
    (PASSED, ""),
)
CHANGES = {
    1: Change.WORSE,
    2: Change.BETTER,
    3: Change.OTHER,
    4: Change.OTHER,
    5: Change.WORSE,
    6: Change.BETTER,
    7: Change.SKIPPED,
    10: Change.NEW,
}


def test_each_test_is_better_worse_or_the_same(tmp_path: Path) -> None:
    """By passed, not judged, bad; what fails in both is the same if it names the same rules."""
    path = written(tmp_path, verdict(*BEFORE, seed=1, python="3.11", numpy="2", gone="1"))
    content = json.loads(path.read_text())
    content["tests"].append({**content["tests"][0], "test": "OP-000/no-longer-there"})
    path.write_text(json.dumps(content))
    now = verdict(*NOW, seed=2, python="3.12", numpy="2")
    found = compare(read_earlier(path), now)
    changes = {item.test: item.change for item in found.changed}
    expected = {TESTS[at].id: change for at, change in CHANGES.items()}
    assert changes == {**expected, "OP-000/no-longer-there": Change.GONE}
    order = list(Change)
    assert [item.change for item in found.changed] == sorted(changes.values(), key=order.index)
    assert (found.same, found.not_run) == (2, 1)
    assert found.differs == (("seed", "1", "2"), ("python", "3.11", "3.12"), ("gone", "1", "none"))
    assert found.summary().endswith(
        "2 worse, 2 fails in another way, 2 better, 1 skipped in another way, 1 new, "
        "1 no longer in the kit, 2 the same, 1 not run this time"
    )
    data = json.loads(to_json(now, found.data()))["against"]
    assert {item["test"]: item["change"] for item in data["changed"]} == changes
    assert data["file"] == str(path)
    page = to_page(now, found)
    assert found.summary() in page
    rows = re.findall(r"<tr><td>([a-z ]+)</td>\n<td class=\"mono\">(?:<a[^>]*>)?([\w/-]+)<", page)
    assert {test: change for change, test in rows} == changes


def test_a_verdict_against_itself_has_no_change(tmp_path: Path) -> None:
    """Nor does the page have tables; without a comparison it has no such section."""
    now = verdict(*NOW)
    found = compare(read_earlier(written(tmp_path, now)), now)
    assert (found.changed, found.differs, found.same) == ((), (), 10)
    page = to_page(now, found)
    assert 'id="against"' in page and 'id="changed"' not in page and 'id="differs"' not in page
    assert 'id="against"' not in to_page(now)
    assert "against" not in json.loads(to_json(now))


def _without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda data: {name: value for name, value in data.items() if name != key}


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda data: [data], "expected a verdict.json of format 1, got 'list'"),
        (lambda data: {**data, "format": 2}, "expected a verdict.json of format 1, got 2"),
        (_without("tests"), "got none of 'tests'"),
        (_without("versions"), "got none of 'versions'"),
        (lambda data: {**data, "tests": []}, "each test once, and at least one"),
        (lambda data: {**data, "tests": data["tests"] * 2}, "each test once"),
        (lambda data: {**data, "tests": [{"test": 1, "status": "passed"}]}, "expected a verdict"),
        (lambda data: {**data, "tests": [{"test": "a", "status": "good"}]}, "'good'"),
        (lambda data: {**data, "tests": ["a"]}, "expected a verdict"),
        (lambda data: {**data, "implementation": "x"}, "expected a verdict"),
        (lambda data: {**data, "versions": []}, "expected a verdict"),
        (lambda data: {**data, "started": 3}, "expected a verdict"),
    ],
)
def test_what_is_no_verdict_is_refused(
    tmp_path: Path, damage: Callable[[dict[str, Any]], Any], text: str
) -> None:
    """In one line that names the file."""
    path = written(tmp_path, verdict(*BEFORE))
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))
    with pytest.raises(ConformError) as error:
        read_earlier(path)
    assert str(error.value).startswith(f"--against {path}: expected ")
    assert text in str(error.value) and "\n" not in str(error.value)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """None there, and no JSON."""
    with pytest.raises(ConformError, match=r"--against .*cannot be read"):
        read_earlier(tmp_path / "none.json")
    (tmp_path / "x").write_text("{")
    with pytest.raises(ConformError, match=r"expected a verdict\.json, got"):
        read_earlier(tmp_path / "x")


def test_foreign_text_is_shown_escaped(tmp_path: Path) -> None:
    """An earlier verdict may be of anyone."""
    path = written(tmp_path, verdict((PASSED, "")))
    content = json.loads(path.read_text())
    content["implementation"]["name"] = "\x1b[2J<script>"
    content["tests"][0]["test"] = "</td>\x07"
    path.write_text(json.dumps(content))
    found = compare(read_earlier(path), verdict((PASSED, "")))
    shown = found.summary() + "".join(item.text() for item in found.changed)
    assert "\x1b" not in shown and "\x07" not in shown
    page = to_page(verdict((PASSED, "")), found)
    assert "\\x1b[2J&lt;script&gt;" in page and "&lt;/td&gt;\\x07" in page


@pytest.mark.slow
def test_the_command_compares_and_keeps_its_exit_code(tmp_path: Path, descring: Command) -> None:
    """Terminal, page and JSON; the earlier file may be the one that is replaced."""
    wrong = (
        "result.done['kv_offset'][7:8] ^= np.uint64(0xFF00) if isinstance(job, StreamJob) else 0"
    )
    core = tmp_path / "core.py"
    command = ("conform", f"{core}:Dut", "--only", "DESC-006", "-o", tmp_path / "out", "-j", 1)
    verdict_file = tmp_path / "out" / "verdict.json"
    core.write_text(WRONG.replace("{body}", "pass"))
    assert descring(*command).returncode == 0
    core.write_text(WRONG.replace("{body}", wrong))
    again = descring(*command, "--against", verdict_file)
    assert again.returncode == 1
    assert "  worse                  DESC-006/" in again.stdout
    assert "passed -> failed, breaks DESC-006" in again.stdout
    assert "implementation's sha256: " in again.stdout
    against = json.loads(verdict_file.read_text())["against"]
    assert {item["change"] for item in against["changed"]} == {"worse"}
    assert 'id="against"' in (tmp_path / "out" / "report.html").read_text()
    core.write_text(WRONG.replace("{body}", "pass"))
    last = descring(*command, "--against", verdict_file)
    assert last.returncode == 0
    assert "better" in last.stdout
    refused = descring(*command, "model", "--against", verdict_file)
    assert refused.returncode == 2
    assert "--against: expected one IMPLEMENTATION, got 2" in refused.stderr
    missing = descring(*command, "--against", tmp_path / "none.json")
    assert missing.returncode == 2
    assert missing.stdout == ""
