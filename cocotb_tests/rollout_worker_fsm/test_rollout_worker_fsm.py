# SPDX-License-Identifier: Apache-2.0
"""``rollout_worker_fsm``, on every simulator."""

from __future__ import annotations

import pytest
from descring_sim.cosim.pytest_plugin import Cosim

CONFIGS: dict[str, dict[str, int]] = {"default": {}}


@pytest.mark.parametrize("config", CONFIGS)
def test_rollout_worker_fsm(cosim: Cosim, config: str) -> None:
    """Every case of the block."""
    cosim.run(
        top="rollout_worker_fsm",
        cases="rollout_worker_fsm.rollout_worker_fsm_cases",
        config=config,
        parameters=CONFIGS[config],
    )
