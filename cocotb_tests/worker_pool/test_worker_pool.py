# SPDX-License-Identifier: Apache-2.0
"""``worker_pool`` in every configuration, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS = {f"workers{count}": {"WorkerCount": count} for count in (1, 2, 3, 8, 16)}

QUICK = {"icarus": ("workers1", "workers3"), "verilator": ("workers2", "workers8", "workers16")}


@pytest.mark.parametrize("config", CONFIGS)
def test_worker_pool(cosim: Cosim, config: str) -> None:
    """Every case of the block in one configuration."""
    cosim.run(
        top="worker_pool",
        cases="worker_pool.worker_pool_cases",
        config=config,
        parameters=CONFIGS[config],
    )
