# SPDX-License-Identifier: Apache-2.0
"""Doorbells, ring sizes, wraps, full rings, and the indices in memory."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.axi.memory import Latency
from descring_vip.handles import is_high
from descring_vip.tier import sweep
from mmio_regs.register_reference import (
    BAD_DOORBELL,
    IRQ_COMPLETION,
    PUBLISH_TAILS,
    REQUIRE_CHECKED,
    SPLIT_REWARD,
    U32,
)

from rl_runtime_axi.layout import Layout
from rl_runtime_axi.tb_rl_runtime_axi import ShellTestbench

_GREATEST = 16
_QUARTER = U32 // 4


@cocotb.test()
@cocotb.parametrize(log2=list(range(1, _GREATEST + 1)))
async def test_rings_of_every_size_wrap(dut: HierarchyObject, log2: int) -> None:
    """[RING-001] [RING-002] [RING-012] [REG-02C] From 2 to 65536 slots, each ring past its end.

    The first index lies shortly before a multiple of all sizes, which is also the wrap of 2^32.
    """
    layout = Layout(cmd=log2, done=log2, reward=max(1, log2 - 1), skew=log2 % 5)
    tb = ShellTestbench(dut, first_index=U32 - 21, layout=layout, latency=Latency(2, 9))
    await tb.start()
    await tb.enable(SPLIT_REWARD | REQUIRE_CHECKED * (log2 % 2))
    await tb.serve(tb.stream(tb.share(80, least=30), "checked" if log2 % 2 else "mixed"))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(sizes=[(1, 6, 3), (6, 1, 3), (6, 3, 1), (9, 2, 7)])
async def test_rings_of_unlike_sizes(dut: HierarchyObject, sizes: tuple[int, int, int]) -> None:
    """[RING-001] [RING-005] [RING-008] [REG-02C] [REG-030] [REG-038] [REG-040] Each its own."""
    tb = ShellTestbench(dut, layout=Layout(*sizes, skew=60), latency=Latency(2, 9))
    await tb.start()
    await tb.enable(SPLIT_REWARD)
    await tb.serve(tb.stream(tb.share(150), "decode"))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(latency=[2, 40])
async def test_lines_without_doorbell_never_run(dut: HierarchyObject, latency: int) -> None:
    """[DB-001] [DB-003] Nothing beyond the published tail is read; one doorbell covers many.

    Behind a STOP the device may read published lines twice: ahead of the halt and after RESUME. So
    the slots that were read count, and how often they were only where nothing halted.
    """
    tb = ShellTestbench(dut, latency=Latency(latency, latency))
    await tb.start()
    await tb.enable()
    tb.place_lines(tb.stream(11))
    await tb.settle()
    halts = 0
    for count in (1, 4, 4, 11):
        await tb.ring(count)
        halts += await tb.serve_halts()
        await tb.settle()
        slots = [slot for burst in tb.bus.reads for slot in tb.places["CMD"].slots_of(burst)]
        published = list(range(count))
        tb.scoreboard.registers.check(
            f"whether {slots} are the published slots, from 0 to {count - 1}",
            expected=1,
            actual=int((sorted(set(slots)) if halts else slots) == published),
        )
    await tb.take_all()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(first_index=[0, U32 - 7])
async def test_illegal_doorbells_lose_nothing(dut: HierarchyObject, first_index: int) -> None:
    """[DB-002] [DB-006] [REG-064] Behind, too far, half the number range away; under load."""
    tb = ShellTestbench(dut, first_index=first_index, layout=Layout(done=6))
    await tb.start()
    await tb.write("DOORBELL", (first_index + 1) % U32)
    await tb.enable()
    for _ in range(tb.share(6, least=2)):
        tb.place_lines(tb.stream(await tb.room(), "decode"))
        await tb.ring()
        for tail in (tb.tail - 1, tb.tail - 5, tb.tail + _QUARTER, tb.tail - _QUARTER):
            await tb.write("DOORBELL", tail % U32)
        await tb.write("DOORBELL", (tb.tail + tb.places["CMD"].slots + 1) % U32)
        await tb.settle()
        await tb.take_all()
    await tb.write("STATUS", BAD_DOORBELL)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(modes=[0, SPLIT_REWARD, SPLIT_REWARD | PUBLISH_TAILS])
async def test_done_ring_is_full_then_drained(dut: HierarchyObject, modes: int) -> None:
    """[RING-005] [RING-010] [RING-009] [REG-060] Nothing is overwritten, and nothing lost.

    The host gives slots back one by one, and later all at once.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=6, done=2, reward=2))
    await tb.start()
    await tb.enable(modes)
    await tb.submit(tb.stream(60, "decode"))
    await tb.settle()
    tb.scoreboard.registers.check(
        "whether any stalled", expected=1, actual=int(await tb.read("CNT_STALL_CYCLES") > 0)
    )
    for limit in (1, 1, 2, 1, 3, None):
        await tb.take("DONE", limit)
        await tb.settle()
        if modes:
            await tb.take("REWARD", limit)
            await tb.settle()
    await tb.take_until(60)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(full=["DONE", "REWARD"])
async def test_full_ring_holds_back_the_other(dut: HierarchyObject, full: str) -> None:
    """[RING-008] [RING-010] A completion without room holds back those of the other ring."""
    sizes = {"DONE": Layout(cmd=6, done=1, reward=5), "REWARD": Layout(cmd=6, done=5, reward=1)}
    tb = ShellTestbench(dut, layout=sizes[full])
    await tb.start()
    await tb.enable(SPLIT_REWARD)
    other = "REWARD" if full == "DONE" else "DONE"
    await tb.submit(
        tb.decodes([1] * 3 + [2] * 9, to_reward=[full == "REWARD"] * 3 + [full == "DONE"] * 9)
    )
    await tb.settle()
    tb.scoreboard.registers.check("taken", expected=0, actual=await tb.take(other))
    await tb.take(full, 1)
    await tb.settle()
    tb.scoreboard.registers.check("taken", expected=9, actual=await tb.take(other))
    await tb.take(full)
    await tb.finish()


@cocotb.test()
async def test_no_stall_where_there_is_room(dut: HierarchyObject) -> None:
    """[RING-005] [REG-060] A memory that answers late is no completion that waits for room."""
    tb = ShellTestbench(dut, layout=Layout(cmd=6, done=6), latency=Latency(40, 40))
    await tb.start()
    await tb.enable()
    await tb.submit(tb.stream(60, "decode"))
    await tb.settle()
    tb.scoreboard.registers.check("stalls", expected=0, actual=await tb.read("CNT_STALL_CYCLES"))
    await tb.take_all()
    await tb.finish()


@cocotb.test()
@sweep(ring=["DONE", "REWARD"], first_index=[0, U32 - 3])
async def test_illegal_heads_are_ignored(dut: HierarchyObject, ring: str, first_index: int) -> None:
    """[RING-010] [REG-020] [REG-028] Behind the head, beyond the tail; slots stay taken."""
    tb = ShellTestbench(dut, first_index=first_index, layout=Layout(cmd=5, done=3, reward=3))
    await tb.start()
    await tb.enable(SPLIT_REWARD)
    await tb.submit(tb.decodes([1] * 12, to_reward=ring == "REWARD"))
    await tb.settle()
    head = first_index
    for legal in (0, 3, 8):
        for step in (-1, 9, 1 << 31, -(1 << 30)):
            await tb.write(f"{ring}_HEAD", (head + step) % U32)
            await tb.settle()
        head = (first_index + legal) % U32
        tb.heads[ring] = head
        await tb.write(f"{ring}_HEAD", head)
        await tb.settle()
    await tb.take(ring)
    await tb.finish()


@cocotb.test()
@sweep(write_late=[False, True], latency=[2, 25], split=[0, SPLIT_REWARD])
async def test_host_that_polls_memory(
    dut: HierarchyObject, write_late: bool, latency: int, split: int
) -> None:
    """[RING-013] [RING-004] [RING-009] A host that reads no register to see completions and room.

    The scoreboard compares every completion that a word in memory announces, at that very moment.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=4, done=3, reward=3), latency=Latency(2, latency))
    tb.bus.write_late = write_late
    await tb.start()
    await tb.enable(split | PUBLISH_TAILS)
    lines, placed = tb.stream(tb.share(120), "decode"), 0
    start = tb.time.cycle
    while tb.taken < len(lines):
        room = tb.places["CMD"].slots - (tb.tail - tb.word("CMD", "head")) % U32
        tb.place_lines(lines[placed : placed + room])
        placed = min(placed + room, len(lines))
        if tb.published != tb.tail:
            await tb.ring()
        for ring in ("DONE", "REWARD") if split else ("DONE",):
            tail = tb.word(ring, "tail")
            if tail != tb.heads[ring]:
                tb.taken += (tail - tb.heads[ring]) % U32
                tb.heads[ring] = tail
                await tb.write(f"{ring}_HEAD", tail)
        await tb.time.cycles(int(tb.rng.integers(1, 20)))
        if tb.time.cycle - start > 30_000:
            raise tb.timeout(f"{tb.taken} taken")
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(publish=[0, PUBLISH_TAILS])
async def test_interrupt_comes_after_the_words(dut: HierarchyObject, publish: int) -> None:
    """[RING-013] [IRQ-001] [REG-048] [REG-04C] Who is woken finds what it was woken for."""
    tb = ShellTestbench(dut, layout=Layout(done=6), latency=Latency(15, 15))
    await tb.start()
    await tb.enable(publish)
    await tb.write("IRQ_MASK", IRQ_COMPLETION)
    for number in range(1, tb.share(6, least=3)):
        await tb.submit(tb.stream(1, "decode"))
        await tb.until(lambda: is_high(tb.irq), 400, "the interrupt")
        for name, ring, which in (("DONE_TAIL", "DONE", "tail"), ("CMD_HEAD", "CMD", "head")):
            shown = tb.word(ring, which) if publish else await tb.read(name)
            tb.scoreboard.registers.check(name, expected=number, actual=shown)
        await tb.settle()
        await tb.write("IRQ_STATUS", IRQ_COMPLETION)
        await tb.settle()
    await tb.take_all()
    await tb.finish()
