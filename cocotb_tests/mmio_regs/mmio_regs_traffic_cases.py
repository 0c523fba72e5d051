# SPDX-License-Identifier: Apache-2.0
"""Counters, resets, and constrained random traffic of the register file."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.tier import sweep

from mmio_regs.core_side import LIVELY, QUIET, Rates
from mmio_regs.register_reference import ENABLE, RESET, RESUME, U32
from mmio_regs.tb_mmio_regs import ALL_ONES, OFFSET, RegistersTestbench
from mmio_regs.traffic import random_accesses

_COUNTERS = [name for name in OFFSET if name.startswith("CNT_")]
_TOKENS = ("CNT_TOKENS_HI", "CNT_TOKENS_LO", "CNT_TOKENS_HI")
_PAIRS = ("CNT_DESCRIPTORS", "CNT_TOKENS_LO", "CNT_TOKENS_HI", "CNT_ERRORS")
"""At 0x50 and 0x58: what a bus makes of two accesses of 64 bits."""
_ACCESSES = 2000
_ROUNDS = 20
"""So often random accesses are drawn at most until they have met all situations; once is usual."""

_SITUATIONS = (
    *("doorbell accepted", "doorbell out of range", "doorbell repeats the tail"),
    *("doorbell while disabled", "write to locked configuration", "CTRL.RESET"),
    "ENABLE accepted",
)


@cocotb.test()
async def test_counters_count_what_the_core_reports(dut: HierarchyObject) -> None:
    """[CNT-001] [RING-005] [REG-050] [REG-054] [REG-05C] [REG-060] [REG-064] One a pulse, and wrap.

    CNT_TOKENS takes every number of tokens that a DECODE can bring, and each bit of a ROLLOUT's.
    """
    tb = RegistersTestbench(dut)
    await tb.start()
    for tokens in (*range(33), *(1 << bit for bit in range(6, 32)), U32 - 1):
        await tb.core.pulse(post_i=1, post_tokens_i=tokens)
        await tb.core.pulse(post_i=1, post_error_i=1)
        await tb.core.pulse(stall_i=1)
        await tb.read_all(_COUNTERS)
        # Consecutive cycles.
        for _ in range(3):
            await tb.core.pulse(post_i=1, post_tokens_i=tokens, stall_i=1)
        await tb.read_all((*_COUNTERS, *_COUNTERS))
    wrapping = dict.fromkeys(("DESCRIPTORS", "ERRORS", "STALL_CYCLES"), U32 - 2)
    tb.preload(**wrapping, BAD_DOORBELLS=U32 - 2, TOKENS=0xFFFF)
    for _ in range(4):
        await tb.core.pulse(post_i=1, post_error_i=1, post_tokens_i=1, stall_i=1)
        await tb.write("DOORBELL", 1)
        await tb.read_all(_COUNTERS)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(start=[U32 - 32, U32 - 1, (5 << 32) - 7, ALL_ONES - 16, ALL_ONES])
async def test_token_counter_is_read_as_one_value(dut: HierarchyObject, start: int) -> None:
    """[CNT-001] [REG-054] [REG-058] The high word is that of the last read of the low word.

    Postings go on in the cycles of the two reads and carry into the high word between them.
    """
    tb = RegistersTestbench(dut)
    await tb.start()
    for lead in range(4):
        tb.preload(TOKENS=start)
        await tb.read_all(_TOKENS)
        reads = cocotb.start_soon(tb.read_all(_TOKENS[:1] * lead + _TOKENS + _TOKENS[:1]))
        for tokens in (0, 1, 31, 32):
            await tb.core.pulse(post_i=1, post_tokens_i=tokens)
        await tb.within(reads, 64, "the reads of the token counter")
        await tb.read_all(_TOKENS)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(start=[U32 - 1, ALL_ONES - 16])
async def test_pairs_of_words_read_the_token_counter_as_one_value(
    dut: HierarchyObject, start: int
) -> None:
    """[DB-008] [CNT-001] The words at 0x50 and 0x54, then those at 0x58 and 0x5C, at once.

    Postings carry into the high word between them. The pair at 0x48 clears the events and sets the
    mask.
    """
    tb = RegistersTestbench(dut)
    await tb.start()
    for lead in range(4):
        tb.preload(TOKENS=start)
        reads = cocotb.start_soon(tb.read_all(_PAIRS[:lead] + _PAIRS))
        for tokens in (0, 1, 31, 32):
            await tb.core.pulse(post_i=1, post_tokens_i=tokens)
        await tb.within(reads, 64, "the reads of the pairs")
    await tb.write("IRQ_STATUS", 7)
    await tb.write("IRQ_MASK", 5)
    await tb.read_all(("IRQ_STATUS", "IRQ_MASK"))
    await tb.finish()


@cocotb.test()
async def test_resume_reaches_the_core(dut: HierarchyObject) -> None:
    """[LIFE-003] [LIFE-004] [REG-008] RESUME is one pulse, reads 0, and RESET suppresses it."""
    tb = RegistersTestbench(dut)
    await tb.start()
    await tb.enable()
    for halted in (1, 0, 1):
        tb.core.level("halted_i", halted)
        for control in (RESUME, ENABLE | RESUME, ENABLE, 0, RESUME | ENABLE):
            await tb.write("CTRL", control)
            await tb.read_all(("CTRL", "STATUS"))
    await tb.write("CTRL", RESUME | RESET | ENABLE)
    await tb.soft_reset_over()
    await tb.read_all()
    await tb.finish()


@cocotb.test()
async def test_status_shows_the_core(dut: HierarchyObject) -> None:
    """[REG-00C] [LIFE-007] RUNNING, HALTED in every combination of ENABLE, busy and halted."""
    tb = RegistersTestbench(dut)
    await tb.start()
    await tb.set_rings(sizes=tb.max_log2)
    for combination in range(16):
        await tb.write("CTRL", ENABLE if combination & 1 else 0)
        tb.core.level("busy_i", combination >> 1 & 1)
        tb.core.level("halted_i", combination >> 2 & 1)
        await tb.read_all(("STATUS", "CTRL", "STATUS"))
    await tb.finish()


@cocotb.test()
@sweep(
    first_index=[0, U32 - 2], others=[0, ENABLE | RESUME, U32 - 1 - RESET], drain_cycles=[0, 1, 9]
)
async def test_soft_reset_brings_the_reset_state(
    dut: HierarchyObject, first_index: int, others: int, drain_cycles: int
) -> None:
    """[LIFE-001] [LIFE-004] [REG-008] [RING-012] Every register; other bits of the write ignored.

    Events of the core in the very cycles of the reset leave no trace, and neither do writes while
    the bus has not come to rest.
    """
    tb = RegistersTestbench(dut, first_index=first_index)
    tb.core.drain_cycles = drain_cycles
    await tb.start()
    for _ in range(4):
        await tb.enable()
        await tb.write("IRQ_MASK", 7)
        await tb.write("DOORBELL", (first_index + 2) % U32)
        await tb.write("DOORBELL", first_index)
        tb.core.level("halted_i", 1)
        await tb.core.pulse(post_i=1, post_tokens_i=9, post_error_i=1, bus_error_i=1)
        await tb.read_all()
        await tb.core.pulse(post_i=1, post_tokens_i=3, stall_i=1, bus_error_i=1)
        reset = cocotb.start_soon(tb.write("CTRL", RESET | others))
        await tb.core.pulse(post_i=1, post_tokens_i=3, post_error_i=1, stall_i=1, bus_error_i=1)
        await reset
        await tb.read_all(("STATUS", "STATUS", "CTRL"))
        if drain_cycles > 1:
            for name in ("CTRL", "IRQ_MASK", "CMD_BASE_LO"):
                await tb.write(name, U32 - 1 - RESET)
        await tb.soft_reset_over()
        await tb.read_all()
    tb.insist("CTRL.RESET")
    if drain_cycles:
        tb.insist("reset waits for the bus")
    if drain_cycles > 1:
        tb.insist("STATUS read in a late reset")
    await tb.finish()


@cocotb.test()
async def test_reset_pin_works_at_any_moment(dut: HierarchyObject) -> None:
    """[LIFE-001] [RING-012] A hard reset in the middle of traffic, to another first index each."""
    tb = RegistersTestbench(dut)
    await tb.start()
    for first_index in (3, U32 - 1, 0x1234_5678):
        traffic = cocotb.start_soon(_traffic(tb, LIVELY, accesses=40))
        await tb.time.cycles(int(tb.rng.integers(20, 38)))
        traffic.cancel()
        tb.registers.abort()
        tb.configure(first_index=first_index)
        await tb.reset()
        tb.core.rates = QUIET
        await tb.reset()
        await tb.read_all()
    await tb.finish()


@cocotb.test()
@sweep(
    first_index=[0, U32 - 40],
    window_last=[ALL_ONES, (1 << 12) - 1],
    busy_core=[False, True],
)
async def test_random_traffic(
    dut: HierarchyObject, first_index: int, window_last: int, busy_core: bool
) -> None:
    """[REG-008] [REG-00C] [REG-010] [REG-014] [REG-018] [REG-048] [DB-002] [DB-004] [IRQ-001]

    Random accesses every cycle against a lively core: every answer and output is the reference's.
    """
    tb = RegistersTestbench(dut, first_index=first_index, window_last=window_last)
    await tb.start()
    rates = Rates(post=0.95, take=0.9, halt=0.01) if busy_core else LIVELY
    for _ in range(_ROUNDS):
        await _traffic(tb, rates, accesses=_ACCESSES)
        if not tb.missing(*_SITUATIONS):
            break
    tb.core.rates = QUIET
    await tb.read_all()
    tb.insist(*_SITUATIONS)
    await tb.finish()


async def _traffic(tb: RegistersTestbench, rates: Rates, *, accesses: int) -> None:
    tb.core.rates = rates
    left = accesses
    while left > 0:
        burst = min(left, int(tb.rng.integers(1, 24)))
        await tb.registers.run(random_accesses(tb, burst))
        left -= burst
        await tb.time.cycles(int(tb.rng.integers(0, 3)))
