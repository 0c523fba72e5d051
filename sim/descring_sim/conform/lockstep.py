# SPDX-License-Identifier: Apache-2.0
"""A host that does each step to a device and to the golden device, and compares the two.

The conformance suite and the fault table are this host. How time passes for the device, and how a
difference is reported, is theirs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from descring_model import GoldenDevice, contract, ring_log2
from descring_model.lines import INDEX_MODULUS, index_range

LINE = contract.DESC_BYTES
U32 = INDEX_MODULUS - 1
REG = contract.OFFSET
CTRL = contract.MASK["CTRL"]
STATUS = contract.MASK["STATUS"]
IRQ = contract.MASK["IRQ_STATUS"]
COMPARED = tuple(name for name in REG if name not in ("CNT_STALL_CYCLES", "DOORBELL"))
"""Registers that are compared at rest; stalled cycles are time (section 8)."""
RINGS = ("CMD", "DONE", "REWARD")
_PROGRESS = ("CMD_HEAD", "DONE_TAIL", "REWARD_TAIL", "STATUS", "IRQ_STATUS")
_CHANCES = 3
"""How often a device is waited for at the least before it is taken to be at rest."""
_WORDS = (contract.RING_HEAD_OFFSET, contract.RING_TAIL_OFFSET, contract.RING_TAIL_OFFSET)
"""Where the device writes its index of each ring under PUBLISH_TAILS [RING-013]."""


class Registers(Protocol):
    """What every device has: registers, and the window that its rings lie in."""

    @property
    def memory(self) -> npt.NDArray[np.uint8]:
        """The window that rings lie in."""
        ...

    def read32(self, offset: int) -> int:
        """Read the register at this byte address."""
        ...

    def write32(self, offset: int, value: int) -> None:
        """Write the register at this byte address."""
        ...


@dataclass(frozen=True)
class Layout:
    """Where rings lie: byte address of slot 0 and log2 of the slots, for CMD, DONE and REWARD."""

    bases: tuple[int, int, int]
    log2: tuple[int, int, int]

    def slots(self, ring: str) -> int:
        """How many slots the ring has."""
        return 1 << self.log2[RINGS.index(ring)]

    def slot(self, ring: str, index: int) -> slice:
        """The bytes of the slot of ``index``."""
        start = self.bases[RINGS.index(ring)] + LINE * (index % self.slots(ring))
        return slice(start, start + LINE)

    def words(self) -> Iterator[slice]:
        """The words that a device may keep its indices in, in the order of the rings."""
        for base, offset in zip(self.bases, _WORDS, strict=True):
            word = base - contract.RING_SLOTS_OFFSET + offset
            yield slice(word, word + 4)


D = TypeVar("D", bound=Registers)


class LockstepHost(ABC, Generic[D]):
    """A device, its golden twin, and the steps of a host.

    Attributes:
        device: the device under test.
        golden: the golden device; it is eager, where the other may take its time.
        layout: the rings that both were told of.
        first_index: what every index is in reset [RING-012].
        tail: the index behind the last line in the command ring.
        heads: the host's head of each completion ring.
    """

    def __init__(self, device: D, golden: GoldenDevice, layout: Layout, first_index: int) -> None:
        self.device = device
        self.golden = golden
        self.layout = layout
        self.first_index = first_index
        self.forget()

    def forget(self) -> None:
        """Begin again from the first index, as after a reset."""
        self.tail = self.first_index
        self.heads = dict.fromkeys(RINGS[1:], self.first_index)

    # ------------------------------------------------------------------ steps of a host

    def write(self, register: str | int, value: int) -> None:
        """Write a register, by name or address, of both."""
        offset = REG[register] if isinstance(register, str) else register
        self.golden.write32(offset, value & U32)
        self.device.write32(offset, value & U32)

    def read(self, register: str | int) -> int:
        """Read a register of the device under test."""
        return self.device.read32(REG[register] if isinstance(register, str) else register)

    def configure(self, layout: Layout) -> None:
        """Write sizes and bases."""
        self.accept_open_bytes()
        self.layout = layout
        self.write("RING_LOG2", ring_log2(*layout.log2))
        for ring, base in zip(RINGS, layout.bases, strict=True):
            self.write(f"{ring}_BASE_LO", base)
            self.write(f"{ring}_BASE_HI", base >> 32)

    def store(self, address: int, data: bytes) -> None:
        """Store bytes in the memory of both."""
        for memory in (self.golden.memory, self.device.memory):
            memory[address : address + len(data)] = np.frombuffer(data, np.uint8)

    def place(self, rows: Iterable[bytes]) -> None:
        """Store lines at the tail of the command ring, without a doorbell."""
        self.place_all(np.frombuffer(b"".join(rows), np.uint8).reshape(-1, LINE))

    def place_all(self, rows: npt.NDArray[np.uint8]) -> None:
        """Store lines, ``(n, 64)``, at the tail of the command ring, without a doorbell."""
        slots = self.layout.slots("CMD")
        start = self.layout.bases[RINGS.index("CMD")]
        at = index_range(self.tail, len(rows)) % slots
        for memory in (self.golden.memory, self.device.memory):
            memory[start : start + LINE * slots].reshape(slots, LINE)[at] = rows
        self.tail = self.tail + len(rows) & U32

    def move_head(self, ring: str, head: int) -> None:
        """Free the slots of a completion ring up to ``head``."""
        self.heads[ring] = head & U32
        self.write(f"{ring}_HEAD", head)

    # ------------------------------------------------------------------ time

    @abstractmethod
    def pass_time(self) -> None:
        """Let the device make progress."""

    @abstractmethod
    def patience(self, least_s: float = 0.0) -> Callable[[], bool]:
        """Return a function that tells whether a device without progress may be waited for."""

    def reach(self) -> bool:
        """Wait until the device is as far as its twin, or has not moved for too long.

        Returns:
            Whether it is as far.
        """
        wanted = self.progress(self.golden)
        last, waiting = self.progress(self.device), self.patience()
        given = 0
        # Time alone is no chance: on a busy machine it may pass before the device is asked once.
        while last != wanted and (waiting() or given < _CHANCES):
            given += 1
            # Reading again lets time pass in a simulator, where a wait can be a thousand cycles.
            now = self.progress(self.device)
            if now == last:
                self.pass_time()
                now = self.progress(self.device)
            if now != last:
                last, waiting, given = now, self.patience(), 0
        return last == wanted

    def reach_ready(self, least_s: float = 0.0) -> bool:
        """Wait for STATUS.READY; whether the device shows it."""
        waiting = self.patience(least_s)
        while not self.read("STATUS") & STATUS["READY"]:
            if not waiting():
                return False
            self.pass_time()
        return True

    # ------------------------------------------------------------------ what both show

    def progress(self, device: Registers) -> dict[str, int]:
        """Return what moves while a device works.

        The words of RING-013 move after the registers.
        """
        shown = {name: device.read32(REG[name]) for name in _PROGRESS}
        if self.publishes:
            for ring, word in zip(RINGS, self.layout.words(), strict=True):
                shown[f"{ring} word"] = int.from_bytes(device.memory[word].tobytes(), "little")
        return shown

    @property
    def publishes(self) -> bool:
        """Whether devices write their indices into memory [RING-013]."""
        return bool(self.golden.read32(REG["CTRL"]) & CTRL["PUBLISH_TAILS"])

    def free_slots(self) -> Iterator[slice]:
        """Yield the slots of completion rings in which no completion lies."""
        for ring in RINGS[1:]:
            head, tail = (self.golden.read32(REG[f"{ring}_{end}"]) for end in ("HEAD", "TAIL"))
            free = self.layout.slots(ring) - (tail - head & U32)
            for index in index_range(tail, free).tolist():
                yield self.layout.slot(ring, index)

    def open_bytes(self) -> Iterator[slice]:
        """Yield what the contract leaves open: free completion slots, unwritten words."""
        yield from self.free_slots()
        if not self.publishes:
            yield from (word for word in self.layout.words() if word.start >= 0)

    def accept_open_bytes(self) -> None:
        """Take over what the device left where the contract leaves it open, for as long as it does.

        Under another layout these bytes may belong to no ring, and then they must not change.
        """
        for at in self.open_bytes():
            self.golden.memory[at] = self.device.memory[at]

    def differing(self) -> npt.NDArray[np.intp]:
        """Return where the memories differ and the contract determines what is there."""
        different = self.golden.memory != self.device.memory
        if not different.any():
            return np.empty(0, dtype=np.intp)
        for at in self.open_bytes():
            different[at] = False
        return np.flatnonzero(different)
