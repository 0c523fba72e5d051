# SPDX-License-Identifier: Apache-2.0
"""Cases of the command ring."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.stream.patterns import Idle, Ready, streaming
from descring_vip.tier import share, sweep

from desc_ring.tb_desc_ring import DescRingTestbench

_LINES = share(300)


@cocotb.test()
@streaming
async def test_lines_pass_in_order(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """[DESC-015] [RING-001] [RING-005] [RING-011] Published lines come out, once, in order."""
    tb = DescRingTestbench(dut, idle=idle)
    await tb.start()
    tb.start_sink(ready)
    count = _LINES + tb.depth
    tb.publish(count)
    tb.write(count)
    await tb.finish()


@cocotb.test()
@streaming
async def test_doorbells_trail_the_lines(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """[DB-001] [RING-011] Doorbells in small steps: a line waits for the one that publishes it."""
    tb = DescRingTestbench(dut, idle=idle)
    await tb.start()
    tb.start_sink(ready)
    tb.write(_LINES)
    published = 0
    while published < _LINES:
        step = min(int(tb.rng.integers(1, 8)), _LINES - published)
        tb.publish(step)
        published += step
        await tb.time.cycles(int(tb.rng.integers(1, 12)))
    await tb.finish()


@cocotb.test()
async def test_unpublished_line_stays(dut: HierarchyObject) -> None:
    """[DB-001] Lines beyond the published tail do not come out until a doorbell publishes them."""
    tb = DescRingTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    tb.write(tb.depth)
    await tb.filled()
    await tb.quiet()
    for _ in range(tb.depth):
        tb.publish(1)
        await tb.quiet()
    await tb.finish()


@cocotb.test()
async def test_doorbell_runs_ahead_of_lines(dut: HierarchyObject) -> None:
    """[RING-011] A published index whose line is not written yet waits for the line."""
    tb = DescRingTestbench(dut)
    await tb.start()
    tb.start_sink(Ready.ALWAYS)
    tb.publish(3 * tb.depth)
    await tb.quiet()
    for _ in range(3 * tb.depth):
        tb.write(1)
        await tb.quiet()
    await tb.finish()


@cocotb.test()
async def test_full_ring_stalls_its_producer(dut: HierarchyObject) -> None:
    """[RING-001] [RING-005] All slots are usable, and not one more; each line out frees a slot."""
    tb = DescRingTestbench(dut)
    await tb.start()
    tb.write(3 * tb.depth)
    tb.publish(3 * tb.depth)
    for _ in range(tb.depth + 1):
        await tb.filled()
        await tb.take_one()
    await tb.filled()
    tb.start_sink(Ready.ALWAYS)
    await tb.finish()


@cocotb.test()
@sweep(ready=[Ready.ALWAYS, Ready.RANDOM, Ready.LATE], before_wrap=[1, 2, 5])
async def test_indices_wrap(dut: HierarchyObject, ready: Ready, before_wrap: int) -> None:
    """[RING-002] [RING-012] Indices run through 2^32, full or nearly empty, and keep their slots.

    The published tail wraps first, so that a comparison by size would see it behind the head.
    """
    tb = DescRingTestbench(dut, idle=Idle.RANDOM)
    tb.preset(2**32 - before_wrap)
    await tb.start()
    tb.start_sink(ready)
    tb.publish(before_wrap + 1)
    tb.write(2 * tb.depth + 8)
    await tb.time.cycles(2 * tb.depth + 20)
    tb.publish(2 * tb.depth + 7 - before_wrap)
    await tb.finish()


@cocotb.test()
async def test_full_ring_across_the_wrap(dut: HierarchyObject) -> None:
    """[RING-001] [RING-002] [RING-005] A ring that is full while its tail has wrapped stalls."""
    tb = DescRingTestbench(dut)
    tb.preset(2**32 - tb.depth // 2)
    await tb.start()
    tb.publish(3 * tb.depth)
    tb.write(3 * tb.depth)
    await tb.filled()
    for _ in range(tb.depth):
        await tb.take_one()
        await tb.filled()
    tb.start_sink(Ready.RANDOM)
    await tb.finish()


@cocotb.test()
async def test_reset_at_any_fill(dut: HierarchyObject) -> None:
    """[LIFE-004] [RING-012] A reset empties the ring, however full, and indices start anew."""
    tb = DescRingTestbench(dut)
    await tb.start()
    fills = sorted({0, 1, tb.depth // 2, tb.depth - 1, tb.depth})
    for fill in fills:
        for published in (0, fill):
            if fill:
                tb.write(fill)
                await tb.drained()
            tb.publish(published)
            tb.preset(int(tb.rng.integers(2**32)))
            await tb.reset()
            tb.start_sink(Ready.ALWAYS)
            await tb.quiet()
            tb.publish(3)
            tb.write(3)
            await tb.drained()
            tb.sink.stop()
    await tb.finish()


@cocotb.test()
@streaming
async def test_reset_in_the_stream(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """[LIFE-004] A reset in the midst of traffic: nothing of before comes out after it."""
    tb = DescRingTestbench(dut, idle=idle)
    await tb.start()
    for _ in range(4):
        tb.start_sink(ready)
        tb.publish(200)
        tb.write(200)
        await tb.time.cycles(int(tb.rng.integers(1, 60)))
        await tb.reset(int(tb.rng.integers(1, 4)))
    tb.publish(20)
    tb.write(20)
    await tb.finish()
