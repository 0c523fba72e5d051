# SPDX-License-Identifier: Apache-2.0
"""Builds ``axi_copy`` and runs its cases: copies under all pauses, and an error response."""

from __future__ import annotations

from pathlib import Path

from descring_sim.cosim.block import Block

test_axi_copy = Block(
    top="axi_copy",
    cases=("axi_copy.axi_copy_cases",),
    rtl_dir=Path(__file__).parent / "rtl",
)
