# SPDX-License-Identifier: Apache-2.0
"""Cases of the fence."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject

from reset_fence.tb_reset_fence import ResetFenceTestbench


@cocotb.test()
async def test_each_reset_has_an_id_of_its_own(dut: HierarchyObject) -> None:
    """[LIFE-001] Another one than before, whatever the length of the reset, until all were used."""
    tb = ResetFenceTestbench(dut)
    await tb.start()
    for number in range(2 * tb.ids + 1):
        before = tb.id
        await tb.pulse(1 + number % 4)
        assert tb.id == (before + 1) % tb.ids
        await tb.respond(tb.id, None)
        await tb.respond(None, tb.id)
    await tb.finish()


@cocotb.test()
async def test_responses_to_requests_of_before_are_dropped(dut: HierarchyObject) -> None:
    """[LIFE-001] Every ID on either channel and on both, after each of all resets."""
    tb = ResetFenceTestbench(dut)
    await tb.start()
    for _ in range(tb.ids):
        for response in range(tb.ids):
            await tb.respond(response, None)
            await tb.respond(None, response)
            await tb.respond(response, (response + 1) % tb.ids)
            await tb.respond(response, response)
        await tb.respond(None, None)
        await tb.pulse(2)
    await tb.finish()


@cocotb.test()
async def test_random_responses_between_resets(dut: HierarchyObject) -> None:
    """[LIFE-001] Resets at any moment, also while a response waits that is taken after them."""
    tb = ResetFenceTestbench(dut)
    await tb.start()
    for _ in range(60):
        for _ in range(int(tb.rng.integers(0, 12))):
            read, write = (int(value) for value in tb.rng.integers(-1, tb.ids, size=2))
            await tb.respond(None if read < 0 else read, None if write < 0 else write)
        await tb.pulse(1 + int(tb.rng.integers(0, 5)))
    await tb.finish()
