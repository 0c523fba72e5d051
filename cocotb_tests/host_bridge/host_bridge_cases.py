# SPDX-License-Identifier: Apache-2.0
"""Synchronous host programs that drive the device from inside a case."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_host import CommandQueue
from descring_model import Lines, contract, streams
from descring_vip.bridged_device import BridgedDevice

from host_bridge.tb_host_bridge import BridgeTestbench

_IRQ_MASK = contract.REGISTER["IRQ_MASK"].offset
_DONE_TAIL = contract.REGISTER["DONE_TAIL"].offset


@cocotb.test()
async def test_a_host_program_gets_the_models_bytes(dut: HierarchyObject) -> None:
    """[DEC-005] [RING-007] A queue on the live device: a stream, resumed across boundaries."""
    tb = BridgeTestbench(dut)
    await tb.start()
    lines = streams.generate(60, seed=int(tb.rng.integers(1 << 30)), profile="decode")

    def program(device: BridgedDevice) -> tuple[Lines, Lines]:
        with CommandQueue(device, cmd_slots=16, timeout_s=600.0) as queue:
            first = queue.exchange(lines)
            return first, queue.resume(first[:8])

    first, last = await tb.device.run(program)
    tb.compare_exchange(lines, first)
    tb.compare_resumed(first[:8], last)
    tb.finish()


@cocotb.test()
async def test_a_host_program_steps_the_device_cycle_by_cycle(dut: HierarchyObject) -> None:
    """[RING-013] [DB-005] The completion is in memory before DONE_TAIL says so, never after."""
    tb = BridgeTestbench(dut)
    await tb.start()
    lines = streams.generate(1, seed=3, profile="one-token")

    def program(device: BridgedDevice) -> tuple[int, int, Lines]:
        with CommandQueue(device, cmd_slots=16, timeout_s=600.0) as queue:
            queue.submit(lines)
            slot = device.memory[queue.geometry.done_base :][: contract.DESC_BYTES]
            began = device.cycle
            while not slot.any():
                assert device.read32(_DONE_TAIL) == 0
                device.step()
                assert device.cycle - began < 1000
            visible = device.cycle
            while device.read32(_DONE_TAIL) == 0:
                device.step()
                assert device.cycle - visible < 1000
            return visible - began, device.cycle - visible, queue.poll()

    to_memory, to_register, completions = await tb.device.run(program)
    assert to_memory > 4, "a fetch, a token and a write take more"
    assert to_register > 0
    tb.compare_exchange(lines, completions)
    tb.finish()


@cocotb.test()
async def test_unaligned_registers_are_unknown(dut: HierarchyObject) -> None:
    """[DB-004] An address that is not a multiple of 4 reads 0 and ignores writes."""
    tb = BridgeTestbench(dut)
    await tb.start()

    def program(device: BridgedDevice) -> None:
        for offset in (1, 2, 3, 0x7FD, 0xFFF, 0x1000):
            tb.identity.check(f"register {offset:#x}", expected=0, actual=device.read32(offset))
        for offset in (1, 2, 3):
            device.write32(_IRQ_MASK + offset, 7)
        tb.identity.check("IRQ_MASK", expected=0, actual=device.read32(_IRQ_MASK))

    await tb.device.run(program)
    tb.finish()


@cocotb.test()
async def test_an_error_in_the_program_is_the_cases_own(dut: HierarchyObject) -> None:
    """[DB-001] An exception crosses from the program's thread into the case."""
    tb = BridgeTestbench(dut)
    await tb.start()

    def program(device: BridgedDevice) -> None:
        tb.identity.check("ID", expected=contract.DEVICE_ID, actual=device.read32(0))
        raise LookupError("of the program")

    try:
        await tb.device.run(program)
    except LookupError as error:
        assert str(error) == "of the program"
    else:
        raise AssertionError("the program's exception was lost")
    tb.finish()
