# SPDX-License-Identifier: Apache-2.0
"""The host of the fault table: whatever goes wrong, device and golden device end alike.

Every register, every byte: so nothing is lost or duplicated. :mod:`descring_sim.faults.kinds` has
the faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from descring_model import GoldenDevice, contract, line_bytes
from descring_model.lines import INDEX_MODULUS, Lines, index_range
from descring_model.streams import generate

from descring_sim.conform.lockstep import (
    COMPARED,
    CTRL,
    LINE,
    REG,
    STATUS,
    Layout,
    LockstepHost,
    Registers,
)

_PAGE = 4096
_MODES = ("SPLIT_REWARD", "PUBLISH_TAILS")

_PATIENCE = 3_000
"""Polls of a device without progress, before it counts as stuck."""


class FaultyDevice(Registers, Protocol):
    """A device whose memory can fail, and whose time passes in :meth:`step` and accesses."""

    def step(self, cycles: int) -> None:
        """Let time pass."""

    def inject_bus_error(self, start: int, stop: int) -> None:
        """Return an error for accesses of these bytes."""

    def clear_bus_errors(self) -> None:
        """Let every access succeed again."""


class FaultError(AssertionError):
    """The device and the golden device differ, or the device does not get on."""


@dataclass(frozen=True)
class Setting:
    """What a seed draws before its fault: sizes as log2, the rings' place in a page, modes."""

    cmd: int
    done: int
    reward: int
    skew: int
    first_index: int
    modes: int
    latency: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Setting:
        """Rings of 2 to 32 slots, often near the wrap of the indices."""
        near_wrap = INDEX_MODULUS - int(rng.integers(1, 30))
        first_index = (0, near_wrap, int(rng.integers(INDEX_MODULUS)))[int(rng.integers(3))]
        cmd, done, reward = (int(size) for size in rng.integers(1, 6, 3))
        return cls(
            cmd=cmd,
            done=done,
            reward=reward,
            skew=int(rng.integers(64)),
            first_index=first_index,
            modes=sum(CTRL[name] * int(rng.integers(2)) for name in _MODES),
            latency=int(rng.integers(1, 24)),
        )

    @property
    def layout(self) -> Layout:
        """The rings, each in pages of its own."""
        bases, end = [], _PAGE
        log2 = (self.cmd, self.done, self.reward)
        for size in log2:
            bases.append(end + LINE * self.skew + contract.RING_SLOTS_OFFSET)
            end = _page_up(bases[-1] + (LINE << size))
        return Layout((bases[0], bases[1], bases[2]), log2)

    @property
    def memory_bytes(self) -> int:
        """The memory that these rings need."""
        return _page_up(self.layout.bases[2] + (LINE << self.reward))


def _page_up(address: int) -> int:
    return -(-address // _PAGE) * _PAGE


class FaultHost(LockstepHost[FaultyDevice]):
    """A host before a device and the golden device; one seed of a kind of fault.

    Attributes:
        rng: what the seed draws from.
        number: of the seed in its kind.
        counts: the events counted.
    """

    def __init__(
        self,
        device: FaultyDevice,
        setting: Setting,
        rng: np.random.Generator,
        number: int,
        counts: Counter[str],
    ) -> None:
        golden = GoldenDevice(device.memory.copy(), first_index=setting.first_index)
        super().__init__(device, golden, setting.layout, setting.first_index)
        self.setting = setting
        self.rng = rng
        self.number = number
        self.counts = counts
        self._exact = True

    def forget(self) -> None:
        """Begin again from the first index, as after a reset."""
        super().forget()
        self.taken = 0
        self.modes = 0
        self._full_looks = 0

    def enable(self, modes: int = 0) -> None:
        """Configure and start both, in the seed's modes and ``modes``."""
        self.modes = self.setting.modes | modes
        word = self.first_index.to_bytes(4, "little")
        for base in self.layout.bases:
            for offset in (contract.RING_HEAD_OFFSET, contract.RING_TAIL_OFFSET):
                self.store(base - contract.RING_SLOTS_OFFSET + offset, word)
        self.configure(self.layout)
        self.write("CTRL", CTRL["ENABLE"] | self.modes)

    @property
    def rings(self) -> tuple[str, ...]:
        """The rings that completions go to."""
        return ("DONE", "REWARD") if self.modes & CTRL["SPLIT_REWARD"] else ("DONE",)

    # ------------------------------------------------------------------ lines

    def stream(self, count: int, profile: str = "decode") -> Lines:
        """Lines for the indices from the tail on."""
        seed = int(self.rng.integers(1 << 32))
        return generate(count, seed=seed, profile=profile, first_index=self.tail)

    def room(self) -> int:
        """Free slots of the command ring.

        Raises:
            FaultError: there were none, too often one after the other.
        """
        free = self.layout.slots("CMD") - (self.tail - self.read("CMD_HEAD")) % INDEX_MODULUS
        self._full_looks = 0 if free else self._full_looks + 1
        if self._full_looks > _PATIENCE:
            raise FaultError(f"the command ring stays full: {self.progress(self.device)}")
        return free

    def put(self, lines: Lines) -> None:
        """Store lines at the tail, without a doorbell."""
        self.place(row.tobytes() for row in line_bytes(lines))

    def ring(self) -> None:
        """Doorbell for everything placed."""
        self.write("DOORBELL", self.tail)

    def take(self) -> None:
        """Take every completion that is there, each compared with the golden device's."""
        for ring in self.rings:
            tail = self.read(f"{ring}_TAIL")
            count = (tail - self.heads[ring]) % INDEX_MODULUS
            limit = (self.golden.read32(REG[f"{ring}_TAIL"]) - self.heads[ring]) % INDEX_MODULUS
            if count > limit:
                raise FaultError(
                    f"{ring}_TAIL is {tail:#x}: {count} posted, at most {limit} can be"
                )
            for index in index_range(self.heads[ring], count).tolist():
                at = self.layout.slot(ring, index)
                expected, actual = self.golden.memory[at], self.device.memory[at]
                if not np.array_equal(expected, actual):
                    raise FaultError(
                        f"{ring} ring, index {index:#x}: "
                        f"expected {expected.tobytes().hex(' ', 8)}, "
                        f"actual {actual.tobytes().hex(' ', 8)}"
                    )
            if count:
                self.taken += count
                self.move_head(ring, tail)

    def serve(self, lines: Lines) -> None:
        """Submit these lines in batches, and take their completions."""
        goal, placed = self.taken + len(lines), 0
        while placed < len(lines):
            count = min(self.room(), len(lines) - placed, int(self.rng.integers(1, 9)))
            self.put(lines[placed : placed + count])
            placed += count
            self.ring()
            self.take()
            self.clear_and_resume()
        self.drain(goal)

    def drain(self, goal: int) -> None:
        """Take completions until ``goal`` since the reset; clear errors and resume as needed."""
        looks = 0
        while self.taken < goal:
            before = self.taken
            self.clear_and_resume()
            self.take()
            self.device.step(int(self.rng.integers(1, 12)))
            looks = 0 if self.taken != before else looks + 1
            if looks > _PATIENCE:
                raise FaultError(
                    f"{self.taken} of {goal} completions arrived: {self.progress(self.device)}"
                )

    def clear_and_resume(self) -> None:
        """Where the device is halted, check that both agree, clear the bus errors, and resume."""
        status = self.read("STATUS")
        if not status & STATUS["HALTED"]:
            return
        self.settle()
        self.counts["halts"] += 1
        self.clear_bus_errors()
        self.write("STATUS", STATUS["BUS_ERROR"])
        self.write("CTRL", CTRL["ENABLE"] | CTRL["RESUME"] | self.modes)

    def fail(self, at: slice) -> None:
        """Return an error for accesses of these bytes, on both sides."""
        # Of a burst that fails, lines may have been written that do not count.
        self._exact = False
        self.device.inject_bus_error(at.start, at.stop)
        self.golden.inject_bus_error(at.start, at.stop)

    def clear_bus_errors(self) -> None:
        """Let every access succeed again."""
        self.device.clear_bus_errors()
        self.golden.clear_bus_errors()

    def soft_reset(self) -> None:
        """CTRL.RESET; no completion may be half-written, and none may be written later."""
        executed = self.golden.memory
        self.device.write32(REG["CTRL"], CTRL["RESET"])
        if not self.reach_ready():
            raise FaultError("the device is never READY after CTRL.RESET")
        # The golden device executes at once: it has all that can ever have been written.
        same = executed == self.device.memory
        for word in self.layout.words() if self.publishes else ():
            same[word] = True
        for ring in self.rings:
            for index in range(self.layout.slots(ring)):
                at = self.layout.slot(ring, index)
                if not (same[at].all() or np.array_equal(self.device.memory[at], self._old[at])):
                    raise FaultError(f"slot {index} of the {ring} ring is half-written")
                same[at] = True
        if not same.all():
            raise FaultError(f"address {int(np.argmin(same)):#x} was written, and never may be")
        still = self.device.memory.copy()
        self.device.step(2 * self.setting.latency + 40)
        if not np.array_equal(still, self.device.memory):
            raise FaultError("something was written after STATUS.READY")
        self.golden = GoldenDevice(still, first_index=self.setting.first_index)
        self.forget()

    def remember(self) -> None:
        """Keep the memory as it is, for :meth:`soft_reset`."""
        self._old = self.device.memory.copy()

    # ------------------------------------------------------------------ rest

    def settle(self) -> None:
        """Wait until the device is where the golden device is, and stays; then compare them."""
        if not self.reach():
            raise FaultError(
                f"at rest they differ: expected {self.progress(self.golden)}, "
                f"actual {self.progress(self.device)}"
            )
        self.device.step(2 * self.setting.latency + 60)
        for name in (*COMPARED, "DOORBELL"):
            expected, actual = self.golden.read32(REG[name]), self.read(name)
            if expected != actual:
                raise FaultError(f"{name}: expected {expected:#x}, actual {actual:#x}")
        differing = self.differing()
        if len(differing):
            at = int(differing[0])
            raise FaultError(
                f"{len(differing)} bytes of the memory differ, the first at {at:#x}: "
                f"expected {self.golden.memory[at]:#x}, actual {self.device.memory[at]:#x}"
            )

    def open_bytes(self) -> Iterator[slice]:
        """Yield nothing: no byte may differ, until a burst has failed."""
        if not self._exact:
            yield from self.free_slots()

    def pass_time(self) -> None:
        """Let the device make progress."""
        self.device.step(1)

    def patience(self, least_s: float = 0.0) -> Callable[[], bool]:
        """Return a function that is true for so many polls."""
        del least_s
        looks = iter(range(_PATIENCE))
        return lambda: next(looks, None) is not None

    def finish(self) -> None:
        """Everything at rest and compared; add to the counts."""
        self.settle()
        self.counts["seeds"] += 1
        for name, register in (
            ("lines", "CNT_DESCRIPTORS"),
            ("refused", "CNT_ERRORS"),
            ("bad doorbells", "CNT_BAD_DOORBELLS"),
        ):
            self.counts[name] += self.golden.read32(REG[register])
