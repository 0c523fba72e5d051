# SPDX-License-Identifier: Apache-2.0
"""``reset_fence``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_reset_fence = Block(
    top="reset_fence",
    cases=("reset_fence.reset_fence_cases",),
    configs={f"id{width}": {"IdWidth": width} for width in (4, 1)},
    quick={"icarus": ("id1",)},
)
