# SPDX-License-Identifier: Apache-2.0
"""``rollout_worker_fsm``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_rollout_worker_fsm = Block(
    top="rollout_worker_fsm",
    cases=("rollout_worker_fsm.rollout_worker_fsm_cases",),
)
