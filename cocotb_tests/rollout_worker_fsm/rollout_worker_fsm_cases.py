# SPDX-License-Identifier: Apache-2.0
"""Cases of one worker."""

from __future__ import annotations

import itertools

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract
from descring_vip.stream.patterns import Idle, Ready, streaming
from descring_vip.tier import share, sweep

from rollout_worker_fsm.tb_rollout_worker_fsm import WorkerTestbench

_U32_MAX = 0xFFFFFFFF
_OPCODES = [item.name for item in contract.OPCODES]
_ERROR_CODES = [item.value for item in contract.ERROR_CODES]
_PROFILES = [
    cocotb.Param(name, name.replace("-", "_"))
    for name in ("mixed", "boundary", "errors", "checked", "rollouts", "near-wrap")
]


@cocotb.test()
@streaming
async def test_mixed_stream(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """[DESC-014] [RING-006] [RING-007] [FLAG-011] One completion for each line, in order."""
    tb = WorkerTestbench(dut, idle=idle)
    await tb.start()
    tb.start_sink(ready)
    tb.send_stream("mixed", 200)
    await tb.finish()


@cocotb.test()
@sweep(profile=_PROFILES, require_checked=[False, True])
async def test_profile(dut: HierarchyObject, profile: str, require_checked: bool) -> None:
    """[DESC-014] [DESC-025] [ERR-010] [FLAG-011] Every kind of stream, in both modes."""
    tb = WorkerTestbench(dut, idle=Idle.RANDOM, require_checked=require_checked)
    await tb.start()
    tb.start_sink(Ready.RANDOM)
    tb.send_stream(profile, 400)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(opcode=_OPCODES)
async def test_opcode_changes_only_what_it_may(dut: HierarchyObject, opcode: str) -> None:
    """[DESC-001..DESC-014] [DESC-021] [OP-000..OP-004] [OP-255] [FLAG-011] Random other fields."""
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.RANDOM)
    tb.send(tb.random_lines(150, opcode))
    await tb.finish()


@cocotb.test()
@sweep(opcode=_OPCODES, require_checked=[False, True])
async def test_flags_in_and_out(dut: HierarchyObject, opcode: str, require_checked: bool) -> None:
    """[FLAG-000..FLAG-008] [FLAG-010] [FLAG-011] [DESC-025] Every flag in, alone and mixed.

    Device-owned flags of the submission never show; the others are echoed.
    """
    tb = WorkerTestbench(dut, require_checked=require_checked)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    single = [1 << bit for bit in range(16)]
    flags = np.array([0, 0xFFFF, *single, *tb.rng.integers(0, 1 << 16, 80)], dtype=np.uint16)
    lines = tb.random_lines(len(flags), opcode)
    lines["seq_len"] %= 4096
    lines["max_tokens"] = lines["seq_len"] + np.arange(len(flags), dtype=np.uint32) % 3
    if require_checked:
        flags |= contract.FLAG["CHECKED"]
    lines["flags"] = flags
    tb.send_judged(lines, [0] * len(lines))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(require_checked=[False, True])
async def test_refused_line_keeps_its_fields(dut: HierarchyObject, require_checked: bool) -> None:
    """[ERR-001..ERR-003] [ERR-010] [FLAG-004] [FLAG-008] [FLAG-010] [DESC-025] All error codes.

    Whatever the opcode and the flags: no field changes but the flags, and no token is made.
    """
    tb = WorkerTestbench(dut, require_checked=require_checked)
    await tb.start()
    tb.start_sink(Ready.RANDOM)
    for opcode, error_code in itertools.product([*_OPCODES, None], _ERROR_CODES):
        lines = tb.random_lines(12, opcode or "NOP")
        if opcode is None:
            lines["opcode"] = tb.rng.integers(5, 255, len(lines))
        lines["flags"] = tb.rng.integers(0, 1 << 16, len(lines))
        lines["max_tokens"] = lines["seq_len"] + np.arange(len(lines), dtype=np.uint32)
        tb.send_judged(lines, [error_code] * len(lines))
    await tb.finish()


@cocotb.test()
async def test_decode_at_the_boundaries(dut: HierarchyObject) -> None:
    """[DEC-001] [DEC-002] [DEC-003] [OP-001] Lengths and limits around each other and around 32k.

    Each runs at full speed and must hold the worker for exactly one cycle a token.
    """
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    lengths = [0, 1, 15, 30, 31, 32, 33, 62, 63, 64, 65, 95, 96, 127, 128]
    limits = [0, 1, 2, 30, 31, 32, 33, 34, 63, 64, 65, 66, 95, 96, 97, 128, 129, 160, 161, 5000]
    tb.send(tb.with_lengths("DECODE", list(itertools.product(lengths, limits))))
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
async def test_decode_at_every_carry(dut: HierarchyObject) -> None:
    """[DEC-001] [DEC-002] All 32 bits of length and limit count: around every power of two."""
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    pairs: list[tuple[int, int]] = []
    for power in (1 << bit for bit in range(1, 32)):
        around = [power - 2, power - 1, power, power + 1]
        pairs += itertools.product(around, around)
        pairs += [(power + 3, 7), (3, power + 7), (power - 1, power + 2), (power + 1, 2 * power)]
    tb.send(tb.with_lengths("DECODE", [(a % 2**32, b % 2**32) for a, b in pairs]))
    await tb.finish()


@cocotb.test()
async def test_decode_near_the_end_of_u32(dut: HierarchyObject) -> None:
    """[DEC-004] Where the next boundary does not fit in 32 bits, only max_tokens ends the run."""
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    top = [_U32_MAX - distance for distance in (0, 1, 2, 15, 30, 31, 32, 33, 34, 63, 64, 65)]
    tb.send(tb.with_lengths("DECODE", [*itertools.product(top, top), *((a, 0) for a in top)]))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(
    (("seq_len", "max_tokens"), [(0, 500), (31, 97), (65_500, 65_600), (_U32_MAX - 70, _U32_MAX)])
)
async def test_resumed_rollout_joins_up(
    dut: HierarchyObject, seq_len: int, max_tokens: int
) -> None:
    """[DEC-005] [FLAG-010] A completion resubmitted as it is carries on, up to DONE."""
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    await tb.resume_until_done(seq_len, max_tokens)
    await tb.finish()


@cocotb.test()
async def test_rollout_passes_every_boundary(dut: HierarchyObject) -> None:
    """[OP-004] [DEC-006] [DEC-007] Lengths and limits around each other and around 32k.

    Each runs at full speed and must hold the worker for exactly one cycle a token.
    """
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    lengths = [0, 1, 30, 31, 32, 33, 63, 64, 65, 96]
    limits = [0, 1, 31, 32, 33, 64, 65, 96, 97, 128, 161]
    tb.send(tb.with_lengths("ROLLOUT", list(itertools.product(lengths, limits))))
    # More tokens than a DECODE can make, by far: each bit of the count that a case can reach.
    tb.send(tb.with_lengths("ROLLOUT", [(0, share(4096, 600)), (_U32_MAX - 300, _U32_MAX)]))
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
async def test_rollout_is_scored_at_its_end(dut: HierarchyObject) -> None:
    """[DEC-007] [OP-010] [DESC-011] All 256 scores, with and without a token made; at every carry.

    The score is that of the last length, not of the first.
    """
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    ends = (int(tb.rng.integers(1, 1 << 24)) << 8) + np.arange(256)
    tokens = tb.rng.integers(0, 4, 256)
    pairs = list(zip((ends - tokens).tolist(), ends.tolist(), strict=True))
    pairs += [(end + 5, end) for end in ends[::8].tolist()]
    for power in (1 << bit for bit in range(1, 32)):
        pairs += [(power - 2, power + 1), (power, power), (power + 1, power - 1), (power + 3, 7)]
    tb.send(tb.with_lengths("ROLLOUT", [(a % 2**32, b % 2**32) for a, b in pairs]))
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
async def test_reward_of_every_score(dut: HierarchyObject) -> None:
    """[OP-002] [OP-010] [DESC-011] All 256 scores, exact; higher bits do not count."""
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    for high in (0, *tb.rng.integers(0, 1 << 24, 2).tolist()):
        lengths = [((high << 8) + score, int(tb.rng.integers(1 << 32))) for score in range(256)]
        tb.send(tb.with_lengths("REWARD", lengths))
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
async def test_prefill_takes_the_longer(dut: HierarchyObject) -> None:
    """[OP-003] [OP-011] seq_len becomes the maximum in one cycle, over boundaries, no tokens."""
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    values = [0, 1, 31, 32, 33, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, _U32_MAX - 1, _U32_MAX]
    tb.send(tb.with_lengths("PREFILL", list(itertools.product(values, values))))
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
async def test_one_token_lines_take_one_cycle(dut: HierarchyObject) -> None:
    """[DEC-002] [RING-006] At saturation a stream of one-token lines passes one line a cycle."""
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    tb.send_stream("one-token", 300)
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
async def test_cost_is_one_cycle_a_token(dut: HierarchyObject) -> None:
    """[DEC-002] [OP-011] A line of n tokens holds the worker for max(n, 1) cycles, in any mix."""
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    tb.send_stream("mixed", 300)
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ready=[Ready.ALWAYS, Ready.LATE])
async def test_reset_in_every_state(dut: HierarchyObject, ready: Ready) -> None:
    """[LIFE-004] A reset at any moment drops the line; the next one is answered as ever."""
    tb = WorkerTestbench(dut)
    await tb.start()
    for moment in range(16):
        tb.start_sink(ready)
        tb.send(tb.with_lengths("DECODE", [(64, 70), (64, 65), (64, 96)]))
        tb.send(tb.with_lengths("ROLLOUT", [(64, 200)]))
        await tb.time.cycles(moment)
        await tb.reset(1 + moment % 3)
        tb.start_sink(Ready.ALWAYS)
        await tb.time.cycles(40)
        tb.send(tb.with_lengths("DECODE", [(3, 9)]))
        await tb.drained()
    await tb.reset()
    if ready is Ready.LATE:
        tb.check_every_state_was_reset()
    tb.send_stream("mixed", 20)
    await tb.finish()
