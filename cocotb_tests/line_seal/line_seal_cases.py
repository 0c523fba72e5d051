# SPDX-License-Identifier: Apache-2.0
"""Cases of the seal."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract

from line_seal.tb_line_seal import LineSealTestbench

_CHECKED = contract.FLAG["CHECKED"]


@cocotb.test()
async def test_checked_line_gets_tag_and_checksum(dut: HierarchyObject) -> None:
    """[DESC-020] [DESC-023] Tag is the index, checksum that of the line with the tag in it."""
    tb = LineSealTestbench(dut)
    lines = tb.random_lines(300)
    lines["flags"] |= _CHECKED
    await tb.apply(lines, tb.rng.integers(0, 1 << 32, len(lines), dtype=np.uint32))
    tb.finish()


@cocotb.test()
async def test_every_bit_of_the_index_is_sealed(dut: HierarchyObject) -> None:
    """[DESC-023] [RING-002] Index 0, the last before the wrap, and each bit alone."""
    tb = LineSealTestbench(dut)
    indices = np.array([0, 2**32 - 1, *(1 << bit for bit in range(32))], dtype=np.uint32)
    lines = tb.random_lines(len(indices))
    lines["flags"] |= _CHECKED
    await tb.apply(lines, indices)
    tb.finish()


@cocotb.test()
async def test_unchecked_line_passes_unchanged(dut: HierarchyObject) -> None:
    """[DESC-014] [DESC-021] [FLAG-005] Without CHECKED no byte changes, whatever the flags."""
    tb = LineSealTestbench(dut)
    lines = tb.random_lines(300)
    lines["flags"] &= 0xFFFF & ~_CHECKED
    lines["flags"][:16] = [(1 << bit) & ~_CHECKED for bit in range(16)]
    await tb.apply(lines, tb.rng.integers(0, 1 << 32, len(lines), dtype=np.uint32))
    tb.finish()


@cocotb.test()
async def test_checked_and_unchecked_lines_mixed(dut: HierarchyObject) -> None:
    """[DESC-021] [DESC-023] Each line for itself: random bytes, random flags, random index."""
    tb = LineSealTestbench(dut)
    lines = tb.random_lines(600)
    await tb.apply(lines, tb.rng.integers(0, 1 << 32, len(lines), dtype=np.uint32))
    tb.finish()
