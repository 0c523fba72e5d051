# SPDX-License-Identifier: Apache-2.0
"""A counterexample is a stream: replayed on the broken RTL it shows what the proof found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from descring_model import DESC_DTYPE, complete, contract
from descring_sim.formal import counterexample, tasks
from descring_sim.formal.counterexample import stream_of
from descring_sim.formal.proofs import Outcome
from descring_sim.formal.proofs import Status as OutcomeStatus
from descring_sim.mutation.formal import REPORT, MutantRunner, concerned, judge
from descring_sim.mutation.session import Status
from descring_sim.protocol.stream import StreamRequest
from descring_sim.replay.registry import open_backend
from descring_sim.replay.stream_file import read_stream
from descring_sim.support import paths
from descring_sim.support.mutant import Mutant, load


def _mutant(name: str) -> Mutant:
    root = paths.checkout_root()
    assert root is not None
    return next(item for item in load(root / "sim" / "mutants") if item.name == name)


def test_counterexample_shows_the_fault_in_a_simulation(tmp_path: Path) -> None:
    """[OP-010] The stream differs on the broken RTL, and not on the sound one."""
    verdict = MutantRunner(tmp_path).try_mutant(_mutant("score-rounds-down"))
    assert verdict.status == "killed" and verdict.by.startswith("refuted"), verdict.by
    home = tmp_path / "score-rounds-down"
    said = (home / REPORT).read_text()
    (stream,) = home.rglob("trace.npy")
    assert f"replay {stream}" in said and f"--rtl {home / 'rtl'}" in said
    lines = read_stream(stream)
    checked = "--require-checked" in said
    expected = complete(lines, require_checked=checked)
    for rtl, same in ((home / "rtl", False), (None, True)):
        options = StreamRequest(require_checked=checked, workers=1, rtl=rtl)
        result = open_backend("icarus").replay(lines, options, lambda _: None)
        assert np.array_equal(result.done, expected) is same


@pytest.mark.parametrize(
    ("name", "outcome", "expected"),
    [
        ("writer-room-ignored", "fail", "killed"),
        ("writer-room-ignored", "unknown", "killed"),
        ("writer-room-ignored", "pass", "survived"),
        ("writer-sends-behind-error", "fail", "killed"),
        ("writer-sends-behind-error", "unknown", "equivalent"),
        ("writer-sends-behind-error", "pass", "equivalent"),
    ],
)
def test_only_a_counterexample_speaks_against_an_equivalent_mutant(
    name: str, outcome: OutcomeStatus, expected: Status
) -> None:
    """An induction step alone that fails shows no run in which the fault matters."""
    task = tasks.load(tasks.formal_dir())[0]
    assert judge(_mutant(name), task, Outcome(str(task), outcome, 1.0, ""))[0] == expected


def test_a_rollout_without_end_is_shortened_and_keeps_its_score() -> None:
    """[DEC-006] [DEC-007] The replay of a counterexample ends, and shows the same score."""
    line = np.zeros(1, DESC_DTYPE)
    line["opcode"] = contract.OPCODE["ROLLOUT"]
    for limit in (5, 7, 261, 262, 0xFFFFFFFF):
        line["seq_len"], line["max_tokens"] = 5, limit
        value = int.from_bytes(line.tobytes(), "little")
        stream = stream_of([{"rst_ni": 1, "accept": 1, "data_i": value}])
        assert stream is not None
        tokens = int(stream.lines["max_tokens"][0]) - 5
        assert tokens == limit - 5 if limit < 262 else 0 < tokens <= 256
        assert complete(stream.lines)["reserved0"] == complete(line)["reserved0"]


def _step(opcode: int, verdict: int, **more: int) -> dict[str, int]:
    line = np.zeros(1, DESC_DTYPE)
    line["opcode"] = opcode
    value = int.from_bytes(line.tobytes(), "little")
    return {"rst_ni": 1, "accept": 1, "data_i": value, "error_code_i": verdict, **more}


@pytest.mark.parametrize(
    ("opcode", "verdict"),
    [("NOP", 0), ("NOP", "BAD_CHECKSUM"), ("DECODE", "BAD_TAG"), (77, "BAD_OPCODE")],
)
@pytest.mark.parametrize("required", [0, 1])
def test_line_is_sealed_so_that_its_verdict_comes_out(
    opcode: str | int, verdict: str | int, required: int
) -> None:
    """[ERR-011] In a proof the verdict is an input; in a device it follows from the line."""
    number = contract.OPCODE[opcode] if isinstance(opcode, str) else opcode
    code = contract.ERROR_CODE[verdict] if isinstance(verdict, str) else verdict
    stream = stream_of([_step(number, code, require_checked_i=required)])
    assert stream is not None and stream.require_checked is bool(required)
    answered = complete(stream.lines, require_checked=stream.require_checked)
    assert int(answered["flags"][0]) >> contract.ERROR_CODE_SHIFT == code


@pytest.mark.parametrize(("opcode", "verdict"), [(0, 2), (77, 0), (0, 99)])
def test_verdict_that_no_line_can_have_is_no_stream(opcode: int, verdict: int) -> None:
    """A known opcode refused as unknown, an unknown one accepted, a code that does not exist."""
    assert stream_of([_step(opcode, verdict)]) is None


def test_only_accepted_lines_out_of_reset_count() -> None:
    """A line that waits, and one in reset, were never taken."""
    waits, reset = _step(0, 0, accept=0), _step(0, 0, rst_ni=0)
    assert stream_of([waits, reset]) is None
    stream = stream_of([waits, _step(0, 0), reset])
    assert stream is not None and len(stream.lines) == 1
    assert counterexample.ACCEPT in waits


def test_a_stricter_property_must_refute_an_equivalent_mutant() -> None:
    """Its entry gives the reason; for the simulations it stays equivalent."""
    mutant = _mutant("writer-starts-in-reset")
    assert mutant.equivalent and mutant.refuted
    (tried,) = concerned([mutant])
    assert tried.equivalent is None
    (other,) = concerned([_mutant("writer-sends-behind-error")])
    assert other.equivalent
