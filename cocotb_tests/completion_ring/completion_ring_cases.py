# SPDX-License-Identifier: Apache-2.0
"""Cases of the completion ring."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.stream.patterns import Idle, Ready, streaming
from descring_vip.tier import share, sweep

from completion_ring.tb_completion_ring import CompletionRingTestbench

_LINES = share(300)


@cocotb.test()
@streaming
async def test_completions_pass_in_order(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """[RING-001] [RING-003] [RING-005] [RING-010] Nothing is lost, doubled or out of order.

    Tail and head count what went in and what was taken.
    """
    tb = CompletionRingTestbench(dut, idle=idle)
    await tb.start()
    tb.start_sink(ready)
    tb.post(_LINES + tb.slots)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(log2_below_depth=[0, 1, 2])
async def test_full_ring_stalls_its_producer(dut: HierarchyObject, log2_below_depth: int) -> None:
    """[RING-001] [RING-005] All slots of the size in force are usable, and not one more."""
    tb = CompletionRingTestbench(dut, log2_below_depth=log2_below_depth)
    await tb.start()
    tb.post(3 * tb.slots)
    for _ in range(tb.slots + 1):
        await tb.filled()
        await tb.take_one()
    await tb.filled()
    tb.start_sink(Ready.ALWAYS)
    await tb.finish()


@cocotb.test()
@sweep(ready=[Ready.RANDOM, Ready.LATE, Ready.AFTER_VALID], log2_below_depth=[1, 2])
async def test_smaller_ring_passes_in_order(
    dut: HierarchyObject, ready: Ready, log2_below_depth: int
) -> None:
    """[RING-001] [RING-005] A ring smaller than the memory loses nothing either."""
    tb = CompletionRingTestbench(dut, idle=Idle.RANDOM, log2_below_depth=log2_below_depth)
    await tb.start()
    tb.start_sink(ready)
    tb.post(3 * tb.slots + 20)
    await tb.finish()


@cocotb.test()
@sweep(ready=[Ready.ALWAYS, Ready.RANDOM, Ready.LATE], before_wrap=[1, 2, 5])
async def test_indices_wrap(dut: HierarchyObject, ready: Ready, before_wrap: int) -> None:
    """[RING-002] [RING-012] Tail and head run through 2^32, with the ring full or nearly empty."""
    tb = CompletionRingTestbench(dut, idle=Idle.RANDOM)
    tb.preset(2**32 - before_wrap)
    await tb.start()
    tb.start_sink(ready)
    tb.post(2 * tb.slots + 8)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(log2_below_depth=[0, 1])
async def test_full_ring_across_the_wrap(dut: HierarchyObject, log2_below_depth: int) -> None:
    """[RING-001] [RING-002] [RING-005] A ring that is full while its tail has wrapped stalls."""
    tb = CompletionRingTestbench(dut, log2_below_depth=log2_below_depth)
    tb.preset(2**32 - tb.slots // 2)
    await tb.start()
    tb.post(3 * tb.slots)
    for _ in range(tb.slots):
        await tb.filled()
        await tb.take_one()
    tb.start_sink(Ready.RANDOM)
    await tb.finish()


@cocotb.test()
async def test_reset_at_any_fill(dut: HierarchyObject) -> None:
    """[LIFE-004] [RING-012] A reset empties the ring, however full, and indices start anew."""
    tb = CompletionRingTestbench(dut)
    await tb.start()
    for fill in sorted({0, 1, tb.slots // 2, tb.slots - 1, tb.slots}):
        if fill:
            tb.post(fill)
            await tb.posted()
        tb.preset(int(tb.rng.integers(2**32)))
        await tb.reset()
        tb.start_sink(Ready.ALWAYS)
        await tb.posted()
        tb.post(3)
        await tb.drained()
        tb.sink.stop()
    await tb.finish()


@cocotb.test()
@streaming
async def test_reset_in_the_stream(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """[LIFE-004] A reset in the midst of traffic: nothing of before comes out after it."""
    tb = CompletionRingTestbench(dut, idle=idle)
    await tb.start()
    for _ in range(4):
        tb.start_sink(ready)
        tb.post(200)
        await tb.time.cycles(int(tb.rng.integers(1, 60)))
        await tb.reset(int(tb.rng.integers(1, 4)))
    tb.post(20)
    await tb.finish()
