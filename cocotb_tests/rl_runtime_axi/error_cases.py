# SPDX-License-Identifier: Apache-2.0
"""Error responses of the memory: at every line, for every ring and word, with both codes."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.axi.memory import DECERR, SLVERR, Latency
from descring_vip.handles import parameter
from descring_vip.stream.patterns import Idle, Ready
from descring_vip.tier import sweep
from mmio_regs.register_reference import (
    BUS_ERROR,
    HALTED,
    IRQ_ERROR,
    IRQ_HALTED,
    PUBLISH_TAILS,
    SPLIT_REWARD,
    U32,
)
from rl_runtime_mmio.device_scoreboard import OFFSET

from rl_runtime_axi.layout import Layout
from rl_runtime_axi.tb_rl_runtime_axi import ShellTestbench

_LINES = 16
_STUCK_CYCLES = 20_000
"""Longer than it takes to settle three times: an error, a halt and a completion."""
_RESPONSES = {"slverr": SLVERR, "decerr": DECERR}


@cocotb.test()
@sweep(ring=["CMD", "DONE", "REWARD"], response=list(_RESPONSES), publish=[0, PUBLISH_TAILS])
async def test_error_at_every_line(
    dut: HierarchyObject, ring: str, response: str, publish: int
) -> None:
    """[LIFE-005] [RING-009] [REG-00C] CMD_HEAD names the descriptor; nothing skipped, or twice.

    It fails again after RESUME, until the memory is repaired.
    """
    latency = 2 if bool(publish) == (response == "slverr") else 20
    tb = ShellTestbench(dut, first_index=U32 - 5, latency=Latency(2, latency))
    await tb.start()
    await tb.enable(SPLIT_REWARD | publish)
    for place in range(publish // 32, _LINES, 8 // tb.share(4)):
        index = tb.tail if ring == "CMD" else tb.heads[ring]
        tb.fail_slot(ring, (index + place) % U32, _RESPONSES[response])
        await tb.submit(tb.decodes([1 + place % 3] * _LINES, to_reward=ring == "REWARD"))
        await tb.settle()
        if place % 4 == 0:
            await tb.resume()
            await tb.settle()
        await tb.write("STATUS", BUS_ERROR)
        await tb.write("IRQ_STATUS", 7)
        tb.clear_bus_errors()
        await tb.resume()
        await tb.settle()
        await tb.take_all()
    await tb.finish()


@cocotb.test()
@sweep(ring=["CMD", "DONE", "REWARD"], count=[2, 3])
async def test_several_errors_are_met_one_by_one(
    dut: HierarchyObject, ring: str, count: int
) -> None:
    """[LIFE-005] Neighbours that fail, in one burst: the first is named, then the next."""
    tb = ShellTestbench(dut, layout=Layout(skew=0), latency=Latency(10, 10))
    await tb.start()
    await tb.enable(SPLIT_REWARD)
    for place in (3, 4, 12):
        index = (tb.tail if ring == "CMD" else tb.heads[ring]) + place
        slots = [tb.places[ring].slot(index + step) for step in range(count)]
        for at in slots:
            tb.fail(at.start, at.stop)
        await tb.submit(tb.decodes([1] * _LINES, to_reward=ring == "REWARD"))
        for _ in range(count):
            await tb.settle()
            tb.clear_bus_errors()
            slots.pop(0)
            for at in slots:
                tb.fail(at.start, at.stop)
            await tb.resume()
        await tb.settle()
        await tb.take_all()
    await tb.finish()


@cocotb.test()
@sweep(response=list(_RESPONSES), publish=[0, PUBLISH_TAILS])
async def test_error_while_lines_are_under_way(
    dut: HierarchyObject, response: str, publish: int
) -> None:
    """[LIFE-005] [RING-009] What the workers still hold when a write fails is dropped, then redone.

    More lines than the writer keeps, so that the pipeline is full when the response comes.
    """
    lines = 2 * parameter(dut, "WriteDepth")
    size = lines.bit_length()
    tb = ShellTestbench(dut, layout=Layout(cmd=size, done=size), latency=Latency(20, 20))
    await tb.start()
    await tb.enable(publish)
    for tokens in (1, 5):
        tb.fail_slot("DONE", tb.heads["DONE"], _RESPONSES[response])
        await tb.submit(tb.decodes([tokens] * lines))
        await tb.settle()
        tb.clear_bus_errors()
        await tb.resume()
        await tb.settle()
        await tb.take_all()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(latency=[2, 20])
async def test_error_behind_a_stop_is_not_met_before_resume(
    dut: HierarchyObject, latency: int
) -> None:
    """[LIFE-005] [LIFE-003] Fetched ahead, behind a STOP: nothing tells of it."""
    tb = ShellTestbench(dut, latency=Latency(latency, latency))
    await tb.start()
    await tb.enable()
    for behind in (1, 2, 6):
        lines = tb.decodes([1] * 12)
        lines[3] = tb.stops(1)[0]
        tb.fail_slot("CMD", tb.tail + 3 + behind)
        await tb.submit(lines)
        await tb.settle()
        if behind == 2:
            tb.clear_bus_errors()
        await tb.resume()
        await tb.settle()
        if behind != 2:
            tb.clear_bus_errors()
            await tb.resume()
            await tb.settle()
        await tb.take_all()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ring=["CMD", "DONE"])
async def test_error_with_a_full_done_ring(dut: HierarchyObject, ring: str) -> None:
    """[LIFE-005] [RING-005] The oldest line is read though there is no room for its completion.

    A slot that is not free yet is not written, so its error waits.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=4, done=2))
    await tb.start()
    await tb.enable()
    tb.fail_slot(ring, 4)
    await tb.submit(tb.decodes([1] * 8))
    await tb.settle()
    if ring == "DONE":
        await tb.take("DONE", 1)
        await tb.settle()
    tb.clear_bus_errors()
    await tb.resume()
    await tb.take_until(8)
    await tb.finish()


@cocotb.test()
@sweep(word=["DONE tail", "REWARD tail", "CMD head"], response=list(_RESPONSES))
async def test_error_of_a_word(dut: HierarchyObject, word: str, response: str) -> None:
    """[RING-013] [LIFE-005] [IRQ-001] Halts; RESUME stores the words again.

    Only then the completion event comes. How many completions are posted by the halt is not
    determined, so that is compared after the repair.
    """
    tb = ShellTestbench(dut, layout=Layout(done=6), latency=Latency(2, 20))
    await tb.start()
    await tb.enable(SPLIT_REWARD | PUBLISH_TAILS)
    ring, which = word.split()
    start = tb.places[ring].base - {"head": 128, "tail": 64}[which]
    # One first: then no later posting stores the words anew.
    for count in (1, 5, 14)[: tb.share(3, 2)]:
        tb.fail(start, start + 4, _RESPONSES[response])
        before = tb.word(ring, which)
        await tb.submit(tb.stream(count, "decode"))
        await tb.until_status(HALTED | BUS_ERROR, HALTED | BUS_ERROR)
        before_resume = tb.progress()
        await tb.quiet()
        tb.unchanged("bus transactions", before_resume[0], tb.progress()[0])
        tb.unchanged(word, before, tb.word(ring, which))
        tb.scoreboard.registers.check(
            "IRQ_STATUS",
            expected=IRQ_HALTED | IRQ_ERROR,
            actual=await tb.host.read(OFFSET["IRQ_STATUS"]),
        )
        tb.clear_bus_errors()
        await tb.resume()
        await tb.settle()
        await tb.write("IRQ_STATUS", 7)
        await tb.take_all()
    await tb.finish()


@cocotb.test()
@sweep(response=list(_RESPONSES), publish=[0, PUBLISH_TAILS])
async def test_error_that_does_not_come_again(
    dut: HierarchyObject, response: str, publish: int
) -> None:
    """[LIFE-005] [IRQ-001] A burst fails once: its lines are written again, one by one.

    BUS_ERROR tells of it, and the device carries on without a halt.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=6, done=6, skew=0), latency=Latency(8, 8))
    await tb.start()
    await tb.enable(publish, irq_mask=IRQ_ERROR)
    tb.scoreboard.exact = False
    # A burst as long as the completions under way is rare.
    longest = min(parameter(dut, "WriteBurst"), parameter(dut, "WriteDepth") // 2)
    for lines in (2, longest):
        tb.bus.faults.next_write = (lines, _RESPONSES[response])
        before = len(tb.bus.writes)
        tb.gather_writes(40)
        await tb.submit(tb.decodes([1] * 40))
        await tb.until_status(BUS_ERROR, BUS_ERROR)
        tb.scoreboard.model.repaired_write()
        await tb.settle()
        singles = [burst.lines for burst in tb.bus.writes[before:] if burst.lines == 1]
        if len(singles) < lines:
            raise tb.scoreboard.writes.fail(f"{len(singles)} lines were written alone")
        await tb.write("STATUS", BUS_ERROR)
        await tb.write("IRQ_STATUS", IRQ_ERROR)
        await tb.take_all()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ready=[Ready.ALWAYS, Ready.RANDOM])
async def test_errors_at_random(dut: HierarchyObject, ready: Ready) -> None:
    """[LIFE-005] [RING-006] Any slot of any ring, under load, in any mode of the bus."""
    idle = Idle.NONE if ready is Ready.ALWAYS else Idle.RANDOM
    tb = ShellTestbench(dut, layout=Layout(5, 4, 3), idle=idle, ready=ready)
    tb.bus.read_latency = tb.bus.write_latency = Latency(2, 20)
    await tb.start()
    await tb.enable(SPLIT_REWARD)
    for _ in range(tb.share(25)):
        ring = ("CMD", "DONE", "REWARD")[int(tb.rng.integers(3))]
        tb.fail_slot(ring, int(tb.rng.integers(32)), (SLVERR, DECERR)[int(tb.rng.integers(2))])
        await tb.submit(tb.stream(await tb.room()))
        # What is not reported may have been fetched already, so memory is repaired and broken only
        # where that makes no difference.
        last, since = tb.taken, tb.time.cycle
        while tb.taken != (tb.tail - tb.scoreboard.first_index) % U32:
            if tb.taken != last:
                last, since = tb.taken, tb.time.cycle
            elif tb.time.cycle - since > _STUCK_CYCLES:
                raise tb.timeout(f"no completion for {_STUCK_CYCLES} cycles")
            await tb.settle()
            status = await tb.read("STATUS")
            if status & BUS_ERROR:
                tb.clear_bus_errors()
                await tb.write("STATUS", BUS_ERROR)
            if status & HALTED:
                await tb.resume()
            await tb.take_all()
        tb.clear_bus_errors()
    await tb.finish()
