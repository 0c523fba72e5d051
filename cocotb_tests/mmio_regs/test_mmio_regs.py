# SPDX-License-Identifier: Apache-2.0
"""``mmio_regs``: directed cases, counters, resets and random traffic of the register file."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_mmio_regs = Block(
    top="mmio_regs",
    cases=("mmio_regs.mmio_regs_cases", "mmio_regs.mmio_regs_traffic_cases"),
    configs={
        "on_chip": {"OnChip": 1, "MaxCmdLog2": 4, "MaxDoneLog2": 2, "MaxRewardLog2": 3},
        "in_memory": {"OnChip": 0, "MaxCmdLog2": 16, "MaxDoneLog2": 16, "MaxRewardLog2": 16},
        "in_memory_small": {"OnChip": 0, "MaxCmdLog2": 1, "MaxDoneLog2": 3, "MaxRewardLog2": 2},
    },
    quick={"icarus": ("on_chip", "in_memory_small"), "verilator": ("on_chip", "in_memory")},
)
