# SPDX-License-Identifier: Apache-2.0
"""``desc_ring``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_desc_ring = Block(
    top="desc_ring",
    cases=("desc_ring.desc_ring_cases",),
    configs={f"depth{depth}": {"Depth": depth} for depth in (2, 4, 16, 256)},
    quick={"icarus": ("depth2", "depth4"), "verilator": ("depth16", "depth256")},
)
