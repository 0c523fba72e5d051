# SPDX-License-Identifier: Apache-2.0
"""``line_seal``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_line_seal = Block(
    top="line_seal",
    cases=("line_seal.line_seal_cases",),
)
