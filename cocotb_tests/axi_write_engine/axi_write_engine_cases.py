# SPDX-License-Identifier: Apache-2.0
"""Cases of ``axi_write_engine``."""

from __future__ import annotations

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_vip.axi.memory import DECERR, SLVERR, Latency
from descring_vip.axi.upper_parts import upper_parts
from descring_vip.handles import parameter
from descring_vip.stream.lines import LINE_BYTES
from descring_vip.stream.patterns import FOREVER, Idle, Ready, streaming
from descring_vip.tier import sweep

from axi_write_engine.tb_axi_write_engine import WORD_BYTES, EngineTestbench

_PAGE_BITS = 12


@cocotb.test()
@streaming
async def test_requests_are_written_in_order(
    dut: HierarchyObject, idle: Idle, ready: Ready
) -> None:
    """[RING-004] [DESC-015] Bursts and words, each with its own data and one response."""
    tb = EngineTestbench(dut, idle=idle, ready=ready, latency=Latency(1, 25))
    await tb.start()
    tb.request_any(40, longest=8)
    await tb.all_written()
    await tb.finish()


@cocotb.test()
async def test_longest_bursts(dut: HierarchyObject) -> None:
    """[DESC-015] 64 lines, a whole page, beside bursts of one line."""
    tb = EngineTestbench(dut)
    await tb.start()
    for lines in (64, 1, 63, 64):
        tb.request(64, lines)
    await tb.all_written()
    beats = [burst.beats for burst in tb.bus.writes]
    expected = [lines * tb.line_beats for lines in (64, 1, 63, 64)]
    tb.values.check("whether beats differ", expected=0, actual=int(beats != expected))
    await tb.finish()


@cocotb.test()
async def test_memory_at_any_address(dut: HierarchyObject) -> None:
    """[RING-004] [DESC-015] All bits of an address, also of a request that is stalled for long."""
    tb = EngineTestbench(dut, ready=Ready.BURSTS)
    await tb.start()
    for page in upper_parts(tb.rng, 64 - _PAGE_BITS):
        tb.move(page << _PAGE_BITS)
        tb.request_any(16, longest=4)
        await tb.all_written()
    await tb.finish()


@cocotb.test()
async def test_word_leaves_the_rest_of_its_line(dut: HierarchyObject) -> None:
    """[RING-004] Four bytes at the start of the line are written, and no other."""
    tb = EngineTestbench(dut)
    before = tb.memory.copy()
    await tb.start()
    for line in (0, 7, 63):
        tb.request_word(line)
    tb.request(100, 1)  # so that lines are compared too
    await tb.all_written()
    changed = np.flatnonzero(tb.memory != before)
    stray = [at for at in changed if at % LINE_BYTES >= WORD_BYTES and at // LINE_BYTES != 100]
    tb.values.check("bytes written beside the words", expected=0, actual=len(stray))
    words = sum(burst.beats for burst in tb.bus.writes[:3])
    tb.values.check("beats of the three words", expected=3, actual=words)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(held=["aw", "w", "b", "lines"])
async def test_requests_in_flight_are_bounded(dut: HierarchyObject, held: str) -> None:
    """[LIFE-004] MaxOutstanding requests and no more, whichever channel stalls; idle_o is low.

    With stalled requests one waits at the port, since the next is accepted as it leaves.
    """
    tb = EngineTestbench(dut)
    limit = parameter(dut, "MaxOutstanding")
    late = held == "lines"
    await tb.start()
    if not late:
        tb.bus.pause(**{held: iter([(0, 300), (FOREVER, 0)])})
    for _ in range(limit + 5):
        tb.request(int(tb.rng.integers(256)), 1, late=late)
    await tb.time.cycles(200)
    expected = 1 if held == "aw" else limit
    tb.values.check("requests accepted", expected=expected, actual=tb.accepted)
    tb.values.check("responses", expected=0, actual=tb.responses)
    tb.values.check("idle_o", expected=0, actual=int(tb.idle))
    if late:
        tb.release()
    await tb.all_written()
    await tb.finish()


@cocotb.test()
async def test_every_cycle_has_its_beat(dut: HierarchyObject) -> None:
    """[DESC-015] Bursts back to back keep the write data channel busy."""
    tb = EngineTestbench(dut)
    await tb.start()
    begin = tb.time.cycle
    for number in range(12):
        tb.request(8 * number, 8)
    await tb.all_written()
    spent = tb.time.cycle - begin
    beats = 12 * 8 * tb.line_beats
    tb.values.check("whether it took too long", expected=0, actual=int(spent > beats + 80))
    await tb.finish()


@cocotb.test()
@sweep(response=[SLVERR, DECERR], word=[False, True])
async def test_error_is_that_of_its_request(
    dut: HierarchyObject, response: int, word: bool
) -> None:
    """[LIFE-005] The response to the failed request has the error, the others do not."""
    tb = EngineTestbench(dut, latency=Latency(1, 9))
    await tb.start()
    # Bursts of four lines at 0, 8, 16 ...; words in the lines behind each.
    bad = 12 if word else 9
    tb.bus.faults.ranges.append((bad * LINE_BYTES, bad * LINE_BYTES + 1, response))
    for number in range(4):
        tb.request(8 * number, 4)
        tb.request_word(8 * number + 4)
    await tb.all_written()
    tb.values.check("errors", expected=1, actual=tb.errors)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(moment=[0, 3, 7, 12])
async def test_reset_drops_what_is_in_flight(dut: HierarchyObject, moment: int) -> None:
    """[LIFE-001] After reset the first request is written as ever."""
    tb = EngineTestbench(dut, latency=Latency(8, 8))
    await tb.start()
    tb.request_any(10, longest=4)
    await tb.time.cycles(moment)
    await tb.reset()
    tb.request_any(10, longest=4)
    await tb.all_written()
    await tb.finish()
