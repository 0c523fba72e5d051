# SPDX-License-Identifier: Apache-2.0
"""``axi_write_engine`` alone, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {
    "default": {},
    "small": {"MaxOutstanding": 2, "IdWidth": 1},
}


@pytest.mark.parametrize("config", CONFIGS)
def test_axi_write_engine(cosim: Cosim, config: str) -> None:
    """Order, data, the limit of requests in flight, throughput and errors."""
    cosim.run(
        top="axi_write_engine",
        cases="axi_write_engine.axi_write_engine_cases",
        config=config,
        parameters=CONFIGS[config],
    )
