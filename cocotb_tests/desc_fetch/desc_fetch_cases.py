# SPDX-License-Identifier: Apache-2.0
"""Cases of ``desc_fetch``."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_model import contract
from descring_model.lines import INDEX_MODULUS
from descring_vip.axi.memory import DECERR, SLVERR, Latency
from descring_vip.axi.upper_parts import upper_parts
from descring_vip.handles import parameter
from descring_vip.stream.lines import LINE_BYTES
from descring_vip.stream.patterns import Idle, Ready, streaming
from descring_vip.tier import sweep

from desc_fetch.tb_desc_fetch import FetchTestbench

_BEGUN = 40
"""Lines that show that reads have begun and go on: more than two of the longest bursts."""


@cocotb.test()
@streaming
async def test_published_lines_come_in_order(
    dut: HierarchyObject, idle: Idle, ready: Ready
) -> None:
    """[DB-001] [RING-001] [RING-002] Through the end of the ring and the wrap of the indices."""
    tb = FetchTestbench(
        dut, first_index=INDEX_MODULUS - 40, idle=idle, ready=ready, latency=Latency(1, 25)
    )
    await tb.start()
    await tb.run()
    for _ in range(12):
        tb.publish(int(tb.rng.integers(0, tb.slots - (tb.tail - tb.next) % INDEX_MODULUS + 1)))
        await tb.time.cycles(int(tb.rng.integers(1, 60)))
    await tb.served()
    tb.check_bursts(parameter(dut, "MaxBurst"))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(log2=[1, 2, 3, 6, 9])
async def test_rings_of_any_size(dut: HierarchyObject, log2: int) -> None:
    """[RING-001] [DB-001] Whole rings at once: bursts end at pages and at the ring's end."""
    tb = FetchTestbench(dut, log2=log2, first_index=3, latency=Latency(10, 10))
    await tb.start()
    await tb.run()
    for _ in range(2):
        tb.publish(tb.slots)
        await tb.served()
    tb.check_bursts(parameter(dut, "MaxBurst"))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(first_index=[0, INDEX_MODULUS - 7])
async def test_each_power_of_two_by_one_doorbell(dut: HierarchyObject, first_index: int) -> None:
    """[RING-001] [RING-002] [DB-001] From one line to all slots of the greatest ring, at once.

    The reads begin, and go on; the rest is left out, by a restart at the tail.
    """
    tb = FetchTestbench(dut, log2=contract.RING_LOG2_MAX, first_index=first_index)
    await tb.start()
    await tb.run()
    for power in range(contract.RING_LOG2_MAX + 1):
        count = 1 << power
        begun = (tb.tail + min(count, _BEGUN)) % INDEX_MODULUS
        tb.publish(count)
        await tb.handed_over(begun)
        await tb.restart(tb.tail)
    tb.check_bursts(parameter(dut, "MaxBurst"))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(log2=[4, 7])
async def test_bursts_are_as_long_as_they_can_be(dut: HierarchyObject, log2: int) -> None:
    """[RING-001] [DB-001] Lines of one doorbell take no more reads than page and ring make of them.

    Their number is each small one, and those about the longest burst and its multiples.
    """
    tb = FetchTestbench(dut, log2=log2, first_index=INDEX_MODULUS - 9)
    longest = parameter(dut, "MaxBurst")
    await tb.start()
    await tb.run()
    near = {longest * times + more for times in (1, 2) for more in (-1, 0, 1)}
    for count in sorted({*range(1, 9), *near, tb.slots}):
        if not 1 <= count <= tb.slots:
            continue
        before, first = len(tb.bus.reads), tb.tail
        tb.publish(count)
        await tb.served()
        expected = [*tb.fewest(first, count, longest)]
        actual = [burst.lines for burst in tb.bus.reads[before:]]
        tb.bursts.check(
            f"whether {count} lines from {first} came in bursts of {expected}, not {actual}",
            expected=1,
            actual=int(actual == expected),
        )
    await tb.finish()


@cocotb.test()
async def test_ring_where_addresses_carry(dut: HierarchyObject) -> None:
    """[RING-001] The bits of an index that choose a slot carry into all bits above."""
    tb = FetchTestbench(dut)
    await tb.start()
    await tb.run()
    slot_bits = contract.RING_LOG2_MAX + LINE_BYTES.bit_length() - 1
    for upper in upper_parts(tb.rng, 64 - slot_bits):
        await tb.move(upper << slot_bits)
        tb.publish(tb.slots)
        await tb.served()
    await tb.finish()


@cocotb.test()
@sweep(response=[SLVERR, DECERR], place=[0, 1, 6])
async def test_failed_line_stops_at_its_place(
    dut: HierarchyObject, response: int, place: int
) -> None:
    """[DB-001] A line with an error response is never handed over, and none behind it is.

    After a restart from there it is read again.
    """
    tb = FetchTestbench(dut, first_index=30, latency=Latency(1, 12))
    # In one beat of the line, where the bus is narrower.
    at = tb.slot(30 + place).start + 16 * (place % 4)
    tb.bus.faults.ranges.append((at, at + 1, response))
    await tb.start()
    await tb.run()
    tb.publish(12)
    await tb.failed_at(30 + place)
    await tb.restart(30 + place)
    await tb.failed_at(30 + place)
    tb.bus.faults.ranges.clear()
    await tb.restart(30 + place)
    await tb.served()
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(latency=[1, 30])
async def test_restart_at_any_moment(dut: HierarchyObject, latency: int) -> None:
    """[DB-001] What was fetched ahead is dropped, also what is still on its way."""
    tb = FetchTestbench(dut, latency=Latency(latency, latency))
    await tb.start()
    await tb.run()
    for moment in range(0, 40, 3):
        tb.publish(tb.slots - (tb.tail - tb.next) % INDEX_MODULUS)
        await tb.time.cycles(moment)
        await tb.restart(tb.next)
    await tb.served()
    await tb.finish()
