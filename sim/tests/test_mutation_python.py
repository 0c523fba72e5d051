# SPDX-License-Identifier: Apache-2.0
"""Drawn mutants of Python: what is drawn, which tests meet it, and what a run of them tells."""

from __future__ import annotations

import ast
import time
from pathlib import Path

import click
import pytest
from cosmic_ray.mutating import mutate_code
from descring_sim.mutation.sampled import command, judgements, python_changes, python_judge
from descring_sim.mutation.sampled.campaign import Found
from descring_sim.mutation.sampled.change import Change, Drawable
from descring_sim.mutation.sampled.python_changes import changes, lines_run
from descring_sim.mutation.sampled.python_judge import PythonJudge
from descring_sim.mutation.sampled.suites import Area
from descring_sim.mutation.suite_run import first_failure
from descring_sim.support import paths
from descring_sim.support.mutant import MutantError
from mutation_support import judged

SOURCE = '''\
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    limit = 1 + 1
class Ring:
    """Not 1 < 2."""
    size: int | None = 4
    def full(self, tail: int | None = None) -> int | None:
        self.seen = "µ"; self.note(tail)
        if self.size == tail and not self.seen:
            raise ValueError("a < b")
        return self.size - 1
'''


def _made(text: str) -> list[Change]:
    return [change for place in changes(text) if (change := place.made()) is not None]


def test_changes_of_python_are_those_of_what_is_evaluated() -> None:
    """No text, annotation or import for types; statements that have an effect are deleted."""
    made = _made(SOURCE)
    found = {(SOURCE[c.start : c.end], c.new, c.kind.partition("_")[0]) for c in made}
    assert found >= {
        ("==", "!=", "ReplaceComparisonOperator"),
        ("and", "or", "ReplaceAndWithOr"),
        ("-", "+", "ReplaceBinaryOperator"),
        ("4", "5", "NumberReplacer"),
        ('self.seen = "µ"', "pass", "statement deleted"),
        ("self.note(tail)", "pass", "statement deleted"),
        ('raise ValueError("a < b")', "pass", "statement deleted"),
    }
    lines = {SOURCE.count("\n", 0, change.start) + 1 for change in made}
    assert lines == {6, 8, 9, 10, 11}
    for change in made:
        mutated = SOURCE[: change.start] + change.new + SOURCE[change.end :]
        assert mutated != SOURCE
        assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(SOURCE)), change


def test_a_decorator_that_is_removed_is_named_by_its_own_line(tmp_path: Path) -> None:
    """It goes with the blank lines before it; a judgement names a line that has a text."""
    text = (
        "import abc\nlimit = 4\n\n\n@abc.update_abstractmethods\nclass A:\n"
        "    size: int\n\n    @abc.abstractmethod\n    def full(self): ...\n"
    )
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    area = Area(tmp_path, "toy", ("a.py",), None)
    judge = PythonJudge((area,), changes, tmp_path / "out", seed=1)
    removed = {
        sampled.source: int(sampled.place.rpartition(":")[2])
        for sampled in judge.draw([area.name_of("a.py")], 99)
        if sampled.change.startswith("RemoveDecorator")
    }
    assert removed == {"@abc.update_abstractmethods": 5, "@abc.abstractmethod": 9}


def test_a_change_is_made_only_for_what_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of each takes a parse of the file, and most files are not drawn from at all."""
    for name in "abcdefgh":
        (tmp_path / f"{name}.py").write_text(SOURCE * 20, encoding="utf-8")
    area = Area(tmp_path, "toy", tuple(f"{name}.py" for name in "abcdefgh"), None)
    counts = {"listed": 0, "made": 0}

    def listed(text: str) -> list[Drawable]:
        counts["listed"] += 1
        return changes(text)

    def made(text: str, operator: object, number: int) -> str:
        counts["made"] += 1
        return str(mutate_code(text, operator, number))

    monkeypatch.setattr(python_changes, "mutate_code", made)
    judge = PythonJudge((area,), listed, tmp_path / "out", seed=3)
    drawn = judge.draw(judge.files(), 4)
    assert len({mutant.name for mutant in drawn}) == 4
    assert len({mutant.change.partition("_")[0].partition(":")[0] for mutant in drawn}) == 4
    assert counts["listed"] <= 4 and counts["made"] <= 8
    other = PythonJudge((area,), changes, tmp_path / "out", seed=3)
    assert [m.name for m in other.draw(other.files(), 4)] == [m.name for m in drawn]


def test_a_line_stands_for_its_statement() -> None:
    """A tracer sees the lines of a call that it enters, and of a compound statement the head."""
    text = (
        "def f(\n    a,\n):\n    g(\n        a,\n    )\n    if (\n        a\n    ):\n        h()\n"
    )
    assert [list(lines_run(text, line)) for line in (2, 5, 8, 10)] == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
        [10],
    ]


FILE = "toycalc/calc.py"
CALC = """\
SIZE = 7
LIMIT = 5


def more(a):
    return a + LIMIT


def less(a):
    while a > 3:
        a -= 1
    return a


def unused(a):
    return a * 2


def in_a_fork(a):
    return a * 3
"""
TESTS = {
    "test_more.py": "from toycalc import calc\ndef test_more():\n    assert calc.more(1) > 1\n",
    "test_less.py": """\
import subprocess
import sys
from toycalc.calc import less
def test_less():
    assert less(9) == 3
def test_nothing_of_it():
    program = 'import toycalc.calc; toycalc.calc.unused(1)'
    subprocess.run([sys.executable, '-c', program], check=True)
""",
    "test_again.py": """\
import importlib
import toycalc.calc
def test_again():
    importlib.reload(toycalc.calc)
""",
    "test_apart.py": """\
import os
from toycalc.names import FIRST, forked
def test_size():
    assert FIRST == 7
def test_fork():
    child = os.fork()
    if not child:
        os._exit(forked(2))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 6
""",
    "test_other.py": "def test_other():\n    raise AssertionError('fails anyway')\n",
}


@pytest.fixture
def toy(tmp_path: Path) -> Area:
    """A package in a checkout of its own, with a suite of which one test always fails."""
    home = tmp_path / "checkout" / "toy"
    (home / "tests").mkdir(parents=True)
    (home / "toycalc").mkdir()
    (home / FILE).write_text(CALC)
    (home / "toycalc" / "names.py").write_text(
        "from toycalc.calc import SIZE as FIRST, in_a_fork as forked\n"
    )
    for name, text in TESTS.items():
        (home / "tests" / name).write_text(text)
    return Area(home, "toy", (FILE,), None)


def test_the_test_that_has_killed_a_mutant_before_runs_alone_first(
    toy: Area, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is measured for it; where it is gone, or kills no longer, all that meet it run."""
    judge = PythonJudge((toy,), changes, tmp_path / "out", seed=1)
    before = "test_more.test_more: AssertionError: assert 0 > 1"
    start = CALC.index("a + LIMIT")
    drawn = judge._sampled(toy, FILE, Change(start, start + 9, "0", "by hand"))
    judge.killers[drawn.name] = Found("killed", "near tests", before)
    assert judge.judge(drawn) == Found("killed", "near tests", "test_more.test_more: assert 0 > 1")
    assert capsys.readouterr().err == ""
    for gone in ("test_more.test_gone: failed", "test_gone.test_more: failed", "toy.all: no end"):
        judge.killers[drawn.name] = Found("killed", "near tests", gone)
        assert judge.judge(drawn).tier == "covering tests"
    survivor = judge._sampled(toy, FILE, Change(start, start + 9, "LIMIT + a", "by hand"))
    judge.killers[survivor.name] = Found("killed", "near tests", before)
    assert judge.judge(survivor).status == "survived"


@pytest.mark.slow
def test_a_mutant_of_a_toy_meets_the_tests_that_execute_its_line(
    toy: Area, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by a test, by its time, at import or in another process; else it survives."""
    monkeypatch.setattr(python_judge, "LEAST_S", 3.0)
    monkeypatch.setattr(python_judge, "SLOWER", 1.0)
    judge = PythonJudge((toy,), changes, tmp_path / "out", seed=1)
    killed = "killed, covering tests: "
    assert judged(judge, toy, "a + LIMIT", "a - LIMIT").startswith(f"{killed}test_more.test_more")
    assert "measured test_other.py" in capsys.readouterr().err
    assert "no end in" in judged(judge, toy, "a -= 1", "a += 1")
    assert judged(judge, toy, "LIMIT = 5", "LIMIT = 5 +").startswith(f"{killed}toy.all")
    # The process of a test executes it, and no test function does.
    assert judged(judge, toy, "a * 2", "a / 0").startswith(f"{killed}test_less.test_nothing")
    # A function that imports the file again is not all that depends on what it does.
    assert judged(judge, toy, "SIZE = 7", "SIZE = 8").startswith(
        "killed, near tests: test_apart.test_size"
    )
    # Nothing is known of a child that leaves at once, and its test does not name the file.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(python_judge, "tiers", lambda area, file: ([], []))
        assert judged(judge, toy, "a * 3", "a * 4").startswith(
            "killed, near tests: test_apart.test_fork"
        )
    survived = judged(judge, toy, "a + LIMIT", "a + 1")
    assert survived.startswith("survived, none: 1 covering tests and 3 files pass")
    assert not list((tmp_path / "out" / "toy").iterdir())
    assert capsys.readouterr().err == ""
    # A new judge measures what has changed.
    (toy.folder / "tests" / "test_more.py").write_text(TESTS["test_more.py"].replace(">", "=="))
    again = PythonJudge((toy,), changes, tmp_path / "out", seed=1)
    judged(again, toy, "a + LIMIT", "a + 1")
    assert "[1/1] measured test_more.py" in capsys.readouterr().err


def test_a_run_of_tests_tells_failure_from_nothing(tmp_path: Path) -> None:
    """What cannot be imported fails; a test that is not there is an error of the caller."""
    (tmp_path / "test_a.py").write_text("def test_a():\n    assert 1\n")
    assert first_failure(tmp_path, ["test_a.py"], "a") is None
    with pytest.raises(MutantError, match="test_b"):
        first_failure(tmp_path, ["test_a.py::test_b"], "a")
    with pytest.raises(MutantError, match="deselected"):
        first_failure(tmp_path, ["test_a.py", "-k", "nothing"], "a")
    (tmp_path / "test_a.py").write_text("1 / 0\n")
    failure = first_failure(tmp_path, ["test_a.py"], "a")
    assert failure is not None and "division by zero" in failure.why
    (tmp_path / "conftest.py").write_text("import nothing_of_this_name\n")
    failure = first_failure(tmp_path, ["test_a.py"], "a")
    assert failure is not None and "nothing_of_this_name" in failure.why


def test_a_run_that_is_ended_takes_its_processes_along(tmp_path: Path) -> None:
    """Else a mutant's endless child would slow down all others."""
    (tmp_path / "test_a.py").write_text(
        "import subprocess, sys\n"
        "def test_a():\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'while True: pass'])\n"
        f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "    child.wait()\n"
    )
    failure = first_failure(tmp_path, ["test_a.py"], "a", seconds=6)
    assert failure is not None and str(failure) == "a.all: no end in 6 s"
    child = Path("/proc") / (tmp_path / "pid").read_text() / "stat"
    ends = time.monotonic() + 10
    while child.exists() and child.read_text().rpartition(")")[2].split()[0] not in "ZX":
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_the_areas_and_judgements_are_those_of_the_project() -> None:
    """Each package has sources and a suite; a folder chooses the files in it."""
    root = paths.checkout_root()
    assert root is not None
    areas = python_judge.areas(root)
    files = [area.name_of(file) for area in areas for file in area.files]
    assert {
        "pymodel/descring_model/crc.py",
        "host/descring_host/segment.py",
        "host/descring_rollouts/kv.py",
        "sim/descring_sim/conform/verdict.py",
    } <= set(files)
    for area in areas:
        assert sum(1 for _ in (area.folder / "tests").glob(area.tests)) > 8
    (crc,) = command._modules(files, ("pymodel/descring_model/crc.py",))
    assert crc in command._modules(files, ("pymodel/descring_model", "host"))
    with pytest.raises(click.UsageError, match=r"near: pymodel/descring_model/crc\.py"):
        command._modules(files, ("host", "pymodel/descring_model/cr"))
    judgements.load(root / "sim" / "mutants" / "sampled" / "python.toml", lambda name: root / name)
