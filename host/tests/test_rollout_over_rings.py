# SPDX-License-Identifier: Apache-2.0
"""The native core over the rings of a worker that is stopped, killed and too small."""

import os
import signal
from typing import Any

import numpy as np
import pytest
from descring_host import (
    CommandQueue,
    CpuDevice,
    DeviceClosed,
    PeerDied,
    QueueTimeout,
    open_device,
)
from descring_model import DESC_DTYPE, complete
from descring_model import contract as line_contract
from descring_model.rollouts import contract, records
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.rewards import ScoreRequest, token_rule
from descring_rollouts.core import Core
from host_support import eventually, stop_process
from rollout_runs import make_config, make_requests, small_run, wide_run

NONE = contract.NONE

DONE_TAIL = line_contract.REGISTER["DONE_TAIL"].offset


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("options", [{}, {"workers": 3}, {"process": True}])
def test_a_run_over_the_rings_has_the_golden_log(seed: int, options: dict[str, Any]) -> None:
    """[LOG-004] [RING-007]: over the native worker, as threads and as a process."""
    rng = np.random.default_rng([seed, 13])
    requests = make_requests(rng, 40)
    config = make_config(rng, requests)
    if config["scorer"][0] == contract.SCORER_CUSTOM:
        config["scorer"] = contract.SCORER_ADVANTAGE
    golden = Core(config, requests)
    lines: list[Any] = []
    batches: list[Any] = []
    while not golden.finished:
        tick = golden.tick
        depth, wait = int(config["depth"][0]), int(config["score_ticks"][0])
        window: Any = lines[tick - depth] if tick >= depth else ()
        asked = batches[tick - wait] if tick >= wait else None
        words = _token_rule(requests, asked) if asked is not None else ()
        step = golden.step(complete(window) if len(window) else None, words)
        lines.append(step.lines)
        batches.append(step)
    with (
        open_device("cpu", **options) as device,
        CommandQueue(device, cmd_slots=1024) as queue,
    ):
        core = Core(config, requests)
        while not core.finished:
            core.run(queue, ticks=int(rng.integers(1, 40)))
        assert queue.in_flight == 0
        assert core.log().tobytes() == golden.log().tobytes()
        assert core.usage.blocks == core.usage.reserved == core.usage.decode == 0


def _token_rule(requests: records.Records, step: Any) -> list[int]:
    return token_rule(
        [
            ScoreRequest(
                int(number),
                int(requests["group"][number]),
                int(requests["sample"][number]),
                int(requests["prompt_tokens"][number]),
                int(length),
                bool(final),
            )
            for number, length, final in zip(step.requests, step.lengths, step.final, strict=True)
        ]
    )


def run_times_out(core: Core, device: CpuDevice, queue: CommandQueue) -> None:
    """Run while the worker is stopped; it goes on afterwards."""
    stop_process(device.peer.pid)
    try:
        with pytest.raises(QueueTimeout, match="window of tick"):
            core.run(queue, timeout_s=0.05)
    finally:
        os.kill(device.peer.pid, signal.SIGCONT)


def test_a_run_goes_on_after_a_timeout() -> None:
    """Nothing is lost: the log is that of a run without one."""
    expected = small_run()
    with open_device("cpu") as device, CommandQueue(device) as queue:
        expected.run(queue)
    core = small_run()
    with CpuDevice(process=True) as device, CommandQueue(device) as queue:
        core.run(queue, ticks=2)
        run_times_out(core, device, queue)
        core.run(queue)
    assert core.log().tobytes() == expected.log().tobytes()


def test_a_window_that_has_returned_in_part_is_kept() -> None:
    """A done ring of two slots: two completions are taken, and the time is up."""
    expected = wide_run()
    with open_device("cpu") as device, CommandQueue(device) as queue:
        expected.run(queue)
    core = wide_run()
    with CpuDevice(process=True) as device, CommandQueue(device, done_slots=2) as queue:
        core.run(queue, ticks=1)
        eventually(lambda: device.read32(DONE_TAIL) == 2, "two completions")
        run_times_out(core, device, queue)
        assert core.usage.taken == 2
        core.run(queue, timeout_s=5)
    assert core.log().tobytes() == expected.log().tobytes()


def test_the_rest_of_a_window_is_taken_without_the_next_one() -> None:
    """A done ring of four slots: two of a window of six are left, and two of the next follow."""
    expected = wide_run(12, window=6, depth=2)
    with open_device("cpu") as device, CommandQueue(device) as queue:
        expected.run(queue)
    core = wide_run(12, window=6, depth=2)
    with CpuDevice(process=True) as device, CommandQueue(device, done_slots=4) as queue:
        core.run(queue, ticks=2)
        eventually(lambda: device.read32(DONE_TAIL) == 4, "four completions")
        run_times_out(core, device, queue)
        assert core.usage.taken == 4
        eventually(lambda: device.read32(DONE_TAIL) == 8, "four more completions")
        core.run(queue, timeout_s=5)
    assert core.log().tobytes() == expected.log().tobytes()


def test_a_run_survives_the_death_of_its_worker() -> None:
    """Killed again and again, between two calls and inside one: the log is the same."""
    rng = np.random.default_rng(5)
    requests = make_requests(rng, 200, more=600)
    config = records.make_config(slots=32, window=16, depth=3)
    expected = Core(config, requests)
    with open_device("cpu") as device, CommandQueue(device) as queue:
        expected.run(queue)
    core = Core(config, requests)
    deaths = 0
    with CpuDevice(process=True) as device, CommandQueue(device) as queue:
        while not core.finished:
            try:
                core.run(queue, ticks=int(rng.integers(1, 60)))
                os.kill(device.peer.pid, signal.SIGKILL)
            except PeerDied:
                deaths += 1
                device.restart_worker()
    assert deaths > 3
    assert core.log().tobytes() == expected.log().tobytes()


def test_a_queue_that_cannot_carry_the_run_is_refused() -> None:
    """Two completion rings, no native rings, too small a ring, one in use, a closed one."""
    core = small_run()
    with (
        open_device("model") as device,
        CommandQueue(device) as queue,
        pytest.raises(ValueError, match="native core"),
    ):
        core.run(queue)
    with open_device("cpu") as device:
        with (
            CommandQueue(device, split_reward=True) as queue,
            pytest.raises(ValueError, match="one completion ring"),
        ):
            core.run(queue)
        with (
            CommandQueue(device, cmd_slots=2) as queue,
            pytest.raises(RolloutError, match="BAD_CONFIG"),
        ):
            core.run(queue)
        assert core.tick == 0
        with CommandQueue(device) as queue:
            queue.submit(np.zeros(3, dtype=DESC_DTYPE))
            with pytest.raises(ValueError, match="expected 0 lines in flight, got 3"):
                core.run(queue)
    with pytest.raises(DeviceClosed):
        small_run().run(queue)
