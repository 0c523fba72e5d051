# SPDX-License-Identifier: Apache-2.0
"""``rl_runtime_axi``, the whole device with rings in memory, on every simulator."""

from __future__ import annotations

from typing import Any

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {
    "default": {},
    "small": {
        "WorkerCount": 3,
        "PrefetchDepth": 4,
        "ReadBurst": 3,
        "ReadOutstanding": 2,
        "WriteDepth": 4,
        "WriteBurst": 4,
        "WriteOutstanding": 2,
        "IdWidth": 1,
    },
}

QUICK = {"icarus": ("small",)}


def _of(config: str) -> dict[str, Any]:
    return {"top": "rl_runtime_axi", "config": config, "parameters": CONFIGS[config]}


@pytest.mark.parametrize("config", CONFIGS)
def test_rl_runtime_axi(cosim: Cosim, config: str) -> None:
    """Streams, rings, STOP, pause, reset and error responses."""
    cosim.run(
        cases=[
            "rl_runtime_axi.stream_cases",
            "rl_runtime_axi.ring_cases",
            "rl_runtime_axi.lifecycle_cases",
            "rl_runtime_axi.error_cases",
        ],
        **_of(config),
    )


def test_once(cosim: Cosim) -> None:
    """What one configuration shows for all: registers, faults, another's bus, lines a cycle."""
    cosim.run(
        cases=[
            "rl_runtime_axi.register_cases",
            "rl_runtime_axi.fault_cases",
            "rl_runtime_axi.library_cases",
            "rl_runtime_axi.throughput_cases",
        ],
        **_of("default"),
    )
