# SPDX-License-Identifier: Apache-2.0
"""The fault table: what can go wrong between a host and a device, many seeds of each kind.

A seed draws rings, modes, first index and the faults themselves. A small host does the same to the
device and to the golden device; whatever happens, both must end alike: every register, every byte.
So nothing is lost, and nothing comes twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from descring_model import GoldenDevice, contract, line_bytes, ring_log2, seal
from descring_model.lines import INDEX_MODULUS, Lines, index_range
from descring_model.streams import generate

_LINE = contract.DESC_BYTES
_PAGE = 4096
_REG = {register.name: register.offset for register in contract.REGISTERS}
_CTRL = {field.name: field.mask for field in contract.REGISTER["CTRL"].bits}
_STATUS = {field.name: field.mask for field in contract.REGISTER["STATUS"].bits}
_PROGRESS = ("STATUS", "CMD_HEAD", "DONE_TAIL", "REWARD_TAIL")
_NOT_COMPARED = {"CNT_STALL_CYCLES"}
_MODES = ("SPLIT_REWARD", "PUBLISH_TAILS")
_PATIENCE = 3_000
"""Looks at a device that does not get on, before it counts as stuck."""


class FaultyDevice(Protocol):
    """A device whose memory can fail, and whose time passes in :meth:`step` and accesses."""

    memory: npt.NDArray[np.uint8]

    def read32(self, offset: int) -> int:
        """Read a register."""

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""

    def step(self, cycles: int) -> None:
        """Let time pass."""

    def fail_memory(self, start: int, stop: int) -> None:
        """Answer accesses of these bytes with an error."""

    def mend_memory(self) -> None:
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
            modes=sum(_CTRL[name] * int(rng.integers(2)) for name in _MODES),
            latency=int(rng.integers(1, 24)),
        )

    @property
    def bases(self) -> dict[str, int]:
        """Address of slot 0 of each ring."""
        bases, end = {}, _PAGE
        for ring, log2 in (("CMD", self.cmd), ("DONE", self.done), ("REWARD", self.reward)):
            bases[ring] = end + _LINE * self.skew + contract.RING_SLOTS_OFFSET
            end = -(-(bases[ring] + (_LINE << log2)) // _PAGE) * _PAGE
        return bases

    @property
    def memory_bytes(self) -> int:
        """The memory that these rings need."""
        return -(-(self.bases["REWARD"] + (_LINE << self.reward)) // _PAGE) * _PAGE

    def slot(self, ring: str, index: int) -> slice:
        """The bytes of the slot of ``index``."""
        log2 = {"CMD": self.cmd, "DONE": self.done, "REWARD": self.reward}[ring]
        start = self.bases[ring] + _LINE * (index % (1 << log2))
        return slice(start, start + _LINE)


class FaultHost:
    """A host before a device and the golden device; one seed of a kind of fault.

    Attributes:
        rng: what the seed draws from.
        number: of the seed in its kind.
        counts: what came of it.
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
        self.write("CTRL", _CTRL["ENABLE"] | self.modes)

    @property
    def rings(self) -> tuple[str, ...]:
        """The rings that completions go to."""
        return ("DONE", "REWARD") if self.modes & _CTRL["SPLIT_REWARD"] else ("DONE",)

    # ------------------------------------------------------------------ lines

    def stream(self, count: int, profile: str = "decode") -> Lines:
        """Lines for the indices from the tail on."""
        seed = int(self.rng.integers(1 << 32))
        return generate(count, seed=seed, profile=profile, first_index=self.tail)

    def room(self) -> int:
        """Free slots of the command ring."""
        return (1 << self.setting.cmd) - (self.tail - self.read("CMD_HEAD")) % INDEX_MODULUS

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
            self.mend_and_resume()
        self.drain(goal)

    def drain(self, goal: int) -> None:
        """Take completions until it is so many since the reset; resume and mend as need be."""
        looks = 0
        while self.taken < goal:
            before = self.taken
            self.mend_and_resume()
            self.take()
            self.device.step(int(self.rng.integers(1, 12)))
            looks = 0 if self.taken != before else looks + 1
            if looks > _PATIENCE:
                raise FaultError(f"{self.taken} of {goal} completions came: {self._where()}")

    def mend_and_resume(self) -> None:
        """Where the device is halted, see that both are alike, mend the memory, and resume."""
        status = self.read("STATUS")
        if not status & _STATUS["HALTED"]:
            return
        self.settle()
        self.counts["halts"] += 1
        self.mend()
        self.write("STATUS", _STATUS["BUS_ERROR"])
        self.write("CTRL", _CTRL["ENABLE"] | _CTRL["RESUME"] | self.modes)

    def fail(self, at: slice) -> None:
        """Answer accesses of these bytes with an error, of both."""
        # Of a burst that fails, lines may have been written that do not count.
        self._exact = False
        self.device.fail_memory(at.start, at.stop)
        self.model.fail_memory(at.start, at.stop)

    def mend(self) -> None:
        """Let every access succeed again."""
        self.device.mend_memory()
        self.model.mend_memory()

    def soft_reset(self) -> None:
        """CTRL.RESET; no completion may be half-written, and none may be written later."""
        executed = self.model.memory
        self.device.write32(_REG["CTRL"], _CTRL["RESET"])
        for _ in range(_PATIENCE):
            if self.read("STATUS") & _STATUS["READY"]:
                break
            self.device.step(1)
        else:
            raise FaultError("the device is never READY after CTRL.RESET")
        # The golden device executes at once: it has all that can ever have been written.
        for ring in self.rings:
            for index in range(
                1 << {"DONE": self.setting.done, "REWARD": self.setting.reward}[ring]
            ):
                at = self.setting.slot(ring, index)
                now = self.device.memory[at]
                if not (np.array_equal(now, executed[at]) or np.array_equal(now, self._old[at])):
                    raise FaultError(f"slot {index} of the {ring} ring is half-written")
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
                slots = 1 << {"DONE": self.setting.done, "REWARD": self.setting.reward}[ring]
                free = slots - (tail - head) % INDEX_MODULUS
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


Fault = Callable[[FaultHost], None]


def _doorbells(host: FaultHost, ring: Callable[[bool], None]) -> None:
    """Submit in small batches; ``ring(needed)`` is the doorbell of each."""
    host.enable()
    lines = host.stream(int(host.rng.integers(6, 30)))
    placed = 0
    while placed < len(lines):
        count = min(host.room(), len(lines) - placed, int(host.rng.integers(1, 6)))
        host.place(lines[placed : placed + count])
        placed += count
        ring(placed == len(lines) or host.room() == 0)
        host.take()
    host.drain(len(lines))


def _lost(host: FaultHost) -> None:
    def ring(needed: bool) -> None:
        if needed or host.rng.random() < 0.3:
            host.ring()
        else:
            host.counts["faults"] += 1

    _doorbells(host, ring)


def _duplicated(host: FaultHost) -> None:
    def ring(needed: bool) -> None:
        del needed
        host.ring()
        for _ in range(int(host.rng.integers(1, 4))):
            host.ring()
            host.counts["faults"] += 1

    _doorbells(host, ring)


def _backward(host: FaultHost) -> None:
    def ring(needed: bool) -> None:
        del needed
        host.ring()
        for step in host.rng.choice([1, 2, 5, 1 << 16, 1 << 30], 2).tolist():
            host.write("DOORBELL", host.tail - step)
            host.counts["faults"] += 1

    _doorbells(host, ring)


def _too_far(host: FaultHost) -> None:
    def ring(needed: bool) -> None:
        del needed
        slots = 1 << host.setting.cmd
        for step in host.rng.choice([1, 2, slots, 1 << 16, 1 << 30], 2).tolist():
            host.write("DOORBELL", host.tail + slots + step)
            host.counts["faults"] += 1
        host.ring()

    _doorbells(host, ring)


def _damaged(host: FaultHost, damage: Callable[[bytes, bytes], bytes]) -> None:
    """CHECKED lines, some of which reach the memory as ``damage(new, old)`` makes them."""
    host.enable(_CTRL["REQUIRE_CHECKED"] * int(host.rng.random() < 0.7))
    total, placed = int(host.rng.integers(6, 30)), 0
    while placed < total:
        count = min(host.room(), total - placed, int(host.rng.integers(1, 9)))
        lines = seal(host.stream(count), index_range(host.tail, count), set_flag=True)
        for row in line_bytes(lines):
            new = row.tobytes()
            if host.rng.random() < 0.4:
                old = host.device.memory[host.setting.slot("CMD", host.tail)].tobytes()
                new = damage(new, old)
                host.counts["faults"] += 1
            host.place([new])
        placed += count
        host.ring()
        host.take()
        host.mend_and_resume()
    host.drain(total)


def _stale(host: FaultHost) -> None:
    _damaged(host, lambda new, old: old)


def _torn(host: FaultHost) -> None:
    cut = 1 + host.number % (_LINE - 1)
    _damaged(host, lambda new, old: new[:cut] + old[cut:])


def _bit_flips(host: FaultHost) -> None:
    def flip(new: bytes, old: bytes) -> bytes:
        del old
        line = bytearray(new)
        for place in host.rng.choice(8 * _LINE, 1 + host.number % 4, replace=False).tolist():
            line[place // 8] ^= 1 << place % 8
        return bytes(line)

    _damaged(host, flip)


def _bus_errors(host: FaultHost) -> None:
    host.enable()
    for _ in range(2):
        ring = ("CMD", *host.rings)[int(host.rng.integers(1 + len(host.rings)))]
        # At rest, so that nothing has been fetched that fails only now.
        host.settle()
        host.fail(host.setting.slot(ring, int(host.rng.integers(64))))
        host.counts["faults"] += 1
        goal = host.taken + host.room()
        host.place(host.stream(host.room(), "mixed"))
        host.ring()
        host.drain(goal)
        host.mend()


def _resets(host: FaultHost) -> None:
    for _ in range(2):
        host.enable()
        host.remember()
        host.place(host.stream(host.room()))
        host.ring()
        host.device.step(int(host.rng.integers(0, 60 + 2 * host.setting.latency)))
        host.counts["faults"] += 1
        host.soft_reset()
    host.enable()
    host.serve(host.stream(int(host.rng.integers(6, 30)), "mixed"))


def _never_drained(host: FaultHost) -> None:
    host.enable()
    lines = host.stream(int(host.rng.integers(40, 80)))
    placed = 0
    while count := min(host.room(), len(lines) - placed):
        host.place(lines[placed : placed + count])
        placed += count
        host.ring()
        host.settle()
    host.counts["faults"] += 1
    host.take()
    host.serve(lines[placed:])


KINDS: dict[str, Fault] = {
    "lost_doorbells": _lost,
    "duplicated_doorbells": _duplicated,
    "backward_doorbells": _backward,
    "too_far_doorbells": _too_far,
    "stale_lines": _stale,
    "torn_lines": _torn,
    "bit_flips": _bit_flips,
    "bus_errors": _bus_errors,
    "resets": _resets,
    "done_ring_never_drained": _never_drained,
}

Opener = Callable[[Setting, int], FaultyDevice]
"""A device out of reset for this setting, and what it draws for itself from a seed."""


def run_seed(kind: str, seed: int, number: int, opener: Opener, counts: Counter[str]) -> None:
    """Run seed ``number`` of ``kind`` on a device that ``opener`` gives; adds to ``counts``.

    Raises:
        FaultError: the device and the golden device differ; says which seed.
    """
    rng = np.random.default_rng((seed, list(KINDS).index(kind), number))
    setting = Setting.draw(rng)
    device = opener(setting, int(rng.integers(1 << 32)))
    host = FaultHost(device, setting, rng, number, counts)
    try:
        KINDS[kind](host)
        host.finish()
    except FaultError as error:
        raise FaultError(f"{kind}, seed {seed}, number {number}, {setting}: {error}") from error
