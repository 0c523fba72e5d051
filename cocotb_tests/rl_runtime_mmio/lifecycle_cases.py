# SPDX-License-Identifier: Apache-2.0
"""STOP, RESUME, pause and reset of the whole device."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model import contract, seal
from descring_vip.stream.patterns import Idle, Ready
from descring_vip.tier import share, sweep

from rl_runtime_mmio.device_scoreboard import (
    ENABLE,
    REQUIRE_CHECKED,
    RESET,
    RESUME,
    RUNNING,
    SPLIT_REWARD,
    U32,
)
from rl_runtime_mmio.tb_rl_runtime_mmio import DeviceTestbench

_RESETS = share(6, 2)
_PAUSES = 8
_STOP = contract.OPCODE["STOP"]
_RESUME_MOMENTS = 6


@cocotb.test()
@cocotb.parametrize(tokens=[1, 32])
async def test_work_behind_a_stop_waits(dut: HierarchyObject, tokens: int) -> None:
    """[LIFE-003] [OP-255] [FLAG-003] [RING-009] STOP at each place among lines under way.

    What is before it completes, what is behind stays untouched until RESUME, published or not.
    """
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    total = 0
    places = min(tb.workers + 3, tb.depths[0])
    for place in range(places):
        lines = tb.decodes([tokens] * tb.enough)
        lines["opcode"][place] = _STOP
        tb.write_lines(lines)
        total += tb.enough
        await tb.publish(total)
        await tb.settle()
        await tb.quiet(200)
        await tb.settle()
        await tb.resume()
        await tb.settle()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(checked=[False, True])
async def test_stops_in_a_row(dut: HierarchyObject, checked: bool) -> None:
    """[LIFE-003] [RING-006] Each STOP halts once more, and each RESUME lets one more through.

    The last thing in the ring is a STOP: a halted device with nothing behind can be resumed too.
    """
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    tb.write_lines(tb.stops(tb.enough, checked=checked))
    await tb.publish(tb.enough)
    for _ in range(tb.enough):
        await tb.settle()
        await tb.resume()
    await tb.settle()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(defect=["checksum", "tag", "unchecked"])
async def test_refused_stop_does_not_halt(dut: HierarchyObject, defect: str) -> None:
    """[ERR-011] [ERR-001] [ERR-003] [DESC-020] [DESC-022] [DESC-025] A STOP that fails a check."""
    tb = DeviceTestbench(dut, first_index=U32 - 1)
    await tb.start()
    tb.start_sinks()
    await tb.enable(REQUIRE_CHECKED if defect == "unchecked" else 0)
    count = tb.enough
    stops = tb.stops(count)
    indices = np.arange(count, dtype=np.uint32) + np.uint32(U32 - 1)
    if defect == "tag":
        stops = seal(stops, indices + np.uint32(1), set_flag=True)
    elif defect == "checksum":
        stops = seal(stops, indices, set_flag=True)
        stops["user_data"] ^= np.uint64(1) << tb.rng.integers(0, 64, count, dtype=np.uint64)
    tb.write_lines(stops)
    await tb.publish(count)
    await tb.settle()
    # Were it halted, these would not run.
    tb.write_stream(count, "checked")
    await tb.publish(2 * count)
    await tb.finish()


@cocotb.test()
async def test_resume_without_halt_has_no_effect(dut: HierarchyObject) -> None:
    """[LIFE-003] [REG-008] At rest, under load, and before a STOP that must still halt."""
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    total = 0
    for delay in range(_RESUME_MOMENTS):
        await tb.write("CTRL", ENABLE | RESUME)
        await tb.settle()
        # Published lines without a STOP among them: the device is surely not halted.
        total += tb.enough
        tb.write_lines(tb.decodes([8] * (tb.enough - 1)))
        await tb.publish(total)
        await tb.quiet(4 + 3 * delay)
        for _ in range(3):
            await tb.write("CTRL", ENABLE | RESUME)
        tb.write_lines(tb.stops(1))
        await tb.settle()
        await tb.resume()
        await tb.settle()
    await tb.finish()


@cocotb.test()
async def test_resume_before_the_halt_is_lost(dut: HierarchyObject) -> None:
    """[LIFE-003] [RING-005] RESUME while the STOP's completion waits for room does not resume it.

    The device is not halted yet, so the RESUME has no effect; it halts once there is room.
    """
    tb = DeviceTestbench(dut)
    await tb.start()
    await tb.enable()
    await tb.fill_done_ring("nop")
    answered = tb.depths[1]
    tb.write_lines(tb.stops(1))
    tb.write_lines(tb.decodes([1] * (tb.enough - 1)))
    await tb.publish(answered + tb.enough)
    await tb.settle()
    for _ in range(3):
        await tb.write("CTRL", ENABLE | RESUME)
        await tb.settle()
    tb.start_sinks()
    await tb.settle()
    await tb.resume()
    await tb.finish()


@cocotb.test()
async def test_halted_device_accepts_doorbells(dut: HierarchyObject) -> None:
    """[DB-006] [LIFE-003] [DB-001] Lines and doorbells that come while halted wait for RESUME."""
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    slots = tb.depths[0]
    total = 1
    tb.write_lines(tb.stops(1))
    await tb.publish(total)
    for _ in range(3):
        await tb.settle()
        tb.write_stream(slots - 1, "boundary")
        tb.write_lines(tb.stops(1))
        for published in range(total, total + slots + 1):
            await tb.publish(published)
        total += slots
        await tb.settle()
        await tb.publish(total + 1)
        await tb.settle()
        await tb.resume()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(tokens=[1, 32])
async def test_pause_completes_what_was_accepted(dut: HierarchyObject, tokens: int) -> None:
    """[LIFE-007] [DB-006] [REG-00C] RUNNING clears once the accepted have completed; none is lost.

    Doorbells are illegal while paused. With ENABLE set again the rest runs.
    """
    tb = DeviceTestbench(dut)
    await tb.start()
    tb.start_sinks()
    await tb.enable()
    total = 0
    accepted_some = left_some = False
    for pause in range(_PAUSES):
        tb.write_lines(tb.decodes([tokens] * tb.enough))
        await tb.settle()
        before, total = total, total + tb.enough
        await tb.publish(total)
        await tb.time.cycles(pause)
        await tb.write("CTRL", 0)
        await tb.publish(total)
        await tb.until_status(RUNNING, 0)
        paused_at = await tb.read("CMD_HEAD")
        taken = tb.taken
        await tb.publish(total + 1)
        await tb.quiet(200)
        tb.unchanged("CMD_HEAD while paused", paused_at, await tb.read("CMD_HEAD"))
        tb.unchanged("completions taken while paused", paused_at, tb.taken)
        tb.unchanged("completions after RUNNING cleared", tb.taken - taken in (0, 1), True)
        accepted_some |= paused_at > before
        left_some |= paused_at < total
        await tb.enable()
        await tb.settle()
        await tb.write("STATUS", U32 - 1)
    if not (accepted_some and left_some):
        raise AssertionError("no pause came while some lines were accepted and others were not")
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(modes=[SPLIT_REWARD, SPLIT_REWARD | REQUIRE_CHECKED])
async def test_pause_keeps_indices_and_halt(dut: HierarchyObject, modes: int) -> None:
    """[LIFE-007] [LIFE-006] Paused at rest, and paused while halted: all registers are kept."""
    tb = DeviceTestbench(dut, first_index=U32 - 2)
    await tb.start()
    tb.start_sinks()
    await tb.enable(modes)
    slots = tb.enough
    tb.write_stream(slots, "boundary")
    await tb.serve(slots)
    for control in (0, ENABLE, modes ^ REQUIRE_CHECKED, ENABLE | modes ^ SPLIT_REWARD):
        await tb.write("CTRL", control)
        await tb.settle()
    tb.write_lines(tb.stops(1, checked=True))
    await tb.publish(slots + 1)
    for control in (0, ENABLE, 0, ENABLE):
        await tb.settle()
        await tb.write("CTRL", control)
    await tb.resume()
    tb.write_stream(slots, "boundary")
    await tb.serve(2 * slots + 1)
    await tb.finish()


@cocotb.test()
@sweep(profile=["mixed", "stops"], ready=[Ready.ALWAYS, Ready.RANDOM, Ready.LATE])
async def test_soft_reset_at_any_moment(dut: HierarchyObject, profile: str, ready: Ready) -> None:
    """[LIFE-004] [LIFE-001] [RING-012] [REG-008] CTRL.RESET under load, at random cycles.

    Registers are those of a reset, nothing of the old stream comes out any more, and a fresh stream
    completes exactly, its tags counted from the first index.
    """
    tb = DeviceTestbench(dut, first_index=U32 - 5, idle=Idle.RANDOM)
    await tb.start()
    for turn in range(_RESETS):
        tb.start_sinks(ready)
        await tb.enable(SPLIT_REWARD if turn % 2 else 0)
        tb.write_stream(2 * tb.enough + 20, profile)
        host = cocotb.start_soon(tb.serve(2 * tb.enough + 20, longest_gap=3))
        await tb.time.cycles(int(tb.rng.integers(1, 120)))
        host.cancel()
        tb.registers.abort()
        # What is on offer stays on offer, and is the first line after the reset if it is not taken.
        tb.lines.clear()
        await tb.soft_reset(also=int(tb.rng.integers(0, 32)) & ~RESET)
        await tb.lines_taken()
        await tb.settle()
        await tb.enable()
        tb.start_sinks()
        fresh = tb.written + 10
        tb.write_stream(10, "checked")
        await tb.serve(fresh)
        await tb.settle()
        await tb.soft_reset()
        await tb.settle()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ready=[Ready.ALWAYS, Ready.RANDOM])
async def test_hard_reset_at_any_moment(dut: HierarchyObject, ready: Ready) -> None:
    """[LIFE-001] [RING-012] The reset pin under load, at random cycles; then a fresh stream."""
    tb = DeviceTestbench(dut, first_index=U32 - 5, idle=Idle.RANDOM)
    await tb.start()
    for _ in range(_RESETS):
        tb.start_sinks(ready)
        await tb.enable(SPLIT_REWARD)
        tb.write_stream(100, "mixed")
        host = cocotb.start_soon(tb.serve(100, longest_gap=3))
        await tb.time.cycles(int(tb.rng.integers(1, 120)))
        host.cancel()
        tb.registers.abort()
        await tb.reset(int(tb.rng.integers(1, 4)))
        await tb.settle()
        tb.start_sinks()
        await tb.enable()
        tb.write_stream(10, "checked")
        await tb.serve(10)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(state=["halted", "stalled", "paused", "refused"])
async def test_soft_reset_in_each_state(dut: HierarchyObject, state: str) -> None:
    """[LIFE-004] [LIFE-001] [LIFE-006] Out of HALTED, a full ring, a pause, and after errors."""
    tb = DeviceTestbench(dut)
    await tb.start()
    for _ in range(2):
        if state == "refused":
            await tb.write("RING_LOG2", 0)
        await tb.enable(REQUIRE_CHECKED * (state == "refused"))
        if state == "halted":
            tb.write_lines(tb.stops(2))
            await tb.publish(2)
        elif state == "stalled":
            await tb.fill_done_ring("nop")
            tb.write_stream(1, "decode")
            await tb.publish(tb.depths[1] + 1)
        elif state == "paused":
            tb.write_lines(tb.decodes([32] * tb.enough))
            await tb.settle()
            await tb.publish(tb.enough)
            await tb.write("CTRL", 0)
        else:
            await tb.publish(1)
        if state != "paused":
            await tb.settle()
        await tb.soft_reset()
        await tb.settle()
        tb.start_sinks()
        await tb.enable()
        tb.write_stream(6, "checked")
        await tb.serve(6)
        await tb.soft_reset()
        tb.done.stop()
        tb.reward.stop()
    await tb.finish()
