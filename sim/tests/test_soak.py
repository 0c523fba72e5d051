# SPDX-License-Identifier: Apache-2.0
"""The soak: many seeds in one simulation, continued after a kill, and what counts as stale."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from descring_sim.campaign import soak
from descring_sim.campaign.soak_inputs import digest, python_files
from descring_sim.campaign.soak_journal import Journal, Record, Session
from descring_sim.campaign.soak_run import BATCH_S, Engine, Work
from descring_sim.cosim import simulators
from descring_sim.cosim.block import Block, Suite, suites_of
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError
from toy_project import Toy

Soak = Callable[..., Result]


def _suite(**env: str) -> Suite:
    block = Block("toy", ("toy.toy_cases",), {"narrow": {}}, extra_env=env, timeout_s=60.0)
    return Suite(block, "toy.toy_cases", "narrow")


def _engine(toy: Toy, case: str) -> Engine:
    return Engine(toy.root / "tests", toy.root / "rtl", toy.root / "build", toy.root / "soak", case)


def _work(toy: Toy, **env: str) -> Work:
    return Work(simulators.find("icarus"), _suite(**env), "digest", [], 2)


@pytest.fixture
def soaked(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Soak:
    """``soaked(*options)``: the command on the toy project."""
    monkeypatch.setattr(paths, "cocotb_tests_dir", lambda: toy.root / "tests")
    monkeypatch.setattr(paths, "rtl_dir", lambda: toy.root / "rtl")
    monkeypatch.setattr(paths, "build_dir", lambda: toy.root / "build")

    def call(*options: str) -> Result:
        fixed = ("--sim", "icarus", "--config", "narrow", "-n", "1")
        return CliRunner().invoke(soak.main, [*fixed, *options])

    return call


def test_a_batch_draws_what_runs_of_one_seed_draw(toy: Toy, tmp_path: Path) -> None:
    """The rerun line of a failing seed would be of no use otherwise."""
    together, alone = tmp_path / "together", tmp_path / "alone"
    record = _engine(toy, "test_good").run_seeds(_work(toy, NOTE=str(together)), [7, 8])
    assert (record.cases, record.failures, record.seeds) == (2, (), (7, 8))
    for seed in (7, 8):
        assert toy.run("test_good", seed=seed, extra_env={"NOTE": str(alone)}).ok
    seeds = [line.split()[0] for line in together.read_text().splitlines()]
    assert seeds == [line.split()[0] for line in alone.read_text().splitlines()]
    assert len(set(seeds)) == 2


def test_a_failing_case_names_its_seed_and_its_rerun(toy: Toy) -> None:
    """The other cases and seeds of the batch still count."""
    record = _engine(toy, "test_bad|test_good").run_seeds(_work(toy), [7, 8])
    assert record.cases == 4
    assert [failure.seed for failure in record.failures] == [7, 8]
    assert record.failures[0].rerun == (
        "make sim FULL=1 SIM=icarus TEST=toy.test_bad CONFIG=narrow SEED=7"
    )
    assert "expected 6, actual 5" in record.failures[0].text
    assert "passes alone" not in record.failures[0].text


def test_a_simulator_that_ends_early_takes_no_other_seed_with_it(toy: Toy) -> None:
    """An assertion of the RTL ends the simulation: the seeds behind it run on their own."""
    record = _engine(toy, "test_assertion|test_good").run_seeds(_work(toy), [7, 8])
    assert [(failure.seed, failure.case) for failure in record.failures] == [
        (7, "toy.test_assertion"),
        (8, "toy.test_assertion"),
    ]
    assert "all ones" in record.failures[0].text


def test_a_case_that_compares_nothing_fails(toy: Toy) -> None:
    """As in `make sim`."""
    record = _engine(toy, "test_silent").run_seeds(_work(toy), [7])
    assert "proves nothing" in record.failures[0].text


def test_a_finished_soak_draws_new_seeds_and_a_stopped_one_continues(
    toy: Toy, soaked: Soak
) -> None:
    """Sessions and journal; the report lists the seeds."""
    options = ("--case", "test_good|test_each", "--seeds", "3")
    first = soaked(*options)
    assert first.exit_code == 0, first.output
    report = (toy.root / "build/soak/report.md").read_text()
    assert "no failure, complete" in report and "| 9 | 24 | 0 |" in report
    second = soaked(*options)
    assert "(drawn), 1 suites, 0 of 3 runs done" in second.output

    journal = Journal(toy.root / "build/soak")
    name = json.dumps(["icarus", "quick", "test_good|test_each", "narrow", 3])
    session = journal.session(name)
    assert session is not None and session.finished
    journal.keep_session(name, Session(session.first, 3))
    records = journal.records()
    journal.forget(records[:-1])
    mine = range(session.first, session.first + 3)
    done = sum(len(record.seeds) for record in records[:-1] if record.seeds[0] in mine)
    third = soaked(*options)
    assert f"(of the soak that was ended), 1 suites, {done} of 3 runs done" in third.output
    assert f"seeds {session.first} to {session.first + 2}" in third.output


def test_an_edited_source_runs_again_and_says_so(toy: Toy, soaked: Soak) -> None:
    """RTL and testbench are both part of what a result is of."""
    options = ("--case", "test_good", "--seeds", "2", "--seed", "5")
    assert "0 of 2 runs done" in soaked(*options).output
    assert "2 of 2 runs done" in soaked(*options).output
    rtl = toy.root / "rtl/toy.svh"
    rtl.write_text(rtl.read_text() + "// edited\n")
    changed = soaked(*options).output
    assert "0 of 2 runs done" in changed and "results are of other sources" in changed


def test_failures_end_with_1_and_errors_with_2(toy: Toy, soaked: Soak) -> None:
    """No traceback; a name that selects nothing brings near ones."""
    options = ("--case", "test_bad", "--seeds", "1", "--seed", "3")
    for tier, word in (("quick", ""), ("full", "FULL=1 ")):
        failed = soaked(*options, "--tier", tier)
        assert failed.exit_code == 1
        line = f"rerun: make sim {word}SIM=icarus TEST=toy.test_bad CONFIG=narrow SEED=3"
        assert line in failed.output
    unknown = soaked("--case", "test_god")
    assert unknown.exit_code == 2 and "near: toy.test_good" in unknown.output
    (toy.root / "build/soak/journal.jsonl").write_text("no JSON\n")
    foreign = soaked("--case", "test_good", "--seeds", "1")
    assert foreign.exit_code == 2 and "remove the folder" in foreign.output


def test_a_journal_survives_a_kill_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """What was written before counts; what is added later is whole again."""
    journal = Journal(tmp_path)
    record = Record("icarus", "a:b", "d", (1, 2), 4, 9, 1.5)
    journal.add(record)
    with (tmp_path / "journal.jsonl").open("a") as file:
        file.write('{"simulator": "ic')
    assert journal.records() == [record]
    journal.add(record)
    assert journal.records() == [record, record]
    (tmp_path / "sessions.json").write_text('{"version": 0, "sessions": {}}')
    with pytest.raises(SimulationError, match="version 0, expected 1"):
        journal.session("x")


def test_a_killed_soak_leaves_no_simulator_and_continues(tmp_path: Path) -> None:
    """SIGTERM in the middle: exit code 2, and what was done is done."""
    command = [
        sys.executable,
        "-m",
        "descring_sim.campaign.soak",
        "--sim",
        "icarus",
        "--case",
        "line_seal",
    ]
    command += ["--seeds", "60", "-n", "1", "--folder", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 300
    while not (tmp_path / "journal.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    while not list(tmp_path.glob("runs/icarus/*/run.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 2, output
    assert "of 60; the same command continues" in output
    done = sum(len(record.seeds) for record in Journal(tmp_path).records())
    assert 0 < done < 60
    while _children_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _children_in(tmp_path)


def _children_in(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = entry.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in text and str(os.getpid()) != entry.parent.name:
            found.append(text)
    return found


def test_a_digest_covers_the_model_and_the_shared_testbench(toy: Toy) -> None:
    """Of the project's own suites: what a case imports, over packages, and no other block."""
    tests_dir = paths.cocotb_tests_dir()
    suite = suites_of(tests_dir, "line_seal")[0]
    names = {file.name for file in python_files(suite.cases, tests_dir)}
    assert {"line_seal_cases.py", "testbench.py", "completion.py", "contract.py"} <= names
    assert not {"tb_rl_runtime_axi.py", "memory.py"} & names
    icarus = simulators.find("icarus")
    suites = suites_of(tests_dir)
    assert len({digest(s, icarus, tests_dir, paths.rtl_dir()) for s in suites}) == len(suites)


def test_a_batch_is_as_long_as_a_kill_may_cost() -> None:
    """Seeds of one simulation, from what one took before."""
    icarus = simulators.find("icarus")
    work = Work(icarus, _suite(), "", list(range(100)), 100)
    assert work.take() == (0,)
    work.seed_s = BATCH_S / 10
    assert work.take() == tuple(range(1, 11))
    work.seed_s = 10 * BATCH_S
    assert work.take() == (11,)


def test_a_rotating_soak_runs_each_module_once_a_seed(tmp_path: Path) -> None:
    """Over the project's own suites: the configurations of a module share its seeds out."""
    rotating = soak.Soak(soak.Options("verilator", "quick", None, None, 12, 100, 1, tmp_path, True))
    turns: dict[str, list[int]] = defaultdict(list)
    for work in rotating.work:
        turns[work.suite.cases] += work.pending
        assert len(work.pending) == work.goal
    assert len(turns) < len(rotating.work), "no module has two configurations"
    assert all(sorted(seeds) == list(rotating.seeds) for seeds in turns.values())
    assert rotating.total == 12 * len(turns)
