# SPDX-License-Identifier: Apache-2.0
"""``axil_slave`` alone: reads and writes at the same time, under every kind of pause."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_axil_slave = Block(
    top="axil_slave",
    cases=("axil_slave.axil_slave_cases",),
)
