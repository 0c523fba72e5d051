# SPDX-License-Identifier: Apache-2.0
"""``line_check``."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_line_check = Block(
    top="line_check",
    cases=("line_check.line_check_cases",),
)
