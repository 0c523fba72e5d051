# SPDX-License-Identifier: Apache-2.0
"""``reset_timer``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_reset_timer = Block(
    top="reset_timer",
    cases=("reset_timer.reset_timer_cases",),
    configs={f"log2_{log2}": {"TimeoutLog2": log2} for log2 in (7, 3, 1)},
    quick={"icarus": ("log2_3",)},
)
