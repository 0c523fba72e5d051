# SPDX-License-Identifier: Apache-2.0
"""The AXI protocol monitor: each rule is seen to fire, and legal traffic passes in silence."""

from __future__ import annotations

from pathlib import Path

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {
    "narrow": {"DataWidth": 64},
    "wide": {"DataWidth": 512},
}

QUICK = {"icarus": ("narrow",), "verilator": ("wide",)}


@pytest.mark.parametrize("config", CONFIGS)
def test_axi_monitor(cosim: Cosim, config: str) -> None:
    """Buses that break rules, and buses that keep them."""
    cosim.run(
        top="axi_wires",
        cases="axi_monitor.axi_monitor_cases",
        config=config,
        parameters=CONFIGS[config],
        rtl_dir=Path(__file__).parent / "rtl",
    )
