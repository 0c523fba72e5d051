# SPDX-License-Identifier: Apache-2.0
"""Campaigns: a million lines against the model, whatever the number of processes."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import pytest
from descring_model import Lines, streams
from descring_sim.campaign import fuzz
from descring_sim.conform.dut import StreamJob, StreamResult
from descring_sim.conform.duts.backends import BackendDut
from descring_sim.verilated.core import Replay, RtlFault, VerilatedCore

Command = Callable[..., subprocess.CompletedProcess[str]]
SEED = 20
LINES = 3 * fuzz.CHUNK_LINES + 7


def test_random_lines_match_the_model(descring: Command) -> None:
    """[RING-006] [RING-007] [RING-012]: every profile and mode, random traffic, indices that wrap.

    The seed is new in every run; a failure prints the line that repeats its chunk.
    """
    result = descring("campaign", "--lines", 200_000, "--jobs", 1)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.match(r"matched 200000 lines in ", result.stdout)


def test_the_outcome_does_not_depend_on_the_number_of_processes(descring: Command) -> None:
    """Same seed, same digest; one chunk alone is one of them."""
    outputs = []
    for jobs in (1, 3):
        result = descring("campaign", "--lines", LINES, "--seed", SEED, "--jobs", jobs)
        assert result.returncode == 0, result.stderr
        outputs.append(re.sub(r" in [\d.]+ s", "", result.stdout))
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith(f"matched {LINES} lines, ")
    result = descring("campaign", "--lines", LINES, "--seed", SEED, "--chunk", 3)
    assert result.stdout.startswith("matched 7 lines in ")
    result = descring("campaign", "--lines", LINES, "--seed", SEED, "--chunk", 4)
    assert result.returncode == 2
    assert "expected a chunk from 0 to 3" in result.stderr


def test_other_backends_by_lines(descring: Command) -> None:
    """Any backend of ours but the model can be compared; simulators in smaller chunks."""
    outputs = []
    for jobs in (1, 2):
        result = descring("campaign", "cpu", "--lines", 60_000, "--seed", SEED, "--jobs", jobs)
        assert result.returncode == 0, result.stderr
        outputs.append(re.sub(r" in [\d.]+ s", "", result.stdout))
    assert outputs[0] == outputs[1]
    assert outputs[0].startswith("matched 60000 lines, cpu, seed 20, digest ")
    size = fuzz.SIMULATOR_CHUNK_LINES
    assert [chunk.lines for chunk in fuzz.chunks(1, size + 3, "icarus")] == [size, 3]


def test_a_difference_of_another_backend_ends_the_campaign(
    monkeypatch: pytest.MonkeyPatch, descring: Command
) -> None:
    """Exit code 1, and the rerun line names the backend."""
    run = BackendDut.run

    def wrong(self: BackendDut, job: StreamJob) -> StreamResult:
        result = run(self, job)
        done = result.done.copy()
        done["user_data"][5] ^= 1
        return StreamResult(done, result.reward)

    monkeypatch.setattr(BackendDut, "run", wrong)
    result = descring("campaign", "cpu", "--lines", 100, "--seed", SEED, "--jobs", 1)
    assert result.returncode == 1
    assert f"rerun: descring campaign cpu --lines 100 --seed {SEED} --chunk 0" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lines", 10, "--smoke"), "--smoke means nothing with --lines"),
        (("model", "--count", 2, "--chunk", 1), "--chunk means nothing with --count"),
        (("model", "--count", 2, "--lines", 9), "--lines means nothing with --count"),
        (("mine.toml",), "got 'mine.toml'. For any other implementation give --count"),
    ],
)
def test_options_of_the_other_kind_are_refused(
    arguments: tuple[object, ...], message: str, descring: Command
) -> None:
    """Lines or seeds: what has no meaning is an error, in one line."""
    result = descring("campaign", *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_seeds_of_the_suite(descring: Command) -> None:
    """``--count`` runs the conformance suite, from the first seed that was given."""
    result = descring("campaign", "model", "--count", 3, "--seed", 7, "--only", "OP-000", "-j", 1)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("model conforms in part (2 of ")
    assert result.stdout.endswith("3 seeds, 6 tests\n")


def test_chunks_differ_and_cover_everything() -> None:
    """Profiles, modes, first indices near the wrap and pauses all occur."""
    drawn = fuzz.chunks(1, 200 * fuzz.CHUNK_LINES)
    assert {chunk.profile for chunk in drawn} == set(streams.PROFILES)
    for name in ("require_checked", "split_reward"):
        assert {getattr(chunk, name) for chunk in drawn} == {True, False}
    wraps = [chunk.first_index + chunk.lines > 2**32 for chunk in drawn]
    assert 20 < sum(wraps) < 100
    assert {chunk.traffic.pause_out for chunk in drawn} == {0, 24, 120}
    assert len({chunk.stream_seed for chunk in drawn}) == len(drawn)


@pytest.fixture
def wrong_rtl(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device flips a bit in the completion of one line of chunk 1."""
    replay = VerilatedCore.replay
    target = fuzz.draw(SEED, 1, fuzz.CHUNK_LINES)

    def wrong(self: VerilatedCore, lines: Lines, **options: object) -> Replay:
        result = replay(self, lines, **options)  # type: ignore[arg-type]
        if options["first_index"] == target.first_index:
            result.done["user_data"][5] ^= 1
        return result

    monkeypatch.setattr(VerilatedCore, "replay", wrong)


def test_a_wrong_answer_ends_the_campaign(wrong_rtl: None, descring: Command) -> None:
    """Exit code 1; chunk, ring, index, field, both values, and the line that repeats it."""
    result = descring("campaign", "--lines", LINES, "--seed", SEED, "--jobs", 1)
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.search(r"^chunk 1: 50000 lines, profile \S+, seed \d+, first index", result.stderr)
    assert re.search(r"done ring: .*user_data", result.stderr)
    assert f"rerun: descring campaign --lines {LINES} --seed {SEED} --chunk 1" in result.stderr


def test_a_failure_of_the_rtl_ends_the_campaign(
    monkeypatch: pytest.MonkeyPatch, descring: Command
) -> None:
    """Exit code 2, and the RTL's own words."""

    def fails(_self: VerilatedCore, _lines: Lines, **_options: object) -> Replay:
        raise RtlFault("worker.sv:1: it hangs; cycle 7", 7)

    monkeypatch.setattr(VerilatedCore, "replay", fails)
    result = descring("campaign", "--lines", LINES, "--seed", SEED, "--jobs", 1)
    assert result.returncode == 2
    assert "worker.sv:1: it hangs; cycle 7" in result.stderr
    assert "--chunk 0" in result.stderr
