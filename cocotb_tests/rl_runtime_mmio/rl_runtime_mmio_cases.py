# SPDX-License-Identifier: Apache-2.0
"""Doorbells, rings, configuration and interrupt of the whole device."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.stream.patterns import Ready
from descring_vip.tier import share

from rl_runtime_mmio.device_scoreboard import ENABLE, SPLIT_REWARD, U32
from rl_runtime_mmio.tb_rl_runtime_mmio import DeviceTestbench

_LONG_WAIT = share(2000)
_FIRST_INDICES = (0, U32 - 3)


@cocotb.test()
async def test_device_after_reset(dut: HierarchyObject) -> None:
    """[LIFE-001] [HASH-001] [REG-000] [REG-004] [REG-02C] [REG-07C] All registers."""
    tb = DeviceTestbench(dut, first_index=0xFEDC_BA98)
    await tb.start()
    tb.start_sinks()
    await tb.settle()
    tb.write_stream(2, "decode")
    await tb.quiet()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(first_index=list(_FIRST_INDICES))
async def test_lines_without_doorbell_never_run(dut: HierarchyObject, first_index: int) -> None:
    """[DB-001] [RING-001] Not in a long wait, not when the ring is full, not behind one that runs.

    The ring takes as many lines as it has slots; then each doorbell lets exactly its lines run.
    """
    tb = DeviceTestbench(dut, first_index=first_index)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    tb.write_stream(2 * tb.depths[0], "decode")
    await tb.quiet(_LONG_WAIT)
    await tb.settle()
    tb.scoreboard.registers.check(
        "lines taken by a full ring", expected=tb.depths[0], actual=tb.written
    )
    for count in range(1, tb.depths[0] + 1, max(1, tb.depths[0] // 8)):
        await tb.publish(count)
        await tb.settle()
    await tb.publish(tb.depths[0])
    await tb.settle()
    await tb.publish(2 * tb.depths[0])
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(first_index=list(_FIRST_INDICES))
async def test_doorbell_runs_ahead_of_the_lines(dut: HierarchyObject, first_index: int) -> None:
    """[RING-011] [RING-012] A published index runs once its line is written, and not before."""
    tb = DeviceTestbench(dut, first_index=first_index)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    for step in range(3):
        await tb.publish((step + 1) * tb.depths[0])
        await tb.settle()
        for _ in range(min(tb.depths[0], 4) - 1):
            tb.write_stream(1)
            await tb.serve_halts()
            await tb.settle()
        tb.write_stream(tb.depths[0] - min(tb.depths[0], 4) + 1)
        await tb.serve((step + 1) * tb.depths[0])
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(first_index=[*_FIRST_INDICES, (1 << 31) - 2])
async def test_illegal_doorbells_lose_nothing(dut: HierarchyObject, first_index: int) -> None:
    """[DB-002] [DB-006] [RING-002] [REG-064] [REG-00C] Every kind of illegal doorbell, in between.

    Before ENABLE, behind the tail, beyond the free slots, half the number range away; idle, with
    lines under way, and with the completion rings full. All lines complete as if none had been.
    """
    tb = DeviceTestbench(dut, first_index=first_index)
    await tb.start()
    slots = tb.depths[0]
    await tb.publish(1)
    await tb.settle()
    await tb.write("STATUS", U32 - 1)
    await tb.enable()
    total = 0
    for profile in ("decode", "nop", "one-token"):
        tb.write_stream(slots, profile)
        answered = total
        for published in (total, total + 1, total + slots):
            await tb.publish(published)
            for wrong in (-1, -slots, slots + 1, slots + 2, 1 << 16, 1 << 31, -(1 << 30)):
                if wrong > 0 or published > answered:
                    await tb.publish(published + wrong if wrong < 0 else published + slots + wrong)
            await tb.publish(published)
        await tb.settle()
        tb.start_sinks()
        total += slots
        await tb.serve(total)
        await tb.settle()
        await tb.write("STATUS", U32 - 1)
        await tb.settle()
    await tb.finish()


@cocotb.test()
async def test_last_free_slot_can_be_published(dut: HierarchyObject) -> None:
    """[DB-002] [RING-009] With the done ring full, CMD_HEAD + 2^k is legal and one more is not."""
    tb = DeviceTestbench(dut)
    await tb.start()
    await tb.enable()
    await tb.fill_done_ring("nop")
    answered = tb.depths[1]
    await tb.publish(answered + tb.depths[0] + 1)
    await tb.settle()
    await tb.publish(answered + tb.depths[0])
    await tb.settle()
    await tb.publish(answered + tb.depths[0] + 1)
    await tb.settle()
    tb.write_stream(tb.depths[0] + 2, "decode")
    tb.start_sinks()
    await tb.serve(answered + tb.depths[0])
    await tb.finish()


@cocotb.test()
async def test_repeated_and_lost_doorbells(dut: HierarchyObject) -> None:
    """[DB-003] [RING-006] A doorbell many times over runs a line once; a skipped one is made up."""
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    tb.write_stream(3 * tb.depths[0], "decode")
    for turn in range(3):
        for _ in range(10):
            await tb.publish(turn * tb.depths[0] + 1)
        await tb.settle()
        # None of the doorbells in between came.
        await tb.publish((turn + 1) * tb.depths[0])
        await tb.settle()
        await tb.publish((turn + 1) * tb.depths[0])
        await tb.settle()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ready=[Ready.ALWAYS, Ready.RANDOM])
async def test_done_ring_is_full_then_drained(dut: HierarchyObject, ready: Ready) -> None:
    """[RING-005] [REG-060] [RING-001] [RING-009] Nothing is lost, and the stall is counted."""
    tb = DeviceTestbench(dut)
    await tb.start()
    await tb.enable()
    await tb.fill_done_ring("decode")
    await tb.expect_stall(False)
    more = tb.depths[0]
    await tb.publish(tb.depths[1] + more)
    tb.write_stream(more, "boundary")
    await tb.settle()
    await tb.expect_stall(True)
    tb.start_sinks(ready)
    await tb.serve(tb.depths[1] + more)
    await tb.finish()


@cocotb.test()
async def test_flow_without_backpressure_never_stalls(dut: HierarchyObject) -> None:
    """[REG-060] [RING-005] CNT_STALL_CYCLES stays 0 where every completion finds room."""
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable(SPLIT_REWARD)
    count = 6 * min(tb.depths[0], 64)
    tb.write_stream(count, "boundary")
    await tb.pump(count)
    await tb.expect_stall(False)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(full=["done", "reward"])
async def test_full_ring_holds_back_the_other(dut: HierarchyObject, full: str) -> None:
    """[RING-008] [RING-007] [FLAG-000] The reward ring full holds back the done ring and reverse.

    Completions behind the one without room do not come out, though their ring is empty.
    """
    tb = DeviceTestbench(dut)
    await tb.start()
    await tb.enable(SPLIT_REWARD)
    free, blocked = (tb.reward, tb.done) if full == "done" else (tb.done, tb.reward)
    free.start()
    # Two of three go to the ring that nobody drains: more than it has slots.
    thirds = tb.depths[1 if full == "done" else 2] // 2 + tb.depths[0]
    count = 3 * thirds
    pattern = [full == "reward", full == "reward", full == "done"] * thirds
    tb.write_lines(tb.decodes([1] * count, to_reward=pattern))
    await tb.publish_all_there_is_room_for(count)
    await tb.expect_stall(True)
    blocked.start()
    await tb.serve(count)
    await tb.finish()


@cocotb.test()
async def test_smaller_rings_than_built(dut: HierarchyObject) -> None:
    """[REG-02C] [RING-001] [RING-008] [DB-002] The sizes of RING_LOG2 count, not those built."""
    tb = DeviceTestbench(dut, first_index=U32 - 1)
    await tb.start()
    await tb.write("RING_LOG2", 0x010101)
    await tb.enable(SPLIT_REWARD)
    await tb.publish(3)
    await tb.settle()
    await tb.write("STATUS", U32 - 1)
    tb.write_stream(12, "boundary")
    for published in range(2, 13, 2):
        await tb.settle()
        await tb.publish(published)
        await tb.settle()
        tb.start_sinks()
        await tb.until_taken(published)
        tb.done.stop()
        tb.reward.stop()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(modes=[0, SPLIT_REWARD])
async def test_bad_sizes_refuse_enable(dut: HierarchyObject, modes: int) -> None:
    """[LIFE-002] [DB-006] [REG-008] A refused ENABLE runs nothing; a legal one afterwards does."""
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    good = await tb.read("RING_LOG2")
    tb.write_stream(1, "decode")
    for ring, greatest in enumerate(depth.bit_length() - 1 for depth in tb.depths):
        if ring == 2 and not modes:
            continue
        for size in (0, greatest + 1, 255):
            sizes = good & ~(0xFF << 8 * ring) | size << 8 * ring
            await tb.write("RING_LOG2", sizes)
            await tb.enable(modes)
            await tb.publish(1)
            await tb.settle()
            await tb.write("STATUS", U32 - 1)
    await tb.write("RING_LOG2", good)
    await tb.enable(modes)
    await tb.publish(1)
    await tb.finish()


@cocotb.test()
async def test_configuration_is_locked(dut: HierarchyObject) -> None:
    """[LIFE-006] [RING-010] [DB-004] Modes, sizes, heads and read-only registers keep their values.

    The host writes to every register but CTRL.RESET's bit and the doorbell while lines run.
    """
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable(SPLIT_REWARD)
    count = 2 * tb.depths[0]
    tb.write_stream(count, "boundary")
    await tb.publish(tb.depths[0])
    await tb.write("CTRL", ENABLE | 0x10)
    for name in ("RING_LOG2", "DONE_HEAD", "REWARD_HEAD", "CMD_HEAD", "CMD_TAIL", "DONE_TAIL"):
        await tb.write(name, 0x0202_0202)
    for name in ("REWARD_TAIL", "CNT_TOKENS_LO", "CNT_DESCRIPTORS", "ID", "CONTRACT_HASH"):
        await tb.write(name, U32 - 1)
    # Inside a register, and where none is.
    for address in (0x009, 0x00E, 0x05D, 0x400, 0x808, 0xFFF):
        await tb.registers.write(address, U32 - 1)
        await tb.registers.read(address)
    await tb.settle()
    await tb.serve(count)
    await tb.finish()


@cocotb.test()
async def test_interrupt_of_each_event(dut: HierarchyObject) -> None:
    """[IRQ-001] [REG-048] [REG-04C] COMPLETION, HALTED and ERROR reach irq_o through their mask."""
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    done = 0
    for mask in (0, 1, 2, 4, 7):
        await tb.write("IRQ_MASK", mask)
        for event in ("completion", "halted", "error"):
            if event == "error":
                await tb.publish(done - 1)
            else:
                tb.write_lines(tb.stops(1) if event == "halted" else tb.stream(1, "decode"))
                done += 1
                await tb.publish(done)
            await tb.settle()
            for clear in (1, 2, 4):
                await tb.write("IRQ_STATUS", clear)
                await tb.settle()
            if event == "halted":
                await tb.resume()
                await tb.settle()
    await tb.finish()
