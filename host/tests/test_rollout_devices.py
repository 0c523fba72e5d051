# SPDX-License-Identifier: Apache-2.0
"""One run over several devices: the bytes of a run on one, whatever they are and whichever is lost.

Every run is compared with the same run on the golden device: log, trajectories, order of groups.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
from descring_host import CpuDevice, Device, DeviceClosed, HostError, PeerDied, open_device
from descring_host.errors import ArithmeticRefused
from descring_model.engine.interface import EngineError
from descring_model.engine.model import ModelEngine
from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.records import Records, read_log
from descring_rollouts import (
    DeviceLostWarning,
    DevicesLost,
    Group,
    Runtime,
    Sampling,
    ScorerError,
    make_requests,
    open_engine,
)
from descring_rollouts.model_core import ModelCore
from descring_rollouts.shares import ShareResult
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout_devices import Silent
from rollout_scorers import bad_for_group_one

NONE = contract.NONE
VOCABULARY = 64
SAMPLING = Sampling(seed=77, temperature=0.9, top_p=0.95, eos=11)
NATIVE = open_engine("native", VOCABULARY)
OTHER = open_engine("native", VOCABULARY)
MODEL = ModelEngine(VOCABULARY)
LENGTHS = (1, 31, 32, 33, 70)
LIMITS: dict[str, Any] = {"slots": 6, "kv_blocks": 40, "sampling": SAMPLING}

Prompts = list[list[int]]


def prompts(count: int, seed: int = 5) -> Prompts:
    """Prompts around the edges of blocks."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 64, LENGTHS[place % len(LENGTHS)]).tolist() for place in range(count)]


def workload(count: int, seed: int) -> tuple[Prompts, Records]:
    """One to three samples a prompt, 0 to 40 new tokens, some arrivals and cancellations."""
    rng = np.random.default_rng(seed)
    given = prompts(count, seed)
    shape = (count, int(rng.integers(1, 4)))
    cancel = rng.integers(0, 30, shape)
    cancel[rng.random(shape) < 0.75] = NONE
    columns: dict[str, Any] = {
        "new_tokens": rng.integers(0, 41, shape),
        "arrival": rng.integers(0, 20, shape),
        "cancel": cancel,
        "rank": rng.integers(-5, 5, shape),
    }
    requests = make_requests(given, samples=shape[1], **columns)
    return given, rng.permutation(requests)


def run(runtime: Runtime, given: Prompts, requests: Records) -> list[Group]:
    """All groups in the order in which they were yielded."""
    return list(runtime.run_requests(requests, [np.array(item, dtype=np.uint32) for item in given]))


def assert_same(expected: Runtime, got: Runtime) -> None:
    """Byte by byte: the log with its inputs, and every column of every trajectory."""
    assert got.log_file() == expected.log_file()
    assert got.trajectories.npz() == expected.trajectories.npz()
    assert (got.counters() == expected.counters()).all()
    assert got.usage().blocks == got.usage().live == 0


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


class Acting:
    """The native engine, which does something in its ``at``-th call; 0: in each."""

    def __init__(self, act: Callable[[], None], at: int) -> None:
        self.vocabulary = VOCABULARY
        self.new_arena = NATIVE.new_arena
        self.calls = 0
        self._act, self._at = act, at

    def advance(self, *arguments: Any) -> Any:
        """As the native engine."""
        self.calls += 1
        if self._at in (0, self.calls):
            self._act()
        return NATIVE.advance(*arguments)

    def close(self) -> None:
        """Nothing is its own."""


def expected_run(given_prompts: Prompts, requests: Records, **options: Any) -> Runtime:
    """The same on the golden device alone."""
    with open_device("model") as device:
        runtime = Runtime(device, engine=NATIVE, **LIMITS | options)
        run(runtime, given_prompts, requests)
    return runtime


GIVEN = prompts(8)
ASKED = make_requests(GIVEN, samples=3, new_tokens=40)


@functools.cache
def usual() -> Runtime:
    """The run of these with the golden device and engine."""
    with open_device("model") as device:
        runtime = Runtime(device, engine=MODEL, core=ModelCore, **LIMITS)
        run(runtime, GIVEN, ASKED)
    return runtime


def assert_set(event: threading.Event) -> None:
    """Wait for it."""
    assert event.wait(60)


@pytest.mark.parametrize("at", [1, 4, 9])
def test_groups_of_a_killed_worker_are_run_again(at: int) -> None:
    """[COW-010] [PIPE-013] SIGKILL at a tick in the middle of a share: the bytes are the same."""
    expected = usual()
    killed = threading.Event()
    with CpuDevice(process=True) as dying, open_device("cpu") as other:

        def kill() -> None:
            os.kill(dying.peer.pid, signal.SIGKILL)
            killed.set()

        # The other does not take all that there is before the first comes so far.
        engines = [Acting(kill, at), Acting(lambda: assert_set(killed), 2)]
        runtime = Runtime(devices=[dying, other], engine=engines, groups_at_once=2, **LIMITS)
        with pytest.warns(DeviceLostWarning, match=r"device 0 \(CpuDevice\) was lost: PeerDied"):
            run(runtime, GIVEN, ASKED)
        assert_same(expected, runtime)
        (loss,) = runtime.losses
        assert isinstance(loss.error, PeerDied)
        assert loss.device == 0
        assert len(loss.groups) == 2
        assert set(loss.groups) <= set(runtime.devices[1].groups)
        assert not set(loss.groups) & set(runtime.devices[0].groups)
        again = Runtime(other, engine=NATIVE, **LIMITS)
        run(again, GIVEN, ASKED)
        assert_same(expected, again)


@settings(max_examples=10)
@given(seed=st.integers(0, 1 << 32), at=st.integers(1, 25), at_once=st.integers(1, 4))
def test_any_device_can_be_closed_at_any_time(seed: int, at: int, at_once: int) -> None:
    """[PIPE-013] DeviceClosed in one of three; every group comes from one that is left."""
    given_prompts, requests = workload(7, seed)
    expected = expected_run(given_prompts, requests, scorer=1, policy="PREFIX")
    with ExitStack() as stack:
        devices = [stack.enter_context(open_device(name)) for name in ("cpu", "model", "cpu")]
        closer = Acting(devices[0].close, at)
        runtime = Runtime(
            devices=devices,
            engine=[closer, NATIVE, OTHER],
            groups_at_once=at_once,
            scorer=1,
            policy="PREFIX",
            **LIMITS,
        )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run(runtime, given_prompts, requests)
        assert_same(expected, runtime)
        lost = [item for item in caught if item.category is DeviceLostWarning]
        assert len(lost) == len(runtime.losses)
        # Closed by its engine's last call, it had returned everything.
        assert len(runtime.losses) == (closer.calls >= at) or closer.calls == at
        assert all(isinstance(loss.error, DeviceClosed) for loss in runtime.losses)


def test_a_device_that_times_out_is_lost_and_closed() -> None:
    """[PIPE-013] [WIN-005] Its groups are run on the other, and it takes nothing more."""
    expected = usual()
    with open_device("model") as silent, open_device("cpu") as other:
        runtime = Runtime(
            devices=[Silent(silent), other], engine=[OTHER, NATIVE], timeout_s=0.3, **LIMITS
        )
        with pytest.warns(DeviceLostWarning, match="QueueTimeout"):
            run(runtime, GIVEN, ASKED)
        assert_same(expected, runtime)
        assert runtime.devices[0].groups == ()
        assert sorted(runtime.devices[1].groups) == list(range(8))
        with pytest.raises(DeviceClosed):
            silent.read32(0)


def test_without_a_device_left_the_run_fails() -> None:
    """[PIPE-013] The error names each, and the run holds nothing."""
    with open_device("cpu") as first, open_device("model") as second:
        engines = [Acting(first.close, 2), Acting(second.close, 3)]
        runtime = Runtime(devices=[first, second], engine=engines, **LIMITS)
        text = r"all 2 devices were lost: device 0 \(CpuDevice\).*device 1 \(ModelDevice\)"
        with pytest.warns(DeviceLostWarning), pytest.raises(DevicesLost, match=text):
            run(runtime, GIVEN, ASKED)
        assert runtime.usage().blocks == runtime.usage().live == 0
        assert runtime.counters()[3] < len(ASKED)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EngineError("BAD_SCORE", "injected"), EngineError),
        (RolloutError("BAD_COMPLETION", "injected"), RolloutError),
        (ArithmeticRefused("injected"), ArithmeticRefused),
        (KeyError("injected"), KeyError),
    ],
)
def test_what_is_no_loss_ends_the_run(error: Exception, kind: type[Exception]) -> None:
    """[NUM-007] [WIN-005] Wrong bytes and refused rollouts would be wrong elsewhere too."""

    def fail() -> None:
        raise error

    with open_device("cpu") as first, open_device("model") as second:
        engines = [Acting(fail, 2), NATIVE]
        runtime = Runtime(devices=[first, second], engine=engines, **LIMITS)
        with pytest.raises(kind, match="injected"):
            run(runtime, GIVEN, ASKED)
        assert runtime.losses == []
        assert runtime.usage().blocks == 0
        for device in (first, second):
            assert len(run(Runtime(device, engine=NATIVE, **LIMITS), GIVEN, ASKED)) == 8


def test_a_caller_that_leaves_early_ends_every_device() -> None:
    """[PIPE-013] ``break``: no thread, line or block is left, and the devices work."""
    before = threading.active_count()
    with open_device("cpu") as first, open_device("model") as second:
        runtime = Runtime(devices=[first, second], engine=NATIVE, groups_at_once=1, **LIMITS)
        for _ in run_lazily(runtime):
            break
        assert threading.active_count() == before
        assert runtime.usage().blocks == runtime.usage().live == 0
        expected = usual()
        for device in (first, second):
            one = Runtime(device, engine=NATIVE, **LIMITS)
            run(one, GIVEN, ASKED)
            assert_same(expected, one)


def test_a_device_ends_in_the_middle_of_its_share() -> None:
    """Once the caller has left, it does not make what nobody waits for."""
    left = threading.Event()

    def slow() -> None:
        if left.wait(60):
            time.sleep(0.02)

    with open_device("cpu") as first, open_device("model") as second:
        watched = Acting(slow, at=0)
        runtime = Runtime(
            devices=[first, second], engine=[NATIVE, watched], groups_at_once=4, **LIMITS
        )
        for group in runtime.run(GIVEN, samples=3, new_tokens=200):
            assert group.number < 8
            left.set()
            break
        ticks = -(-4 * 3 * 7 // 6)
        assert 0 < watched.calls < ticks
    assert runtime.devices[1].groups == ()


def run_lazily(runtime: Runtime) -> Iterator[Group]:
    """The groups of the usual run."""
    return runtime.run_requests(ASKED, [np.array(item, dtype=np.uint32) for item in GIVEN])


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
    assert tokens == 24 * 40
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
