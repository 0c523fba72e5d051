# SPDX-License-Identifier: Apache-2.0
"""What can execute a descriptor stream: the registry behind ``descring replay --backend``.

A further backend is one class with a ``replay`` method and one entry in :data:`BACKENDS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from descring_sim.replay.backend import Backend, ReplayError
from descring_sim.replay.model import ModelBackend


def _simulator(name: str) -> Callable[[], Backend]:
    def make() -> Backend:
        # Imported late: the stream commands must not need a simulator's Python packages.
        from descring_sim.replay.cosim import SimulatorBackend

        return SimulatorBackend(name)

    return make


def _cpu() -> Backend:
    # Imported late: it refuses to be imported while the native core is stale.
    from descring_sim.replay import device

    return device.cpu()


def _cuda(shape: Literal["throughput", "latency"]) -> Callable[[], Backend]:
    def make() -> Backend:
        # Imported late, for the same reason; CuPy is only needed to replay.
        from descring_sim.replay import device

        return device.cuda(shape)

    return make


def _verilated() -> Backend:
    # Imported late, as the simulators.
    from descring_sim.replay.verilated import VerilatedBackend

    return VerilatedBackend()


BACKENDS: dict[str, Callable[[], Backend]] = {
    "model": ModelBackend,
    "cpu": _cpu,
    "cuda": _cuda("throughput"),
    "cuda-latency": _cuda("latency"),
    "icarus": _simulator("icarus"),
    "verilator": _simulator("verilator"),
    "verilated": _verilated,
}


def open_backend(name: str) -> Backend:
    """The backend called ``name``; raises :class:`ReplayError` naming those that exist."""
    if name not in BACKENDS:
        raise ReplayError(f"expected a backend out of {', '.join(BACKENDS)}, but got {name!r}")
    return BACKENDS[name]()
