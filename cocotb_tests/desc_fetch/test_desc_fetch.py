# SPDX-License-Identifier: Apache-2.0
"""``desc_fetch`` alone, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {
    "default": {},
    "small": {"Depth": 2, "MaxBurst": 2, "MaxOutstanding": 1, "IdWidth": 1},
    "long": {"Depth": 128, "MaxBurst": 64},
}

QUICK = {"icarus": ("default", "small"), "verilator": ("default", "long")}


@pytest.mark.parametrize("config", CONFIGS)
def test_desc_fetch(cosim: Cosim, config: str) -> None:
    """Order, bursts, wraps, errors and restarts."""
    cosim.run(
        top="desc_fetch",
        cases="desc_fetch.desc_fetch_cases",
        config=config,
        parameters=CONFIGS[config],
    )
