# SPDX-License-Identifier: Apache-2.0
"""Cases of one worker: lengths in, lengths out, a cycle a token."""

from __future__ import annotations

import itertools

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.stream.patterns import Idle, Ready, streaming
from descring_vip.tier import share

from rollout_worker_fsm.tb_rollout_worker_fsm import WorkerTestbench, jobs

_U32_MAX = 0xFFFFFFFF


@cocotb.test()
@streaming
async def test_mixed_stream(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """[RING-006] [RING-007] [DEC-002] [DEC-006] One result for each start, in order."""
    tb = WorkerTestbench(dut, idle=idle)
    await tb.start()
    tb.start_sink(ready)
    tb.send_random(200)
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
    tb.send(jobs("DECODE", itertools.product(lengths, limits)))
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
async def test_decode_at_every_carry(dut: HierarchyObject) -> None:
    """[DEC-002] [DEC-004] All 32 bits of length and limit count: around every power of two, and
    at the end of u32, where only the limit ends a decode.
    """
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    pairs: list[tuple[int, int]] = []
    for power in (1 << bit for bit in range(1, 32)):
        pairs += itertools.product([power - 3, power - 2, power - 1], [power, power + 1, power + 2])
        pairs += [(power + 1, 2 * power - 1), (power - 2, _U32_MAX)]
        # On the way the lengths agree with the limit in every bit below this one.
        pairs += [(3, power + 9)]
    top = [_U32_MAX - distance for distance in (0, 1, 2, 15, 30, 31, 32, 33, 34, 63, 64, 65)]
    pairs += itertools.product(top, top)
    tb.send(jobs("DECODE", [(first % 2**32, limit % 2**32) for first, limit in pairs]))
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
async def test_rollout_passes_every_boundary(dut: HierarchyObject) -> None:
    """[OP-004] [DEC-006] Lengths and limits around each other and around 32k.

    Each runs at full speed and must hold the worker for exactly one cycle a token.
    """
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    lengths = [0, 1, 30, 31, 32, 33, 63, 64, 65, 96]
    limits = [0, 1, 31, 32, 33, 64, 65, 96, 97, 128, 161]
    tb.send(jobs("ROLLOUT", itertools.product(lengths, limits)))
    # More tokens than a DECODE can make, by far: each bit of the count that a case can reach.
    tb.send(jobs("ROLLOUT", [(0, share(4096, 600)), (_U32_MAX - 300, _U32_MAX)]))
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
async def test_ended_starts_take_one_cycle(dut: HierarchyObject) -> None:
    """[DEC-001] [OP-011] [RING-006] What needs no further token passes at one a cycle, whatever
    its length: a NOP, a PREFILL across boundaries, a decode at its limit or of one token.
    """
    tb = WorkerTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    values = [0, 1, 31, 32, 33, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, _U32_MAX - 1, _U32_MAX]
    tb.send(jobs("PREFILL", itertools.product(values, values)))
    tb.send(jobs("NOP", itertools.product(values, values)))
    tb.send(
        jobs("DECODE", [(first, limit) for first in values for limit in values if limit <= first])
    )
    tb.send(jobs("DECODE", [(first, first + 1) for first in range(100)]))
    await tb.drained()
    tb.check_costs()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ready=[Ready.ALWAYS, Ready.LATE])
async def test_reset_in_every_state(dut: HierarchyObject, ready: Ready) -> None:
    """[LIFE-004] A reset at any moment drops the start; the next one is answered as ever."""
    tb = WorkerTestbench(dut)
    await tb.start()
    for moment in range(16):
        tb.start_sink(ready)
        tb.send(jobs("DECODE", [(64, 70), (64, 65), (64, 96)]))
        tb.send(jobs("ROLLOUT", [(64, 200)]))
        await tb.time.cycles(moment)
        await tb.reset(1 + moment % 3)
        tb.start_sink(Ready.ALWAYS)
        await tb.time.cycles(40)
        tb.send(jobs("DECODE", [(3, 9)]))
        await tb.drained()
    await tb.reset()
    if ready is Ready.LATE:
        tb.check_every_state_was_reset()
    tb.send_random(20)
    await tb.finish()
