# SPDX-License-Identifier: Apache-2.0
"""``comp_writer`` alone, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {
    "default": {},
    "small": {"Depth": 2, "MaxBurst": 2, "MaxOutstanding": 2, "IdWidth": 1},
    "long": {"Depth": 128, "MaxBurst": 64},
}

QUICK = {"icarus": ("default", "small"), "verilator": ("default", "long")}


@pytest.mark.parametrize("config", CONFIGS)
def test_comp_writer(cosim: Cosim, config: str) -> None:
    """Posting, bursts, full rings and errors."""
    cosim.run(
        top="comp_writer",
        cases="comp_writer.comp_writer_cases",
        config=config,
        parameters=CONFIGS[config],
    )
