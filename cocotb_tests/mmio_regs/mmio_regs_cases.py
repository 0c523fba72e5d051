# SPDX-License-Identifier: Apache-2.0
"""Directed cases of the register file: registers, configuration, doorbell, heads, interrupt.

No case computes what a register must read: the reference of the testbench does, from the pins.
"""

from __future__ import annotations

import itertools

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.register_port import Access
from descring_vip.tier import share, sweep

from mmio_regs.register_reference import (
    ENABLE,
    MODES,
    PUBLISH_TAILS,
    SPLIT_REWARD,
    U32,
)
from mmio_regs.tb_mmio_regs import ADDRESSES, ALL_ONES, OFFSET, RegistersTestbench

_EVENTS = ("STATUS", "IRQ_STATUS", "CNT_BAD_DOORBELLS", "CMD_TAIL")
_NEAR_WRAP = (0, 5, (1 << 31) - 2, U32 - 1, U32 - 3)


def _with(three: tuple[int, int, int], place: int, value: int) -> tuple[int, int, int]:
    """``three`` with ``value`` at ``place``."""
    first, second, third = (value if i == place else old for i, old in enumerate(three))
    return first, second, third


@cocotb.test()
@cocotb.parametrize(first_index=[0, 0x8000_0001, U32 - 1])
async def test_registers_after_reset(dut: HierarchyObject, first_index: int) -> None:
    """[LIFE-001] [RING-012] [HASH-001] [REG-000] [REG-004] [REG-07C] Every register after reset."""
    tb = RegistersTestbench(dut, first_index=first_index)
    await tb.start()
    await tb.read_all()
    await tb.finish()


@cocotb.test()
async def test_every_address_is_read(dut: HierarchyObject) -> None:
    """[DB-004] [REG-010] All 4096 addresses: unknown and unaligned ones and the doorbell read 0."""
    tb = RegistersTestbench(dut, first_index=0x0123_4567)
    await tb.start()
    await tb.enable(also=MODES)
    await tb.write("DOORBELL", 0x0123_4568)
    await tb.write("IRQ_MASK", U32 - 1)
    await tb.core.pulse(post_i=1, post_tokens_i=7, post_error_i=1, stall_i=1)
    await tb.registers.run(Access(address) for address in range(ADDRESSES))
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(enabled=[False, True])
async def test_every_address_is_written(dut: HierarchyObject, enabled: bool) -> None:
    """[DB-004] [DB-002] Writes to unknown, unaligned and read-only addresses change nothing.

    One register is rewritten by its neighbours' bits if an address is decoded too coarsely.
    """
    tb = RegistersTestbench(dut)
    await tb.start()
    if enabled:
        await tb.enable()
    for address in (*range(256), *range(256, ADDRESSES, ADDRESSES // share(ADDRESSES))):
        if address == OFFSET["CTRL"]:
            continue
        value = int(tb.rng.integers(0, U32))
        await tb.write_and_read_back(address, value, every=address < 0x90 or address % 256 == 0)
    await tb.read_all()
    await tb.finish()


@cocotb.test()
async def test_configuration_reads_back(dut: HierarchyObject) -> None:
    """[REG-02C] [REG-030] [REG-034] [REG-038] [REG-03C] [REG-040] [REG-044] [REG-04C] [DB-004]

    What is written is read and reaches the core; bits without a meaning read 0.
    """
    tb = RegistersTestbench(dut)
    await tb.start()
    names = [name for name in OFFSET if "_BASE_" in name] + ["RING_LOG2", "IRQ_MASK"]
    values = [U32 - 1, 0, *(1 << bit for bit in range(32))]
    values += tb.rng.integers(0, U32, 16).tolist()
    for value in values:
        for name in names:
            await tb.write(name, value)
        await tb.read_all(names)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(modes=list(range(0, MODES + 8, 8)))
async def test_first_enable_locks_the_configuration(dut: HierarchyObject, modes: int) -> None:
    """[LIFE-006] [REG-008] Locked while enabled, locked when paused, free again after RESET."""
    tb = RegistersTestbench(dut)
    await tb.start()
    locked = [name for name in OFFSET if "_BASE_" in name] + ["RING_LOG2", "CTRL"]
    # The modes may change as often as they like before the first ENABLE that is not refused.
    await tb.write("CTRL", modes ^ MODES)
    await tb.read_all(locked)
    await tb.enable(also=modes)
    for control in (ENABLE, ENABLE | MODES, ENABLE | modes ^ MODES, modes ^ MODES, 0, ENABLE):
        await tb.write("CTRL", control)
        await tb.set_rings(sizes=(7, 6, 5), bases=(1 << 32, 3 << 33, 5 << 34))
        await tb.read_all(locked)
    await tb.soft_reset()
    await tb.set_rings(sizes=(7, 6, 5), bases=(1 << 32, 3 << 33, 5 << 34))
    await tb.read_all(locked)
    tb.insist("write to locked configuration", "ENABLE accepted", "CTRL.RESET")
    await tb.finish()


@cocotb.test()
@sweep(ring=[0, 1, 2], modes=[0, SPLIT_REWARD])
async def test_ring_sizes_out_of_range_are_refused(
    dut: HierarchyObject, ring: int, modes: int
) -> None:
    """[LIFE-002] [RING-001] [REG-00C] Sizes 0, above the greatest, and with a high bit set.

    The reward ring counts with SPLIT_REWARD only. A refused ENABLE locks nothing and can be asked
    for again.
    """
    tb = RegistersTestbench(dut)
    await tb.start()
    greatest = tb.max_log2[ring]
    for size in (0, 1, greatest, greatest + 1, 16, 17, 32, 33, 64 + 1, 128 + greatest, 255):
        await tb.set_rings(sizes=_with(tb.max_log2, ring, size))
        await tb.try_enable(modes)
    if ring < 2 or modes:
        tb.insist("ENABLE refused", f"{('CMD', 'DONE', 'REWARD')[ring]} size out of range")
    tb.insist("ENABLE accepted")
    await tb.finish()


@cocotb.test()
@sweep(ring=[0, 1, 2], window_last=[(1 << 14) - 1, (1 << 40) + 63, ALL_ONES - 64, ALL_ONES])
async def test_bases_outside_the_window_are_refused(
    dut: HierarchyObject, ring: int, window_last: int
) -> None:
    """[LIFE-002] Misaligned bases, and rings that end one line past the window or past 2^64.

    With PUBLISH_TAILS also rings whose head and tail would lie before the window.

    With rings on chip no base is looked at.
    """
    tb = RegistersTestbench(dut, window_last=window_last)
    await tb.start()
    for size in sorted({1, 2, tb.max_log2[ring]} & set(range(1, tb.max_log2[ring] + 1))):
        sizes = _with((1, 1, 1), ring, size)
        fits = (window_last + 1 - (64 << size)) // 64 * 64
        misaligned = [1 << bit for bit in range(6)]
        around = [fits + step for step in (-64, 0, 1, 32, 64, 128, 1 << 20)]
        before = (0, 64, 128, 192)
        for base in (*misaligned, *before, *around, (1 << 64) - 64, (1 << 63), (1 << 32) - 128):
            if not 0 <= base < 1 << 64:
                continue
            bases = _with((256, 256, 256), ring, base)
            await tb.set_rings(sizes=sizes, bases=bases)
            for modes in (0, SPLIT_REWARD, PUBLISH_TAILS, SPLIT_REWARD | PUBLISH_TAILS):
                await tb.try_enable(modes, restore=(sizes, bases))
    tb.insist("ENABLE accepted")
    if not tb.on_chip:
        name = ("CMD", "DONE", "REWARD")[ring]
        tb.insist(f"{name} base not aligned", f"{name} ring outside the window")
        tb.insist(f"{name} words outside the window")
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(first_index=list(_NEAR_WRAP))
async def test_doorbell_legality(dut: HierarchyObject, first_index: int) -> None:
    """[DB-002] [DB-003] [RING-002] [REG-010] [REG-018] [REG-064] [REG-014] Doorbells at every edge.

    From every fill of the ring: behind, repeated, one on, to the last free slot, one too many, and
    half the number range away.
    """
    tb = RegistersTestbench(dut, first_index=first_index)
    await tb.start()
    size_log2 = min(2, tb.max_log2[0])
    size = 1 << size_log2
    await tb.enable(sizes=(size_log2, 1, 1))
    head = first_index
    for fill in [*range(size + 1), 1, 0, size]:
        # The core answers up to the tail; then as much is published as the ring is to hold.
        head = tb.tail()
        tb.core.level("cmd_head_i", head)
        await tb.write("DOORBELL", (head + fill) % U32)
        illegal = (-1, -2, -size, size + 1, size + 2, 2 * size + 1, 1 << 16, 1 << 31, -(1 << 30))
        for step in (*illegal, fill - 1 if fill else size + 1):
            await tb.write("DOORBELL", (head + step) % U32)
            await tb.read_all(_EVENTS)
            await tb.write("STATUS", U32 - 1)
            await tb.write("DOORBELL", tb.tail())
            await tb.read_all(_EVENTS)
        if fill < size:
            for step in range(fill, size + 1):
                await tb.write("DOORBELL", (head + step) % U32)
                await tb.read_all(_EVENTS)
    tb.insist("doorbell accepted", "doorbell out of range", "doorbell repeats the tail")
    tb.insist("doorbell fills the ring")
    if first_index > U32 - size:
        tb.insist("doorbell across 2^32")
    await tb.finish()


@cocotb.test()
async def test_greatest_ring_is_filled(dut: HierarchyObject) -> None:
    """[RING-001] [DB-002] All slots of the greatest ring can be published, and not one more."""
    tb = RegistersTestbench(dut)
    await tb.start()
    await tb.enable()
    slots = 1 << tb.max_log2[0]
    for tail in (slots + 1, slots - 1, slots, slots + 1, 2 * slots):
        await tb.write("DOORBELL", tail)
        await tb.read_all(_EVENTS)
    tb.core.level("cmd_head_i", 1)
    for tail in (slots + 2, slots + 1):
        await tb.write("DOORBELL", tail)
        await tb.read_all(_EVENTS)
    tb.insist("doorbell fills the ring", "doorbell out of range")
    await tb.finish()


@cocotb.test()
async def test_doorbell_while_disabled(dut: HierarchyObject) -> None:
    """[DB-006] [LIFE-007] Before ENABLE, paused, and again enabled; halted ones are accepted."""
    tb = RegistersTestbench(dut, first_index=7)
    await tb.start()
    await tb.set_rings(sizes=tb.max_log2)
    for control, halted in itertools.product((0, ENABLE, 0, ENABLE), (0, 1)):
        await tb.write("CTRL", control)
        tb.core.level("halted_i", halted)
        for step in (0, 1, -1, 0):
            await tb.write("DOORBELL", (tb.tail() + step) % U32)
            await tb.read_all((*_EVENTS, "CTRL"))
        tb.core.level("cmd_head_i", tb.tail())
    tb.insist("doorbell while disabled", "doorbell repeats the tail", "doorbell accepted")
    await tb.finish()


@cocotb.test()
@sweep(ring=["DONE", "REWARD"], first_index=list(_NEAR_WRAP))
async def test_consumer_head_moves_up_to_the_tail(
    dut: HierarchyObject, ring: str, first_index: int
) -> None:
    """[RING-010] [RING-002] [RING-003] [REG-01C] [REG-020] [REG-024] [REG-028] Heads of the host.

    With rings on chip the register shows the lines taken, and ignores writes.
    """
    tb = RegistersTestbench(dut, first_index=first_index)
    await tb.start()
    names = (f"{ring}_HEAD", f"{ring}_TAIL")
    head = first_index
    for occupied in (0, 1, 4, 2, 1 << 16):
        tail = (head + occupied) % U32
        tb.core.level(f"{ring.lower()}_tail_i", tail)
        illegal = (-1, -5, occupied + 1, occupied + 2, 1 << 31)
        for step in (*illegal, 0, occupied // 2, occupied // 2 - 1, occupied):
            await tb.write(f"{ring}_HEAD", (head + step) % U32)
            if tb.on_chip and step == occupied:
                tb.core.level(f"{ring.lower()}_head_i", tail)
            await tb.read_all(names)
        head = tail
    if not tb.on_chip:
        tb.insist(f"{ring}_HEAD moved", f"{ring}_HEAD kept")
    await tb.finish()


@cocotb.test()
async def test_interrupt_follows_status_and_mask(dut: HierarchyObject) -> None:
    """[IRQ-001] [REG-048] [REG-04C] Each event sets its bit; only a masked-in bit raises irq_o."""
    tb = RegistersTestbench(dut)
    await tb.start()
    for mask in range(8):
        await tb.write("IRQ_MASK", mask)
        for event in ("announce_i", "bus_error_i", "halted_i", "BAD_DOORBELL", "BAD_CONFIG"):
            if event == "halted_i":
                tb.core.level(event, 1)
            elif event == "BAD_DOORBELL":
                await tb.write("DOORBELL", 1)
            elif event == "BAD_CONFIG":
                await tb.set_rings(sizes=(0, 0, 0))
                await tb.write("CTRL", ENABLE)
            else:
                await tb.core.pulse(**{event: 1})
            await tb.read_all(("IRQ_STATUS", "STATUS", "IRQ_STATUS"))
            # A level that stays is no second event, and clearing other bits clears nothing.
            for clear in (0, 1, 2, 4, 7):
                await tb.write("IRQ_STATUS", clear)
                await tb.read_all(("IRQ_STATUS", "IRQ_MASK"))
            await tb.write("STATUS", U32 - 1)
            tb.core.level("halted_i", 0)
    await tb.finish()


@cocotb.test()
async def test_error_is_an_event_while_its_bit_is_set(dut: HierarchyObject) -> None:
    """[IRQ-001] [REG-048] Each refused ENABLE, ignored doorbell and bus error."""
    tb = RegistersTestbench(dut)
    await tb.start()
    await tb.write("IRQ_MASK", 4)
    await tb.set_rings(sizes=(0, 0, 0))
    for event in ("BAD_CONFIG", "BAD_DOORBELL", "bus_error_i"):
        for _ in range(3):
            if event == "BAD_CONFIG":
                await tb.write("CTRL", ENABLE)
            elif event == "BAD_DOORBELL":
                await tb.write("DOORBELL", 1)
            else:
                await tb.core.pulse(bus_error_i=1)
            await tb.read_all(("IRQ_STATUS", "STATUS"))
            await tb.write("IRQ_STATUS", 4)
            await tb.read_all(("IRQ_STATUS", "STATUS"))
    tb.insist("ENABLE refused", "doorbell while disabled")
    await tb.finish()


@cocotb.test()
async def test_error_bits_are_cleared_one_by_one(dut: HierarchyObject) -> None:
    """[REG-00C] [DB-004] Writing 1 clears that error bit alone; state bits ignore writes."""
    tb = RegistersTestbench(dut)
    await tb.start()
    await tb.set_rings(sizes=(0, 0, 0))
    for clear in (*(1 << bit for bit in range(32)), 0, 0x300, 0x600, 0x500, 0xFFFF_F8FF):
        await tb.write("CTRL", ENABLE)
        await tb.write("DOORBELL", 3)
        await tb.core.pulse(bus_error_i=1)
        await tb.read_all(("STATUS",))
        await tb.write("STATUS", clear)
        await tb.read_all(("STATUS", "CTRL"))
    tb.insist("ENABLE refused", "doorbell while disabled")
    await tb.finish()


@cocotb.test()
async def test_event_wins_over_its_clearing(dut: HierarchyObject) -> None:
    """[IRQ-001] [REG-00C] [REG-048] An event in the cycle of its clearing leaves the bit set."""
    tb = RegistersTestbench(dut)
    await tb.start()
    for already_set in (False, True):
        for register in ("STATUS", "IRQ_STATUS"):
            for event in ("bus_error_i", "announce_i", "halted_i"):
                if already_set and event != "halted_i":
                    await tb.core.pulse(**{event: 1})
                if event == "halted_i":
                    await tb.core.pulse(stall_i=0)
                    tb.core.level(event, 1)
                else:
                    await tb.core.pulse(**{event: 1})
                await tb.write(register, U32 - 1)
                await tb.read_all(("STATUS", "IRQ_STATUS"))
                tb.core.level("halted_i", 0)
                await tb.write("STATUS", U32 - 1)
                await tb.write("IRQ_STATUS", U32 - 1)
                await tb.read_all(("STATUS", "IRQ_STATUS"))
    tb.insist("STATUS event meets its clearing", "IRQ event meets its clearing")
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(drain=[0, 9])
async def test_reset_from_any_state(dut: HierarchyObject, drain: int) -> None:
    """[LIFE-004] [LIFE-001] [CNT-001] [IRQ-001] Nothing is left of heads, errors and counters.

    The high word of the tokens is captured before and read after, without another capture.
    """
    tb = RegistersTestbench(dut, first_index=11)
    tb.core.drain_cycles = drain
    await tb.start()
    await tb.set_rings(sizes=(0, 0, 0))
    await tb.write("CTRL", ENABLE)
    await tb.enable(also=MODES)
    await tb.write("IRQ_MASK", 7)
    await tb.write("DOORBELL", 13)
    await tb.write("DOORBELL", 9)
    for ring in ("done", "reward"):
        tb.core.level(f"{ring}_tail_i", 15)
        await tb.write(f"{ring.upper()}_HEAD", 13)
    for _ in range(2):
        most = {"post_tokens_i": U32 - 1, "stall_i": 1, "announce_i": 1, "bus_error_i": 1}
        await tb.core.pulse(post_i=1, post_error_i=1, **most)
    tb.core.level("halted_i", 1)
    await tb.read_all(tuple(OFFSET))
    await tb.soft_reset()
    await tb.read_all(tuple(reversed(OFFSET)))
    await tb.enable()
    await tb.read_all(tuple(reversed(OFFSET)))
    tb.insist("ENABLE refused", "doorbell out of range", "CTRL.RESET")
    if drain:
        tb.insist("reset waits for the bus")
    await tb.finish()
