# SPDX-License-Identifier: Apache-2.0
"""``completion_ring``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_completion_ring = Block(
    top="completion_ring",
    cases=("completion_ring.completion_ring_cases",),
    configs={f"depth{depth}": {"Depth": depth} for depth in (2, 4, 16, 256)},
    quick={"icarus": ("depth2", "depth4"), "verilator": ("depth16", "depth256")},
)

test_sizes = Block(
    top="completion_ring",
    cases=("completion_ring.size_cases",),
    configs={"greatest": {"Depth": 65536}},
)
"""Every size that a register can set."""
