# SPDX-License-Identifier: Apache-2.0
"""A small host that does the same to a device and to the golden device, and compares them.

Whatever goes wrong between host and device, both must end alike: every register, every byte. So
nothing is lost or duplicated. :mod:`descring_sim.faults.kinds` has the faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from descring_model import GoldenDevice, contract, line_bytes, ring_log2
from descring_model.lines import INDEX_MODULUS, Lines, index_range
from descring_model.streams import generate

LINE = contract.DESC_BYTES
_PAGE = 4096
_REG = {register.name: register.offset for register in contract.REGISTERS}
CTRL = {field.name: field.mask for field in contract.REGISTER["CTRL"].bits}
_STATUS = {field.name: field.mask for field in contract.REGISTER["STATUS"].bits}
_PROGRESS = ("STATUS", "CMD_HEAD", "DONE_TAIL", "REWARD_TAIL")
_NOT_COMPARED = {"CNT_STALL_CYCLES"}
_MODES = ("SPLIT_REWARD", "PUBLISH_TAILS")
_PUBLISHED = (
    ("CMD", contract.RING_HEAD_OFFSET),
    ("DONE", contract.RING_TAIL_OFFSET),
    ("REWARD", contract.RING_TAIL_OFFSET),
)
"""Where the device writes its indices under PUBLISH_TAILS [RING-013]."""

_PATIENCE = 3_000
"""Polls of a device without progress, before it counts as stuck."""


class FaultyDevice(Protocol):
    """A device whose memory can fail, and whose time passes in :meth:`step` and accesses."""

    memory: npt.NDArray[np.uint8]

    def read32(self, offset: int) -> int:
        """Read a register."""

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""

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
    def bases(self) -> dict[str, int]:
        """Address of slot 0 of each ring."""
        bases, end = {}, _PAGE
        for ring, log2 in (("CMD", self.cmd), ("DONE", self.done), ("REWARD", self.reward)):
            bases[ring] = end + LINE * self.skew + contract.RING_SLOTS_OFFSET
            end = -(-(bases[ring] + (LINE << log2)) // _PAGE) * _PAGE
        return bases

    @property
    def memory_bytes(self) -> int:
        """The memory that these rings need."""
        return -(-(self.bases["REWARD"] + (LINE << self.reward)) // _PAGE) * _PAGE

    def slots(self, ring: str) -> int:
        """How many slots the ring has."""
        return 1 << {"CMD": self.cmd, "DONE": self.done, "REWARD": self.reward}[ring]

    def slot(self, ring: str, index: int) -> slice:
        """The bytes of the slot of ``index``."""
        start = self.bases[ring] + LINE * (index % self.slots(ring))
        return slice(start, start + LINE)


class FaultHost:
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
        self.device = device
        self.setting = setting
        self.rng = rng
        self.number = number
        self.counts = counts
        self.model = GoldenDevice(device.memory.copy(), first_index=setting.first_index)
        self._exact = True
        self._forget()

    def _forget(self) -> None:
        self.tail = self.setting.first_index
        self.heads = dict.fromkeys(("DONE", "REWARD"), self.setting.first_index)
        self.taken = 0
        self.modes = 0
        self._full_looks = 0

    # ------------------------------------------------------------------ accesses

    def write(self, name: str, value: int) -> None:
        """Write a register of both."""
        self.model.write32(_REG[name], value % INDEX_MODULUS)
        self.device.write32(_REG[name], value % INDEX_MODULUS)

    def read(self, name: str) -> int:
        """Read a register of the device."""
        return self.device.read32(_REG[name])

    def store(self, address: int, data: bytes) -> None:
        """Store bytes in the memory of both."""
        for memory in (self.model.memory, self.device.memory):
            memory[address : address + len(data)] = np.frombuffer(data, dtype=np.uint8)

    def enable(self, modes: int = 0) -> None:
        """Configure and start both, in the seed's modes and ``modes``."""
        self.modes = self.setting.modes | modes
        setting = self.setting
        for base in setting.bases.values():
            for offset in (contract.RING_HEAD_OFFSET, contract.RING_TAIL_OFFSET):
                word = setting.first_index.to_bytes(4, "little")
                self.store(base - contract.RING_SLOTS_OFFSET + offset, word)
        self.write("RING_LOG2", ring_log2(setting.cmd, setting.done, setting.reward))
        for ring, base in setting.bases.items():
            self.write(f"{ring}_BASE_LO", base)
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
        free = self.setting.slots("CMD") - (self.tail - self.read("CMD_HEAD")) % INDEX_MODULUS
        self._full_looks = 0 if free else self._full_looks + 1
        if self._full_looks > _PATIENCE:
            raise FaultError(f"the command ring stays full: {self._where()}")
        return free

    def place(self, lines: Lines | Sequence[bytes]) -> None:
        """Store lines at the tail, without a doorbell."""
        rows = lines if isinstance(lines, Sequence) else [r.tobytes() for r in line_bytes(lines)]
        for row in rows:
            self.store(self.setting.slot("CMD", self.tail).start, row)
            self.tail = (self.tail + 1) % INDEX_MODULUS

    def ring(self) -> None:
        """Doorbell for everything placed."""
        self.write("DOORBELL", self.tail)

    def take(self) -> None:
        """Take every completion that is there, each compared with the golden device's."""
        for ring in self.rings:
            tail = self.read(f"{ring}_TAIL")
            count = (tail - self.heads[ring]) % INDEX_MODULUS
            limit = (self.model.read32(_REG[f"{ring}_TAIL"]) - self.heads[ring]) % INDEX_MODULUS
            if count > limit:
                raise FaultError(
                    f"{ring}_TAIL is {tail:#x}: {count} posted, at most {limit} can be"
                )
            for index in index_range(self.heads[ring], count).tolist():
                at = self.setting.slot(ring, index)
                expected, actual = self.model.memory[at], self.device.memory[at]
                if not np.array_equal(expected, actual):
                    raise FaultError(
                        f"{ring} ring, index {index:#x}: "
                        f"expected {expected.tobytes().hex(' ', 8)}, "
                        f"actual {actual.tobytes().hex(' ', 8)}"
                    )
            if count:
                self.heads[ring] = tail
                self.taken += count
                self.write(f"{ring}_HEAD", tail)

    def serve(self, lines: Lines) -> None:
        """Submit these lines in batches, and take their completions."""
        goal, placed = self.taken + len(lines), 0
        while placed < len(lines):
            count = min(self.room(), len(lines) - placed, int(self.rng.integers(1, 9)))
            self.place(lines[placed : placed + count])
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
                raise FaultError(f"{self.taken} of {goal} completions arrived: {self._where()}")

    def clear_and_resume(self) -> None:
        """Where the device is halted, check that both agree, clear the bus errors, and resume."""
        status = self.read("STATUS")
        if not status & _STATUS["HALTED"]:
            return
        self.settle()
        self.counts["halts"] += 1
        self.clear_bus_errors()
        self.write("STATUS", _STATUS["BUS_ERROR"])
        self.write("CTRL", CTRL["ENABLE"] | CTRL["RESUME"] | self.modes)

    def fail(self, at: slice) -> None:
        """Return an error for accesses of these bytes, on both sides."""
        # Of a burst that fails, lines may have been written that do not count.
        self._exact = False
        self.device.inject_bus_error(at.start, at.stop)
        self.model.inject_bus_error(at.start, at.stop)

    def clear_bus_errors(self) -> None:
        """Let every access succeed again."""
        self.device.clear_bus_errors()
        self.model.clear_bus_errors()

    def soft_reset(self) -> None:
        """CTRL.RESET; no completion may be half-written, and none may be written later."""
        executed = self.model.memory
        self.device.write32(_REG["CTRL"], CTRL["RESET"])
        for _ in range(_PATIENCE):
            if self.read("STATUS") & _STATUS["READY"]:
                break
            self.device.step(1)
        else:
            raise FaultError("the device is never READY after CTRL.RESET")
        # The golden device executes at once: it has all that can ever have been written.
        same = executed == self.device.memory
        for ring, offset in _PUBLISHED if self.modes & CTRL["PUBLISH_TAILS"] else ():
            word = self.setting.bases[ring] - contract.RING_SLOTS_OFFSET + offset
            same[word : word + 4] = True
        for ring in self.rings:
            for index in range(self.setting.slots(ring)):
                at = self.setting.slot(ring, index)
                if not (same[at].all() or np.array_equal(self.device.memory[at], self._old[at])):
                    raise FaultError(f"slot {index} of the {ring} ring is half-written")
                same[at] = True
        if not same.all():
            raise FaultError(f"address {int(np.argmin(same)):#x} was written, and never may be")
        still = self.device.memory.copy()
        self.device.step(2 * self.setting.latency + 40)
        if not np.array_equal(still, self.device.memory):
            raise FaultError("something was written after STATUS.READY")
        self.model = GoldenDevice(still, first_index=self.setting.first_index)
        self._forget()

    def remember(self) -> None:
        """Keep the memory as it is, for :meth:`soft_reset`."""
        self._old = self.device.memory.copy()

    # ------------------------------------------------------------------ rest

    def settle(self) -> None:
        """Wait until the device is where the golden device is, and stays; then compare them."""
        for _ in range(_PATIENCE):
            if self._where() == self._where(self.model):
                break
            self.device.step(8)
        else:
            raise FaultError(
                f"at rest they differ: expected {self._where(self.model)}, actual {self._where()}"
            )
        self.device.step(2 * self.setting.latency + 60)
        for name, offset in _REG.items():
            expected, actual = self.model.read32(offset), self.device.read32(offset)
            if expected != actual and name not in _NOT_COMPARED:
                raise FaultError(f"{name}: expected {expected:#x}, actual {actual:#x}")
        self._compare_memory()

    def _where(self, device: FaultyDevice | GoldenDevice | None = None) -> dict[str, int]:
        device = self.device if device is None else device
        return {name: device.read32(_REG[name]) for name in _PROGRESS}

    def _compare_memory(self) -> None:
        same = self.model.memory == self.device.memory
        if not self._exact:
            for ring in self.rings:
                tail, head = (self.model.read32(_REG[f"{ring}_{end}"]) for end in ("TAIL", "HEAD"))
                free = self.setting.slots(ring) - (tail - head) % INDEX_MODULUS
                for index in index_range(tail, free).tolist():
                    same[self.setting.slot(ring, index)] = True
        if not same.all():
            at = int(np.argmin(same))
            raise FaultError(
                f"{np.count_nonzero(~same)} bytes of the memory differ, the first at {at:#x}: "
                f"expected {self.model.memory[at]:#x}, actual {self.device.memory[at]:#x}"
            )

    def finish(self) -> None:
        """Everything at rest and compared; add to the counts."""
        self.settle()
        self.counts["seeds"] += 1
        for name, register in (
            ("lines", "CNT_DESCRIPTORS"),
            ("refused", "CNT_ERRORS"),
            ("bad doorbells", "CNT_BAD_DOORBELLS"),
        ):
            self.counts[name] += self.model.read32(_REG[register])
