# SPDX-License-Identifier: Apache-2.0
"""Campaigns: many seeds, resumed where they ended, on this machine and on a Ray cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from conform_support import plugin
from descring_sim.campaign.ray import ray_shards
from descring_sim.campaign.seeds import Campaign, State, local_shards, run_campaign
from descring_sim.conform.errors import ConformError
from descring_sim.conform.records import from_record, to_record
from descring_sim.conform.status import Failure, LineDiff, Status, TestResult
from descring_sim.conform.worker_pool import Halt, Task, run_all

TESTS = ("OP-000/nop", "DEC-003/done-wins")


def plan(reference: str, folder: Path, count: int) -> Campaign:
    """A campaign of two quick tests."""
    return Campaign(reference, folder, TESTS, 1, count, 60.0)


def test_a_record_is_the_whole_result() -> None:
    """What is kept of a result is all of it."""
    diff = LineDiff(3, "done", b"\x01" * 64, b"\x02" * 64, None)
    failure = Failure("text", ("DEC-003", "OP-001"), diff, "waves.fst", "log")
    bins = {("NOP", "between", "streamed", "far", "none"): 7}
    result = TestResult("OP-000/nop", "OP-000", Status.FAILED, 5, 1.5, 9, failure, "why", bins)
    assert from_record(json.loads(json.dumps(to_record(result)))) == result


def test_seeds_are_merged_and_resumed(tmp_path: Path) -> None:
    """One result a test; what a state file has is not run again, and its torn end is."""
    state = tmp_path / "state.jsonl"
    first = plan("model", tmp_path, 4)
    results = run_campaign(first, State(state, first), jobs=1)
    assert [result.test for result in results] == list(TESTS)
    assert all(result.status is Status.PASSED for result in results)
    assert results[0].compared == 4 * 120
    with state.open("a", encoding="utf-8") as file:
        file.write('{"seeds": [5], "resu')
    longer = plan("model", tmp_path, 6)
    ran: list[tuple[int, ...]] = []

    def watched(campaign: Campaign, shards: list[tuple[int, ...]], jobs: int):  # type: ignore[no-untyped-def]
        ran.extend(shards)
        return local_shards(campaign, shards, jobs)

    kept = State(state, longer)
    assert kept.done == {1, 2, 3, 4}
    again = run_campaign(longer, kept, jobs=1, shards=watched)
    assert ran == [(5, 6)]
    assert again[0].compared == 6 * 120


def test_a_state_of_another_campaign_is_refused(tmp_path: Path) -> None:
    """Results of another implementation do not count."""
    state = tmp_path / "state.jsonl"
    State(state, plan("model", tmp_path, 2))
    with pytest.raises(ConformError, match="it is of another implementation"):
        State(state, plan("cpu", tmp_path, 2))


@pytest.mark.slow
@pytest.mark.parametrize("right", [True, False])
def test_an_interrupted_campaign_tells_what_it_has(right: bool, tmp_path: Path) -> None:
    """What is done and what failed, within seconds, and how to continue."""
    body = "pass" if right else "result.done['flags'] ^= 1 << 3"
    state = tmp_path / "state.jsonl"
    with subprocess.Popen(
        [
            *(str(Path(sys.executable).with_name("descring")), "campaign"),
            *(plugin(tmp_path, body), "--count", "100000", "-j", "2"),
            *("--only", TESTS[0], "--only", TESTS[1], "--state", str(state)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        deadline = time.monotonic() + 60
        while not state.is_file() or state.read_text(encoding="utf-8").count("\n") < 3:
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 2
    done = sum(len(json.loads(line)["seeds"]) for line in state.read_text().splitlines()[1:])
    told, *failures, advice, end = filter(None, error.splitlines())
    assert (
        f"{done} of 100000 seeds are done, 2 tests each: {'none' if right else '2'} failed" == told
    )
    assert [line.split() for line in failures] == (
        [] if right else [[test, "failed", "with", "seed", "1"] for test in TESTS]
    )
    assert advice == f"the same command continues from {state}"
    assert "interrupted" in end


def test_a_halt_kills_what_runs(tmp_path: Path) -> None:
    """A test that has begun is not waited for, and none begins after it."""
    halt = Halt()
    timer = threading.Timer(2, halt.now)
    started = time.monotonic()
    timer.start()
    tasks = [Task(TESTS[0], seed) for seed in (1, 2)]
    dut = plugin(tmp_path, "import time; time.sleep(100)")
    run_all(dut, tmp_path, tasks, jobs=1, timeout_s=90, halt=halt)
    assert time.monotonic() - started < 60


def test_a_sampled_campaign_enumerates_nothing(tmp_path: Path) -> None:
    """Fewer lines than with every opcode; its state is not one of a whole campaign."""
    state = tmp_path / "state.jsonl"
    tests = ("LIFE-003/many-halts",)
    whole = Campaign("model", tmp_path, tests, 1, 1, 60.0)
    sampled = replace(whole, sampled=True)
    compared = [
        run_campaign(campaign, State(path, campaign), jobs=1)[0].compared
        for campaign, path in ((whole, None), (sampled, state))
    ]
    assert 0 < compared[1] < compared[0] / 2
    with pytest.raises(ConformError, match="or choice of tests"):
        State(state, whole)


def test_a_killed_ray_worker_is_replaced(tmp_path: Path) -> None:
    """A campaign on Ray ends whole although the process that ran a shard was killed."""
    marker = tmp_path / "killed"
    body = (
        f"import os, pathlib; marker = pathlib.Path({str(marker)!r})\n"
        "        if not marker.exists():\n"
        "            marker.write_text(str(os.getppid())); os.kill(os.getppid(), 9)"
    )
    reference = plugin(tmp_path, body)
    campaign = plan(reference, tmp_path, 5)
    results = run_campaign(campaign, State(None, campaign), jobs=1, shards=ray_shards("local"))
    assert marker.is_file()
    assert int(marker.read_text()) != os.getpid()
    assert [result.status for result in results] == [Status.PASSED, Status.PASSED]
    assert results[0].compared == 5 * 120
