# SPDX-License-Identifier: Apache-2.0
"""``rl_runtime_mmio``, the whole device, in every configuration, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim


def _sizes(ring: int, done: int, reward: int, workers: int) -> dict[str, int]:
    return {"RingDepth": ring, "DoneDepth": done, "RewardDepth": reward, "WorkerCount": workers}


CONFIGS = {
    "tiny": _sizes(2, 2, 2, 1),
    "small": _sizes(4, 4, 4, 3),
    "default": _sizes(16, 16, 16, 8),
    "deep": _sizes(256, 256, 256, 8),
    "wide": _sizes(16, 16, 16, 16),
    "lopsided": _sizes(16, 2, 4, 5),
}

SATURATING = {
    "single": _sizes(16, 16, 16, 1),
    "default": CONFIGS["default"],
    "wide_and_deep": _sizes(64, 16, 16, 16),
    "lopsided": CONFIGS["lopsided"],
}
"""Configurations whose command ring holds more lines than the workers do. A slot is free only with
the completion posted, so a ring of as many slots as workers leaves each worker waiting for the way
from its completion to the doorbell and back."""

QUICK = {
    "icarus": ("tiny", "small", "lopsided", "single"),
    "verilator": ("default", "deep", "wide", "wide_and_deep"),
}


@pytest.mark.parametrize("config", CONFIGS)
def test_rl_runtime_mmio(cosim: Cosim, config: str) -> None:
    """Doorbells, rings, interrupt, STOP, pause, reset and whole streams in one configuration."""
    cosim.run(
        top="rl_runtime_mmio",
        cases=[
            "rl_runtime_mmio.rl_runtime_mmio_cases",
            "rl_runtime_mmio.lifecycle_cases",
            "rl_runtime_mmio.stream_cases",
        ],
        config=config,
        parameters=CONFIGS[config],
    )


@pytest.mark.parametrize("config", SATURATING)
def test_throughput(cosim: Cosim, config: str) -> None:
    """Lines a cycle in one configuration."""
    cosim.run(
        top="rl_runtime_mmio",
        cases="rl_runtime_mmio.throughput_cases",
        config=config,
        parameters=SATURATING[config],
    )
