# SPDX-License-Identifier: Apache-2.0
"""Cases of ``axil_slave``."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.stream.patterns import Idle, Ready, streaming

from axil_slave.tb_axil_slave import AxilSlaveTestbench

_ACCESSES = 60


@cocotb.test()
@streaming
async def test_reads_and_writes_at_once(dut: HierarchyObject, idle: Idle, ready: Ready) -> None:
    """[DB-004] [DB-007] Each is made once, and answered with its own data, OKAY.

    Address and data come in any order; writes of some bytes reach no register.
    """
    tb = AxilSlaveTestbench(dut, idle=idle, ready=ready)
    await tb.start()

    async def writes() -> None:
        for _ in range(_ACCESSES):
            address, value, strobes = tb.rng.integers((1 << 12, 1 << 32, 24)).tolist()
            await tb.write(address, value, min(strobes, 15))

    async def reads() -> None:
        for _ in range(_ACCESSES):
            await tb.read(int(tb.rng.integers(1 << 12)))

    both = [cocotb.start_soon(writes()), cocotb.start_soon(reads())]
    for task in both:
        await tb.within(task, 40_000, "all accesses")
    await tb.finish()


@cocotb.test()
async def test_write_response_follows_the_write(dut: HierarchyObject) -> None:
    """[DB-004] Back to back: nothing is lost where one access follows the other at once."""
    tb = AxilSlaveTestbench(dut)
    await tb.start()
    for number in range(_ACCESSES):
        await tb.write(4 * number, number)
        await tb.read(4 * number)
    await tb.finish()


@cocotb.test()
@cocotb.parametrize(paused=[False, True])
async def test_reads_are_asked_ahead(dut: HierarchyObject, paused: bool) -> None:
    """[DB-004] A master that does not wait for answers gets each of them, in order."""
    tb = AxilSlaveTestbench(dut)
    await tb.start()
    await tb.read_ahead([4 * number for number in range(_ACCESSES)], paused=paused)
    await tb.finish()


@cocotb.test()
async def test_read_does_not_wait_for_writes_without_end(dut: HierarchyObject) -> None:
    """[DB-004] A master that does not wait for write responses gets its read in between."""
    tb = AxilSlaveTestbench(dut)
    await tb.start()
    await tb.read_among_writes(200, 0x10)
    await tb.finish()
