# SPDX-License-Identifier: Apache-2.0
"""A write of CTRL in each cycle around an event inside the device."""

from __future__ import annotations

import cocotb
from cocotb.handle import HierarchyObject
from descring_vip.axi.memory import SLVERR, Latency
from descring_vip.handles import is_high, parameter
from descring_vip.tier import share, sweep
from mmio_regs.register_reference import (
    BUS_ERROR,
    ENABLE,
    HALTED,
    IRQ_ERROR,
    IRQ_HALTED,
    PUBLISH_TAILS,
    RESUME,
    RUNNING,
)
from rl_runtime_mmio.device_scoreboard import OFFSET

from rl_runtime_axi.layout import Layout
from rl_runtime_axi.tb_rl_runtime_axi import ShellTestbench

_AROUND = 8
"""Cycles on either side of an event: longer than a register access takes to reach the registers."""
_LONG = 600


async def _cycles_to_interrupt(tb: ShellTestbench) -> int:
    """Cycles until the interrupt, which must come."""
    start = tb.time.cycle
    await tb.until(lambda: is_high(tb.irq), _LONG, "the interrupt")
    return tb.time.cycle - start


async def _rest(tb: ShellTestbench) -> None:
    """Compare everything, then forget the events and give all slots back."""
    await tb.settle()
    await tb.write("IRQ_STATUS", 7)
    await tb.write("STATUS", BUS_ERROR)
    await tb.take_all()


@cocotb.test()
@cocotb.parametrize((("halt", "publish"), [("stop", 0), ("stop", PUBLISH_TAILS), ("error", 0)]))
async def test_resume_at_every_cycle_of_a_halt(
    dut: HierarchyObject, halt: str, publish: int
) -> None:
    """[LIFE-003] [LIFE-005] [IRQ-001] Without HALTED, RESUME has no effect; with it, it has.

    Whichever it is, the halt is told, and a RESUME one cycle later has an effect if this one had.
    """
    tb = ShellTestbench(dut, layout=Layout(done=6))
    await tb.start()
    await tb.enable(publish, irq_mask=IRQ_HALTED)

    async def begin() -> None:
        """Halt at the last line: what a RESUME sets going the model may only learn of later."""
        lines = tb.decodes([1] * 2)
        if halt == "stop":
            lines[1] = tb.stops(1)[0]
            await tb.submit(lines)
        else:
            before = tb.bus.faults.met
            tb.fail_slot("CMD", tb.tail + 1)
            await tb.submit(lines)
            await tb.until(lambda: tb.bus.faults.met > before, _LONG, "the error")
            tb.clear_bus_errors()

    await begin()
    duration = await _cycles_to_interrupt(tb)
    await tb.resume()
    await _rest(tb)
    effects = []
    # A write takes a few cycles to the register.
    for wait in range(duration - share(_AROUND, 6), duration + share(_AROUND) - 2):
        await begin()
        await tb.time.cycles(wait)
        tb.scoreboard.untold = 0
        await tb.write("CTRL", ENABLE | RESUME | tb.modes)
        await tb.quiet()
        halted = bool(await tb.host.read(OFFSET["STATUS"]) & HALTED)
        told = bool(await tb.host.read(OFFSET["IRQ_STATUS"]) & IRQ_HALTED)
        tb.scoreboard.registers.check("the event of the halt", expected=1, actual=int(told))
        if tb.scoreboard.untold and not halted:
            tb.scoreboard.tell_resume()
        tb.scoreboard.untold = None
        effects.append(not halted)
        if halted:
            await tb.resume()
        await _rest(tb)
    tb.scoreboard.registers.check(
        f"whether {effects} is no effect, then an effect",
        expected=1,
        actual=int(effects == sorted(effects) and set(effects) == {False, True}),
    )
    await tb.finish()


@cocotb.test()
@sweep(latency=[2, 20], publish=[0, PUBLISH_TAILS])
async def test_pause_at_every_cycle_of_a_stop(
    dut: HierarchyObject, latency: int, publish: int
) -> None:
    """[LIFE-007] [LIFE-003] [IRQ-001] A STOP that was accepted halts, though the device is paused.

    One that was not is untouched, and halts after the pause.
    """
    tb = ShellTestbench(dut, layout=Layout(done=6), latency=Latency(latency, latency))
    await tb.start()
    await tb.enable(publish, irq_mask=IRQ_HALTED)
    duration = wait = 0
    while wait <= duration + _AROUND:
        stop = (tb.tail + 1) % (1 << 32)
        lines = tb.decodes([2] * 3)
        lines[1] = tb.stops(1)[0]
        await tb.submit(lines)
        if not duration:
            duration = await _cycles_to_interrupt(tb)
        else:
            await tb.time.cycles(wait)
            wait += 1 + duration // share(32)
            await tb.write("CTRL", 0)
            while (status := await tb.host.read(OFFSET["STATUS"])) & RUNNING:
                pass
            passed = await tb.host.read(OFFSET["CMD_HEAD"]) == (stop + 1) % (1 << 32)
            tb.scoreboard.registers.check(
                "HALTED, which a completed STOP sets",
                expected=int(passed),
                actual=int(bool(status & HALTED)),
            )
            await tb.write("CTRL", ENABLE)
        await tb.settle()
        await tb.resume()
        await _rest(tb)
    await tb.finish()


@cocotb.test()
@sweep(publish=[0, PUBLISH_TAILS])
async def test_reset_at_every_cycle_of_a_retry(dut: HierarchyObject, publish: int) -> None:
    """[LIFE-004] [LIFE-005] [LIFE-001] An error that CTRL.RESET meets has no effect behind READY.

    The burst that fails is written again line by line; the reset comes in each cycle of that.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=5, done=5, skew=0), latency=Latency(4, 4))
    await tb.start()
    longest = min(parameter(dut, "WriteBurst"), parameter(dut, "WriteDepth") // 2)
    for wait in range(0, 40, 8 // share(4)):
        await tb.enable(publish)
        tb.scoreboard.exact = False
        tb.bus.faults.next_write = (longest, SLVERR)
        tb.gather_writes(24)
        await tb.submit(tb.decodes([1] * 24))
        await tb.until(lambda: tb.bus.faults.next_write is None, _LONG, "the error")
        await tb.time.cycles(wait)
        await tb.soft_reset()
        await tb.settle()
        await tb.enable(publish, irq_mask=IRQ_ERROR)
        await tb.submit(tb.decodes([1] * 2 * longest))
        await tb.settle()
        await tb.soft_reset()
    await tb.finish()


@cocotb.test()
@sweep(publish=[0, PUBLISH_TAILS])
async def test_stop_is_written_again_before_it_halts(dut: HierarchyObject, publish: int) -> None:
    """[LIFE-005] [LIFE-003] [RING-009] A failed burst with a STOP is no completed STOP.

    The device goes on with the lines of the burst, one by one, and halts behind the last.
    """
    tb = ShellTestbench(dut, layout=Layout(cmd=5, done=5, skew=0), latency=Latency(20, 20))
    await tb.start()
    await tb.enable(publish, irq_mask=IRQ_HALTED)
    tb.scoreboard.exact = False
    met = 0
    # From a burst of two on: a line at the port, one that waits, and two that gather.
    for count in range(4, 14, 4 // share(4)):
        lines = tb.decodes([1] * count)
        lines[-1] = tb.stops(1)[0]
        at = tb.places["DONE"].slot((tb.tail + count - 1) % (1 << 32)).start
        tb.bus.faults.next_write_at = (at, SLVERR)
        tb.gather_writes(count)
        await tb.submit(lines)
        await tb.until_status(HALTED, HALTED)
        # Where the STOP is in a burst of its own nothing fails.
        if tb.bus.faults.next_write_at is None:
            met += 1
            tb.scoreboard.model.repaired_write()
        tb.bus.faults.next_write_at = None
        await tb.settle()
        await tb.resume()
        await _rest(tb)
    tb.scoreboard.registers.check("whether any met an error", expected=1, actual=int(met > 0))
    await tb.finish()
