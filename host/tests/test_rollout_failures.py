# SPDX-License-Identifier: Apache-2.0
"""The rollout runtime where a device, a scorer or the caller fails: nothing is left behind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from descring_host import Device, DeviceClosed, HostError, QueueTimeout, open_device
from descring_model import contract as line_contract
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.rewards import ScoreRequest
from descring_rollouts import Runtime, ScorerError
from descring_rollouts.scorers import Scoring, Where, words_of
from rollout_devices import ZERO, Silent, Wrapped, held
from rollout_scorers import (
    bad_for_group_one,
    dies_for_group_one,
    late_for_group_one,
    miscounts,
    not_a_number,
)

REG = line_contract.OFFSET


@pytest.mark.parametrize(
    ("scores", "text"),
    [
        ([], r"expected 3 scores, got an array of shape \(0,\)"),
        ([1.0, 2.0], r"expected 3 scores, got an array of shape \(2,\)"),
        ([1.0, 2.0, 3.0, 4.0], r"expected 3 scores, got an array of shape \(4,\)"),
        ([[1.0], [2.0], [3.0]], r"expected 3 scores, got an array of shape \(3, 1\)"),
        ([1.0, float("nan"), 3.0], "expected finite scores, got nan"),
        ([1.0, 2.0, float("-inf")], "expected finite scores, got -inf"),
        ([float("inf"), float("nan"), 3.0], "expected finite scores, got inf"),
    ],
)
def test_scores_that_are_no_numbers_are_refused(scores: list[Any], text: str) -> None:
    """[RWD-001] The text has the first that is wrong, also where it is the only one."""
    batch: Any = [None] * 3
    with pytest.raises(ValueError, match=text):
        words_of(contract.SCORER_CUSTOM, lambda _: scores, batch)
    assert words_of(contract.SCORER_CUSTOM, lambda _: [0.0, 1.0, -2.0], batch) == [
        0, 0x3F800000, 0xC0000000,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("scorer", "where", "text"),
    [
        (bad_for_group_one, "inline", "no such file"),
        (bad_for_group_one, "thread", "no such file"),
        (bad_for_group_one, "process", "no such file"),
        (dies_for_group_one, "process", "exit code 3"),
        (late_for_group_one, "thread", "within 0.5 s"),
        (late_for_group_one, "process", "within 5.0 s"),
        (miscounts, "thread", "expected 2 scores, got"),
        (not_a_number, "inline", "expected finite scores, got nan"),
    ],
)
def test_a_failed_batch_ends_its_own_rollouts_and_is_named(
    scorer: Any, where: Where, text: str
) -> None:
    """[RWD-003] All other groups are delivered; the error is raised behind the last one."""
    # A spawned process needs a second or two before it can score.
    timeout = 20.0 if scorer is not late_for_group_one else 0.5 if where == "thread" else 5.0
    with open_device("model") as device:
        runtime = Runtime(
            device, scorer=scorer, score_in=where, score_timeout_s=timeout, slots=2, score_ticks=2
        )
        numbers = []
        with pytest.raises(ScorerError, match=text) as caught:
            for group in runtime.run([10, 11, 12, 13], samples=2, new_tokens=5):
                numbers.append(group.number)
        assert sorted(numbers) == [0, 1, 2, 3]
        assert held(runtime) == ZERO
    assert caught.value.requests == (2, 3)
    assert "group 1 sample 0, group 1 sample 1" in str(caught.value)
    outcome = runtime.trajectories.outcome
    assert outcome.tolist() == [1, 1, 3, 3, 1, 1, 1, 1]
    assert np.isnan(runtime.trajectories.reward[2:4]).all()


@pytest.mark.parametrize(("where", "timeout_s"), [("thread", 0.5), ("process", 5.0)])
def test_batches_behind_a_late_one_are_scored(where: Where, timeout_s: float) -> None:
    """[RWD-003] The second of four is late; the two behind it were sent already."""
    scoring = Scoring(contract.SCORER_CUSTOM, late_for_group_one, where, timeout_s)
    for group in range(4):
        scoring.send([ScoreRequest(group, group, 0, 1, 10, True)])
    word = int(np.float32(5.0).view(np.uint32))
    assert [scoring.receive() for _ in range(4)] == [[word], None, [word], [word]]
    assert f"within {timeout_s} s" in str(scoring.failure)
    scoring.close()


class Repeating(Wrapped):
    """Returns the first completion in place of the second."""

    def read32(self, offset: int) -> int:
        """Change the done ring before its tail is seen."""
        value = int(self._device.read32(offset))
        if offset == REG["DONE_TAIL"] and value >= 2:
            base = int(self._device.read32(REG["DONE_BASE_LO"]))
            memory = self._device.memory
            memory[base + 64 : base + 128] = memory[base : base + 64]
        return value


class Faulty(Wrapped):
    """Fails one register read, the ``fail_at``-th."""

    def __init__(self, device: Device, fail_at: int) -> None:
        super().__init__(device)
        self._left = fail_at

    def read32(self, offset: int) -> int:
        """Fail once the count has run out."""
        self._left -= 1
        if self._left == 0:
            raise HostError("the cable is out")
        return self._device.read32(offset)


@pytest.mark.parametrize("fail_at", [60, 100, 150, 200])
def test_a_run_that_the_device_fails_leaves_nothing(fail_at: int) -> None:
    """[PIPE-013] Credits, blocks and lines are back, and the next run on the device works."""
    with open_device("model") as device:
        runtime = Runtime(Faulty(device, fail_at), slots=8, depth=2)
        with pytest.raises(HostError, match="the cable is out"):
            list(runtime.run([20] * 20, samples=4, new_tokens=90))
        assert held(runtime) == ZERO
        assert runtime.ended > 0 or fail_at < 100
        again = Runtime(device, slots=8)
        assert len(list(again.run([20], samples=4, new_tokens=90))) == 1


@pytest.mark.parametrize("backend", ["model", "cpu"])
def test_a_caller_that_leaves_early_leaves_nothing(backend: str) -> None:
    """[PIPE-013] A ``break``, and an exception of the caller's, in the middle of a run."""
    with open_device(backend) as device:
        runtime = Runtime(device, slots=8, depth=3)
        for _ in runtime.run([20] * 20, samples=4, new_tokens=90):
            break
        assert held(runtime) == ZERO
        groups = runtime.run([20] * 20, samples=4, new_tokens=90)
        next(groups)
        assert held(runtime) != ZERO
        with pytest.raises(KeyError):
            groups.throw(KeyError("mine"))  # type: ignore[attr-defined]
        assert held(runtime) == ZERO
        assert len(list(runtime.run([20], samples=2, new_tokens=9))) == 1


def test_a_window_that_does_not_return_is_an_error_with_its_name() -> None:
    """[WIN-005] [PIPE-013] Window and index are named; the device is closed behind it."""
    device = open_device("model")
    runtime = Runtime(Silent(device), timeout_s=0.1)
    with pytest.raises(QueueTimeout, match=r"window 0: expected 2 completions.*index 0 is missing"):
        list(runtime.run([20, 21], new_tokens=90))
    assert held(runtime) == ZERO
    with pytest.raises(DeviceClosed):
        device.read32(0)


def test_a_line_that_returns_twice_is_an_error() -> None:
    """[WIN-003] [WIN-005] A repeated completion is found by its user_data."""
    with open_device("model") as device:
        runtime = Runtime(Repeating(device), split_reward=False, timeout_s=2.0)
        with pytest.raises(RolloutError, match="window 0: expected each line once"):
            list(runtime.run([20, 21], new_tokens=90))
        assert held(runtime) == ZERO
