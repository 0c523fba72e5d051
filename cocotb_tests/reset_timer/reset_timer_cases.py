# SPDX-License-Identifier: Apache-2.0
"""Cases of the timer."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject

from reset_timer.tb_reset_timer import ResetTimerTestbench


@cocotb.test()
async def test_a_wait_is_late_after_the_limit(dut: HierarchyObject) -> None:
    """[LIFE-004] Not a cycle before, and for as long as it lasts; the next one begins at 0."""
    tb = ResetTimerTestbench(dut)
    await tb.start()
    for cycles in (1, tb.limit - 1, tb.limit, tb.limit + 1, 5 * tb.limit, tb.limit - 1):
        await tb.wait(cycles)
    for cycles in range(1, min(tb.limit, 20)):
        await tb.wait(cycles)
    tb.compared_late()
    await tb.finish()


@cocotb.test()
async def test_a_reset_amid_a_wait_begins_it_anew(dut: HierarchyObject) -> None:
    """[LIFE-004] [LIFE-001] Before the limit, at it, and when the wait is late already."""
    tb = ResetTimerTestbench(dut)
    await tb.start()
    for before in (1, tb.limit - 1, tb.limit, tb.limit + 1, 2 * tb.limit):
        for cycles in (1, 2, 3):
            await tb.reset_amid_a_wait(before, cycles, tb.limit - 1)
            await tb.reset_amid_a_wait(before, cycles, tb.limit + 2)
    tb.compared_late()
    await tb.finish()


@cocotb.test()
async def test_random_waits(dut: HierarchyObject) -> None:
    """[LIFE-004] Of up to five limits, some with a reset in them."""
    tb = ResetTimerTestbench(dut)
    await tb.start()
    for _ in range(24):
        cycles = 1 + int(tb.rng.integers(0, 5 * tb.limit))
        if tb.rng.random() < 0.3:
            after = int(tb.rng.integers(0, 2 * tb.limit))
            await tb.reset_amid_a_wait(cycles, int(tb.rng.integers(1, 4)), after)
        else:
            await tb.wait(cycles)
    await tb.finish()
