# SPDX-License-Identifier: Apache-2.0
"""``rl_runtime_axi``, the whole device with rings in memory, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.pytest_cosim import Cosim

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


def _run(cosim: Cosim, cases: str, config: str) -> None:
    cosim.run(
        top="rl_runtime_axi",
        cases=f"rl_runtime_axi.{cases}",
        config=config,
        parameters=CONFIGS[config],
    )


@pytest.mark.parametrize("config", CONFIGS)
def test_streams(cosim: Cosim, config: str) -> None:
    """Streams under backpressure, in every mode."""
    _run(cosim, "stream_cases", config)


@pytest.mark.parametrize("config", CONFIGS)
def test_rings(cosim: Cosim, config: str) -> None:
    """Doorbells, ring sizes, wraps, full rings, indices in memory."""
    _run(cosim, "ring_cases", config)


@pytest.mark.parametrize("config", CONFIGS)
def test_lifecycle(cosim: Cosim, config: str) -> None:
    """STOP, RESUME, pause and reset."""
    _run(cosim, "lifecycle_cases", config)


@pytest.mark.parametrize("config", CONFIGS)
def test_errors(cosim: Cosim, config: str) -> None:
    """Error responses of the memory."""
    _run(cosim, "error_cases", config)


def test_registers(cosim: Cosim) -> None:
    """The registers over AXI4-Lite."""
    _run(cosim, "register_cases", "default")


def test_library(cosim: Cosim) -> None:
    """A master and a memory that others wrote."""
    _run(cosim, "library_cases", "default")
