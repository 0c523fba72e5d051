# SPDX-License-Identifier: Apache-2.0
"""What can answer a descriptor stream: the registry behind ``descring replay --backend``.

A further backend is one class with a ``replay`` method and one entry in :data:`BACKENDS`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from descring_model import Lines, complete, contract, goes_to_reward

from descring_sim.support.errors import DescringError

Progress = Callable[[int], None]
"""Called now and then with the number of completions so far."""


class ReplayError(DescringError):
    """A replay that could not be carried out; the text is meant for the user."""


@dataclass(frozen=True)
class ReplayOptions:
    """How a stream is replayed. None stands for the backend's own default.

    ``first_index`` is the value of every ring index at the start. A STOP is resumed unless
    ``halt``, which ends the replay there. ``rtl`` is a folder of other sources than
    descring's own.
    """

    first_index: int = 0
    halt: bool = False
    require_checked: bool = False
    split_reward: bool = False
    workers: int | None = None
    ring_depth: int | None = None
    seed: int | None = None
    waves: bool = False
    rtl: Path | None = None


@dataclass(frozen=True)
class ReplayResult:
    """The completions of the done ring and of the reward ring, and one line about the run."""

    done: Lines
    reward: Lines
    note: str


class Backend(Protocol):
    """Answers a descriptor stream."""

    description: str

    def replay(self, lines: Lines, options: ReplayOptions, progress: Progress) -> ReplayResult:
        """The completions of ``lines``; raises :class:`ReplayError` when it gives no whole answer.

        ``lines`` has shape ``(n,)`` with n > 0 and the descriptor dtype.
        """
        ...


class ModelBackend:
    """The golden model: the pure function of a stream."""

    description = "the golden model (NumPy)"

    def replay(self, lines: Lines, options: ReplayOptions, progress: Progress) -> ReplayResult:
        """See :meth:`Backend.replay`. Raises :class:`ReplayError` for options of the RTL alone."""
        for name in ("workers", "ring_depth", "seed", "waves", "rtl"):
            if getattr(options, name) is not getattr(ReplayOptions, name):
                raise ReplayError(
                    f"--{name.replace('_', '-')} means nothing to the backend model, which has no "
                    "workers, rings on chip, random state or waves; leave it out"
                )
        completions = complete(
            lines,
            first_index=options.first_index,
            require_checked=options.require_checked,
            split_reward=options.split_reward,
        )
        if options.halt:
            stops = np.flatnonzero(completions["flags"] & contract.FLAG["STOPPED"])
            if len(stops):
                completions = completions[: stops[0] + 1]
        progress(len(completions))
        to_reward = goes_to_reward(completions) & options.split_reward
        return ReplayResult(
            done=completions[~to_reward],
            reward=completions[to_reward],
            note=f"golden model, contract {contract.CONTRACT_HASH:08x}",
        )


def say(text: str) -> None:
    """Tell a person at a terminal what takes long; a script hears nothing."""
    if sys.stderr.isatty():
        print(f"descring: {text}", file=sys.stderr)


def _simulator(name: str) -> Callable[[], Backend]:
    def make() -> Backend:
        # Imported late: the stream commands must not need a simulator's Python packages.
        from descring_sim.replay.cosim import SimulatorBackend

        return SimulatorBackend(name)

    return make


def _cpu() -> Backend:
    # Imported late: it refuses to be imported while the native core is stale.
    from descring_sim.replay.native import CpuBackend

    return CpuBackend()


def _cuda(shape: str) -> Callable[[], Backend]:
    def make() -> Backend:
        # Imported late, for the same reason; CuPy is only needed to replay.
        from descring_sim.replay.cuda import CudaBackend

        return CudaBackend(shape)

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
