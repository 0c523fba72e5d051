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


def _of(config: str) -> dict[str, Any]:
    return {"top": "rl_runtime_axi", "config": config, "parameters": CONFIGS[config]}


@pytest.mark.parametrize("config", CONFIGS)
def test_streams(cosim: Cosim, config: str) -> None:
    """Streams under backpressure, in every mode."""
    cosim.run(cases="rl_runtime_axi.stream_cases", **_of(config))


@pytest.mark.parametrize("config", CONFIGS)
def test_rings(cosim: Cosim, config: str) -> None:
    """Doorbells, ring sizes, wraps, full rings, indices in memory."""
    cosim.run(cases="rl_runtime_axi.ring_cases", **_of(config))


@pytest.mark.parametrize("config", CONFIGS)
def test_lifecycle(cosim: Cosim, config: str) -> None:
    """STOP, RESUME, pause and reset."""
    cosim.run(cases="rl_runtime_axi.lifecycle_cases", **_of(config))


@pytest.mark.parametrize("config", CONFIGS)
def test_errors(cosim: Cosim, config: str) -> None:
    """Error responses of the memory."""
    cosim.run(cases="rl_runtime_axi.error_cases", **_of(config))


def test_registers(cosim: Cosim) -> None:
    """The registers over AXI4-Lite."""
    cosim.run(cases="rl_runtime_axi.register_cases", **_of("default"))


def test_faults(cosim: Cosim) -> None:
    """A few seeds of each row of the fault table."""
    cosim.run(cases="rl_runtime_axi.fault_cases", **_of("default"))


def test_library(cosim: Cosim) -> None:
    """A master and a memory that others wrote."""
    cosim.run(cases="rl_runtime_axi.library_cases", **_of("default"))


def test_throughput(cosim: Cosim) -> None:
    """Lines a cycle."""
    cosim.run(cases="rl_runtime_axi.throughput_cases", **_of("default"))
