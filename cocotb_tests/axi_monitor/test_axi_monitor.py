# SPDX-License-Identifier: Apache-2.0
"""The AXI protocol monitor: each rule is seen to fire, and legal traffic passes in silence."""

from __future__ import annotations

from pathlib import Path

from descring_sim.cosim.block import Block

test_axi_monitor = Block(
    top="axi_wires",
    cases=("axi_monitor.axi_monitor_cases",),
    configs={
        "narrow": {"DataWidth": 64},
        "wide": {"DataWidth": 512},
    },
    quick={"icarus": ("narrow",), "verilator": ("wide",)},
    rtl_dir=Path(__file__).parent / "rtl",
)
