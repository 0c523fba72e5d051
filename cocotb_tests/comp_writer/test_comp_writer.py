# SPDX-License-Identifier: Apache-2.0
"""``comp_writer`` alone: posting, bursts, full rings and errors."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_comp_writer = Block(
    top="comp_writer",
    cases=("comp_writer.comp_writer_cases",),
    configs={
        "default": {},
        "small": {"Depth": 2, "MaxBurst": 2, "MaxOutstanding": 2, "IdWidth": 1, "DataWidth": 256},
        "long": {"Depth": 128, "MaxBurst": 64, "DataWidth": 128},
    },
    quick={"icarus": ("default", "small"), "verilator": ("default", "long")},
)
