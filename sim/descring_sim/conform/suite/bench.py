# SPDX-License-Identifier: Apache-2.0
"""A device under test beside the golden device: every step is done to both, and they are compared.

The golden device is eager, the other may take its time: before each step whose outcome depends on
how far a device is, it is given the time to come as far (:meth:`Bench.settle`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from descring_model import (
    GoldenDevice,
    Lines,
    Ring,
    contract,
    ring_log2,
    seal,
)

from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.dut import Device
from descring_sim.conform.status import Bin, LineDiff
from descring_sim.conform.suite.diagnosis import diagnose_line, differing_bytes
from descring_sim.conform.suite.stream_check import position, wrap
from descring_sim.conform.suite.vector import FLAG, U32, Draw

REG = {name: register.offset for name, register in contract.REGISTER.items()}
CTRL = {bits.name: bits.mask for bits in contract.REGISTER["CTRL"].bits}
STATUS = {bits.name: bits.mask for bits in contract.REGISTER["STATUS"].bits}
IRQ = {bits.name: bits.mask for bits in contract.REGISTER["IRQ_STATUS"].bits}
RULE_OF = {name: register.rule for name, register in contract.REGISTER.items()}
COMPARED = tuple(name for name in REG if name not in ("CNT_STALL_CYCLES", "DOORBELL"))
"""Registers that are compared at rest; stalled cycles are time (section 8)."""
_PROGRESS = ("CMD_HEAD", "DONE_TAIL", "REWARD_TAIL", "STATUS", "IRQ_STATUS")
_OPCODE_NAMES = {item.value: item.name for item in contract.OPCODES}
_LINE = contract.DESC_BYTES
_GUARD = 256
_POLL_S = 0.002
_READY_S = 10.0


class CheckFailed(Exception):
    """The device differs from the contract: the rules it breaks, and the difference."""

    def __init__(self, text: str, rules: tuple[str, ...], diff: LineDiff | None = None) -> None:
        super().__init__(text)
        self.rules = rules
        self.diff = diff


@dataclass(frozen=True)
class Layout:
    """Where rings lie: byte address of slot 0 and log2 of the slots, for CMD, DONE and REWARD."""

    bases: tuple[int, int, int]
    log2: tuple[int, int, int]


class Bench:
    """One device, its golden twin, and the steps of a host."""

    def __init__(
        self,
        device: Device,
        *,
        rule: str,
        draw: Draw,
        first_index: int = 0,
        settle_s: float = 2.0,
    ) -> None:
        self.device = device
        self.rule = rule
        self.draw = draw
        self.rng = draw.rng
        self.capabilities: Capabilities = draw.capabilities
        self.compared = 0
        self.bins: Counter[Bin] = Counter()
        self.first_index = first_index
        self._settle_s = settle_s
        self._sent: dict[int, Lines] = {}
        self.golden = GoldenDevice(len(device.memory), first_index=first_index)
        self._fill()
        self.layout = self.plan(3, 3, 3)
        self.tail = first_index
        self.taken = {Ring.DONE: first_index, Ring.REWARD: first_index}

    # ------------------------------------------------------------------ steps of a host

    def write(self, register: str | int, value: int) -> None:
        """Write a register, by name or address, of both."""
        offset = REG[register] if isinstance(register, str) else register
        self.golden.write32(offset, value)
        self.device.write32(offset, value)

    def read(self, register: str | int) -> int:
        """Read a register of the device under test."""
        offset = REG[register] if isinstance(register, str) else register
        return self.device.read32(offset)

    def plan(self, cmd: int, done: int, reward: int) -> Layout:
        """Rings of these sizes, one behind the other, with room for guards around each."""
        bases = []
        place = _GUARD
        for log2 in (cmd, done, reward):
            bases.append(place)
            place += (_LINE << log2) + _GUARD
        return Layout((bases[0], bases[1], bases[2]), (cmd, done, reward))

    def configure(self, layout: Layout) -> None:
        """Write sizes and bases."""
        self.layout = layout
        self.write("RING_LOG2", ring_log2(*layout.log2))
        for ring, base in zip(("CMD", "DONE", "REWARD"), layout.bases, strict=True):
            self.write(f"{ring}_BASE_LO", base & U32)
            self.write(f"{ring}_BASE_HI", base >> 32)

    def start(self, cmd: int = 3, done: int = 3, reward: int = 3, *modes: str) -> None:
        """Configure rings of these sizes and enable, with these mode bits."""
        self.configure(self.plan(cmd, done, reward))
        self.write("CTRL", CTRL["ENABLE"] | sum(CTRL[mode] for mode in modes))

    def put(self, lines: Lines) -> None:
        """Write lines at the command ring's tail, without a doorbell."""
        self.settle()
        slots = 1 << self.layout.log2[0]
        free = slots - (self.tail - self.golden.read32(REG["CMD_HEAD"]) & U32)
        if len(lines) > free:
            raise ValueError(f"a test puts {len(lines)} lines where {free} slots are free")
        occupied = slots - free
        self._store(lines, self.tail)
        for place, line in enumerate(lines):
            self._cover(line, self.tail + place & U32, slots, occupied + place)
        self.tail = self.tail + len(lines) & U32

    def rewrite(self, count: int) -> None:
        """Write other lines over the last ``count`` that were put and not rung for."""
        first = self.tail - count & U32
        self._store(self.lines(count, index=first), first)

    def _store(self, lines: Lines, first: int) -> None:
        """Write lines from the slot of index ``first`` on."""
        slots = 1 << self.layout.log2[0]
        for place, line in enumerate(lines):
            at = self.layout.bases[0] + _LINE * ((first + place & U32) % slots)
            data = np.frombuffer(line.tobytes(), np.uint8)
            for memory in (self.golden.memory, self.device.memory):
                memory[at : at + _LINE] = data
            self._sent[int(line["user_data"])] = lines[place : place + 1].copy()

    def ring(self, tail: int | None = None) -> None:
        """Ring the doorbell; for all lines that were put when no tail is given."""
        self.settle()
        self.write("DOORBELL", self.tail if tail is None else tail & U32)

    def submit(self, lines: Lines) -> None:
        """Put lines and ring for them."""
        self.put(lines)
        self.ring()

    def take(self, count: int | None = None, ring: Ring = Ring.DONE) -> None:
        """Move the host's head over ``count`` completions, all that are there when None."""
        self.settle()
        tail = self.golden.read32(REG[f"{ring.name}_TAIL"])
        there = tail - self.taken[ring] & U32
        self.taken[ring] = self.taken[ring] + (there if count is None else min(count, there)) & U32
        self.write(f"{ring.name}_HEAD", self.taken[ring])

    def lines(
        self, count: int, opcodes: Iterable[str] | None = None, *, index: int | None = None
    ) -> Lines:
        """Random lines, half of them CHECKED for their places where that is claimed.

        The first has this ``index``, the tail's when None.
        """
        lines = self.draw.lines(count, list(opcodes) if opcodes else None)
        if self.capabilities.checked:
            chosen = self.rng.random(count) < 0.5
            first = self.tail if index is None else index
            indices = (np.arange(count, dtype=np.int64) + first) & U32
            lines[chosen] = seal(lines, indices, set_flag=True)[chosen]
        return lines

    def reset(self) -> None:
        """CTRL.RESET, and what follows from it on the host's side."""
        self.write("CTRL", CTRL["RESET"])
        deadline = time.monotonic() + _READY_S
        while not self.read("STATUS") & STATUS["READY"]:
            if time.monotonic() > deadline:
                raise CheckFailed(f"not READY {_READY_S:g} s after CTRL.RESET", ("LIFE-004",))
            self.device.wait(_POLL_S)
        self.tail = self.first_index
        self.taken = dict.fromkeys(self.taken, self.first_index)

    # ------------------------------------------------------------------ checks

    def check(self, what: str, expected: int, actual: int, *rules: str) -> None:
        """Fail under ``rules``, or the test's own, unless the values are the same."""
        if expected != actual:
            raise CheckFailed(
                f"{what}: expected 0x{expected:x}, actual 0x{actual:x}", rules or (self.rule,)
            )
        self.compared += 1

    def same(self, register: str, *rules: str) -> None:
        """Both devices read the same in ``register``."""
        wanted = self.golden.read32(REG[register])
        self.check(register, wanted, self.read(register), *rules)

    def rest(self, *rules: str, memory: bool = True, registers: Iterable[str] = COMPARED) -> None:
        """Let the device settle, then compare registers and the whole memory.

        A difference breaks ``rules`` (the test's own when none are given), but one in the bytes of
        a completion breaks the rules that those bytes are about.
        """
        self.settle()
        if memory:
            self._same_memory(rules or (self.rule,))
        for register in registers:
            self.same(register, *rules)

    def quiet(self, *rules: str) -> None:
        """Give a device that should do nothing time to do something, then compare."""
        deadline = time.monotonic() + min(self._settle_s, 0.05)
        while (now := time.monotonic()) < deadline:
            self.device.wait(_POLL_S)
            # Where completions lie a native device's wait ends at once, and would keep a core busy.
            time.sleep(max(0.0, now + _POLL_S - time.monotonic()))
        self.rest(*rules)

    def interrupt(self) -> None:
        """The interrupt has the level that it should."""
        level = getattr(self.device, "irq", None)
        if level is None:
            raise CheckFailed("the device claims an interrupt and has no `irq`", ("IRQ-001",))
        self.check("level of the interrupt", int(self.golden.irq), int(bool(level)))

    def _progress(self, device: Device | GoldenDevice) -> tuple[int, ...]:
        """What moves while a device works; the words of RING-013 move after the registers."""
        registers = tuple(device.read32(REG[name]) for name in _PROGRESS)
        if not self.golden.read32(REG["CTRL"]) & CTRL["PUBLISH_TAILS"]:
            return registers
        words = (device.memory[word : word + 4].tobytes() for word in self._words())
        return registers + tuple(int.from_bytes(word, "little") for word in words)

    def _words(self) -> list[int]:
        """Addresses of the words that a device may keep its indices in."""
        offsets = (contract.RING_HEAD_OFFSET, contract.RING_TAIL_OFFSET, contract.RING_TAIL_OFFSET)
        return [
            base - contract.RING_SLOTS_OFFSET + offset
            for base, offset in zip(self.layout.bases, offsets, strict=True)
        ]

    def settle(self) -> None:
        """Until it is as far as its twin, or has not moved for the settling time."""
        wanted = self._progress(self.golden)
        last = self._progress(self.device)
        moved = time.monotonic()
        while last != wanted and time.monotonic() - moved < self._settle_s:
            # Reading again lets time pass in a simulator, where a wait can be a thousand cycles.
            now = self._progress(self.device)
            if now == last:
                self.device.wait(_POLL_S)
                now = self._progress(self.device)
            if now != last:
                last, moved = now, time.monotonic()

    def _same_memory(self, rules: tuple[str, ...]) -> None:
        wanted, got = self.golden.memory, self.device.memory
        differing = np.flatnonzero(wanted != got)
        if len(differing):
            differing = differing[~np.isin(differing, self._undetermined())]
        if not len(differing):
            self.compared += 1
            return
        at = int(differing[0])
        for name, base, log2 in zip(
            ("command", "done", "reward"), self.layout.bases, self.layout.log2, strict=True
        ):
            if base <= at < base + (_LINE << log2):
                start = base + (at - base) // _LINE * _LINE
                raise self._line_failure(name, (start - base) // _LINE, start, rules)
        raise CheckFailed(
            f"byte 0x{at:x} of memory, outside of all rings, was written: "
            f"expected 0x{wanted[at]:02x}, actual 0x{got[at]:02x}",
            ("RING-004", *rules),
        )

    def _undetermined(self) -> npt.NDArray[np.int64]:
        """Bytes that the contract leaves open: free completion slots, and words of indices."""
        open_bytes = []
        if not self.golden.read32(REG["CTRL"]) & CTRL["PUBLISH_TAILS"]:
            open_bytes = [np.arange(word, word + 4) for word in self._words()]
        for name, base, log2 in zip(
            ("CMD", "DONE", "REWARD"), self.layout.bases, self.layout.log2, strict=True
        ):
            if name != "CMD":
                head, tail = (self.golden.read32(REG[f"{name}_{end}"]) for end in ("HEAD", "TAIL"))
                free = (1 << log2) - (tail - head & U32)
                slots = (np.arange(free, dtype=np.int64) + tail) % (1 << log2)
                lines = base + _LINE * slots[:, np.newaxis] + np.arange(_LINE)
                open_bytes.append(lines.reshape(-1))
        return np.concatenate(open_bytes)

    def _line_failure(
        self, ring: str, slot: int, start: int, rules: tuple[str, ...]
    ) -> CheckFailed:
        expected = self.golden.memory[start : start + _LINE].copy().view(self._dtype)
        actual = self.device.memory[start : start + _LINE].copy().view(self._dtype)
        submitted = self._sent.get(int(expected["user_data"][0]))
        diff = LineDiff(
            slot,
            ring,
            None if submitted is None else submitted.tobytes(),
            expected.tobytes(),
            actual.tobytes(),
        )
        text = f"{ring} ring, slot {slot} does not hold what it should"
        if ring == "command":
            return CheckFailed(f"{text}: the device wrote there", ("RING-003", *rules), diff)
        near = len(differing_bytes(expected.tobytes(), actual.tobytes())) <= _LINE // 2
        if submitted is not None and near and actual["user_data"] == expected["user_data"]:
            return CheckFailed(
                text, diagnose_line(submitted[0], expected[0], actual[0]).rules, diff
            )
        return CheckFailed(text, rules, diff)

    @property
    def _dtype(self) -> np.dtype[np.void]:
        return self.draw.lines(0).dtype

    # ------------------------------------------------------------------ coverage

    def _fill(self) -> None:
        """Give both memories the same random content, so that every stray write shows."""
        content = self.rng.integers(0, 256, len(self.device.memory), dtype=np.uint8)
        self.golden.memory[:] = content
        self.device.memory[:] = content

    def _cover(self, line: np.void, index: int, slots: int, occupied: int) -> None:
        full = "full" if occupied == slots - 1 else "empty" if occupied == 0 else "between"
        fault = "none"
        if int(line["opcode"]) not in _OPCODE_NAMES:
            fault = "bad_opcode"
        elif int(line["flags"]) & FLAG["CHECKED"]:
            one = np.frombuffer(line.tobytes(), self._dtype)
            if seal(one, index).tobytes() != one.tobytes():
                fault = "bad_checksum"
        opcode = _OPCODE_NAMES.get(int(line["opcode"]), "other")
        self.bins[opcode, position(index, slots), full, wrap(index), fault] += 1
