# SPDX-License-Identifier: Apache-2.0
"""Cases of ``comp_writer``."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_model import contract
from descring_model.lines import INDEX_MODULUS
from descring_vip.axi.memory import DECERR, SLVERR, Latency
from descring_vip.axi.upper_parts import upper_parts
from descring_vip.handles import parameter
from descring_vip.stream.lines import LINE_BYTES
from descring_vip.stream.patterns import FOREVER, Idle, Ready, streaming
from descring_vip.tier import sweep

from comp_writer.tb_comp_writer import WriterTestbench


@cocotb.test()
@streaming
async def test_posted_is_what_memory_answered(
    dut: HierarchyObject, idle: Idle, ready: Ready
) -> None:
    """[RING-001] [RING-002] [RING-005] [RING-008] [RING-009] [CNT-001] In order, in two rings.

    Data reach the memory with the response only, so what is posted earlier is found out.
    """
    tb = WriterTestbench(
        dut, first_index=INDEX_MODULUS - 20, idle=idle, ready=ready, latency=Latency(1, 25)
    )
    await tb.start()
    tb.send(120)
    await tb.all_posted()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(reward=[0.0, 1.0])
async def test_full_ring_stalls(dut: HierarchyObject, reward: float) -> None:
    """[RING-005] [RING-008] [RING-001] All slots, and not one more, until the host gives back."""
    tb = WriterTestbench(dut, log2=(3, 2))
    tb.takes = False
    await tb.start()
    tb.send(20, reward=reward)
    await tb.time.cycles(200)
    tb.values.check("posted", expected=4 if reward else 8, actual=tb.posted)
    tb.values.check("whether it stalls", expected=1, actual=int(tb.stalls > 0))
    tb.takes = True
    await tb.all_posted()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ring=["done", "reward"])
async def test_greatest_ring_is_filled(dut: HierarchyObject, ring: str) -> None:
    """[RING-005] [RING-001] [RING-002] All 65536 slots, and not one more; across 2^32.

    The host's head starts so far behind that only the last slots are free.
    """
    free, size = 6, contract.RING_LOG2_MAX
    tb = WriterTestbench(dut, log2=(size, size), first_index=INDEX_MODULUS - 3)
    tb.takes = False
    tb.take_up_to(ring, (INDEX_MODULUS - 3 + free - (1 << size)) % INDEX_MODULUS)
    await tb.start()
    tb.send(free + 4, reward=float(ring == "reward"))
    await tb.time.cycles(200)
    tb.values.check("posted", expected=free, actual=tb.posted)
    tb.values.check("whether it stalls", expected=1, actual=int(tb.stalls > 0))
    tb.takes = True
    await tb.all_posted()
    await tb.finish()


@cocotb.test()
@sweep(held=["w", "b"], reward=[0.0, 0.5])
async def test_full_buffer_holds_back(dut: HierarchyObject, held: str, reward: float) -> None:
    """[RING-006] [RING-009] As many lines as have a place, and not one more, till memory answers.

    For a long while memory takes no data, or gives no responses. Where the rings take turns, bursts
    are so short that their number is the limit.
    """
    tb = WriterTestbench(dut, log2=(7, 6))
    tb.bus.pause(**{held: iter([(0, 400)])})
    await tb.start()
    tb.send(200, reward=reward)
    await tb.time.cycles(300)
    places = min(parameter(dut, "Depth"), tb.slots["done"])
    if reward:
        tb.values.check("whether too many", expected=0, actual=int(tb.unposted > places))
    else:
        tb.values.check("taken, not posted", expected=places, actual=tb.unposted)
    tb.values.check("whether it takes more", expected=0, actual=int(tb.level("ready_o")))
    tb.bus.pause(**{held: None})
    await tb.all_posted()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(log2=[1, 5, 7])
async def test_bursts_are_legal_and_long(dut: HierarchyObject, log2: int) -> None:
    """[RING-001] [RING-007] Back-to-back completions go in long bursts inside page and ring."""
    tb = WriterTestbench(dut, log2=(log2, 1), latency=Latency(20, 20))
    await tb.start()
    tb.send(100, reward=0.0)
    await tb.all_posted()
    longest = max(burst.lines for burst in tb.bus.writes)
    limit = parameter(dut, "MaxBurst")
    if tb.slots["done"] >= 2 * limit:
        tb.values.check("longest burst", expected=limit, actual=longest)
    for burst in tb.bus.writes:
        one_page = burst.address // 4096 == (burst.address + 64 * burst.lines - 1) // 4096
        tb.values.check(f"whether {burst} is legal", expected=1, actual=int(one_page))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ring=["done", "reward"])
async def test_ring_where_addresses_carry(dut: HierarchyObject, ring: str) -> None:
    """[RING-001] [RING-008] The bits of an index that choose a slot carry into all bits above."""
    tb = WriterTestbench(dut, log2=(4, 4))
    await tb.start()
    slot_bits = contract.RING_LOG2_MAX + LINE_BYTES.bit_length() - 1
    for upper in upper_parts(tb.rng, 64 - slot_bits):
        await tb.move(ring, upper << slot_bits)
        tb.send(16, reward=float(ring == "reward"))
        await tb.all_posted()
    await tb.finish()


@cocotb.test()
async def test_whole_bursts_follow_each_other(dut: HierarchyObject) -> None:
    """[RING-001] A burst that cannot grow is closed although others wait for the bus.

    Memory takes no request for a long while; then it takes one in each cycle.
    """
    tb = WriterTestbench(dut, log2=(7, 1))
    tb.bus.pause(aw=iter([(0, 400), (FOREVER, 0)]))
    # The ring begins three lines before the end of a page.
    longest = parameter(dut, "MaxBurst")
    lengths = [min(3, longest), longest, min(longest, tb.slots["done"] - 3 - longest)]
    if sum(lengths) > parameter(dut, "Depth"):
        lengths = lengths[:1]
    await tb.start()
    tb.send(sum(lengths), reward=0.0)
    await tb.all_posted()
    actual = [burst.lines for burst in tb.bus.writes]
    tb.values.check("whether bursts differ", expected=0, actual=int(actual != lengths))
    first = tb.requests[0]
    late = [cycle - first - at for at, cycle in enumerate(tb.requests)]
    tb.values.check("cycles without a request", expected=0, actual=max(late))
    await tb.finish()


@cocotb.test()
@sweep(response=[SLVERR, DECERR], place=[0, 3, 9])
async def test_error_names_one_completion(dut: HierarchyObject, response: int, place: int) -> None:
    """[RING-009] [CNT-001] Lines before the error are posted; none behind it until it is cleared.

    In a burst the lines are written again one by one until the very one has failed.
    """
    tb = WriterTestbench(dut, latency=Latency(6, 6))
    await _fails_at(tb, place, response, lines=14)


@cocotb.test()
async def test_error_ends_the_longest_burst(dut: HierarchyObject) -> None:
    """[RING-009] [CNT-001] At the end of a page, of which all lines wait until memory takes them.

    All of its burst but the last line are posted one by one.
    """
    tb = WriterTestbench(dut, log2=(7, 1))
    tb.bus.pause(aw=iter([(0, 300), (FOREVER, 0)]))
    page_ends = (at for at in range(80) if tb.slot("done", at).stop % 4096 == 0)
    place = max(page_ends)
    await _fails_at(tb, place, SLVERR, lines=80)
    writes = tb.bus.writes
    end = tb.slot("done", place).stop
    failed = next(at for at, w in enumerate(writes) if w.address + LINE_BYTES * w.lines == end)
    burst = writes[failed]
    before = range(burst.address, end - LINE_BYTES)
    again = [w.lines for w in writes[failed + 1 :] if w.address in before]
    tb.values.check("lines written alone", expected=burst.lines - 1, actual=again.count(1))
    tb.values.check("writes of these lines", expected=burst.lines - 1, actual=len(again))
    if parameter(dut, "Depth") > parameter(dut, "MaxBurst"):
        limit = parameter(dut, "MaxBurst")
        tb.values.check("lines of the burst that fails", expected=limit, actual=burst.lines)


async def _fails_at(tb: WriterTestbench, place: int, response: int, *, lines: int) -> None:
    """Send ``lines``, of which the one at ``place`` gets ``response`` until it is named."""
    at = tb.slot("done", place)
    tb.bus.faults.ranges.append((at.start, at.stop, response))
    await tb.start()
    tb.send(lines, reward=0.0)
    final = False
    for _ in range(4):
        await tb.until(lambda: tb.level("failed_o"), 4_000, "failed_o")
        final = tb.level("fatal_o")
        dropped = [*await tb.start_over()]
        missing = lines - tb.posted - len(dropped)
        for item in dropped:
            tb.offer(item)
        if missing:
            tb.send(missing, reward=0.0)
        if final:
            break
    tb.values.check("whether an error is final", expected=1, actual=int(final))
    tb.values.check("posted before the error", expected=place, actual=tb.posted)
    tb.bus.faults.ranges.clear()
    await tb.all_posted()
    tb.values.check("posted in all", expected=lines, actual=tb.posted)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(place=[2, 6, 10, 14])
async def test_answers_that_come_together(dut: HierarchyObject, place: int) -> None:
    """[RING-009] [CNT-001] An error right behind good answers, whose lines are still to be posted.

    They are posted all the same, and do not count as the lines that are written again.
    """
    tb = WriterTestbench(dut, log2=(5, 1))
    tb.bus.pause(b=iter([(0, 150), (FOREVER, 0)]))
    at = tb.slot("done", place)
    tb.bus.faults.ranges.append((at.start, at.stop, SLVERR))
    await tb.start()
    tb.send(16, reward=0.0)
    await tb.until(lambda: tb.level("failed_o"), 4_000, "failed_o")
    tb.bus.faults.ranges.clear()
    told = 0 if tb.level("fatal_o") else 1
    for item in await tb.start_over():
        tb.offer(item)
    missing = 16 - tb.posted - tb.source.queued
    if missing:
        tb.send(missing, reward=0.0)
    await tb.all_posted()
    tb.values.check("posted in all", expected=16, actual=tb.posted)
    tb.values.check("errors told of without a halt", expected=told, actual=tb.repairs)
    await tb.finish()
