# SPDX-License-Identifier: Apache-2.0
"""``descring replay`` without a simulator: the golden model, and results that are not whole."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from descring_model import Lines, complete, contract, goes_to_reward, status_of, streams
from descring_sim.protocol.stream import StreamRequest
from descring_sim.replay import registry
from descring_sim.replay.backend import Progress, ReplayResult
from descring_sim.replay.stream_file import read_stream

Command = Callable[..., subprocess.CompletedProcess[str]]

NEAR_WRAP = 2**32 - 40
STOPPED = contract.STATUS["STOPPED"]


def source(path: Path, count: int = 200, first_index: int = 0) -> Lines:
    """A mixed stream, also at ``path``; it has lines of every kind, STOPs among them."""
    lines = streams.generate(count, seed=11, first_index=first_index)
    np.save(path, lines)
    return lines


@pytest.mark.parametrize("first_index", [0, NEAR_WRAP])
@pytest.mark.parametrize("require_checked", [False, True])
def test_the_model_answers_with_complete(
    first_index: int, require_checked: bool, tmp_path: Path, descring: Command
) -> None:
    """Byte for byte, and STOPs inside the stream do not end it."""
    lines = source(tmp_path / "in.npy", first_index=first_index)
    flags = ["--require-checked"] if require_checked else []
    result = descring(
        *("replay", tmp_path / "in.npy", "--backend", "model", "-o", tmp_path / "out.npy"),
        *("--first-index", first_index, *flags),
    )
    assert result.returncode == 0, result.stderr
    assert f"{tmp_path / 'out.npy'}: 200 completions\n" in result.stdout
    expected = complete(lines, first_index=first_index, require_checked=require_checked)
    assert read_stream(tmp_path / "out.npy").tobytes() == expected.tobytes()
    assert (status_of(expected)[:-1] == STOPPED).any()


def test_the_model_splits_rewards(tmp_path: Path, descring: Command) -> None:
    """Two files, whose tags count apart."""
    lines = source(tmp_path / "in.npy")
    result = descring(
        *("replay", tmp_path / "in.npy", "--backend", "model", "-o", tmp_path / "done.npy"),
        *("--split-reward", tmp_path / "reward.npy"),
    )
    assert result.returncode == 0, result.stderr
    expected = complete(lines, split_reward=True)
    mask = goes_to_reward(expected)
    assert 0 < mask.sum() < 200
    assert read_stream(tmp_path / "done.npy").tobytes() == expected[~mask].tobytes()
    assert read_stream(tmp_path / "reward.npy").tobytes() == expected[mask].tobytes()


def test_the_model_halts_at_the_first_stop(tmp_path: Path, descring: Command) -> None:
    """Its completion is the last, and what it left is no error."""
    lines = source(tmp_path / "in.npy")
    arguments = ["replay", tmp_path / "in.npy", "--backend", "model", "--halt"]
    assert descring(*arguments, "-o", tmp_path / "out.npy").returncode == 0
    expected = complete(lines)
    stop = int(np.argmax(status_of(expected) == STOPPED))
    assert 0 < stop < 199
    assert read_stream(tmp_path / "out.npy").tobytes() == expected[: stop + 1].tobytes()


def test_halt_without_a_stop_answers_everything(tmp_path: Path, descring: Command) -> None:
    """And a refused STOP is none."""
    lines = source(tmp_path / "in.npy")
    np.save(tmp_path / "in.npy", lines[lines["opcode"] != contract.OPCODE["STOP"]][:50])
    arguments = ["replay", tmp_path / "in.npy", "--backend", "model", "--halt"]
    result = descring(*arguments, "-o", tmp_path / "out.npy")
    assert result.returncode == 0
    assert len(read_stream(tmp_path / "out.npy")) == 50


@dataclass
class Faulty:
    """A backend that responds with the wrong number of lines."""

    done: int
    reward: int = 0
    description: str = "wrong completions"

    def replay(self, lines: Lines, options: StreamRequest, progress: Progress) -> ReplayResult:
        """As many lines as it was told."""
        enough = np.concatenate([lines, lines])
        return ReplayResult(enough[: self.done], enough[: self.reward], "faulty")


@pytest.mark.parametrize(
    ("faulty", "options", "message"),
    [
        (Faulty(done=7), [], "expected 8 completions, got 7"),
        (Faulty(done=9), [], "expected 8 completions, got 9"),
        (Faulty(done=9), ["--halt"], "expected 8 completions, got 9"),
        (Faulty(done=0), ["--halt"], "got none"),
        (Faulty(done=4), ["--halt"], "last of the done ring is no STOPPED"),
        (Faulty(done=5, reward=3), [], "got 3 in the reward ring"),
    ],
)
def test_an_answer_that_is_not_whole_is_an_error(
    faulty: Faulty,
    options: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    descring: Command,
) -> None:
    """Never a shorter file."""
    np.save(tmp_path / "in.npy", streams.generate(8, seed=1, profile="nop"))
    monkeypatch.setitem(registry.BACKENDS, "faulty", lambda: faulty)
    result = descring(
        *("replay", tmp_path / "in.npy", "--backend", "faulty", *options),
        *("-o", tmp_path / "out.npy"),
    )
    assert result.returncode == 2
    assert message in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.npy"]
