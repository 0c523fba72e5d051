# SPDX-License-Identifier: Apache-2.0
"""``rl_runtime_top``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_rl_runtime_top = Block(
    top="rl_runtime_top",
    cases=("rl_runtime_top.rl_runtime_top_cases",),
    configs={
        "small": {"RingDepth": 4, "DoneDepth": 4, "RewardDepth": 4, "WorkerCount": 3},
        "default": {"RingDepth": 16, "DoneDepth": 16, "RewardDepth": 16, "WorkerCount": 8},
        "single": {"RingDepth": 2, "DoneDepth": 2, "RewardDepth": 2, "WorkerCount": 1},
    },
    quick={"icarus": ("small", "single"), "verilator": ("default",)},
)
