# SPDX-License-Identifier: Apache-2.0
"""Cases of the checksum."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_model import contract

from crc32c.tb_crc32c import CrcTestbench

_BYTES = contract.CRC_BYTES


@cocotb.test()
async def test_check_value(dut: HierarchyObject) -> None:
    """[DESC-020] The published check value of CRC-32C, independent of any model."""
    tb = CrcTestbench(dut)
    await tb.apply_check_value()
    tb.finish()


@cocotb.test()
async def test_zero_and_every_single_bit(dut: HierarchyObject) -> None:
    """[DESC-015] [DESC-020] All zeros and each of the 480 bits alone.

    The checksum is affine, so for an affine circuit these 481 vectors are a proof.
    """
    tb = CrcTestbench(dut)
    units = ((1 << bit).to_bytes(_BYTES, "little") for bit in range(8 * _BYTES))
    await tb.apply([bytes(_BYTES), *units])
    tb.finish()


@cocotb.test()
async def test_random_data(dut: HierarchyObject) -> None:
    """[DESC-020] Random data, all ones, and each bit missing: the circuit is affine."""
    tb = CrcTestbench(dut)
    ones = (1 << 8 * _BYTES) - 1
    missing = ((ones ^ 1 << bit).to_bytes(_BYTES, "little") for bit in range(8 * _BYTES))
    await tb.apply([b"\xff" * _BYTES, *missing])
    await tb.apply(tb.rng.bytes(_BYTES) for _ in range(1000))
    tb.finish()
