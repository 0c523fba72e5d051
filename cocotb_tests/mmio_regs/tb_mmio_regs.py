# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``mmio_regs``: every pin, every cycle, against :class:`RegisterReference`."""

from __future__ import annotations

from collections.abc import Iterable

from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from descring_model import contract
from descring_vip.handles import is_high, parameter, read_int, signal
from descring_vip.register_port import Access, RegisterMaster
from descring_vip.scoreboard import ValueChecker
from descring_vip.testbench import Testbench

from mmio_regs.core_side import CoreSide
from mmio_regs.register_reference import (
    ENABLE,
    READY,
    RESET,
    RESET_TIMEOUT,
    U32,
    Pins,
    RegisterReference,
)

_RINGS = ("cmd", "done", "reward")
_OUTPUTS = (
    *("reg_rvalid_o", "reg_rdata_o", "soft_reset_o", "irq_o"),
    *("enable_o", "resume_o", "require_checked_o", "split_reward_o", "publish_tails_o"),
    *("cmd_tail_o", "done_head_o", "reward_head_o"),
    *(f"{ring}_{what}_o" for ring in _RINGS for what in ("log2", "base")),
)
_COUNTERS = {
    "DESCRIPTORS": "descriptors_q",
    "TOKENS": "tokens_q",
    "ERRORS": "errors_q",
    "STALL_CYCLES": "stall_cycles_q",
    "BAD_DOORBELLS": "bad_doorbells_q",
}
OFFSET = contract.OFFSET
ADDRESSES = 1 << 12
ALL_ONES = (1 << 64) - 1


class RegistersTestbench(Testbench):
    """Register port on one side, the core's pins on the other, the reference fed from the pins.

    Attributes:
        core: the core's side of the design.
        registers: the master of the register port.
        reference: what the pins must show.
        on_chip: parameter OnChip of the design.
        max_log2: the greatest sizes of command, done and reward ring.
    """

    def __init__(
        self, dut: HierarchyObject, *, first_index: int = 0, window_last: int = ALL_ONES
    ) -> None:
        super().__init__(dut, outputs=_OUTPUTS)
        cmd, done, reward = (parameter(dut, f"Max{ring.capitalize()}Log2") for ring in _RINGS)
        self.on_chip = bool(parameter(dut, "OnChip"))
        self.max_log2 = (cmd, done, reward)
        self.reference = RegisterReference(max_log2=self.max_log2, on_chip=self.on_chip)
        self.registers = RegisterMaster(
            dut, self.time, rest=0 if self.on_chip else RegisterReference.STAGES
        )
        self.core = CoreSide(dut, self.time, self.rng, on_chip=self.on_chip)
        self._answers = self.add_checker(ValueChecker("answers", self.time.context))
        self._levels = self.add_checker(ValueChecker("outputs", self.time.context))
        self._pins = [signal(dut, name) for name in Pins._fields]
        self._outputs = {name: signal(dut, name) for name in _OUTPUTS}
        self._counters = {name: signal(dut, inner) for name, inner in _COUNTERS.items()}
        self._window_last = signal(dut, "window_last_i")
        self._first_index = signal(dut, "first_index_i")
        self.configure(first_index=first_index, window_last=window_last)
        self._resume_owed = self._asked_before = False
        self.add_task(self._watch())

    def configure(self, *, first_index: int = 0, window_last: int = ALL_ONES) -> None:
        """Set what a product ties off; to be called before a reset."""
        self._first_index.value = first_index
        self._window_last.value = window_last

    async def write(self, name: str, value: int) -> None:
        """Write the register called ``name``."""
        await self.registers.write(OFFSET[name], value)

    async def read(self, name: str) -> int:
        """Read the register called ``name``; the pin monitor compares the answer."""
        return await self.registers.read(OFFSET[name])

    async def read_all(self, names: Iterable[str] = OFFSET) -> None:
        """Read these registers in consecutive cycles; the pin monitor compares the answers."""
        await self.registers.run([Access(OFFSET[name]) for name in names])

    async def set_rings(
        self,
        *,
        sizes: tuple[int, int, int] = (1, 1, 1),
        bases: tuple[int, int, int] = (256, 256, 256),
    ) -> None:
        """Write RING_LOG2 and the bases, of command, done and reward ring."""
        log2 = sum(size << 8 * number for number, size in enumerate(sizes))
        accesses = [Access(OFFSET["RING_LOG2"], log2)]
        for ring, base in zip(_RINGS, bases, strict=True):
            name = f"{ring.upper()}_BASE"
            accesses.append(Access(OFFSET[f"{name}_LO"], base % U32))
            accesses.append(Access(OFFSET[f"{name}_HI"], base // U32))
        await self.registers.run(accesses)

    async def enable(self, *, sizes: tuple[int, int, int] | None = None, also: int = 0) -> None:
        """Start the device with legal rings, the greatest unless said; ``also``: bits of CTRL."""
        await self.set_rings(sizes=sizes or self.max_log2)
        await self.write("CTRL", ENABLE | also)

    async def soft_reset(self) -> None:
        """CTRL.RESET; returns when it is over."""
        await self.write("CTRL", RESET)
        await self.soft_reset_over()

    async def soft_reset_over(self) -> None:
        """Wait for the end of CTRL.RESET."""
        await self.until(lambda: not self.reference.resetting, 64, "the end of CTRL.RESET")

    async def try_enable(
        self,
        modes: int,
        *,
        restore: tuple[tuple[int, int, int], tuple[int, int, int]] | None = None,
    ) -> None:
        """Ask for ENABLE, look at what came of it, and be ready to ask again.

        ``restore`` are the sizes and bases to write again where ENABLE was accepted, which takes a
        reset to undo.
        """
        await self.write("CTRL", ENABLE | modes)
        await self.read_all(("STATUS", "IRQ_STATUS"))
        if await self.read("CTRL") & ENABLE:
            await self.soft_reset()
            if restore is not None:
                await self.set_rings(sizes=restore[0], bases=restore[1])
        else:
            await self.write("STATUS", U32 - 1)
            await self.write("IRQ_STATUS", U32 - 1)

    async def write_and_read_back(self, address: int, value: int, *, every: bool) -> None:
        """Write any address, then read it, or ``every`` register."""
        await self.registers.write(address, value)
        if every:
            await self.read_all()
        else:
            await self.registers.read(address)

    def preload(self, **counters: int) -> None:
        """Set counters, in the design and in the reference: nobody can wait for 2^64 tokens.

        The names are those of the reference; the pins must be quiet.
        """
        for name, value in counters.items():
            self._counters[name].value = value
            self.reference.counters[name] = value

    def tail(self) -> int:
        """The accepted tail, as the design shows it to the core: stimulus wants to be near it."""
        return read_int(self._outputs["cmd_tail_o"])

    def missing(self, *situations: str) -> list[str]:
        """Those of ``situations`` that the reference has not met in this case."""
        return [name for name in situations if not self.reference.seen[name]]

    def insist(self, *situations: str) -> None:
        """Fail unless the reference has met each of ``situations`` in this case."""
        if missing := self.missing(*situations):
            raise AssertionError(
                f"the case never met: {', '.join(missing)}; it met {dict(self.reference.seen)} "
                f"({self.time.context()})"
            )

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        self.core.stop()

    def conclude(self, cycles: int) -> None:
        """As the base, and no RESUME may be left over."""
        if self._resume_owed:
            raise AssertionError(f"a RESUME never reached the core ({self.time.context()})")
        super().conclude(cycles)

    # ------------------------------------------------------------------ the pin monitor

    async def _watch(self) -> None:
        edge = RisingEdge(self.time.clock)
        reading: tuple[int, int | None, int] | None = None
        while True:
            await edge
            if not is_high(self.time.reset_n):
                self.reference.reset(read_int(self._first_index))
                reading = None
                self._resume_owed = self._asked_before = False
                continue
            pins = Pins(*(read_int(handle) for handle in self._pins))
            self._check_outputs()
            if not self.reference.resetting:
                self._check_resume(pins)
            if reading is None:
                self._check_no_answer()
            else:
                self._check_answer(*reading)
            is_read = pins.reg_valid_i and not pins.reg_write_i
            # In a reset no other register has a defined value, nor have other bits of STATUS.
            defined = READY | RESET_TIMEOUT if self.reference.resetting else U32 - 1
            answer = self.reference.cycle(pins)
            reading = (pins.reg_addr_i, answer, defined) if is_read else None

    def _check_outputs(self) -> None:
        for name, expected in self.reference.outputs().items():
            actual = read_int(self._outputs[name])
            if actual != expected:
                self._levels.check(name, expected=expected, actual=actual)
        self._levels.matched += 1

    def _check_no_answer(self) -> None:
        if is_high(self._outputs["reg_rvalid_o"]) or read_int(self._outputs["reg_rdata_o"]):
            raise self._answers.fail(
                f"an answer without a read: reg_rvalid_o={self._outputs['reg_rvalid_o'].value}, "
                f"reg_rdata_o={self._outputs['reg_rdata_o'].value}"
            )

    def _check_answer(self, address: int, expected: int | None, defined: int) -> None:
        what = f"register 0x{address:03x}"
        if not is_high(self._outputs["reg_rvalid_o"]):
            raise self._answers.fail(f"{what} was read and not answered in the next cycle")
        actual = read_int(self._outputs["reg_rdata_o"])
        if expected is not None:
            self._answers.check(what, expected=expected, actual=actual & defined)

    def _check_resume(self, pins: Pins) -> None:
        """One pulse for each RESUME while halted, in the cycle of the write or in the next.

        Without HALTED a RESUME has no effect, so there the core may or may not hear of it.
        """
        asked = self.reference.asks_resume(pins)
        heard = is_high(self._outputs["resume_o"])
        if heard and not (asked or self._asked_before):
            raise self._levels.fail("resume_o without a RESUME")
        if self._resume_owed and not heard:
            raise self._levels.fail("a RESUME while HALTED did not reach the core")
        self._resume_owed = bool(asked and pins.halted_i and not heard)
        self._asked_before = asked
