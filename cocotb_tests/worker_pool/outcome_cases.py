# SPDX-License-Identifier: Apache-2.0
"""Cases of ``worker_pool``: what a line becomes, by opcode, flags, lengths and verdict."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract, streams
from descring_model.lines import DESC_DTYPE, Lines
from descring_vip.stream.patterns import Ready, ready_pattern
from descring_vip.tier import share, sweep

from worker_pool.tb_worker_pool import PoolTestbench

_U32_MAX = 0xFFFFFFFF
_OPCODES = [item.name for item in contract.OPCODES]
_ERROR_CODES = [item.value for item in contract.ERROR_CODES]
_CHECKED = contract.FLAG["CHECKED"]


async def _started(
    dut: HierarchyObject, ready: Ready = Ready.ALWAYS, *, require_checked: bool = False
) -> PoolTestbench:
    """A pool at work; STOPs are resumed from at random."""
    tb = PoolTestbench(dut, require_checked=require_checked)
    await tb.start()
    tb.completions.start(ready_pattern(ready, tb.rng), kind=ready)
    tb.resumer.start(tb.rng, longest_gap=4)
    return tb


def _random_lines(tb: PoolTestbench, count: int, opcode: str) -> Lines:
    """``(count,)`` lines of random bytes with one opcode and without CHECKED.

    A ROLLOUT makes at most ``streams.ROLLOUT_TOKENS`` tokens, or it would never end.
    """
    lines: Lines = np.frombuffer(tb.rng.bytes(count * contract.DESC_BYTES), dtype=DESC_DTYPE).copy()
    lines["opcode"] = contract.OPCODE[opcode]
    lines["flags"] &= 0xFFFF & ~_CHECKED
    streams.limit_rollouts(lines)
    return lines


def _with_lengths(tb: PoolTestbench, opcode: str, lengths: Sequence[tuple[int, int]]) -> Lines:
    """A line for each pair (seq_len, max_tokens), else as :func:`_random_lines`."""
    lines = _random_lines(tb, len(lengths), opcode)
    lines["seq_len"], lines["max_tokens"] = np.array(lengths, dtype=np.uint32).T
    return lines


@cocotb.test()
@cocotb.parametrize(opcode=_OPCODES)
async def test_opcode_changes_only_what_it_may(dut: HierarchyObject, opcode: str) -> None:
    """[DESC-001..DESC-014] [DESC-021] [OP-000..OP-004] [OP-255] [FLAG-011] Random other fields."""
    tb = await _started(dut, Ready.RANDOM)
    tb.send(_random_lines(tb, share(150, 60), opcode))
    await tb.finish()


@cocotb.test()
@sweep(opcode=_OPCODES, require_checked=[False, True])
async def test_flags_in_and_out(dut: HierarchyObject, opcode: str, require_checked: bool) -> None:
    """[FLAG-000..FLAG-008] [FLAG-010] [FLAG-011] [DESC-025] Every flag in, alone and mixed.

    Device-owned flags of the submission never show; the others are echoed.
    """
    tb = await _started(dut, require_checked=require_checked)
    single = [1 << bit for bit in range(16)]
    mixed = tb.rng.integers(0, 1 << 16, share(80, 20))
    flags = np.array([0, 0xFFFF, *single, *mixed], dtype=np.uint16)
    lines = _random_lines(tb, len(flags), opcode)
    lines["seq_len"] %= 4096
    lines["max_tokens"] = lines["seq_len"] + np.arange(len(flags), dtype=np.uint32) % 3
    if require_checked:
        flags |= _CHECKED
    lines["flags"] = flags
    tb.send_judged(lines, [0] * len(lines))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(require_checked=[False, True])
async def test_refused_line_keeps_its_fields(dut: HierarchyObject, require_checked: bool) -> None:
    """[ERR-001..ERR-003] [ERR-010] [FLAG-004] [FLAG-008] [FLAG-010] [DESC-025] All error codes.

    Whatever the opcode and the flags: no field changes but the flags, and no token is made.
    """
    tb = await _started(dut, Ready.RANDOM, require_checked=require_checked)
    for opcode, error_code in itertools.product([*_OPCODES, None], _ERROR_CODES):
        lines = _random_lines(tb, share(12, 6), opcode or "NOP")
        if opcode is None:
            lines["opcode"] = tb.rng.integers(5, 255, len(lines))
        lines["flags"] = tb.rng.integers(0, 1 << 16, len(lines))
        lines["max_tokens"] = lines["seq_len"] + np.arange(len(lines), dtype=np.uint32)
        tb.send_judged(lines, [error_code] * len(lines))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(opcode=["DECODE", "ROLLOUT"])
async def test_lengths_and_limits(dut: HierarchyObject, opcode: str) -> None:
    """[DEC-001..DEC-006] [OP-001] [OP-004] Around each other, around 32k, at every carry, and at
    the end of u32, where the next boundary does not fit in 32 bits.
    """
    tb = await _started(dut)
    lengths = [0, 1, 15, 30, 31, 32, 33, 62, 63, 64, 95]
    limits = [0, 1, 2, 30, 31, 32, 33, 34, 63, 64, 65, 96, 97, 130]
    pairs = [*itertools.product(lengths, limits)]
    for power in (1 << bit for bit in range(1, 32)):
        pairs += [(power - 2, power - 2), (power - 2, power + 1), (power - 1, power)]
        pairs += [(power, power - 1), (power + 3, 7)]
        pairs += [(3, power + 7)] if opcode == "DECODE" else []
    top = [_U32_MAX - distance for distance in (0, 1, 30, 31, 32, 33, 64)]
    pairs += [*itertools.product(top, top), *((first, 0) for first in top)]
    tb.send(_with_lengths(tb, opcode, pairs))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(opcode=["ROLLOUT", "REWARD"])
async def test_every_score(dut: HierarchyObject, opcode: str) -> None:
    """[OP-002] [OP-010] [DEC-007] [DESC-011] All 256 scores, exact; higher bits do not count. That
    of a ROLLOUT is of its last length, not of its first, with and without a token made.
    """
    tb = await _started(dut)
    ends = (int(tb.rng.integers(1, 1 << 24)) << 8) + np.arange(256)
    tokens = tb.rng.integers(0, 4, 256)
    pairs = list(zip((ends - tokens).tolist(), ends.tolist(), strict=True))
    pairs += [(end + 5, end) for end in ends[::8].tolist()]
    pairs += [(score, int(tb.rng.integers(score, 1 << 10))) for score in range(256)]
    if opcode == "ROLLOUT":
        pairs = [(first, min(limit, first + 40)) for first, limit in pairs]
    tb.send(_with_lengths(tb, opcode, pairs))
    await tb.finish()


@cocotb.test()
async def test_prefill_takes_the_longer(dut: HierarchyObject) -> None:
    """[OP-003] [OP-011] seq_len becomes the maximum, over boundaries, without tokens."""
    tb = await _started(dut)
    values = [0, 1, 31, 32, 33, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, _U32_MAX - 1, _U32_MAX]
    tb.send(_with_lengths(tb, "PREFILL", list(itertools.product(values, values))))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(
    (("seq_len", "max_tokens"), [(0, 500), (31, 97), (65_500, 65_600), (_U32_MAX - 70, _U32_MAX)])
)
async def test_resumed_rollout_joins_up(
    dut: HierarchyObject, seq_len: int, max_tokens: int
) -> None:
    """[DEC-005] [FLAG-010] A completion resubmitted as it is carries on, up to DONE."""
    tb = await _started(dut)
    await tb.resume_until_done(_with_lengths(tb, "DECODE", [(seq_len, max_tokens)]))
    await tb.finish()
