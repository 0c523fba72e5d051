# SPDX-License-Identifier: Apache-2.0
"""Host programs that run inside the simulator: queues, single steps, errors."""

from __future__ import annotations

from descring_sim.cosim.block import Block
from descring_sim.cosim.device_process import TOP, parameters

test_host_bridge = Block(
    top=TOP,
    cases=("host_bridge.host_bridge_cases",),
    configs={"default": parameters(workers=8, prefetch_depth=64)},
)
"""The build that simulator devices use too."""
