# SPDX-License-Identifier: Apache-2.0
"""``desc_fetch`` alone: order, bursts, wraps, errors and restarts."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_desc_fetch = Block(
    top="desc_fetch",
    cases=("desc_fetch.desc_fetch_cases",),
    configs={
        "default": {},
        "small": {"Depth": 2, "MaxBurst": 2, "MaxOutstanding": 1, "IdWidth": 1, "DataWidth": 256},
        "long": {"Depth": 128, "MaxBurst": 64, "DataWidth": 128},
    },
    quick={"icarus": ("default", "small"), "verilator": ("default", "long")},
)
