# SPDX-License-Identifier: Apache-2.0
"""One run over several devices: the bytes of a run on one, whatever they are.

Every run is compared with the same run on the golden device: log, trajectories, order of groups.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from descring_host import Device, HostError, open_device
from descring_model.rollouts import contract
from descring_model.rollouts.records import read_log
from descring_rollouts import (
    Runtime,
    ScorerError,
    make_requests,
)
from descring_rollouts.model_core import ModelCore
from descring_rollouts.shares import ShareResult
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout_scorers import bad_for_group_one
from rollout_shares import (
    ASKED,
    GIVEN,
    LIMITS,
    MODEL,
    NATIVE,
    NONE,
    SAMPLING,
    Acting,
    assert_same,
    run,
    run_lazily,
    workload,
)


@pytest.fixture(scope="module")
def opened() -> Iterator[dict[str, list[Device]]]:
    """Devices of each kind."""
    with ExitStack() as stack:
        yield {
            "model": [stack.enter_context(open_device("model")) for _ in range(3)],
            "cpu": [stack.enter_context(open_device("cpu")) for _ in range(3)],
            "workers": [stack.enter_context(open_device("cpu", workers=3)) for _ in range(2)],
        }


KINDS = st.lists(st.sampled_from(["model", "cpu", "workers"]), min_size=1, max_size=4).filter(
    lambda kinds: all(kinds.count(kind) <= (2 if kind == "workers" else 3) for kind in kinds)
)


@settings(max_examples=40)
@given(
    data=st.data(),
    kinds=KINDS,
    seed=st.integers(0, 1 << 32),
    count=st.integers(1, 9),
    at_once=st.none() | st.integers(1, 5),
    policy=st.sampled_from(list(contract.POLICY)),
    scorer=st.integers(0, 2),
    modes=st.fixed_dictionaries(
        {name: st.booleans() for name in ("share", "boundary_rewards", "final_rewards", "checked")}
    ),
    limits=st.fixed_dictionaries(
        {
            "slots": st.integers(1, 9),
            "depth": st.integers(1, 3),
            "window": st.integers(1, 9),
            "score_ticks": st.integers(1, 3),
            "seats": st.sampled_from([2, 5, NONE]),
            "staleness": st.integers(0, 2),
            "reward_credits": st.integers(1, 4),
        }
    ),
)
def test_any_devices_give_the_bytes_of_one(
    opened: dict[str, list[Device]],
    data: st.DataObject,
    kinds: list[str],
    seed: int,
    count: int,
    at_once: int | None,
    policy: str,
    scorer: int,
    modes: dict[str, Any],
    limits: dict[str, Any],
) -> None:
    """[LOG-001] [LOG-004] [COW-010] [NUM-008] [SAMP-006] Any number and kind, any split.

    Each device's own runs hold nothing at their ends, and the groups are each of one device.
    """
    given_prompts, requests = workload(count, seed)
    options: dict[str, Any] = {
        "policy": policy, "scorer": scorer, "kv_blocks": 40, **modes, **limits
    }  # fmt: skip
    alone: dict[str, Any] = {}
    several: dict[str, Any] = {}
    makers = data.draw(st.sampled_from(["none", "one", "each"]))
    if makers != "none":
        alone = {"engine": NATIVE, "sampling": SAMPLING}
        engines = [MODEL if kind == "model" else NATIVE for kind in kinds]
        fits = makers == "each" and len(set(map(id, engines))) == len(engines)
        several = {"engine": engines if fits else NATIVE, "sampling": SAMPLING}
    places = {kind: iter(opened[kind]) for kind in opened}
    devices = [next(places[kind]) for kind in kinds]
    expected = Runtime(opened["model"][0], core=ModelCore, **options, **alone)
    first = [group.number for group in run(expected, given_prompts, requests)]
    got = Runtime(devices=devices, groups_at_once=at_once, **options, **several)
    assert [group.number for group in run(got, given_prompts, requests)] == first
    assert_same(expected, got)
    groups = sorted(group for report in got.devices for group in report.groups)
    assert len(groups) == len(set(groups)) <= count
    assert set(groups) >= {
        int(group)
        for group, outcome in zip(got.trajectories.group, got.trajectories.outcome, strict=True)
        if outcome == 1
    }
    for report in got.devices:
        assert not report.losses
        for _, result in report.done:
            assert held(result) == (0,) * 8


def held(result: ShareResult) -> tuple[int, ...]:
    """What a device's run held behind its end."""
    names = "blocks reserved decode reward trajectory live nodes in_flight"
    return tuple(getattr(result.usage, name) for name in names.split())


def test_devices_of_a_run_are_taken() -> None:
    """[PIPE-013] Nothing else runs on any of them, between two shares neither."""
    with open_device("cpu") as first, open_device("model") as second:
        begun = run_lazily(Runtime(devices=[first, second], engine=NATIVE, **LIMITS))
        next(begun)
        for device in (first, second):
            with pytest.raises(HostError, match="whose run has not ended"):
                Runtime(device).run([5])
        begun.close()  # type: ignore[attr-defined]
        assert len(list(Runtime(second).run([5]))) == 1


def test_scorers_and_asyncio_see_one_run() -> None:
    """[RWD-001] [RWD-003] The same batches with the same tokens; a failed one fails its own."""
    seen: list[list[tuple[int, int, list[int]]]] = []

    def scorer(batch: Any) -> list[float]:
        seen[-1].extend((item.request, item.length, item.tokens.tolist()) for item in batch)
        return [float(item.tokens[-1]) for item in batch]

    runtimes = []
    with open_device("cpu") as first, open_device("model") as second:
        for where in ({"device": first}, {"devices": [second, first]}):
            seen.append([])
            runtime = Runtime(
                **where, engine=NATIVE, scorer=scorer, boundary_rewards=True, **LIMITS
            )
            run(runtime, GIVEN, ASKED)
            runtimes.append(runtime)
        assert seen[0] == seen[1]
        assert_same(*runtimes)

        async def numbers() -> list[int]:
            several = Runtime(devices=[first, second], engine=NATIVE, **LIMITS)
            return [group.number async for group in several.arun(GIVEN, new_tokens=9)]

        assert sorted(asyncio.run(numbers())) == list(range(8))
        failing = Runtime(devices=[first, second], scorer=bad_for_group_one, slots=2, score_ticks=2)
        with pytest.raises(ScorerError, match="group 1 sample 0") as caught:
            list(failing.run([10, 11, 12], samples=2, new_tokens=5))
        assert caught.value.requests == (2, 3)


def test_reports_add_up() -> None:
    """Logs and summaries of the devices are of their groups, by the numbers of the run."""
    with open_device("cpu") as first, open_device("model") as second:
        runtime = Runtime(
            devices=[first, second], engine=NATIVE, groups_at_once=1, scorer=0, **LIMITS
        )
        run(runtime, GIVEN, ASKED)
    tokens = legs = 0
    for report in runtime.devices:
        records, _ = read_log(report.log_file())
        named = records["rollout"][records["rollout"] != NONE]
        groups = set(ASKED["group"][named].tolist())
        assert groups == set(report.groups)
        assert (np.diff(records["tick"].astype(int)) >= 0).all()
        ends = records[records["code"] == contract.EVENT["END"]]
        assert len(ends) == len(report.groups)
        summary = report.summary
        assert summary.rollouts == summary.delivered == 3 * len(report.groups)
        tokens, legs = tokens + summary.tokens, legs + summary.legs
        mine = report.trajectories
        whole = runtime.trajectories
        kept = np.isin(whole.group, report.groups)
        assert (mine.reward == whole.reward[kept]).all()
        assert (mine.length == whole.length[kept]).all()
    assert tokens == int((runtime.trajectories.length - ASKED["prompt_tokens"]).sum()) < 24 * 40
    assert legs == int(runtime.trajectories.legs.sum())
    assert [report.name for report in runtime.devices] == ["CpuDevice", "ModelDevice"]


def test_the_group_that_is_waited_for_is_next() -> None:
    """A group that arrives first is run before those that arrive late."""
    late = np.full((8, 1), 500)
    late[6] = 0
    requests = make_requests(GIVEN, new_tokens=5, arrival=late)
    with open_device("model") as device:
        slow = Acting(lambda: time.sleep(0.5), 1)
        runtime = Runtime(devices=[device], engine=slow, groups_at_once=1, **LIMITS)
        run(runtime, GIVEN, requests)
    assert runtime.devices[0].groups[:2] == (0, 6)


def test_bad_lists_are_refused() -> None:
    """None, both, twice the same, no devices; engines that would make different tokens."""
    with open_device("model") as device, open_device("cpu") as other:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"devices": []}, "devices: expected one or more, got none"),
            ({"devices": device}, "devices: expected a sequence of devices, got"),
            ({"devices": "cpu,cpu"}, "devices: expected a sequence of devices, got 'cpu,cpu'"),
            ({"devices": [device, 3]}, "device: expected one of open_device.*got 3"),
            ({"devices": [device, other, device]}, "each device once, got number 2 twice"),
            ({"devices": [other], "device": device}, "expected them or one device, got both"),
            ({"devices": [device], "groups_at_once": 0}, "groups_at_once: expected 1 or more"),
            ({"devices": [device], "groups_at_once": "2"}, "groups_at_once: expected an integer"),
            (
                {"devices": [device, other], "engine": [NATIVE]},
                "engine: expected one for each of 2 devices, got 1",
            ),
            (
                {"devices": [device, other], "engine": [NATIVE, NATIVE]},
                "engine: expected each one once, got one for two devices",
            ),
            (
                {"devices": [device, other], "engine": [NATIVE, "model"]},
                "engine: expected engines of one vocabulary, got 64, 1024",
            ),
            ({"devices": [device], "engine": ["none"]}, "engine: expected model, native"),
        ]
        for options, text in cases:
            with pytest.raises(ValueError, match=text):
                Runtime(**options)


def test_engines_by_name_are_closed_with_the_runtime() -> None:
    """One for each device, closed once, and no run begins behind that; others stay open."""
    with open_device("model") as device, open_device("cpu") as other:
        with Runtime(devices=[device, other], engine="native") as runtime:
            opened = [runtime._engines._own[place] for place in range(2)]
            assert len(list(runtime.run(GIVEN, new_tokens=3))) == 8
        for engine in opened:
            with pytest.raises(ValueError, match="closed"):
                engine.advance(
                    np.zeros(64, np.uint8), np.empty(0, np.uint64), np.empty(0, np.uint32)
                )
        runtime.close()
        with pytest.raises(HostError, match="this one was closed"):
            runtime.run(GIVEN)
        with Runtime(device, engine=NATIVE) as runtime:
            pass
        assert len(run(Runtime(device, engine=NATIVE, **LIMITS), GIVEN, ASKED)) == 8
