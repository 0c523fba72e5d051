# SPDX-License-Identifier: Apache-2.0
"""Cases of the checks on a line."""

from __future__ import annotations

import itertools

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract, seal
from descring_vip.tier import sweep

from line_check.tb_line_check import LineCheckTestbench

_OPCODES = [item.name for item in contract.OPCODES]
_BITS = contract.DESC_BITS


@cocotb.test()
@sweep(profile=["mixed", "checked", "errors", "nop"], require_checked=[False, True])
async def test_stream(dut: HierarchyObject, profile: str, require_checked: bool) -> None:
    """[DESC-020] [DESC-022] [DESC-025] [ERR-011] Streams as the backends are replayed with."""
    tb = LineCheckTestbench(dut)
    await tb.apply_stream(profile, 300, require_checked=require_checked)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(opcode=_OPCODES)
async def test_intact_line_is_accepted(dut: HierarchyObject, opcode: str) -> None:
    """[DESC-020] [DESC-022] [OP-000..OP-004] [OP-255] CHECKED and intact, and STOP is marked."""
    tb = LineCheckTestbench(dut)
    lines, indices = tb.sealed_lines(40, opcode)
    for require_checked in (False, True):
        await tb.apply(lines, indices, require_checked=require_checked)
    await tb.finish_having_met("ACCEPTED")


@cocotb.test()
async def test_every_flipped_bit_is_found(dut: HierarchyObject) -> None:
    """[DESC-020] [DESC-025] [ERR-001] Each of the 512 bits, also the flag CHECKED."""
    tb = LineCheckTestbench(dut)
    for require_checked in (False, True):
        lines, indices = tb.sealed_lines(_BITS)
        damaged = tb.flipped(lines, np.arange(_BITS)[:, np.newaxis])
        await tb.apply(damaged, indices, require_checked=require_checked)
    await tb.finish_having_met("BAD_CHECKSUM")


@cocotb.test()
async def test_up_to_four_flipped_bits_are_found(dut: HierarchyObject) -> None:
    """[DESC-020] [DESC-025] [ERR-001] Two to four bits anywhere in the line."""
    tb = LineCheckTestbench(dut)
    for count in (2, 3, 4):
        lines, indices = tb.sealed_lines(300)
        bits = np.stack([tb.rng.choice(_BITS, count, replace=False) for _ in range(len(lines))])
        await tb.apply(tb.flipped(lines, bits), indices, require_checked=True)
    await tb.finish_having_met("BAD_CHECKSUM")


@cocotb.test()
async def test_tag_of_another_index_is_found(dut: HierarchyObject) -> None:
    """[DESC-022] [ERR-003] [RING-002] Off by one, by a lap, by each power of two, over the wrap."""
    tb = LineCheckTestbench(dut)
    offsets = [1, 2**32 - 1, *(1 << bit for bit in range(32))]
    lines, indices = tb.sealed_lines(len(offsets))
    await tb.apply(lines, indices + np.array(offsets, dtype=np.uint32))
    edges = np.array([0, 2**32 - 1, 0, 2**32 - 1], dtype=np.uint32)
    lines, _ = tb.sealed_lines(len(edges))
    await tb.apply(seal(lines, edges), edges[[0, 1, 3, 2]])
    await tb.finish_having_met("BAD_TAG", "ACCEPTED")


@cocotb.test()
async def test_all_16_bits_of_the_opcode_count(dut: HierarchyObject) -> None:
    """[OP-ERR] [ERR-002] Every value up to 600, those one or two bits from a legal one, others."""
    tb = LineCheckTestbench(dut)
    legal = contract.OPCODE.values()
    near = {value ^ 1 << a ^ 1 << b for value in legal for a in range(16) for b in range(16)}
    values = sorted(near | set(range(600))) + tb.rng.integers(0, 1 << 16, 200).tolist()
    lines, indices = tb.sealed_lines(len(values))
    lines["opcode"] = values
    lines["flags"] &= 0xFFFF & ~contract.FLAG["CHECKED"]
    lines["flags"][::2] |= contract.FLAG["CHECKED"]
    await tb.apply(seal(lines, indices), indices)
    await tb.finish_having_met("BAD_OPCODE", "ACCEPTED")


@cocotb.test()
async def test_first_failed_check_names_the_error(dut: HierarchyObject) -> None:
    """[ERR-011] [ERR-001..ERR-003] Every combination of wrong checksum, tag and opcode.

    STOP among them: with a bad checksum or tag it is not marked.
    """
    tb = LineCheckTestbench(dut)
    for bad_checksum, bad_tag, bad_opcode in itertools.product((False, True), repeat=3):
        for opcode in _OPCODES:
            lines, indices = tb.sealed_lines(4, opcode)
            if bad_opcode:
                lines["opcode"] = 0x0100 | contract.OPCODE[opcode]
            lines = seal(lines, indices + np.uint32(bad_tag))
            lines["checksum_or_cookie"] ^= np.uint64(bad_checksum) << np.uint64(32 + 7)
            for require_checked in (False, True):
                await tb.apply(lines, indices, require_checked=require_checked)
    await tb.finish_having_met("BAD_CHECKSUM", "BAD_TAG", "BAD_OPCODE", "ACCEPTED")


@cocotb.test()
async def test_unchecked_line_is_not_looked_at(dut: HierarchyObject) -> None:
    """[DESC-021] [DESC-025] [FLAG-005] Its cookie is opaque, unless CHECKED is required."""
    tb = LineCheckTestbench(dut)
    lines, indices = tb.sealed_lines(200)
    lines["flags"] &= 0xFFFF & ~contract.FLAG["CHECKED"]
    lines["checksum_or_cookie"] = tb.rng.integers(0, 1 << 64, len(lines), dtype=np.uint64)
    lines["checksum_or_cookie"][::4] = seal(lines, indices)["checksum_or_cookie"][::4]
    await tb.apply(lines, indices)
    await tb.apply(lines, indices, require_checked=True)
    await tb.finish_having_met("BAD_CHECKSUM", "ACCEPTED")


@cocotb.test()
@cocotb.parametrize(gaps=[False, True])
async def test_each_line_has_its_own_verdict(dut: HierarchyObject, gaps: bool) -> None:
    """[RING-006] [DESC-020] Damaged and intact lines in turn, a line a cycle or with gaps."""
    tb = LineCheckTestbench(dut, gaps=gaps)
    lines, indices = tb.sealed_lines(200)
    lines[::2] = tb.flipped(lines[::2], tb.rng.integers(0, _BITS, (100, 1)))
    await tb.apply(lines, indices)
    await tb.finish_having_met("BAD_CHECKSUM", "ACCEPTED")


@cocotb.test()
async def test_length_is_compared_with_limit(dut: HierarchyObject) -> None:
    """[DEC-001] [DEC-003] Equal, one and two apart, at each power of two and at both ends."""
    tb = LineCheckTestbench(dut)
    edges = [(1 << bit) + step for bit in range(33) for step in (-2, -1, 0, 1)]
    pairs = np.array([(a, a + d) for a in edges for d in (-1, 0, 1, 2)], dtype=np.int64) % (1 << 32)
    lines, indices = tb.sealed_lines(len(pairs))
    lines["seq_len"], lines["max_tokens"] = pairs.T.astype(np.uint32)
    await tb.apply(seal(lines, indices), indices)
    await tb.finish_having_met("ACCEPTED")


@cocotb.test()
async def test_reset_drops_the_lines_under_check(dut: HierarchyObject) -> None:
    """[LIFE-001] Lines that reset finds under check have no verdict; the next one has its own."""
    tb = LineCheckTestbench(dut)
    await tb.start()
    for count in range(1, 4):
        for cycles in range(3):
            await tb.reset_after(*tb.sealed_lines(count), cycles)
    await tb.apply(*tb.sealed_lines(20))
    await tb.finish_having_met("ACCEPTED")
