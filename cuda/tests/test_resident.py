# SPDX-License-Identifier: Apache-2.0
"""The resident shape with an engine, on the CPU and on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import resident_cases
from descring_cuda import CudaEngine, ResidentDevice
from descring_host import CommandQueue
from descring_model import complete
from emulated_machine import EmulatedMachine
from emulated_resident import open_emulated_resident, resident_library
from host_support import assert_same, eventually
from remote_support import no_gpu


@pytest.fixture(params=["cpu", "gpu"])
def opener(request: pytest.FixtureRequest) -> Iterator[resident_cases.Open]:
    """Opens resident devices on one engine."""
    if request.param == "gpu" and no_gpu():
        pytest.skip(no_gpu())
    machine = EmulatedMachine(resident_library()) if request.param == "cpu" else None
    with CudaEngine(machine=machine) as engine:

        def make(**options: Any) -> ResidentDevice:
            chosen = {"memory": 1 << 20, "seats": 6, "max_tokens": 600, **options}
            if request.param == "cpu":
                return open_emulated_resident(engine=engine, **chosen)
            return ResidentDevice(engine=engine, **chosen)

        yield make


@pytest.mark.parametrize("case", resident_cases.CASES, ids=lambda case: case.__name__)
def test_bytes_are_those_of_the_golden_model(
    opener: resident_cases.Open, case: Callable[[resident_cases.Open], None]
) -> None:
    """[REC-003] [REC-005] [NUM-008] [RING-005] [RING-007] [LIFE-003]: arena and completions."""
    case(opener)


def test_a_worker_that_ends_among_rollouts_is_restarted(opener: resident_cases.Open) -> None:
    """Its deadline passes; the next worker continues each rollout from its record [NUM-008]."""
    rollouts = resident_cases.Rollouts(12)
    with (
        opener(arena=len(rollouts.start), deadline_s=0.3) as device,
        CommandQueue(device, cmd_slots=32) as queue,
    ):
        device.write_arena(0, rollouts.start)
        lines = rollouts.lines("ROLLOUT", 0, rollouts.ends)
        queue.submit(lines)
        eventually(lambda: not device._launcher.running(), "the deadline ends it")
        device._deadline_s = None
        device.restart_worker()
        assert_same(complete(lines), queue.drain(20.0))
        rollouts.check(device)


def test_the_arena_has_an_end(opener: resident_cases.Open) -> None:
    """A copy beyond it is refused, and a device that is closed has none."""
    device = opener(arena=1 << 16)
    data = np.zeros(64, dtype=np.uint8)
    with pytest.raises(ValueError, match="expected 64 bytes within 65536, got offset 65473"):
        device.write_arena(65473, data)
    device.close()


@pytest.mark.parametrize("option", [{"seats": 0}, {"max_tokens": 0}, {"arena": 100}])
def test_options_out_of_range_are_refused(
    opener: resident_cases.Open, option: dict[str, int]
) -> None:
    """With what was expected."""
    with pytest.raises(ValueError, match=f"{next(iter(option))}: expected"):
        opener(**option)
