# SPDX-License-Identifier: Apache-2.0
"""Host programs that run inside the simulator, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.device_process import TOP, parameters
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {"default": parameters(workers=8, prefetch_depth=64)}
"""The build that simulator devices use too."""


@pytest.mark.parametrize("config", CONFIGS)
def test_host_bridge(cosim: Cosim, config: str) -> None:
    """Programs on a queue, single steps, errors."""
    cosim.run(
        top=TOP,
        cases="host_bridge.host_bridge_cases",
        config=config,
        parameters=CONFIGS[config],
    )
