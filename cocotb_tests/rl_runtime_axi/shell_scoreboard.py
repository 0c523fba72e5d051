# SPDX-License-Identifier: Apache-2.0
"""The golden device beside the design, with a memory of its own.

Both are told the same: what the host stores in memory, and the register accesses that the pins
showed. The golden device executes at once, the design takes its time; so whatever the design writes
into a ring must lie in the golden device's memory already, at the same address. What both must
agree on at every moment is compared at every moment, the rest at rest. An access whose outcome
would depend on the design's speed is refused as a mistake of the testbench.

The golden device's memory begins at address 0. Where the design's begins elsewhere, the bases that
the pins show are moved by as much on the way to the golden device, and back.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from descring_model import GoldenDevice, contract
from descring_vip.axi.memory import Response, Written
from descring_vip.scoreboard import LineChecker, ValueChecker
from mmio_regs.register_reference import (
    ENABLE,
    HALTED,
    PUBLISH_TAILS,
    READY,
    RESET,
    RESUME,
    RUNNING,
    SPLIT_REWARD,
    U32,
)
from rl_runtime_mmio.device_scoreboard import AT_REST_ONLY, NEVER_COMPARED, OFFSET, StimulusError

from rl_runtime_axi.events import EventReference
from rl_runtime_axi.layout import Place

_NAME = {item.offset: item.name for item in contract.REGISTERS}
_LINE = contract.DESC_BYTES
_WORD = 4
_PROGRESS = ("CMD_HEAD", "DONE_TAIL", "REWARD_TAIL")
_MOVING = ("CTRL", "DOORBELL", "DONE_HEAD", "REWARD_HEAD")
"""Registers that a write of may set the device going."""

_CONFIG = ("CTRL", "RING_LOG2", "IRQ_MASK", *(name for name in OFFSET if "_BASE_" in name))
_BASES = tuple(name for name in _CONFIG if "_BASE_" in name)
_WORDS = {
    ("DONE", contract.RING_TAIL_OFFSET): "DONE_TAIL",
    ("REWARD", contract.RING_TAIL_OFFSET): "REWARD_TAIL",
    ("CMD", contract.RING_HEAD_OFFSET): "CMD_HEAD",
}


class ShellScoreboard:
    """The golden device, the checkers of the design, and the host's obligations.

    Attributes:
        model: the golden device; ``memory`` is the design's.
        done: compares the lines of the done ring; ``reward`` those of the reward ring.
        registers: compares answers to reads, interrupt and indices in memory.
        events: bounds IRQ_STATUS between two rests.
        writes: counts the beats that the design wrote, each of them compared.
        at_rest: set by the testbench once the design has come as far as the model.
        origin: the address at which the design's memory begins.
        exact: every byte that the design writes is compared, and at rest all of the memory; a case
            with errors of the memory clears it, for then lines may be written that do not count.
        untold: the last write of CTRL that the model was not told of, because a RESUME in it may
            come too early; None where that is a mistake of the case.
    """

    def __init__(
        self,
        context: Callable[[], str],
        memory: npt.NDArray[np.uint8],
        *,
        first_index: int,
        origin: int = 0,
    ) -> None:
        self.memory = memory
        self.origin = origin
        self.first_index = first_index
        self.done = LineChecker("done ring", context)
        self.reward = LineChecker("reward ring", context)
        self.registers = ValueChecker("registers", context)
        self.writes = ValueChecker("writes", context)
        self.events = EventReference(self.registers)
        self.exact = True
        self.reset()

    def reset(self, memory: npt.NDArray[np.uint8] | None = None) -> None:
        """A hard reset: the memory stays as it is, or is another."""
        if memory is not None:
            self.memory = memory
        self.model = GoldenDevice(self.memory.copy(), first_index=self.first_index)
        self._bases_are_zero()
        self._forget()

    def _forget(self) -> None:
        self.events.reset()
        self.untold: int | None = None
        self.at_rest = False
        self.resetting = False
        self._before_reset: dict[str, int] = {}
        # From the end of a soft reset to the next ENABLE nothing may be written.
        self.silent = False
        self._halt_seen = False
        self._compared = dict.fromkeys(("DONE", "REWARD"), self.first_index)
        self._word_seen = dict.fromkeys(_PROGRESS, self.first_index)
        self._word_when_asked = dict(self._word_seen)
        self._head_seen = self.first_index

    # ------------------------------------------------------------------ what the host does

    def store(self, address: int, data: npt.NDArray[np.uint8] | bytes) -> None:
        """The host stores bytes in the memory of both."""
        self.at_rest = False
        raw = np.frombuffer(bytes(data), dtype=np.uint8)
        for memory in (self.memory, self.model.memory):
            memory[address : address + len(raw)] = raw

    def wrote(self, address: int, value: int) -> None:
        """The pins showed a write of a register."""
        name = _NAME.get(address)
        if self.resetting:
            # Ignored, and so unknown to the model [LIFE-004].
            return
        if name == "DOORBELL":
            self._judge_doorbell(value)
        elif name == "CTRL" and value & RESET:
            self._before_reset = {name: self.model.read32(OFFSET[name]) for name in _CONFIG}
            self.resetting = True
        elif name == "CTRL" and value & RESUME and self.status() & HALTED and not self._halt_seen:
            if self.untold is None:
                raise StimulusError("RESUME before STATUS said HALTED: it may come too early")
            self.untold, self.at_rest = value, False
            return
        elif name == "IRQ_STATUS" and not self.at_rest:
            raise StimulusError("clearing IRQ_STATUS while events may still come")
        elif name in ("DONE_HEAD", "REWARD_HEAD"):
            self._take(name.removesuffix("_HEAD"), value)
        self.at_rest = self.at_rest and name not in _MOVING
        if name in _BASES:
            self._write_base(name, value)
        else:
            self._tell(name, address, value)
        if self.resetting:
            self._bases_are_zero()
        self.silent = self.silent and not self.control() & ENABLE
        if not self.status() & HALTED:
            self._halt_seen = False

    def _tell(self, name: str | None, address: int, value: int) -> None:
        """Write a register of the model, and note the events that this is sure to cause."""
        ignored = self.model.read32(OFFSET["CNT_BAD_DOORBELLS"])
        self.model.write32(address, value)
        refused = name == "CTRL" and value & ENABLE and not self.control() & ENABLE
        if refused or self.model.read32(OFFSET["CNT_BAD_DOORBELLS"]) != ignored:
            self.events.refused()
        if name == "CTRL" and value & RESUME:
            self.events.resumed()
        if name == "IRQ_STATUS":
            self.events.cleared(value)

    def tell_resume(self) -> None:
        """The RESUME that the model was not told of has had its effect."""
        assert self.untold, "no RESUME was held back"
        self._tell("CTRL", OFFSET["CTRL"], self.untold)

    def _base(self, name: str) -> int:
        """The design's base to which the register ``name`` belongs."""
        ring = name.split("_")[0]
        low, high = (self.model.read32(OFFSET[f"{ring}_BASE_{half}"]) for half in ("LO", "HI"))
        return ((high << 32 | low) + self.origin) % U32**2

    def _write_base(self, name: str, value: int) -> None:
        ring, base = name.split("_")[0], self._base(name)
        base = base % U32 | value << 32 if name.endswith("HI") else base // U32 << 32 | value
        moved = (base - self.origin) % U32**2
        self.model.write32(OFFSET[f"{ring}_BASE_LO"], moved % U32)
        self.model.write32(OFFSET[f"{ring}_BASE_HI"], moved // U32)

    def _bases_are_zero(self) -> None:
        """A reset of the design has brought its bases to 0."""
        for name in _BASES if self.origin else ():
            self._write_base(name, 0)

    def _take(self, ring: str, head: int) -> None:
        """The host gives slots back: until now they must have kept their completions."""
        now = self.model.read32(OFFSET[f"{ring}_HEAD"])
        seen = self._compared[ring]
        if (head - now) % U32 <= (seen - now) % U32:
            self._compare(ring, now, head)
            self._compared[ring] = seen
        elif (head - now) % U32 <= (self.model.read32(OFFSET[f"{ring}_TAIL"]) - now) % U32:
            raise StimulusError(f"{ring}_HEAD {head:#x} is beyond what the host has seen")

    def _judge_doorbell(self, tail: int) -> None:
        """Refuse a doorbell that only a design as fast as the model is sure to judge so."""
        place, head = self.place("CMD"), self.model.read32(OFFSET["CMD_HEAD"])
        if not self.control() & ENABLE or tail == self.model.read32(OFFSET["CMD_TAIL"]):
            return
        surely = (tail - self._head_seen) % U32 <= place.slots
        maybe = (tail - head) % U32 <= place.slots
        if maybe and not surely and not self.at_rest:
            raise StimulusError(f"doorbell {tail:#x}: perhaps too early to be legal")

    # ------------------------------------------------------------------ what the design does

    def asked(self) -> None:
        """The pins showed a read of a register; its answer may wait while words are written."""
        self._word_when_asked = dict(self._word_seen)

    def answered(self, address: int, answer: int) -> None:
        """The pins showed the answer to a read."""
        name = _NAME.get(address, f"0x{address:03x}")
        if self.resetting:
            if name == "STATUS" and answer & READY:
                self._reset_over(answer)
            return
        expected = self.model.read32(address)
        if name in _BASES:
            expected = self._base(name) >> (32 if name.endswith("HI") else 0) & (U32 - 1)
        if name == "STATUS":
            self._halt_seen = self._halt_seen or bool(answer & HALTED)
            self.events.shown(answer)
        if name == "IRQ_STATUS":
            self.events.check(answer)
        if name in _PROGRESS:
            self._progressed(name, answer, expected, self._word_when_asked[name])
        if name in NEVER_COMPARED:
            return
        if name not in AT_REST_ONLY or self.at_rest:
            self.registers.check(name, expected=expected, actual=answer)

    def _reset_over(self, status: int) -> None:
        # What the model has posted and the design has not: nobody will ever be told of it.
        self.model.memory[:] = self.memory
        self._forget()
        self.silent = True
        self.registers.check("STATUS after CTRL.RESET", expected=READY, actual=status)

    def _progressed(self, name: str, index: int, limit: int, least: int) -> None:
        """A register, or a word in memory, says how far the design has come."""
        self._check_between(name, index, limit, least)
        if name == "CMD_HEAD":
            if (index - self._head_seen) % U32 < U32 // 2:
                self._head_seen = index
            return
        ring = name.removesuffix("_TAIL")
        if (index - self._compared[ring]) % U32 < U32 // 2:
            self._compare(ring, self._compared[ring], index)

    def _check_between(self, name: str, index: int, limit: int, least: int) -> None:
        if (limit - index) % U32 >= U32 // 2:
            raise self.registers.fail(
                f"{name} is ahead of what can have been executed: at most {limit}, actual {index}"
            )
        if (index - least) % U32 >= U32 // 2:
            raise self.registers.fail(f"{name} is {index}, behind the {least} that memory said")
        self.registers.matched += 1

    def _compare(self, ring: str, start: int, stop: int) -> None:
        """The completions ``[start, stop)`` are visible: they must be the model's."""
        checker = self.done if ring == "DONE" else self.reward
        place = self.place(ring)
        for step in range((stop - start) % U32):
            at = place.slot(start + step)
            checker.expect(self.model.memory[at].tobytes())
            checker.observe(self.memory[at].tobytes(), (start + step) % U32)
        self._compared[ring] = stop

    def written(self, beat: Written) -> None:
        """A beat reached the memory."""
        if self.silent:
            raise self.writes.fail(
                f"a write to 0x{beat.address:x} after CTRL.RESET and before ENABLE"
            )
        if beat.strobes == (1 << _WORD) - 1:
            self._word_written(beat)
            return
        if beat.strobes != (1 << _LINE) - 1:
            raise self.writes.fail(f"strobes 0x{beat.strobes:x} at 0x{beat.address:x}")
        inside = [self.place(ring) for ring in self.completion_rings()]
        if not any(p.base <= beat.address < p.base + _LINE * p.slots for p in inside):
            raise self.writes.fail(f"a line at 0x{beat.address:x}, outside the completion rings")
        expected = self.model.memory[beat.address : beat.address + _LINE].tobytes()
        if self.exact and expected != beat.data:
            raise self.writes.fail(
                f"a line at 0x{beat.address:x} that the model never posted there\n"
                f"  expected {expected.hex(' ', 8)}\n  actual   {beat.data.hex(' ', 8)}"
            )
        self.events.written(beat)
        self.writes.matched += 1

    def _word_written(self, beat: Written) -> None:
        value = int.from_bytes(beat.data[:_WORD], "little")
        name = self._word_at(beat.address)
        if name is None:
            raise self.writes.fail(f"a word at 0x{beat.address:x}, where none belongs")
        if not self.resetting:
            limit = self.model.read32(OFFSET[name])
            self._progressed(name, value, limit, self._word_seen[name])
            self._word_seen[name] = value
        self.writes.matched += 1

    def _word_at(self, address: int) -> str | None:
        """The index whose word in memory is at ``address``, if the device stores any there."""
        control = self.config("CTRL")
        for (ring, offset), name in _WORDS.items():
            at = self.place(ring).base - contract.RING_SLOTS_OFFSET + offset
            counts = control & PUBLISH_TAILS and (ring != "REWARD" or control & SPLIT_REWARD)
            if at == address and counts:
                return name
        return None

    def responded(self, answer: Response) -> None:
        """The bus answers the design."""
        word = self._word_at(answer.burst.address) if answer.write else None
        publish = bool(self.config("CTRL") & PUBLISH_TAILS)
        self.events.answered(answer, word=word, publish=publish)

    def interrupted(self) -> None:
        """The interrupt has risen."""
        self.events.check_interrupt(self.config("IRQ_MASK"))

    # ------------------------------------------------------------------ at rest

    def compare_memory(self) -> None:
        """All of the memory, but for slots whose content says nothing."""
        same = self.memory == self.model.memory
        if not self.exact:
            for ring in self.completion_rings():
                place = self.place(ring)
                head, tail = (
                    self.model.read32(OFFSET[f"{ring}_{end}"]) for end in ("HEAD", "TAIL")
                )
                for index in range(tail, tail + place.slots - (tail - head) % U32):
                    same[place.slot(index)] = True
        if not same.all():
            at = int(np.argmin(same))
            raise self.registers.fail(
                f"the memory differs in {np.count_nonzero(~same)} bytes, the first at 0x{at:x}: "
                f"expected 0x{self.model.memory[at]:02x}, actual 0x{self.memory[at]:02x}"
            )
        self.registers.matched += 1

    def place(self, ring: str) -> Place:
        """Where a ring lies as the registers have it: ``CMD``, ``DONE`` or ``REWARD``."""
        log2 = self.config("RING_LOG2") >> {"CMD": 0, "DONE": 8, "REWARD": 16}[ring] & 0xFF
        low, high = (self.config(f"{ring}_BASE_{half}") for half in ("LO", "HI"))
        return Place(high << 32 | low, 1 << log2)

    def config(self, name: str) -> int:
        """The configuration; what it was, while a soft reset lets the bus come to rest."""
        return self._before_reset[name] if self.resetting else self.model.read32(OFFSET[name])

    def completion_rings(self) -> tuple[str, ...]:
        """The rings that completions go to."""
        return ("DONE", "REWARD") if self.config("CTRL") & SPLIT_REWARD else ("DONE",)

    def control(self) -> int:
        """CTRL as the model has it."""
        return self.model.read32(OFFSET["CTRL"])

    def status(self) -> int:
        """STATUS as the model has it."""
        return self.model.read32(OFFSET["STATUS"])

    def where(self) -> dict[str, int]:
        """The model's values of the registers that tell how far a device has come."""
        names = ("STATUS", *_PROGRESS)
        return {name: self.model.read32(OFFSET[name]) for name in names}

    @property
    def running(self) -> bool:
        """Whether the model is neither paused nor halted."""
        return bool(self.status() & RUNNING)
