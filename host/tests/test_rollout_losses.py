# SPDX-License-Identifier: Apache-2.0
"""A run over several devices that loses some, or is left early: the bytes of a run on one."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from contextlib import ExitStack
from typing import Any

import pytest
from descring_host import CpuDevice, DeviceClosed, PeerDied, open_device
from descring_host.errors import ArithmeticRefused
from descring_model.engine.interface import EngineError
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.records import Records
from descring_rollouts import (
    DeviceLostWarning,
    DevicesLost,
    Runtime,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from rollout_devices import Silent
from rollout_shares import (
    ASKED,
    GIVEN,
    LIMITS,
    NATIVE,
    OTHER,
    Acting,
    Prompts,
    assert_same,
    run,
    run_lazily,
    usual,
    workload,
)


def expected_run(given_prompts: Prompts, requests: Records, **options: Any) -> Runtime:
    """The same on the golden device alone."""
    with open_device("model") as device:
        runtime = Runtime(device, engine=NATIVE, **LIMITS | options)
        run(runtime, given_prompts, requests)
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
