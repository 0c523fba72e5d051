# SPDX-License-Identifier: Apache-2.0
"""``crc32c``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_crc32c = Block(
    top="crc32c",
    cases=("crc32c.crc32c_cases",),
)
