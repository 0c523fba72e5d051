# SPDX-License-Identifier: Apache-2.0
"""Rollouts on a Ray cluster of this machine: the bytes of a run on one device, and lost actors."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
import pytest
from descring_host import open_device
from descring_rollouts import DeviceLostWarning, Runtime, Sampling, open_engine
from descring_sim.campaign.rollout_actors import ActorLost, RayWorker, ray_devices
from descring_sim.cli.main import run
from descring_sim.support.errors import SimulationError

pytest.importorskip("ray", reason="Ray is optional: pip install 'descring[ray]'")
pytestmark = pytest.mark.slow

VOCABULARY = 64
OPTIONS: dict[str, Any] = {"sampling": Sampling(seed=5), "scorer": 1, "slots": 6, "kv_blocks": 60}


def kill_one_with_a_share(patch: pytest.MonkeyPatch) -> list[int]:
    """Give SIGKILL to the first actor that is handed a share; the list will have its process.

    One that was killed after the first group had returned could have no share any more.
    """
    wait, killed, lock = RayWorker._wait, list[int](), Lock()

    def kill_and_wait(worker: RayWorker, reference: Any, check: Callable[[], None]) -> Any:
        with lock:
            if worker.pid and not killed:
                killed.append(worker.pid)
                os.kill(worker.pid, signal.SIGKILL)
        return wait(worker, reference, check)

    patch.setattr(RayWorker, "_wait", kill_and_wait)
    return killed


def test_actors_give_the_bytes_of_one_and_a_killed_one_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """[LOG-004] [COW-010] [PIPE-013] SIGKILL to one that has a share of the run."""
    kills = kill_one_with_a_share(monkeypatch)
    rng = np.random.default_rng(3)
    prompts = [rng.integers(0, VOCABULARY, length).tolist() for length in (3, 40, 33, 64, 7, 9)]
    asked: dict[str, Any] = {"samples": 3, "new_tokens": 90}
    with open_device("model") as device:
        alone = Runtime(device, engine=open_engine("native", VOCABULARY), **OPTIONS)
        list(alone.run(prompts, **asked))
    with ray_devices(
        "local", ["cpu", "model"], memory=4 << 20, engine="model", vocabulary=VOCABULARY
    ) as devices:
        runtime = Runtime(
            devices=devices,
            engine=open_engine("model", VOCABULARY),
            groups_at_once=1,
            **OPTIONS,
        )
        with pytest.warns(DeviceLostWarning, match="was lost: ActorLost"):
            list(runtime.run(prompts, **asked))
    (killed,) = kills
    assert runtime.log_file() == alone.log_file()
    assert runtime.trajectories.npz() == alone.trajectories.npz()
    assert any(isinstance(loss.error, ActorLost) for loss in runtime.losses)
    assert str(killed) in str(runtime.losses[0].error)
    assert sorted(group for report in runtime.devices for group in report.groups) == list(range(6))
    assert killed not in [device.workers[-1].pid for device in devices]


def test_a_cluster_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what was expected; Ray itself tries for half a minute."""
    import ray

    def refuse(**_: object) -> None:
        raise ConnectionError("nothing responds")

    monkeypatch.setattr(ray, "init", refuse)
    assert run(["rollouts", "--ray", "127.0.0.1:1", "--prompts", "1"]) == 2
    assert "--ray 127.0.0.1:1: no cluster: nothing responds" in capsys.readouterr().err


def test_more_devices_than_cpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An actor without a CPU would wait forever."""
    import ray

    monkeypatch.setattr(ray, "init", lambda **_: None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 1.0})
    with (
        pytest.raises(SimulationError, match="expected at most 1 devices"),
        ray_devices("x", ["cpu", "cpu"], memory=4 << 20, engine=None, vocabulary=9),
    ):
        pass
