# SPDX-License-Identifier: Apache-2.0
"""How many lines a cycle the device retires when nothing but the memory's latency holds it back.

``DESCRING_THROUGHPUT`` names a file for the figures, and ``DESCRING_THROUGHPUT_LATENCIES`` the
latencies to measure with.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.axi.memory import Latency, Written
from descring_vip.tier import sweep
from mmio_regs.register_reference import PUBLISH_TAILS

from rl_runtime_axi.layout import Layout
from rl_runtime_axi.tb_rl_runtime_axi import ShellTestbench

REPORT_ENV = "DESCRING_THROUGHPUT"
LATENCIES_ENV = "DESCRING_THROUGHPUT_LATENCIES"
_LOG2 = 8
_LEAST = 0.5
"""Lines of one token a cycle that 8 workers owe at a latency of 20 cycles."""
_MOST_ALONE = 17
"""Cycles that a line alone may take beyond a cycle a token and the memory's latency."""


@cocotb.test()
@sweep(publish=[0, PUBLISH_TAILS], tokens=[1, 8])
async def test_stream_is_retired_at_the_memorys_pace(
    dut: HierarchyObject, publish: int, tokens: int
) -> None:
    """[RING-007] [RING-006] [RING-013] One doorbell for a full ring of DECODE lines; then one line.

    From the first line that is written to the last; 8 workers and 1 token at a latency of 20 owe
    half a line a cycle. The line alone counts from its doorbell on.
    """
    report = os.environ.get(REPORT_ENV)
    latencies = os.environ.get(LATENCIES_ENV, "20").split(",")
    tb = ShellTestbench(dut, layout=Layout(_LOG2, _LOG2, 1, skew=0))
    cycles: list[int] = []
    tb.bus.on_write = lambda beat: _note(tb, beat, cycles)
    await tb.start()
    figures = []
    for latency in map(int, latencies):
        tb.bus.read_latency = tb.bus.write_latency = Latency(latency, latency)
        await tb.renew(tb.layout)
        cycles.clear()
        await tb.enable(publish)
        count = tb.places["CMD"].slots
        tb.place_lines(tb.decodes([tokens] * count))
        begin = tb.time.cycle
        await tb.ring()
        while len(cycles) < count:
            await tb.time.cycles(50)
            if tb.time.cycle - begin > 60 * count:
                raise tb.timeout(f"{len(cycles)} of {count} completions were written")
        whole = cycles[-1] - begin
        await tb.settle()
        await tb.take_all()
        # The lines of a burst count when its last beat is there: those of the first, at the start.
        rate = (count - tb.bus.writes[0].lines) / (cycles[-1] - cycles[0])
        bursts = len(tb.bus.writes)
        alone = await _alone(tb, tokens, cycles)
        figures.append(
            {"latency": latency, "publish": bool(publish), "tokens": tokens, "lines": count}
            | {"lines_a_cycle": rate, "with_start": count / whole, "bursts": bursts}
            | {"alone": alone}
        )
        # Who asks for figures asks for those of other parameters too.
        if not report and tokens == 1 and rate < _LEAST:
            raise tb.scoreboard.writes.fail(f"{rate:.3f} lines a cycle, expected {_LEAST}")
        if not report and alone > (most := _MOST_ALONE + tokens + latency):
            raise tb.scoreboard.writes.fail(f"{alone} cycles for a line alone, expected {most}")
    if report:
        with Path(report).open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in figures)
    await tb.finish()


async def _alone(tb: ShellTestbench, tokens: int, cycles: list[int]) -> int:
    """Cycles of a line on an idle device, from its doorbell to its completion on the bus."""
    cycles.clear()
    begin = tb.time.cycle
    await tb.submit(tb.decodes([tokens]))
    await tb.until(lambda: bool(cycles), 2000, "the completion of a line alone")
    taken = cycles[0] - begin
    await tb.settle()
    await tb.take_all()
    return taken


def _note(tb: ShellTestbench, beat: Written, cycles: list[int]) -> None:
    tb.scoreboard.written(beat)
    if beat.strobes.bit_length() > 32:
        cycles.append(tb.time.cycle)
