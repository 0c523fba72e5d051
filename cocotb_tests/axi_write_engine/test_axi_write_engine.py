# SPDX-License-Identifier: Apache-2.0
"""``axi_write_engine`` alone: order, data, requests in flight, throughput and errors."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_axi_write_engine = Block(
    top="axi_write_engine",
    cases=("axi_write_engine.axi_write_engine_cases",),
    configs={
        "default": {},
        "small": {"MaxOutstanding": 2, "IdWidth": 1, "DataWidth": 128},
        "half": {"DataWidth": 256},
    },
)
