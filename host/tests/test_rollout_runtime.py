# SPDX-License-Identifier: Apache-2.0
"""The rollout runtime over every backend: one log for the same inputs, and nothing left behind."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from conftest import OpenBackend
from descring_host import HostError, open_device
from descring_model.rollouts import contract
from descring_model.rollouts.records import log_bytes, make_config, read_log
from descring_model.rollouts.run import run as model_run
from descring_rollouts import Runtime, make_requests
from descring_rollouts.model_core import ModelCore
from descring_rollouts.scorers import Where
from rollout_devices import ZERO, held
from rollout_scorers import (
    half,
)

NONE = contract.NONE


def workload(prompts: int, samples: int = 4, seed: int = 3) -> Any:
    """Prompts of 1 to 90 tokens, 0 to 120 new ones, some arrivals and cancellations."""
    rng = np.random.default_rng(seed)
    shape = (prompts, samples)
    cancel = rng.integers(0, 60, shape)
    cancel[rng.random(shape) < 0.8] = NONE
    return make_requests(
        rng.integers(1, 91, prompts).tolist(),
        samples=samples,
        new_tokens=rng.integers(0, 121, shape),
        arrival=rng.integers(0, 20, shape),
        cancel=cancel,
    )


@pytest.mark.parametrize("variant", ["plain", "deep", "checked"])
def test_log_is_the_golden_models_on_every_backend(open_backend: OpenBackend, variant: str) -> None:
    """[LOG-001] [LOG-004] [LOG-005] [PIPE-005] [PIPE-006] [WIN-002] [WIN-005] Byte by byte.

    Windows of several depths, one ring or two, with and without CHECKED lines.
    """
    requests = workload(open_backend.lines(60))
    limits: dict[str, Any] = {"slots": 24, "kv_blocks": 60, "reward_credits": 5, "ring_slots": 64}
    modes: dict[str, Any] = {"boundary_rewards": True, "policy": "SHORTEST_REMAINING"}
    if variant == "deep":
        limits |= {"depth": 3, "window": 7, "ring_slots": 16, "overtake": 9}
        modes |= {"split_reward": False, "policy": "PREFIX"}
    if variant == "checked":
        modes |= {"checked": True, "policy": "LONGEST_REMAINING", "scorer": 1}
        limits |= {"seats": 8, "staleness": 1, "score_ticks": 2, "trajectory_credits": 2}
    with open_backend() as device:
        runtime = Runtime(device, **modes, **limits)
        groups = list(runtime.run_requests(requests))
        assert held(runtime) == ZERO
        over_model = Runtime(device, **modes, **limits, core=ModelCore)
        list(over_model.run_requests(requests))
        assert over_model.log_file() == runtime.log_file()
    expected = model_run(runtime.config, requests).log.records()
    assert runtime.log_file() == log_bytes(expected, read_log(runtime.log_file())[1])
    assert sorted(group.number for group in groups) == list(range(len(requests) // 4))
    assert len(expected) > 5 * len(requests)


def test_groups_are_arrays_of_what_was_asked_for() -> None:
    """[RWD-001] [RWD-004] [COW-010] Rewards, advantages, lengths and order of two groups."""
    with open_device("model") as device:
        runtime = Runtime(device, scorer=1, slots=3)
        groups = list(runtime.run([[7] * 40, 5], samples=3, new_tokens=[[9, 40, 70], [1, 2, 3]]))
    assert [group.number for group in groups] == [0, 1]
    first = groups[0].trajectories
    assert first.length.tolist() == [49, 80, 110]
    assert first.prompt_tokens.tolist() == [40] * 3
    assert first.sample.tolist() == [0, 1, 2]
    assert first.legs.tolist() == [1, 2, 3]
    assert first.outcome.tolist() == [1, 1, 1]
    mean = first.reward.sum() / 3
    assert np.allclose(first.advantage, first.reward - mean, atol=1e-12)
    assert groups[1].trajectories.length.tolist() == [6, 7, 8]
    with open_device("model") as device:
        alone = Runtime(device, scorer=2, slots=3, share=False)
        list(alone.run([[7] * 40, 5], samples=3, new_tokens=[[9, 40, 70], [1, 2, 3]]))
    for name in ("length", "digest", "advantage"):
        assert (getattr(runtime.trajectories, name) == getattr(alone.trajectories, name)).all(), (
            name
        )
    assert (alone.trajectories.reward == alone.trajectories.advantage).all()
    nodes = [run.log()["code"] == contract.EVENT["NODE"] for run in (runtime, alone)]
    assert [int(found.sum()) for found in nodes] == [2, 6]


def test_files_hold_the_arrays() -> None:
    """[RWD-002] A .npz file and JSON lines, with what was cancelled as null."""
    with open_device("model") as device:
        runtime = Runtime(device)
        list(runtime.run([33], samples=3, new_tokens=20, cancel=[[NONE, 0, NONE]]))
    whole = runtime.trajectories
    with np.load(io.BytesIO(whole.npz())) as arrays:
        assert set(arrays) == set(whole.__dataclass_fields__) - {"tokens", "kv_digest"}
        for name in arrays:
            assert arrays[name].tobytes() == getattr(whole, name).tobytes()
            assert arrays[name].dtype == getattr(whole, name).dtype
    rows = [json.loads(line) for line in whole.json_lines().splitlines()]
    assert [row["outcome"] for row in rows] == ["delivered", "cancelled", "delivered"]
    assert [row["reward"] is None for row in rows] == [False, True, False]
    assert rows[0]["reward"] == float(np.float32(53 / 255))
    assert rows[0]["advantage"] == 0.0
    with pytest.raises(ValueError, match="shorter"):  # no rollout is left out without a word
        dataclasses.replace(whole, legs=whole.legs[:-1]).json_lines()


BAD_CALLS: dict[str, tuple[dict[str, Any], str]] = {
    "no samples": ({"samples": 0}, "samples: expected 1 or more"),
    "shape": ({"new_tokens": [1, 2, 3]}, "new_tokens: expected one number, 2"),
    "negative": ({"new_tokens": -9}, "expected max_tokens of at least"),
    "below zero": ({"new_tokens": -90}, "max_tokens: expected 0 to 4294967295, got -"),
    "arena": ({"new_tokens": 4000}, "expected at most the arena's 64 blocks"),
    "rank": ({"rank": 1 << 62, "arrival": -1}, "arrival: expected 0 to"),
    "fraction of a sample": ({"samples": 1.5}, "samples: expected an integer, got 1.5"),
    "samples as text": ({"samples": "2"}, "samples: expected an integer, got '2'"),
    "fraction of a token": ({"new_tokens": 1.5}, "new_tokens: expected integers of 64 bits"),
    "text": ({"new_tokens": "x"}, "new_tokens: expected integers of 64 bits, got 'x'"),
    "nothing": ({"arrival": [None, 1]}, "arrival: expected integers of 64 bits"),
    "yes": ({"cancel": True}, "cancel: expected integers of 64 bits, got True"),
    "long rank": ({"rank": 1 << 70}, "rank: expected integers of 64 bits"),
    "unsigned rank": ({"rank": (1 << 64) - 1}, "rank: expected integers below 2"),
    "uneven": ({"new_tokens": [[1], [1, 2]]}, "rows of different lengths"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_requests_are_refused_at_once(name: str) -> None:
    """[PIPE-001] Before the device is touched, and before the first group is asked for."""
    columns, text = BAD_CALLS[name]
    with open_device("model") as device:
        runtime = Runtime(device, kv_blocks=64)
        with pytest.raises(ValueError, match=text):
            runtime.run([50, 60], **columns)
        with pytest.raises(ValueError, match="call run"):
            runtime.log()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"policy": "RANDOM"}, "policy: expected FIFO"),
        ({"score_in": "cloud"}, "where: expected inline"),
        ({"scorer": 16}, "give a function"),
        ({"scorer": 7}, "expected scorer 0, 1, 2"),
        ({"window": 257}, "expected window of 1 to 256"),
        ({"colour": 3}, "expected members out of"),
        ({"slots": 1.5}, "slots: expected an integer, got 1.5"),
        ({"kv_blocks": "9"}, "kv_blocks: expected an integer, got '9'"),
        ({"window": True}, "window: expected an integer, got True"),
        ({"scorer": "x"}, "scorer: expected 0, 1, 2 or a function, got 'x'"),
        ({"scorer": 1.0}, "scorer: expected 0, 1, 2 or a function, got 1.0"),
        ({"scorer": True}, "scorer: expected 0, 1, 2 or a function, got True"),
        ({"timeout_s": 0}, "timeout_s: expected seconds above 0, got 0"),
        ({"timeout_s": float("nan")}, "timeout_s: expected seconds above 0, got nan"),
        ({"score_timeout_s": -1}, "score_timeout_s: expected seconds above 0, got -1"),
        ({"score_timeout_s": "1"}, "score_timeout_s: expected seconds above 0, got '1'"),
        ({"core": None}, "core: expected Core or ModelCore, got None"),
        ({"watchers": [3]}, "watchers: expected objects of Watcher, got 3"),
        ({"watchers": None}, "watchers: expected objects of Watcher, got None"),
    ],
)
def test_bad_configurations_are_refused(options: dict[str, Any], text: str) -> None:
    """[PIPE-001] [RWD-001] One line that names what was expected."""
    with open_device("model") as device, pytest.raises(ValueError, match=text):
        Runtime(device, **options)


@pytest.mark.parametrize(
    ("prompts", "text"),
    [
        ([], "prompts: expected one or more, got none"),
        (None, "prompts: expected a sequence of prompts, got None"),
        (5, "prompts: expected a sequence of prompts, got 5"),
        ("ab", "prompts: expected a sequence of prompts, got 'ab'"),
        (["ab"], "prompt 0: a number of tokens, or tokens: expected an integer, got 'ab'"),
        ([4, 1.5], "prompt 1: a number of tokens, or tokens: expected an integer, got 1.5"),
        ([True], "prompt 0: a number of tokens, or tokens: expected an integer, got True"),
        ([[1, 2.5]], "prompt 0: expected integers of 64 bits"),
        ([[[1], [2]]], "prompt 0: expected tokens in a row"),
        ([[]], "expected at least 1 prompt token"),
    ],
)
def test_bad_prompts_are_refused_at_once(prompts: Any, text: str) -> None:
    """[PIPE-001] And a device that is none, and records that are none."""
    with open_device("model") as device:
        runtime = Runtime(device)
        with pytest.raises(ValueError, match=text):
            runtime.run(prompts)
        with pytest.raises(ValueError, match="requests: expected an array of REQUEST_DTYPE"):
            runtime.run_requests([1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="device: expected one of open_device"):
        Runtime(None)


@pytest.mark.parametrize("backend", ["model", "cpu"])
def test_a_device_has_one_run_at_a_time(backend: str) -> None:
    """[PIPE-013] The second is refused, of the same runtime or another; the first is unharmed."""
    with open_device(backend) as device, open_device(backend) as other:
        runtime = Runtime(device, slots=4)
        begun = runtime.run([5] * 9, samples=2, new_tokens=50)
        waiting = Runtime(device).run([5])
        groups = [next(begun)]
        for second in (runtime, Runtime(device)):
            with pytest.raises(HostError, match="whose run has not ended"):
                second.run([5])
        with pytest.raises(HostError, match="whose run has not ended"):
            next(waiting)
        assert len(list(Runtime(other).run([5]))) == 1
        groups += list(begun)
        assert [group.number for group in groups] == list(range(9))
        assert held(runtime) == ZERO
        begun = runtime.run([5] * 9, samples=2, new_tokens=50)
        next(begun)
        begun.close()  # type: ignore[attr-defined]
        assert len(list(Runtime(device).run([5]))) == 1


@pytest.mark.parametrize("where", ["inline", "thread", "process"])
def test_a_scorer_of_the_callers_runs_anywhere(where: Where) -> None:
    """[RWD-001] [RWD-002] The same log and rewards from all three places."""
    with open_device("cpu") as device:
        runtime = Runtime(
            device, scorer=half, score_in=where, boundary_rewards=True, score_ticks=2, slots=8
        )
        list(runtime.run([20, 30, 40], samples=4, new_tokens=60))
    expected = model_run(
        runtime.config,
        runtime.requests,
        lambda batch: np.array(half(batch), dtype=np.float32).view(np.uint32).tolist(),
    )
    assert runtime.log().tobytes() == expected.log.records().tobytes()
    assert (runtime.trajectories.reward == runtime.trajectories.length / 2).all()


def test_asyncio_runs_beside_other_tasks() -> None:
    """[PIPE-013] Groups arrive while another task runs; leaving early leaves nothing."""

    async def both(runtime: Runtime) -> tuple[list[int], int]:
        turns = 0
        numbers = []

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        async for group in runtime.arun([20] * 6, samples=2, new_tokens=60):
            numbers.append(group.number)
        task.cancel()
        left = runtime.arun([20] * 6, samples=2, new_tokens=60)
        await anext(left)
        await left.aclose()  # type: ignore[attr-defined]
        return numbers, turns

    with open_device("cpu") as device:
        runtime = Runtime(device, slots=4)
        numbers, turns = asyncio.run(both(runtime))
        assert held(runtime) == ZERO
    assert sorted(numbers) == list(range(6))
    assert turns > 3


def test_configuration_is_the_golden_models() -> None:
    """[PIPE-001] The defaults of both are one record."""
    with open_device("model") as device:
        assert Runtime(device).config == make_config()


_IMPORTED = """
import sys
from descring_host import open_device
from descring_rollouts import Runtime
with open_device("model") as device:
    runtime = Runtime(device)
    before = set(sys.modules)
    for _ in runtime.run([20] * 4, samples=3, new_tokens=64):
        pass
    print(*sorted(set(sys.modules) - before))
"""


def test_a_run_imports_nothing() -> None:
    """A module that is first needed in a tick stalls all rollouts for some 100 ms."""
    done = subprocess.run(
        [sys.executable, "-c", _IMPORTED], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
