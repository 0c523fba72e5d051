# SPDX-License-Identifier: Apache-2.0
"""The rollout runtime on a device that makes the tokens itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from descring_cuda import CudaEngine, ResidentDevice
from descring_host import DeviceError, open_device
from descring_model.engine.interface import EngineError
from descring_model.rollouts.records import Records
from descring_rollouts import Runtime, Trajectories
from descring_rollouts.resident_run import ResidentRun
from descring_rollouts.token_run import Layout
from emulated_machine import EmulatedMachine
from emulated_resident import open_emulated_resident, resident_library
from remote_support import no_gpu
from token_runs import ASKED, GIVEN, NATIVE, run

Opener = Callable[..., ResidentDevice]


@pytest.fixture(params=["cpu", "gpu"])
def opener(request: pytest.FixtureRequest) -> Iterator[Opener]:
    """Opens resident devices with engines of a vocabulary of 64."""
    if request.param == "gpu" and no_gpu():
        pytest.skip(no_gpu())
    opened: list[Any] = []

    def make(**options: Any) -> ResidentDevice:
        machine = EmulatedMachine(resident_library()) if request.param == "cpu" else None
        engine = CudaEngine(64, machine=machine)
        chosen = {"memory": 1 << 20, "seats": 4, "max_tokens": 200, "arena": 4 << 20, **options}
        make_device = open_emulated_resident if request.param == "cpu" else ResidentDevice
        opened.extend((engine, make_device(engine=engine, **chosen)))
        return opened[-1]  # type: ignore[no-any-return]

    yield make
    while opened:
        opened.pop().close()


def assert_same(found: Trajectories, expected: Trajectories) -> None:
    """Every column: tokens, digests of keys and values, rewards, outcomes."""
    for name, column in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), column, err_msg=name)


PLANS: dict[str, dict[str, Any]] = {
    "plain": {},
    "not shared": {"share": False},
    "deep": {"depth": 3, "window": 4, "ring_slots": 8, "policy": "PREFIX", "overtake": 5},
    "scored": {"boundary_rewards": True, "scorer": 1, "score_ticks": 2, "reward_credits": 2},
    "tight": {"slots": 1, "kv_blocks": 8},
}


@pytest.mark.parametrize("plan", PLANS)
def test_a_run_is_that_of_the_native_engine(opener: Opener, plan: str) -> None:
    """[REC-005] [COW-010] [REC-007]: log and trajectories, with cancellations and eos."""
    with open_device("cpu") as other:
        expected = run(other, ASKED, GIVEN, engine=NATIVE, **PLANS[plan])
    device = opener()
    found = run(device, ASKED, GIVEN, engine=device.engine, **PLANS[plan])
    assert found.log_file() == expected.log_file()
    assert_same(found.trajectories, expected.trajectories)
    assert device.steps > 0
    assert device.failures() == []
    again = run(device, ASKED, GIVEN, engine=device.engine, **PLANS[plan])
    assert_same(again.trajectories, expected.trajectories)


def test_a_run_over_devices_of_two_kinds(opener: Opener) -> None:
    """The trajectories are those of one device; each has had a part."""
    device = opener()
    with open_device("cpu") as other:
        expected = run(other, ASKED, GIVEN, engine=NATIVE)
        found = run(
            None,
            ASKED,
            GIVEN,
            devices=[device, other],
            engine=[device.engine, NATIVE],
            groups_at_once=1,
        )
        assert_same(found.trajectories, expected.trajectories)
        assert all(report.done for report in found.devices)


def test_the_engine_must_be_the_devices(opener: Opener) -> None:
    """Another one would advance what the device has advanced."""
    device = opener()
    with pytest.raises(ValueError, match=r"engine: expected that of the device, device\.engine"):
        run(device, ASKED, GIVEN, engine=NATIVE)
    run(device, ASKED, GIVEN, engine=device.engine)


def test_a_small_arena_is_refused(opener: Opener) -> None:
    """With the size that it takes."""
    device = opener(arena=1 << 16)
    with pytest.raises(ValueError, match="open the device with arena=") as raised:
        run(device, ASKED, GIVEN, engine=device.engine)
    config = Runtime(device, slots=6, kv_blocks=40).config
    assert f"arena={Layout(config, ASKED).size}" in str(raised.value)


def test_a_rollout_that_is_too_long_for_the_device_ends_the_run(opener: Opener) -> None:
    """With what to do; nothing is held behind it."""
    device = opener(max_tokens=32)
    runtime = Runtime(device, engine=device.engine)
    with pytest.raises(DeviceError, match="expected tokens to 288 on the device") as raised:
        list(runtime.run([[1, 2, 3]], samples=2, new_tokens=300))
    assert "open the device with max_tokens=303 or more" in str(raised.value)
    assert runtime.usage().blocks == 0


def test_what_the_engine_refuses_ends_the_run(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the name of its status [REC-004], as an engine beside the device does."""
    process = ResidentRun.process

    def damaged(self: ResidentRun, records: Records) -> None:
        process(self, records)
        for made in self._rollouts.values():
            self._record(made.offset)["top_p"] = 2.0
            self._wrote(made.offset, 64)

    monkeypatch.setattr(ResidentRun, "process", damaged)
    device = opener()
    with pytest.raises(EngineError, match=r"BAD_RECORD.*on the device, stopped at position 0"):
        run(device, ASKED, GIVEN, engine=device.engine)
