# SPDX-License-Identifier: Apache-2.0
"""``rl_runtime_top`` in every configuration, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS = {
    "small": {"RingDepth": 4, "DoneDepth": 4, "RewardDepth": 4, "WorkerCount": 3},
    "default": {"RingDepth": 16, "DoneDepth": 16, "RewardDepth": 16, "WorkerCount": 8},
    "single": {"RingDepth": 2, "DoneDepth": 2, "RewardDepth": 2, "WorkerCount": 1},
}

QUICK = {"icarus": ("small", "single"), "verilator": ("default",)}


@pytest.mark.parametrize("config", CONFIGS)
def test_rl_runtime_top(cosim: Cosim, config: str) -> None:
    """Every case of the block in one configuration."""
    cosim.run(
        top="rl_runtime_top",
        cases="rl_runtime_top.rl_runtime_top_cases",
        config=config,
        parameters=CONFIGS[config],
    )
