# SPDX-License-Identifier: Apache-2.0
"""The runner, on a module of a few lines that is written for each test: what counts as good."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from descring_sim.cosim import results as report
from descring_sim.cosim import runner, simulators
from descring_sim.support.errors import SimulationError
from toy_project import CASES, SEED, TOY, TOY_OPTIONS, Toy


def _ends_soon(pid: int) -> bool:
    """Whether the process ends; one that waits for a parent to collect it has ended."""
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_a_run_counts_cases_and_lines_and_keeps_its_build(toy: Toy) -> None:
    """Report lines of a case add up, under its short and its full name; a second run builds not."""
    first = toy.run("good|each")
    assert first.ok
    assert {case.label: case.matched for case in first.outcome.cases} == {
        "toy.test_good": 5,
        "toy.test_each/n=1": 1,
        "toy.test_each/n=2": 2,
    }
    assert first.matched == 8
    assert first.built
    assert first.waves is None
    again = toy.run("toy.test_each/n=2", waves=False)
    assert (again.built, again.matched, again.outcome.executed) == (False, 2, 1)


def test_verilator_draws_uninitialised_state_from_the_seed(toy: Toy, tmp_path: Path) -> None:
    """A register that nothing writes is random, the same for the same seed."""
    env = {"NOTE": str(tmp_path / "note")}
    result = toy.run("toy.test_good", "verilator", extra_env=env)
    assert result.ok, result.failure_text()
    assert result.version >= "5.0"
    assert toy.run("toy.test_good", "verilator", extra_env=env).built is False
    assert toy.run("toy.test_good", "verilator", seed=SEED + 1, extra_env=env).ok
    states = [line.split()[1] for line in (tmp_path / "note").read_text().splitlines()]
    assert len(states) == 3
    assert states[0] == states[1], "same seed, other state"
    assert states[0] != states[2], "other seed, same state"
    assert set(states[0]) == {"0", "1"}, "neither all zeros nor all ones"


@pytest.mark.parametrize("simulator", simulators.SIMULATORS)
def test_a_failing_case_says_how_to_repeat_it_and_leaves_waves(toy: Toy, simulator: str) -> None:
    """The report of a failure has mismatch, seed, rerun line, log, and waves of a rerun."""
    arguments: dict[str, Any] = {"config": "narrow", "parameters": {"Width": 8}}
    result = toy.run("good|bad", simulator, **arguments)
    assert not result.ok
    again = runner.rerun_with_waves(
        result,
        last=runner.WAVE_CYCLES,
        simulator=simulator,
        top="toy",
        cases="toy.toy_cases",
        rtl_dir=toy.root / "rtl",
        tests_dir=toy.root / "tests",
        build_root=toy.root / "build",
        **arguments,
    )
    assert again is not None
    assert [case.label for case in again.outcome.cases] == ["toy.test_bad"], "only the failing case"
    assert again.waves is not None
    assert again.waves.stat().st_size > 0
    text = result.failure_text(again)
    for expected in (
        "1 of 2 cases failed",
        "index 3: field seq_len: expected 6, actual 5",
        f"seed:  {SEED}",
        f"make sim FULL=1 SIM={simulator} TEST=toy.test_bad CONFIG=narrow SEED={SEED}",
        str(result.log),
        str(again.waves),
    ):
        assert expected in text
    assert result.log.is_file()


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("test_silent", "wrote no report line"),
        ("test_zero", "compared nothing"),
        ("test_each/n=7", "no cocotb case ran"),
    ],
)
def test_a_run_that_proves_nothing_is_not_good(toy: Toy, case: str, reason: str) -> None:
    """Green without a comparison, or without a case, counts as red."""
    result = toy.run(case)
    assert not result.ok
    assert reason in result.failure_text()


def test_a_run_of_skipped_cases_only_is_not_good(toy: Toy) -> None:
    """A skipped case is no case that ran."""
    path = toy.root / "tests" / "toy" / "toy_cases.py"
    path.write_text(CASES.replace("@cocotb.test()", "@cocotb.test(skip=True)"))
    result = toy.run(None)
    assert not result.ok
    assert len(result.outcome.cases) == 9
    assert "no cocotb case ran" in result.failure_text()


def test_an_assertion_of_the_rtl_fails_the_case_on_icarus(toy: Toy) -> None:
    """$fatal in the design is a failure even when the case itself saw nothing."""
    result = toy.run("test_assertion")
    assert not result.ok
    assert "all ones" in result.log.read_text()


def test_a_case_that_nothing_matches_names_near_ones(toy: Toy) -> None:
    """A filter that selects nothing is an error before any simulator starts."""
    with pytest.raises(SimulationError, match=r"no case of toy\.toy_cases.*near: .*test_good"):
        toy.run("test_godo")
    with pytest.raises(SimulationError, match="regular expression"):
        toy.run("(")


def test_a_hanging_case_is_killed_with_everything_it_started(toy: Toy, tmp_path: Path) -> None:
    """The wall-clock limit ends the simulator too, and names the case that hung."""
    note = tmp_path / "pid"
    result = toy.run("test_hang", timeout_s=10, extra_env={"NOTE": str(note)})
    assert not result.ok
    assert "killed in toy.toy_cases.test_hang: no end after 10 s" in result.failure_text()
    assert _ends_soon(int(note.read_text()))


def test_a_killed_runner_leaves_no_simulator_behind(toy: Toy, tmp_path: Path) -> None:
    """However the caller ends, the simulator that it started ends too."""
    note = tmp_path / "pid"
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", *TOY_OPTIONS, "--case", "test_hang", "--config", "narrow"],
        cwd=toy.root,
        env=os.environ | {"NOTE": str(note)},
        stdout=subprocess.DEVNULL,
    ) as process:
        for _ in range(600):
            if note.is_file() and note.read_text():
                break
            time.sleep(0.1)
        process.kill()
    assert _ends_soon(int(note.read_text()))


def test_other_parameters_other_sources_and_other_headers_are_built_anew(toy: Toy) -> None:
    """No build outlives a change of what went in; times of files play no part."""
    assert toy.run("test_good").built
    wide = toy.run("test_good", parameters={"Width": 16}, extra_env={"WIDTH": "16"})
    assert (wide.built, wide.ok) == (True, True)
    for file, old, new in (("toy.sv", "a_i + `STEP", "a_i - `STEP"), ("toy.svh", "1'b1", "2'd2")):
        path = toy.root / "rtl" / file
        times = path.stat()
        text = path.read_text()
        path.write_text(text.replace(old, new))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        changed = toy.run("test_good")
        assert (changed.built, changed.ok) == (True, False), file
        path.write_text(text)
    assert toy.run("test_good").built is False


def test_sources_that_do_not_compile_show_the_compilers_words(toy: Toy) -> None:
    """A build that fails is an error with the message of the compiler and the log's path."""
    (toy.root / "rtl" / "toy.sv").write_text(TOY.replace("endmodule", "endmodul"))
    with pytest.raises(SimulationError, match=r"(?s)did not build toy.*syntax error.*log:"):
        toy.run("test_good")


def test_the_callers_environment_does_not_reach_the_simulator(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Variables that make or a shell exports change neither what runs nor with which seed."""
    for name, value in {
        "WAVES": "1",
        "COCOTB_TEST_FILTER": "test_bad",
        "COCOTB_RANDOM_SEED": "1",
        "MAKEFLAGS": "-n",
        "PYTHONPATH": "/nowhere",
    }.items():
        monkeypatch.setenv(name, value)
    result = toy.run("test_good")
    assert (result.ok, result.outcome.executed, result.waves) == (True, 1, None)
    assert f"Seeding Python random module with {SEED}" in result.log.read_text()


def test_a_missing_simulator_is_an_error(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absence of a simulator never passes for a run on it."""
    monkeypatch.setenv("PATH", str(toy.root))
    simulators._icarus.cache_clear()
    simulators._verilator.cache_clear()
    with pytest.raises(SimulationError, match="apt-get install -y iverilog"):
        toy.run("test_good")
    with pytest.raises(SimulationError, match="apt-get install -y perl make g"):
        toy.run("test_good", "verilator")
    with pytest.raises(SimulationError, match="unknown simulator 'vcs'; expected one of icarus"):
        toy.run("test_good", "vcs")


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        (None, "missing or empty"),
        ("", "missing or empty"),
        ("<testsuites><testsuite>", "damaged"),
        ("<testsuites/>", "no cocotb case ran"),
    ],
)
def test_results_that_say_nothing_are_a_problem(
    tmp_path: Path, results: str | None, reason: str
) -> None:
    """A missing, empty, damaged or case-less results file is never a pass."""
    if results is not None:
        (tmp_path / "results.xml").write_text(results)
    outcome = report.evaluate(tmp_path / "results.xml", tmp_path / "report.jsonl")
    assert [reason in problem for problem in outcome.problems] == [True]


def test_a_damaged_report_line_is_a_problem(tmp_path: Path) -> None:
    """A report line without its numbers is not taken for a comparison."""
    (tmp_path / "results.xml").write_text(
        '<testsuites><testsuite><testcase classname="b.c" name="t"/></testsuite></testsuites>'
    )
    (tmp_path / "report.jsonl").write_text('{"case": "t", "matched": 4}\n')
    outcome = report.evaluate(tmp_path / "results.xml", tmp_path / "report.jsonl")
    assert "report.jsonl:1: expected a JSON object" in outcome.problems[0]


class TestPlugin:
    """The fixture, the options and the closing lines, as pytest's user sees them."""

    def test_good_run_on_two_workers_prints_totals_and_seed(self, toy: Toy) -> None:
        """Counts of both workers add up, and both had the same seed."""
        done = toy.pytest("--case", "test_each", "-n", "2")
        assert done.returncode == 0, done.stdout
        assert re.search(r"icarus 11\S*: 4 tests in 2 runs, matched 6 lines", done.stdout)
        assert len(set(re.findall(r"seed (\d+)", done.stdout))) == 1

    def test_failures_on_two_workers_name_the_one_seed(self, toy: Toy) -> None:
        """A random base seed is drawn once for the whole run."""
        done = toy.pytest("--case", "test_bad", "-n", "2")
        assert done.returncode == 1
        reruns = re.findall(r"rerun: make sim FULL=1 SIM=icarus TEST=toy.test_bad", done.stdout)
        assert len(reruns) == 2
        assert len(set(re.findall(r"(?:SEED=|seed:? +)(\d+)", done.stdout))) == 1
        assert "waves.fst" in done.stdout

    @pytest.mark.parametrize("workers", ["0", "2"])
    @pytest.mark.parametrize(
        ("option", "text", "near"),
        [
            ("--case", "test_godo", "toy.test_good"),
            ("--case", "tyo", "toy"),
            ("--config", "wdie", "wide"),
        ],
    )
    def test_a_filter_that_selects_nothing_fails(
        self, toy: Toy, option: str, text: str, near: str, workers: str
    ) -> None:
        """Neither a pass nor silence: exit code, and names that look like it."""
        done = toy.pytest(option, text, "-n", workers)
        assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
        assert re.search(rf"'{text}' selected no test; near: .*{re.escape(near)}\b", done.stdout)

    def test_config_runs_that_configuration_alone(self, toy: Toy) -> None:
        """One configuration, one seed as given, nothing but simulator tests."""
        done = toy.pytest("--config", "wide", "--case", "test_each/n=1", "--seed", "7", "--waves")
        assert done.returncode == 0, done.stdout
        assert re.search(r"1 tests in 1 runs, matched 1 lines", done.stdout)
        assert "seed 7" in done.stdout
        assert re.search(r"waves: \S+wide\S*/waves.fst", done.stdout)

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (("--case", "("), "regular expression"),
            (("--seed", "-3"), "--seed: expected a number"),
            (("--wave-cycles", "-1"), "--wave-cycles: expected a number"),
        ],
    )
    def test_bad_options_are_usage_errors(
        self, toy: Toy, options: tuple[str, ...], complaint: str
    ) -> None:
        """What cannot be meant is refused before anything runs."""
        done = toy.pytest(*options)
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert complaint in done.stderr
