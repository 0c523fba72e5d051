# SPDX-License-Identifier: Apache-2.0
"""Drawn mutants of C: which tests meet them, what is built for them, and what a crash tells."""

from __future__ import annotations

import ast
import os
import shutil
from pathlib import Path
from platform import machine

import pytest
from descring_sim.mutation.sampled import c_build, c_judge, lasting, suites
from descring_sim.mutation.sampled.c_changes import changes, lines_run
from descring_sim.mutation.sampled.c_judge import NativeJudge
from descring_sim.mutation.sampled.runs import failure_of
from descring_sim.mutation.sampled.suites import Area
from descring_sim.mutation.suite_run import Failure
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError
from descring_sim.support.mutant import MutantError
from mutation_support import judged

FILE = "native/calc.c"
CALC = """\
#include "calc.h"
static int table[] = {3, 4};
int more(int a) {
  // a + 7;
  return a +
         5;
}
int less(int a) {
  volatile int left = a;
  while (left > 3) {
    left -= 1;
  }
  return left;
}
int get(int place) {
  int *from = table;
  switch (place) {
    case 1: return from[1];
    default: return SIZE;
  }
}
int in_a_process(int a) {
  return a * 2;
}
int in_a_killed_process(int a) {
  return a * 3;
}
int in_a_program(int a) {
  return a * 7;
}
int unused(int a) {
  return a * 4;
}
"""
PROGRAM = "int in_a_program(int a);\nint main(void) { return in_a_program(1); }\n"
BUILD = """\
import os, subprocess
from pathlib import Path
here = Path(__file__).parent
for name in ("calc", "kept"):
    command = [os.environ.get("CC", "cc"), "-O2", "-fPIC", f"-I{here}", "-c", f"{here / name}.c"]
    subprocess.run([*command, "-o", f"{here / name}.c.o"], check=True)
objects = [f"{here / name}.c.o" for name in ("calc", "kept")]
library = str(here.parent / "calc.so")
subprocess.run([os.environ.get("CC", "cc"), "-shared", *objects, "-o", library], check=True)
"""
LOAD = """\
import ctypes, os, subprocess, sys, time
from pathlib import Path
LIBRARY = str(Path(__file__).parents[1] / "calc.so")
lib = ctypes.CDLL(LIBRARY)
def run(call):
    program = f"import ctypes, os; lib = ctypes.CDLL({LIBRARY!r}); {call}"
    return subprocess.run([sys.executable, "-c", program]).returncode
"""
TESTS = {
    "test_near.py": """\
'''calc.c'''
def test_more_or_less():
    assert lib.more(1) > 1
def test_nothing_of_it():
    pass
""",
    "test_far.py": """\
import pytest
def test_less():
    assert lib.less(9) == 3
@pytest.mark.parametrize("place", [0, 1])
def test_get(place):
    assert lib.get(1) == 4
def test_get_another():
    assert lib.get(5) == 2
def test_program(tmp_path):
    native = Path(LIBRARY).parent / "native"
    program = tmp_path / "calc"
    sources = [path.with_suffix(".c") for path in (native / "calc", native / "check" / "calc")]
    subprocess.run(["cc", *sources, "-o", program], check=True)
    assert subprocess.run([program]).returncode == 7
def test_killed():
    assert run('ok = lib.in_a_killed_process(1) == 3; os.kill(os.getpid(), 9 if ok else 15)') == -9
def test_process():
    assert run('assert lib.in_a_process(2) == 4') == 0
def test_fails_anyway():
    time.sleep(0.3)
    lib.get(1)
    assert lib.in_a_process(1) == 0
""",
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Area:
    """A library of C with a suite, of which one test always fails; ``CC`` names a compiler."""
    monkeypatch.setenv("CC", str(shutil.which("gcc")))
    home = tmp_path / "toy"
    (home / "tests").mkdir(parents=True)
    (home / "native" / "check").mkdir(parents=True)
    (home / "native" / "check" / "calc.c").write_text(PROGRAM)
    (home / FILE).write_text(CALC)
    (home / "native" / "calc.h").write_text("#define SIZE 2\n")
    (home / "native" / "kept.c").write_text("int kept(void) { return 1; }\n")
    (home / "native" / "build.py").write_text(BUILD)
    for name, text in TESTS.items():
        (home / "tests" / name).write_text(LOAD + text)
    return Area(home, "toy", (FILE,), None)


@pytest.mark.slow
def test_a_mutant_of_a_toy_meets_the_tests_that_execute_its_line(
    toy: Area, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed by a test of any file, by a crash, by its time, in another process; or it survives."""
    monkeypatch.setattr(c_judge, "LEAST_S", 3.0)
    judge = NativeJudge((toy,), changes, tmp_path / "out", seed=1)
    killed = "killed, covering tests: "
    # Each line of a statement counts for all of it, and no other test of the file runs.
    assert judged(judge, toy, "         5", "-5").startswith(f"{killed}test_near.test_more_or_less")
    measured = capsys.readouterr().err
    assert "measured test_far.py" in measured and "failed: test_fails_anyway" in measured
    # Another test that executes the line fails anyway.
    crashed = judged(judge, toy, "*from = table", "*from = 0")
    assert crashed == f"{killed}test_far.test_get[0]: ended by signal 11"
    assert judged(judge, toy, "left -= 1", "left += 0") == (
        f"{killed}test_far.test_less: no end in 3 s"
    )
    # The label runs for 1, and the change shows for 5.
    assert "test_get_another" in judged(judge, toy, "case 1:", "case 5: case 1:")
    assert judged(judge, toy, "{3, 4}", "{3, 5}").startswith(f"{killed}test_far.test_get[0]")
    assert "test_far.test_process" in judged(judge, toy, "a * 2", "a * 5")
    # Of two sources of one name.
    assert "test_far.test_program" in judged(judge, toy, "a * 7", "a * 5")
    # No counts name it, and its file does not name the source.
    assert "other tests: test_far.test_killed" in judged(judge, toy, "a * 3", "a * 5")
    assert judged(judge, toy, "a * 4", "a * 5") == (
        f"survived, none: 0 covering tests and 3 others pass, suite {lasting.tests_key(toy)}"
    )
    # Nothing tells it apart, and no test that is left would be told more.
    same = f"equivalent, compiler: the compiler makes the same object of it for {machine()}"
    assert judged(judge, toy, "a * 4", "a << 2") == same
    assert judged(judge, toy, "a * 2", "a == 77 ? 0 : a * 2") == (
        "invalid, none: fails on the unchanged sources too: test_far.test_fails_anyway: "
        "AssertionError: assert 2 == 0"
    )
    assert judged(judge, toy, "a * 4", "b").startswith("invalid, none: the native core does not")
    assert capsys.readouterr().err == ""
    # A new judge measures what has changed.
    (toy.folder / "tests" / "test_near.py").write_text(f"{LOAD}def test_no():\n    pass\n")
    again = NativeJudge((toy,), changes, tmp_path / "out", seed=1)
    assert judged(again, toy, "         5", "-5").startswith("survived, none: 0 covering")
    assert "[1/1] measured test_near.py" in capsys.readouterr().err


def test_only_what_is_changed_is_compiled_again(
    toy: Area, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header may be in any object, and then all are made again; the unchanged core is whole."""
    log = tmp_path / "log"
    compiler = tmp_path / "bin" / "cc"
    compiler.parent.mkdir()
    compiler.write_text(f'#!/bin/sh\necho "$@" >>{log}\nexec {shutil.which("cc")} "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{compiler.parent}{os.pathsep}{os.environ['PATH']}")
    runner = c_build.NativeRunner(source=toy.folder, root=tmp_path / "out", suite="toy")

    def compiled(file: str) -> set[str]:
        home = runner.copy("mutant")
        log.unlink()
        source = home / "native" / file
        source.write_text(source.read_text() + "\n")
        runner.prepare(home, source)
        assert (home / "calc.so").is_file()
        runner.clean(home)
        names = ("calc.c", "kept.c")
        lines = [line for line in log.read_text().splitlines() if " -c " in line]
        return {name for name in names for line in lines if f"/{name} " in line}

    assert compiled("calc.c") == {"calc.c"}
    log.write_text("")
    assert compiled("kept.c") == {"kept.c"}
    log.write_text("")
    assert compiled("calc.h") == {"calc.c", "kept.c"}
    log.write_text("")
    with pytest.raises(MutantError, match="does not build"):
        home = runner.copy("mutant")
        (home / FILE).write_text("no C")
        runner.prepare(home, home / FILE)
    (toy.folder / FILE).write_text("no C")
    other = c_build.NativeRunner(source=toy.folder, root=tmp_path / "other", suite="toy")
    with pytest.raises(SimulationError, match="does not build"):
        other.copy("mutant")


def test_a_change_is_of_the_lines_of_its_statement() -> None:
    """From the last semicolon or brace to the next; a label is named as such."""

    def of(part: str) -> tuple[list[int], bool]:
        start = CALC.index(part)
        return lines_run(CALC, start, start + len(part))

    assert of("+\n") == of("5;") == ([5, 6], False)
    assert of("left > 3") == ([10], False)
    assert of("left -= 1;") == ([11], False)
    assert of("return left") == ([13], False)
    assert of("{3, 4}")[0] == [2]
    assert of("1: return") == ([18], True)
    assert of("return SIZE") == ([19], True)
    text = "int f(void) {\n  call(\n    1); other(); }\n"
    assert lines_run(text, text.index("call"), text.index(" other")) == ([2, 3], False)


def test_a_run_names_the_test_that_ends_it(tmp_path: Path) -> None:
    """By a signal or its own limit; a run that ends so between the tests names none."""
    (tmp_path / "test_a.py").write_text(
        "import os, signal, time\n"
        "import pytest\n"
        "def test_fine():\n    time.sleep(0.01)\n"
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "def test_ends(number):\n    number == 2 and os.kill(os.getpid(), signal.SIGSEGV)\n"
        "def test_endless():\n    time.sleep(60)\n"
    )

    def found(*arguments: str, left_out: tuple[str, ...] = ()) -> Failure | None:
        return failure_of(
            tmp_path,
            ["test_a.py", *arguments],
            "a",
            seconds=30,
            variables={},
            left_out=left_out,
            limits={"tests/test_a.py::test_endless": 1.0, "tests/test_a.py::test_fine": 9.0},
        )

    ends = "tests/test_a.py::test_ends"
    assert found() == Failure("test_a", "test_ends[2]", "ended by signal 11")
    assert found(left_out=(ends,)) == Failure("test_a", "test_endless", "no end in 1 s")
    assert found(left_out=(ends, "tests/test_a.py::test_endless")) is None
    (tmp_path / "conftest.py").write_text(
        "import os, signal\ndef pytest_sessionfinish():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    assert found("-k", "fine") == Failure("a", None, "ended by signal 11")


def test_what_needs_a_simulator_is_left_out() -> None:
    """A machine without one has to be able to judge mutants of C."""
    root = paths.checkout_root()
    assert root is not None
    words = suites.NATIVE_OPTIONS[-1].replace("not ", "").split(" and ")
    opening = []
    names = set()
    for path in sorted((root / "host" / "tests").glob("test_*.py")):
        for test in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
                names.add(test.name)
                # What is a parameter is a part of the test's name by itself.
                inside = [node for part in test.body for node in ast.walk(part)]
                calls = [node for node in inside if isinstance(node, ast.Call)]
                texts = {
                    arg.value for c in calls for arg in c.args if isinstance(arg, ast.Constant)
                }
                if texts & {"verilated", "icarus", "verilator"}:
                    opening.append(f"{path.stem}::{test.name}")
    assert opening == ["test_rollout_trace::test_cycles_of_the_rtl_are_those_of_its_clock"]
    for name in opening:
        assert any(word in name for word in words)
    for word in suites.SANITIZED:
        assert f"not {word}" in suites.HOST_OPTIONS[-1]
        assert any(word in name for name in names)
