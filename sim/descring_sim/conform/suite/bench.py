# SPDX-License-Identifier: Apache-2.0
"""The host of the conformance tests: what differs is a rule that the device breaks.

Before each step whose outcome depends on how far a device is, it is given the time to come as far
(:meth:`Bench.settle`).
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from descring_model import GoldenDevice, Lines, contract, line_bytes, seal
from descring_model.lines import index_range

from descring_sim.conform.capabilities import Capabilities
from descring_sim.conform.dut import Device
from descring_sim.conform.lockstep import (
    COMPARED,
    CTRL,
    LINE,
    REG,
    RINGS,
    U32,
    Layout,
    LockstepHost,
)
from descring_sim.conform.status import Bin, LineDiff
from descring_sim.conform.suite.bins import count_bins
from descring_sim.conform.suite.diagnosis import diagnose_line, differing_bytes
from descring_sim.conform.suite.vector import FLAG, Draw

RULE_OF = {name: register.rule for name, register in contract.REGISTER.items()}
_OCCUPANCIES = ("full", "empty", "between")
_FAULTS = ("none", "bad_checksum", "bad_opcode")
_AREA = {
    "IRQ_STATUS": "IRQ-001",
    "CNT_DESCRIPTORS": "CNT-001",
    "CNT_ERRORS": "CNT-001",
    "CNT_TOKENS_LO": "CNT-001",
    "CNT_TOKENS_HI": "CNT-001",
}
"""Registers of which a wrong value breaks a rule of their own, whatever is being tested."""
_CLOSE = {"IRQ_STATUS": ("LIFE", "DB")}
"""Kinds of rules that events of a register are part of."""
_GUARD = 256
_POLL_S = 0.002
_READY_S = 10.0
_LOOKS = 500


class CheckFailed(Exception):
    """The device differs from the contract: the rules it breaks, and the difference."""

    def __init__(self, text: str, rules: tuple[str, ...], diff: LineDiff | None = None) -> None:
        super().__init__(text)
        self.rules = rules
        self.diff = diff


class NotReached(Exception):
    """The implementation is too slow for what the test is about; the text has what and how slow."""


class _Golden(GoldenDevice):
    """The golden device with the identity of the version by which is judged."""

    def __init__(self, memory: int, capabilities: Capabilities, first_index: int) -> None:
        super().__init__(memory, first_index=first_index)
        self._identity = {
            REG[name]: capabilities.reset_value(contract.REGISTER[name])
            for name in ("VERSION", "CONTRACT_HASH")
        }

    def read32(self, offset: int) -> int:
        """As in the base class, but for VERSION and CONTRACT_HASH."""
        return self._identity.get(offset, super().read32(offset))


class Bench(LockstepHost[Device]):
    """A device under test beside the golden device."""

    def __init__(
        self,
        device: Device,
        *,
        rule: str,
        draw: Draw,
        first_index: int = 0,
        settle_s: float = 2.0,
    ) -> None:
        golden = _Golden(len(device.memory), draw.capabilities, first_index)
        super().__init__(device, golden, self.plan(3, 3, 3), first_index)
        self.rule = rule
        self.draw = draw
        self.rng = draw.rng
        self.capabilities: Capabilities = draw.capabilities
        self.focus: tuple[str, ...] = ()
        """Fields in which a difference breaks the test's own rule too."""
        self.compared = 0
        self.bins: Counter[Bin] = Counter()
        self._settle_s = settle_s
        self._least_s = 0.0
        self._sent: list[Lines] = []
        self._fill()

    # ------------------------------------------------------------------ steps of a host

    @staticmethod
    def plan(cmd: int, done: int, reward: int) -> Layout:
        """Rings of these sizes, one behind the other, with room for guards around each."""
        bases = []
        place = _GUARD
        for log2 in (cmd, done, reward):
            bases.append(place)
            place += (LINE << log2) + _GUARD
        return Layout((bases[0], bases[1], bases[2]), (cmd, done, reward))

    def start(self, cmd: int = 3, done: int = 3, reward: int = 3, *modes: str) -> None:
        """Configure rings of these sizes and enable, with these mode bits."""
        self.configure(self.plan(cmd, done, reward))
        self.write("CTRL", CTRL["ENABLE"] | sum(CTRL[mode] for mode in modes))

    def put(self, lines: Lines) -> None:
        """Write lines at the command ring's tail, without a doorbell."""
        self.settle()
        slots = self.layout.slots("CMD")
        occupied = self.tail - self.golden.read32(REG["CMD_HEAD"]) & U32
        if occupied + len(lines) > slots:
            raise ValueError(
                f"a test puts {len(lines)} lines where {slots - occupied} slots are free"
            )
        self._cover(lines, slots, occupied)
        self._put(lines)

    def repeat_ring(self, rounds: int, most_s: float) -> None:
        """Run the full command ring so many times, by the device alone: its twin stays behind.

        The ring was put and not rung for, or was run by this. Nothing is compared. The done ring is
        as large, and is emptied each time.

        Raises:
            NotReached: it takes longer than ``most_s``.
            CheckFailed: the device stops.
        """
        slots, started = self.layout.slots("CMD"), time.monotonic()
        for done in range(rounds):
            tail = self.tail + slots * done & U32
            if (spent := time.monotonic() - started) > most_s:
                raise NotReached(f"{done} of {rounds} times {slots} lines in {spent:.0f} s")
            self.device.write32(REG["DOORBELL"], tail)
            more = self.patience()
            while self.read("DONE_TAIL") != tail:
                if not more():
                    raise CheckFailed(f"no completions of the ring's round {done}", (self.rule,))
                self.pass_time()
            self.device.write32(REG["DONE_HEAD"], tail)
        self.tail = self.tail + slots * rounds & U32

    def rewrite(self, count: int) -> None:
        """Write other lines over the last ``count`` that were put and not rung for."""
        self.tail = self.tail - count & U32
        self._put(self.lines(count))

    def _put(self, lines: Lines) -> None:
        self._sent.append(lines.copy())
        self.place_all(line_bytes(lines))

    def ring(self, tail: int | None = None) -> None:
        """Ring the doorbell; for all lines that were put when no tail is given."""
        self.settle()
        self.write("DOORBELL", self.tail if tail is None else tail & U32)

    def submit(self, lines: Lines) -> None:
        """Put lines and ring for them."""
        self.put(lines)
        self.ring()

    def submit_unsettled(self, lines: Lines) -> None:
        """Put lines and ring for them, without waiting for the device first."""
        self._put(lines)
        self.write("DOORBELL", self.tail)

    def take(self, count: int | None = None, ring: str = "DONE") -> None:
        """Move the host's head over ``count`` completions, all that are there when None."""
        self.settle()
        there = self.golden.read32(REG[f"{ring}_TAIL"]) - self.heads[ring] & U32
        self.move_head(ring, self.heads[ring] + (there if count is None else min(count, there)))

    def lines(self, count: int, opcodes: Iterable[str] | None = None) -> Lines:
        """Random lines for the tail, half of them CHECKED where that is claimed."""
        lines = self.draw.lines(count, list(opcodes) if opcodes else None)
        if self.capabilities.checked:
            chosen = self.rng.random(count) < 0.5
            indices = index_range(self.tail, count)
            lines[chosen] = seal(lines, indices, set_flag=True)[chosen]
        return lines

    def reset(self) -> None:
        """CTRL.RESET, and what follows from it on the host's side."""
        self.write("CTRL", CTRL["RESET"])
        if not self.reach_ready(_READY_S):
            raise CheckFailed(f"not READY {_READY_S:g} s after CTRL.RESET", ("LIFE-004",))
        self.forget()

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

        A difference breaks ``rules``, but one in the bytes of a completion breaks the rules that
        those bytes are about. When none are given it is the test's own, or that of a register that
        has one which is more to the point.
        """
        self.settle()
        self._same_rings()
        if memory:
            self._same_memory(rules or (self.rule,))
        for register in registers:
            self.same(register, *(rules or self._of_register(register)))

    def _same_rings(self) -> None:
        """As many completions as there should be, but not in the rings where they belong."""
        if not self.golden.read32(REG["CTRL"]) & CTRL["SPLIT_REWARD"]:
            return
        ahead = []
        for ring in RINGS[1:]:
            wanted = self.golden.read32(REG[f"{ring}_TAIL"])
            ahead.append(self.read(f"{ring}_TAIL") - wanted & U32)
        if ahead[0] and not sum(ahead) & U32:
            raise CheckFailed("a completion lies in the wrong ring", ("RING-008",))

    def _of_register(self, register: str) -> tuple[str, ...]:
        """The rules of a register that differs in a test that is not about it."""
        area = _AREA.get(register)
        if area is None or self.rule in (area, RULE_OF[register]):
            return (self.rule,)
        if self.rule.split("-")[0] in _CLOSE.get(register, ()):
            return (self.rule, area)
        return area, RULE_OF[register]

    def quiet(self, *rules: str) -> None:
        """Give a device that should do nothing time to do something, then compare."""
        deadline = time.monotonic() + min(self._settle_s, 0.05)
        while (now := time.monotonic()) < deadline:
            self.device.wait(_POLL_S)
            # Where completions lie a native device's wait ends at once, and would keep a core busy.
            time.sleep(max(0.0, now + _POLL_S - time.monotonic()))
        self.rest(*rules)

    def watching(self, seconds: float) -> Iterator[None]:
        """Yield for each sample of a device that moves by itself, until ``seconds`` are over.

        One that moves only while its host waits gets its time after every :data:`_LOOKS`.
        """
        deadline = time.monotonic() + seconds
        for looks in itertools.count(1):
            if time.monotonic() > deadline:
                return
            yield
            if looks % _LOOKS == 0:
                self.pass_time()

    def interrupt(self) -> None:
        """The interrupt has the level that it should."""
        level = getattr(self.device, "irq", None)
        if level is None:
            raise CheckFailed("the device claims an interrupt and has no `irq`", ("IRQ-001",))
        self.check("level of the interrupt", int(self.golden.irq), int(bool(level)))

    def settle(self, *, least_s: float = 0.0) -> None:
        """Until it is as far as its twin, or has not moved for the settling time, or ``least_s``.

        For what takes a device longer than its settling time, such as a line of 2^32 tokens.
        """
        self._least_s = least_s
        self.reach()
        self._least_s = 0.0

    def pass_time(self) -> None:
        """Let the device make progress."""
        self.device.wait(_POLL_S)

    def patience(self, least_s: float = 0.0) -> Callable[[], bool]:
        """Return a function that is true until the settling time is over."""
        deadline = time.monotonic() + max(self._settle_s, least_s, self._least_s)
        return lambda: time.monotonic() < deadline

    def _same_memory(self, rules: tuple[str, ...]) -> None:
        differing = self.differing()
        if not len(differing):
            self.compared += 1
            return
        at = int(differing[0])
        for ring, base in zip(RINGS, self.layout.bases, strict=True):
            if base <= at < base + LINE * self.layout.slots(ring):
                raise self._line_failure(ring, (at - base) // LINE, rules)
        raise CheckFailed(
            f"byte 0x{at:x} of memory, outside of all rings, was written: "
            f"expected 0x{self.golden.memory[at]:02x}, actual 0x{self.device.memory[at]:02x}",
            ("RING-004", *rules),
        )

    def _line_failure(self, ring: str, slot: int, rules: tuple[str, ...]) -> CheckFailed:
        at = self.layout.slot(ring, slot)
        expected = self.golden.memory[at].copy().view(self._dtype)
        actual = self.device.memory[at].copy().view(self._dtype)
        name = "command" if ring == "CMD" else ring.lower()
        submitted = self._submission(int(expected["user_data"][0]))
        diff = LineDiff(
            slot,
            name,
            None if submitted is None else submitted.tobytes(),
            expected.tobytes(),
            actual.tobytes(),
        )
        text = f"{name} ring, slot {slot} does not hold what it should"
        if ring == "CMD":
            return CheckFailed(f"{text}: the device wrote there", ("RING-003", *rules), diff)
        near = len(differing_bytes(expected.tobytes(), actual.tobytes())) <= LINE // 2
        names = (expected["user_data"].tobytes(), actual["user_data"].tobytes())
        # Names are random: another line's has hardly a byte in common.
        if submitted is not None and near and len(differing_bytes(*names)) <= len(names[0]) // 2:
            diagnosis = diagnose_line(submitted[0], expected[0], actual[0])
            about = diagnosis.aspect in self.focus and self.rule not in diagnosis.rules
            return CheckFailed(text, (*diagnosis.rules, *[self.rule] * about), diff)
        return CheckFailed(text, rules, diff)

    def _submission(self, identity: int) -> Lines | None:
        """The latest line that was put with this ``user_data``, ``(1,)``."""
        for lines in reversed(self._sent):
            rows = np.flatnonzero(lines["user_data"] == identity)
            if len(rows):
                return lines[rows[-1] : rows[-1] + 1]
        return None

    @property
    def _dtype(self) -> np.dtype[np.void]:
        return self.draw.lines(0).dtype

    # ------------------------------------------------------------------ coverage

    def _fill(self) -> None:
        """Give both memories the same random content, so that every stray write shows."""
        content = np.frombuffer(self.rng.bytes(len(self.device.memory)), dtype=np.uint8)
        self.golden.memory[:] = content
        self.device.memory[:] = content

    def _cover(self, lines: Lines, slots: int, occupied: int) -> None:
        indices = index_range(self.tail, len(lines)).astype(np.int64)
        checked = (lines["flags"] & FLAG["CHECKED"]) != 0
        bad = checked & (seal(lines, indices) != lines)
        unknown = ~np.isin(lines["opcode"], list(contract.OPCODE.values()))
        before = occupied + np.arange(len(lines))
        place = np.select([before == slots - 1, before == 0], [0, 1], 2)
        fault = np.select([unknown, bad], [2, 1], 0)
        self.bins.update(count_bins(lines, indices, slots, (_OCCUPANCIES, place), (_FAULTS, fault)))
