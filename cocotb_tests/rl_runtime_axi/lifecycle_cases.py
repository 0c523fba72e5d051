# SPDX-License-Identifier: Apache-2.0
"""STOP, RESUME, pause, and resets of every kind under load."""

from __future__ import annotations

import itertools

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.axi.memory import Burst, Latency
from descring_vip.handles import parameter
from descring_vip.stream.patterns import Idle, Ready
from descring_vip.tier import sweep
from mmio_regs.register_reference import (
    ENABLE,
    HALTED,
    MODES,
    PUBLISH_TAILS,
    READY,
    RESET,
    RESET_TIMEOUT,
    RESUME,
    RUNNING,
    SPLIT_REWARD,
    U32,
)

from rl_runtime_axi.layout import Layout
from rl_runtime_axi.tb_rl_runtime_axi import ShellTestbench

_RESETS = 40


@cocotb.test()
@sweep(latency=[2, 20], publish=[0, PUBLISH_TAILS])
async def test_work_behind_a_stop_waits(dut: HierarchyObject, latency: int, publish: int) -> None:
    """[LIFE-003] [OP-255] [RING-009] STOP at each place among lines under way.

    What is before it completes, what is behind stays untouched until RESUME, though it was fetched.
    """
    tb = ShellTestbench(dut, layout=Layout(done=6), latency=Latency(latency, latency))
    await tb.start()
    await tb.enable(publish)
    for place in (0, 1, 2, 7, 15)[: tb.share(5, least=2)]:
        lines = tb.decodes([3] * 16)
        lines[place] = tb.stops(1)[0]
        await tb.submit(lines)
        await tb.settle()
        await tb.write("CTRL", ENABLE)
        await tb.settle()
        await tb.resume()
        await tb.settle()
        await tb.write("CTRL", ENABLE | RESUME)
        await tb.settle()
        await tb.take_all()
    await tb.finish()


@cocotb.test()
async def test_line_behind_a_stop_is_read_again(dut: HierarchyObject) -> None:
    """[LIFE-003] [LIFE-005] What was fetched ahead of a halt counts for nothing.

    The host replaces a line that no completion has answered yet.
    """
    tb = ShellTestbench(dut, layout=Layout(done=6))
    await tb.start()
    await tb.enable()
    for _ in range(4):
        lines = tb.stream(6, "decode")
        lines[1] = tb.stops(1)[0]
        await tb.submit(lines)
        await tb.settle()
        tb.tail = (tb.tail - 2) % U32
        tb.place_lines(tb.stream(2, "decode"))
        await tb.resume()
        await tb.settle()
        await tb.take_all()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(latency=[2, 20])
async def test_stops_in_a_row(dut: HierarchyObject, latency: int) -> None:
    """[LIFE-003] [RING-006] [IRQ-001] Each halts, and wants a RESUME of its own."""
    tb = ShellTestbench(dut, layout=Layout(done=6), latency=Latency(latency, latency))
    await tb.start()
    await tb.enable()
    await tb.submit(tb.stops(9))
    for _ in range(9):
        await tb.settle()
        await tb.write("IRQ_STATUS", 7)
        await tb.resume()
    await tb.settle()
    await tb.take_all()
    await tb.finish()


@cocotb.test()
async def test_stop_waits_for_room(dut: HierarchyObject) -> None:
    """[LIFE-003] [RING-005] A STOP whose completion has no room has not halted the device."""
    tb = ShellTestbench(dut, layout=Layout(cmd=4, done=1))
    await tb.start()
    await tb.enable()
    lines = tb.decodes([1] * 6)
    lines[2] = tb.stops(1)[0]
    await tb.submit(lines)
    await tb.settle()
    await tb.take("DONE", 1)
    await tb.settle()
    await tb.write("DOORBELL", tb.tail)
    await tb.resume()
    await tb.take_until(6)
    await tb.finish()


@cocotb.test()
@sweep(latency=[2, 20], publish=[PUBLISH_TAILS])
async def test_pause_lets_accepted_lines_complete(
    dut: HierarchyObject, latency: int, publish: int
) -> None:
    """[LIFE-007] [DB-006] [REG-00C] RUNNING clears when the last is posted; then nothing moves.

    Paused at many moments; each time it carries on where it was.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=5, done=5), latency=Latency(latency, latency))
    await tb.start()
    await tb.enable(publish)
    for moment in range(0, 60, 24 // tb.share(4)):
        await tb.submit(tb.stream(await tb.room(), "decode"))
        await tb.time.cycles(moment)
        await tb.write("CTRL", 0)
        await tb.until_status(RUNNING, 0)
        where = [await tb.read(name) for name in ("CMD_HEAD", "DONE_TAIL")]
        before = tb.progress()
        await tb.quiet()
        tb.unchanged("bus transactions", before[0], tb.progress()[0])
        tb.unchanged("DONE_TAIL", where[1], await tb.read("DONE_TAIL"))
        if publish:
            tb.unchanged("CMD_HEAD in memory", where[0], tb.word("CMD", "head"))
        await tb.write("CTRL", ENABLE)
        await tb.settle()
        await tb.take_all()
    await tb.finish()


@cocotb.test()
async def test_pause_keeps_a_halt(dut: HierarchyObject) -> None:
    """[LIFE-007] [LIFE-003] [DB-006] HALTED outlives a pause; RESUME with ENABLE 0 stays paused."""
    tb = ShellTestbench(dut, layout=Layout(done=6))
    await tb.start()
    await tb.enable()
    await tb.submit(tb.stops(3))
    for control in (0, ENABLE, 0, RESUME, ENABLE):
        await tb.settle()
        await tb.write("CTRL", control)
    await tb.settle()
    await tb.write("CTRL", 0)
    await tb.settle()
    await tb.write("CTRL", ENABLE | RESUME)
    await tb.settle()
    await tb.take_all()
    await tb.finish()


@cocotb.test()
@sweep(modes=[0, SPLIT_REWARD, MODES], ready=[Ready.ALWAYS, Ready.RANDOM])
async def test_soft_reset_at_any_moment(dut: HierarchyObject, modes: int, ready: Ready) -> None:
    """[LIFE-004] [LIFE-001] [RING-012] Mid-burst: nothing half-written, nothing after READY.

    Every line that the design writes is compared when it is written, and the bus may not see one
    between READY and the next ENABLE. The device then works as after its first reset.
    """
    idle = Idle.NONE if ready is Ready.ALWAYS else Idle.RANDOM
    tb = ShellTestbench(
        dut, first_index=U32 - 9, layout=Layout(cmd=5, done=4), idle=idle, ready=ready
    )
    tb.bus.read_latency = tb.bus.write_latency = Latency(2, 25)
    await tb.start()
    for round_ in range(tb.share(_RESETS)):
        tb.bus.write_late = bool(round_ % 2)
        await tb.enable(modes)
        before, count = len(tb.bus.reads), int(tb.rng.integers(1, 33))
        await tb.submit(tb.stream(count, "decode"))
        await tb.time.cycles(int(tb.rng.integers(0, 90)))
        if round_ % 3 == 0:
            await tb.take("DONE")
        await tb.soft_reset(also=ENABLE | RESUME if round_ % 4 == 0 else 0)
        asked = sum(burst.lines for burst in tb.bus.reads[before:])
        tb.scoreboard.writes.check(
            f"whether {asked} of {count} lines were read", expected=1, actual=int(asked <= count)
        )
        if round_ % 5 == 0:
            await tb.quiet()
            await tb.settle()
    await tb.enable(modes)
    await tb.serve(tb.stream(60))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(state=["unconfigured", "halted", "paused", "full", "failed", "idle"])
async def test_soft_reset_in_each_state(dut: HierarchyObject, state: str) -> None:
    """[LIFE-004] [LIFE-001] [LIFE-006] Reset is the same from wherever it comes."""
    tb = ShellTestbench(dut, layout=Layout(cmd=4, done=2))
    await tb.start()
    if state != "unconfigured":
        await tb.enable(MODES if state == "idle" else 0)
    if state == "halted":
        await tb.submit(tb.stops(2))
        await tb.until_status(HALTED, HALTED)
    if state == "paused":
        await tb.submit(tb.decodes([32] * 3))
        await tb.write("CTRL", 0)
    if state == "full":
        await tb.submit(tb.decodes([1] * 12))
    if state == "failed":
        tb.fail_slot("CMD", 1)
        await tb.submit(tb.decodes([1] * 3))
        await tb.until_status(HALTED, HALTED)
        tb.clear_bus_errors()
    await tb.soft_reset()
    await tb.settle()
    await tb.enable(SPLIT_REWARD)
    await tb.serve(tb.stream(40))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(modes=[0, MODES])
async def test_reset_pin_at_any_moment(dut: HierarchyObject, modes: int) -> None:
    """[LIFE-001] [RING-012] A hard reset takes bus and device together, mid-burst."""
    tb = ShellTestbench(dut, latency=Latency(2, 25))
    await tb.start()
    for _ in range(tb.share(_RESETS // 2)):
        await tb.enable(modes)
        await tb.submit(tb.stream(int(tb.rng.integers(1, 17)), "decode"))
        await tb.time.cycles(int(tb.rng.integers(0, 90)))
        await tb.reset()
    await tb.settle()
    await tb.enable(modes)
    await tb.serve(tb.stream(40))
    await tb.finish()


async def _another_of(tb: ShellTestbench, bursts: list[Burst]) -> None:
    """Wait until the bus has seen one more of ``bursts``."""
    count = len(bursts)
    await tb.until(lambda: len(bursts) > count, 400, "a request")


@cocotb.test()
async def test_reset_shows_a_lost_response(dut: HierarchyObject) -> None:
    """[LIFE-004] [REG-00C] RESET_TIMEOUT after its time, until the response comes after all.

    The next reset has its whole time again.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=6, done=6))
    await tb.start()
    limit = 1 << parameter(dut, "ResetTimeoutLog2")
    for _ in range(2):
        tb.bus.pause(b=itertools.repeat((0, 1)))
        await tb.enable(0)
        await tb.submit(tb.decodes([1] * 4))
        await _another_of(tb, tb.bus.writes)
        await tb.write("CTRL", RESET)
        await tb.time.cycles(limit // 2)
        early = await tb.read("STATUS") & (READY | RESET_TIMEOUT)
        await tb.time.cycles(limit // 2)
        late = await tb.until_status(READY | RESET_TIMEOUT, RESET_TIMEOUT)
        tb.scoreboard.writes.check("STATUS before its time", expected=0, actual=early)
        tb.scoreboard.writes.check("READY after its time", expected=0, actual=late & READY)
        tb.bus.pause(b=None)
        await tb.until_status(READY | RESET_TIMEOUT, READY)
        await tb.soft_reset()
    await tb.enable(0)
    await tb.serve(tb.decodes([2] * 9))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(owes=["reads", "responses"])
async def test_reset_of_the_device_alone(dut: HierarchyObject, owes: str) -> None:
    """[LIFE-001] [RING-001] What the memory owes from before a reset has no effect after it.

    The data of the old reads are those of the old lines, and arrive while new lines are read.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=6, done=6))
    tb.bus.read_early = True
    await tb.start()
    owed = 0
    for moment in range(tb.share(6, least=2)):
        reads = owes == "reads"
        tb.bus.read_latency = Latency(90, 90) if reads else Latency()
        tb.bus.write_latency = Latency() if reads else Latency(90, 90)
        await tb.enable(0)
        await tb.submit(tb.decodes([1] * 16))
        await _another_of(tb, tb.bus.reads if reads else tb.bus.writes)
        await tb.time.cycles(moment)
        await tb.until(lambda: not tb.bus.half_written, 100, "whole write bursts")
        await tb.reset_alone()
        tb.bus.read_latency = Latency()
        await tb.enable(0)
        await tb.serve(tb.decodes([2] * 9))
        owed = tb.owed
    tb.scoreboard.writes.check("whether the bus owed anything", expected=1, actual=int(owed > 0))
    await tb.finish()


@cocotb.test()
async def test_reset_lowers_valids_and_readys_at_once(dut: HierarchyObject) -> None:
    """[LIFE-001] From the moment of the reset on, not from the edge after it.

    At rest, and while a read request is valid that the bus does not accept.
    """
    tb = ShellTestbench(dut)
    await tb.start()
    await tb.lowered_by_reset()
    tb.bus.pause(ar=itertools.repeat((0, 1)))
    await tb.enable(0)
    await tb.submit(tb.decodes([1] * 16))
    await tb.time.cycles(30)
    await tb.lowered_by_reset(from_high="m_axi_arvalid")
    tb.bus.pause(ar=None)
    await tb.enable(0)
    await tb.serve(tb.decodes([3] * 8))
    await tb.finish()
