# SPDX-License-Identifier: Apache-2.0
"""Builds ``mmio_regs`` in its configurations and runs its cases on each."""

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS = {
    "on_chip": {"OnChip": 1, "MaxCmdLog2": 4, "MaxDoneLog2": 2, "MaxRewardLog2": 3},
    "in_memory": {"OnChip": 0, "MaxCmdLog2": 16, "MaxDoneLog2": 16, "MaxRewardLog2": 16},
    "in_memory_small": {"OnChip": 0, "MaxCmdLog2": 1, "MaxDoneLog2": 3, "MaxRewardLog2": 2},
}

QUICK = {"icarus": ("on_chip", "in_memory_small"), "verilator": ("on_chip", "in_memory")}


@pytest.mark.parametrize("config", CONFIGS)
def test_mmio_regs(cosim: Cosim, config: str) -> None:
    """Run directed cases, counters, resets and random traffic of the register file."""
    cosim.run(
        top="mmio_regs",
        cases=["mmio_regs.mmio_regs_cases", "mmio_regs.mmio_regs_traffic_cases"],
        config=config,
        parameters=CONFIGS[config],
    )
