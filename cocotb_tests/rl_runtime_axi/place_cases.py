# SPDX-License-Identifier: Apache-2.0
"""Rings and their words at every alignment, across pages and powers of two; the greatest ring."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_model import contract, line_bytes
from descring_vip.axi.memory import Latency
from descring_vip.tier import QUICK, share
from mmio_regs.register_reference import PUBLISH_TAILS, SPLIT_REWARD, U32

from rl_runtime_axi.layout import Layout
from rl_runtime_axi.tb_rl_runtime_axi import ShellTestbench

_LINE = contract.DESC_BYTES
_PAGE_LINES = 64
_MODES = SPLIT_REWARD | PUBLISH_TAILS
_GREATEST = contract.RING_LOG2_MAX


async def _both_rings(tb: ShellTestbench, count: int) -> None:
    """Serve lines that end in both completion rings, in turn, and compare the words."""
    lines = tb.decodes(
        [1 + n % 3 for n in range(count)], to_reward=[n % 2 > 0 for n in range(count)]
    )
    await tb.serve(lines)
    await tb.settle()


@cocotb.test()
@cocotb.parametrize(part=[0, 1])
async def test_rings_at_every_alignment(dut: HierarchyObject, part: int) -> None:
    """[RING-001] [RING-004] [RING-013] [LIFE-002] Slot 0 at each line of a page, for all rings.

    The head and tail words before it, and the slots behind it, then lie in the next page or not.
    """
    layout = Layout(cmd=3, done=3, reward=2, skew=0)
    tb = ShellTestbench(dut, layout=layout, latency=Latency(1, 6))
    await tb.start()
    # The words of a ring that begins a page, or is one line into it, lie in the page before.
    always = (_PAGE_LINES - 2, _PAGE_LINES - 1)
    others = [skew for skew in range(_PAGE_LINES) if skew % 2 == part and skew not in always]
    tb.rng.shuffle(others)
    for skew in (always[part], *others[: 2 if QUICK else None]):
        await tb.renew(layout, origin=(1 << 20) + _LINE * skew, first_index=U32 - 3)
        await tb.enable(_MODES)
        await _both_rings(tb, 10)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(ring=["CMD", "DONE", "REWARD"])
async def test_ring_across_a_power_of_two(dut: HierarchyObject, ring: str) -> None:
    """[RING-001] [RING-004] [RING-013] Carries and borrows of an address go as far as they must.

    The power lies between the words, between them and slot 0, and in the middle of the slots.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=3, done=3, reward=3), latency=Latency(1, 6))
    await tb.start()
    for power in (32, 40, 48)[: share(3)]:
        for slots in (-1, 0, 5):
            origin = (1 << power) - tb.places[ring].base - _LINE * slots
            await tb.renew(tb.layout, origin=origin)
            await tb.enable(_MODES)
            await _both_rings(tb, 20)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(first_index=[0, U32 - (1 << 15)])
async def test_greatest_ring_is_published_at_once(dut: HierarchyObject, first_index: int) -> None:
    """[RING-001] [RING-002] [DB-001] [DB-002] One doorbell for all of 65536 slots.

    The first of them complete in order; the rest would only take long.
    """
    layout = Layout(cmd=_GREATEST, done=6, reward=1, skew=0)
    tb = ShellTestbench(dut, first_index=first_index, layout=layout)
    await tb.start()
    await tb.enable()
    place = tb.places["CMD"]
    rows = line_bytes(tb.stream(place.slots, "nop"))
    start = first_index % place.slots
    for at, part in ((start, rows[: place.slots - start]), (0, rows[place.slots - start :])):
        if len(part):
            tb.scoreboard.store(place.base + _LINE * at, part.tobytes())
    tb.tail = (tb.tail + place.slots) % U32
    await tb.ring()
    await tb.take_until(2 * tb.places["DONE"].slots)
    await tb.finish()
