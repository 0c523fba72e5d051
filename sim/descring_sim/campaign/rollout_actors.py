# SPDX-License-Identifier: Apache-2.0
"""Devices of rollouts on the machines of a Ray cluster; one that is lost is replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from descring_host import HostError, open_device
from descring_rollouts import open_engine
from descring_rollouts.shares import DeviceWorker, Plan, Share, ShareResult, Worker

from descring_sim.support.errors import SimulationError
from descring_sim.support.ray_cluster import LOCAL, RETRIES, import_ray, join

_LOOK_S = 0.2
"""How often a run that has ended meanwhile is detected."""


class ActorLost(HostError):
    """The process or machine of a device is gone."""


class DeviceActor:
    """A device, and an engine if tokens are made, in a process of their own."""

    def __init__(
        self, backend: str, memory: int, engine: str | None, vocabulary: int, plan: Plan
    ) -> None:
        """Open both."""
        device = open_device(backend, memory=memory)
        made = None if engine is None else open_engine(engine, vocabulary)
        self._worker = DeviceWorker(device, made, plan, name=backend)

    def pid(self) -> int:
        """The number of its process."""
        import os

        return os.getpid()

    def run(self, share: Share) -> ShareResult:
        """Run a share to its end."""
        return self._worker.run(share, lambda: None)


class RayWorker:
    """Runs shares on an actor.

    Attributes:
        name: of its backend.
        pid: of the actor's process, once there is one.
    """

    def __init__(self, ray: Any, make: Callable[[], Any], name: str) -> None:
        self._ray, self._make, self.name = ray, make, name
        self._actor: Any = None
        self._left = RETRIES
        self.pid = 0

    def run(self, share: Share, check: Callable[[], None]) -> ShareResult:
        """See :class:`~descring_rollouts.shares.Worker`."""
        if self._actor is None:
            self._actor = self._make()
            self.pid = self._wait(self._actor.pid.remote(), check)
        result: ShareResult = self._wait(self._actor.run.remote(share), check)
        return result

    def _wait(self, reference: Any, check: Callable[[], None]) -> Any:
        ray = self._ray
        while not ray.wait([reference], timeout=_LOOK_S)[0]:
            check()
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:
            said = " ".join(str(error).split())[:300]
            raise ActorLost(f"process {self.pid or 'not yet started'}: {said}") from error

    def replace(self) -> bool:
        """Another actor, so many times."""
        self.close()
        self._left -= 1
        return self._left >= 0

    def close(self) -> None:
        """End the actor."""
        if self._actor is not None:
            self._ray.kill(self._actor, no_restart=True)
            self._actor = None


class RayDevice:
    """A device by the name of its backend, wherever the cluster has room for it.

    Attributes:
        name: of the backend.
        workers: that were made for runs, the last one last.
    """

    def __init__(
        self, ray: Any, name: str, *, memory: int, engine: str | None, vocabulary: int
    ) -> None:
        """Nothing is opened before a run."""
        self._ray, self.name = ray, name
        self._options = (memory, engine, vocabulary)
        self.workers: list[RayWorker] = []

    def worker(self, plan: Plan) -> Worker:
        """See :class:`~descring_rollouts.shares.Elsewhere`."""
        wants_gpu = self.name == "cuda" or self._options[1] == "cuda"
        remote = self._ray.remote(
            num_cpus=1, num_gpus=int(wants_gpu), scheduling_strategy="SPREAD"
        )(DeviceActor)
        self.workers.append(
            RayWorker(self._ray, lambda: remote.remote(self.name, *self._options, plan), self.name)
        )
        return self.workers[-1]


@contextmanager
def ray_devices(
    address: str, names: Sequence[str], *, memory: int, engine: str | None, vocabulary: int
) -> Iterator[list[RayDevice]]:
    """Devices on the cluster at ``address``, which is left in the end.

    Args:
        address: of a cluster, or ``local`` for one of this machine.
        names: of their backends.
        memory: bytes of each device's window.
        engine: name of each one's engine; None: without.
        vocabulary: of the engines.

    Raises:
        SimulationError: Ray is not installed, there is no cluster, or it has too few CPUs.
    """
    ray = import_ray(SimulationError)
    join(ray, address, len(names), SimulationError)
    try:
        room = int(ray.cluster_resources().get("CPU", 0))
        if len(names) > room:
            raise SimulationError(
                f"--ray {address}: expected at most {room} devices, one for each CPU of the "
                f"cluster, got {len(names)}; name fewer with --devices"
            )
        yield [
            RayDevice(ray, name, memory=memory, engine=engine, vocabulary=vocabulary)
            for name in names
        ]
    finally:
        ray.shutdown()


__all__ = ["LOCAL", "ActorLost", "RayDevice", "ray_devices"]
