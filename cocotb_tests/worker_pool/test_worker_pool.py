# SPDX-License-Identifier: Apache-2.0
"""``worker_pool``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_worker_pool = Block(
    top="worker_pool",
    cases=("worker_pool.worker_pool_cases", "worker_pool.outcome_cases"),
    configs={f"workers{count}": {"WorkerCount": count} for count in (1, 2, 3, 8, 16)},
    quick={"icarus": ("workers1", "workers3"), "verilator": ("workers2", "workers8", "workers16")},
)
