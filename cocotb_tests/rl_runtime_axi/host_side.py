# SPDX-License-Identifier: Apache-2.0
"""The host of the device with rings in memory: registers, lines, doorbells, completions."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt
from descring_model import contract, line_bytes, ring_log2
from descring_model.lines import Lines
from descring_vip.axi.lite import AxilHost
from descring_vip.axi.memory import AxiMemory
from descring_vip.testbench import Testbench
from mmio_regs.register_reference import ENABLE, HALTED, READY, RESET, RESUME, SPLIT_REWARD, U32
from rl_runtime_mmio.device_scoreboard import OFFSET

from rl_runtime_axi.layout import Layout, Place
from rl_runtime_axi.shell_scoreboard import ShellScoreboard
from rl_runtime_axi.stimulus import Stimulus

_PROGRESS_CYCLES = 3_000


class HostSide(Stimulus, Testbench):
    """A host program.

    Attributes:
        modes: mode bits of CTRL in force.
        published: the last doorbell.
        heads: of each completion ring, what the host has consumed.
        taken: completions taken since the last reset.
    """

    scoreboard: ShellScoreboard
    bus: AxiMemory
    host: AxilHost
    layout: Layout
    places: dict[str, Place]
    memory: npt.NDArray[np.uint8]

    @abstractmethod
    async def settle(self) -> None:
        """Wait until the design has come as far as the model."""

    def _forget(self) -> None:
        self.modes = 0
        self.tail = self.scoreboard.first_index
        self.published = self.tail
        self.heads = dict.fromkeys(("DONE", "REWARD"), self.scoreboard.first_index)
        self.taken = 0

    # ------------------------------------------------------------------ registers

    async def write(self, name: str, value: int) -> None:
        """Write the register called ``name``."""
        await self.host.write(OFFSET[name], value)

    async def read(self, name: str) -> int:
        """Read the register called ``name``; the scoreboard compares the answer."""
        return await self.host.read(OFFSET[name])

    async def read_all(self) -> None:
        """Read every register."""
        for offset in OFFSET.values():
            await self.host.read(offset)

    async def configure(self) -> None:
        """Tell the device its rings."""
        layout = self.layout
        await self.write("RING_LOG2", ring_log2(layout.cmd, layout.done, layout.reward))
        for ring, place in self.places.items():
            base = self.bus.origin + place.base
            await self.write(f"{ring}_BASE_LO", base % U32)
            await self.write(f"{ring}_BASE_HI", base // U32)

    async def enable(self, modes: int = 0, *, irq_mask: int | None = None) -> None:
        """Configure, give the words in memory their first value, and start.

        The interrupt shows one event, or those of ``irq_mask``.
        """
        self.modes = modes
        one = 1 << int(self.rng.integers(3))
        await self.write("IRQ_MASK", one if irq_mask is None else irq_mask)
        first = self.scoreboard.first_index.to_bytes(4, "little")
        for place in self.places.values():
            for offset in (contract.RING_HEAD_OFFSET, contract.RING_TAIL_OFFSET):
                self.scoreboard.store(place.base - contract.RING_SLOTS_OFFSET + offset, first)
        await self.configure()
        await self.write("CTRL", ENABLE | modes)

    async def until_status(self, mask: int, value: int) -> int:
        """Poll STATUS until ``mask`` of it is ``value``; all of it."""
        start = self.time.cycle
        while (status := await self.read("STATUS")) & mask != value:
            if self.time.cycle - start > _PROGRESS_CYCLES:
                raise self.timeout(f"STATUS never came to be 0x{value:x} in bits 0x{mask:x}")
        return status

    async def resume(self) -> None:
        """Wait until the device says that it is halted, then let it go on."""
        await self.until_status(HALTED, HALTED)
        await self.write("CTRL", ENABLE | RESUME | self.modes)

    async def soft_reset(self, also: int = 0) -> None:
        """CTRL.RESET with other bits; returns when STATUS.READY says that it is over."""
        await self.write("CTRL", RESET | also)
        await self.until_status(READY, READY)
        self._forget()

    # ------------------------------------------------------------------ rings

    def place_lines(self, lines: Lines) -> None:
        """Store lines at the tail, without a doorbell; there must be room."""
        for row in line_bytes(lines):
            self.scoreboard.store(self.places["CMD"].slot(self.tail).start, row.tobytes())
            self.tail = (self.tail + 1) % U32

    async def ring(self, tail: int | None = None) -> None:
        """Doorbell for everything placed, or for ``tail``."""
        self.published = self.tail if tail is None else tail
        await self.write("DOORBELL", self.published)

    async def submit(self, lines: Lines) -> None:
        """Place lines and ring the doorbell."""
        self.place_lines(lines)
        await self.ring()

    async def room(self) -> int:
        """Free slots of the command ring, from CMD_HEAD [RING-009]."""
        head = await self.read("CMD_HEAD")
        return self.places["CMD"].slots - (self.tail - head) % U32

    def word(self, ring: str, which: str) -> int:
        """The ``head`` or the ``tail`` of a ring in the design's memory [RING-004]."""
        offset = {"head": contract.RING_HEAD_OFFSET, "tail": contract.RING_TAIL_OFFSET}[which]
        start = self.places[ring].base - contract.RING_SLOTS_OFFSET + offset
        return int.from_bytes(self.memory[start : start + 4].tobytes(), "little")

    async def take(self, ring: str, limit: int | None = None) -> int:
        """Take completions that the tail register shows, at most ``limit``; how many."""
        count = (await self.read(f"{ring}_TAIL") - self.heads[ring]) % U32
        count = count if limit is None else min(count, limit)
        if count:
            self.heads[ring] = (self.heads[ring] + count) % U32
            await self.write(f"{ring}_HEAD", self.heads[ring])
            self.taken += count
        return count

    async def take_all(self) -> int:
        """Take every completion of both rings that is there; how many."""
        rings = ("DONE", "REWARD") if self.modes & SPLIT_REWARD else ("DONE",)
        return sum([await self.take(ring) for ring in rings])

    async def take_until(self, taken: int) -> None:
        """Take whatever there is, until ``taken`` completions were taken since reset.

        Raises:
            AssertionError: nothing comes any more.
        """
        since = self.time.cycle
        while self.taken < taken:
            if await self.take_all():
                since = self.time.cycle
            elif self.time.cycle - since > _PROGRESS_CYCLES:
                raise self.timeout(f"{self.taken} of {taken} completions")

    async def serve(
        self, lines: Lines, *, longest_batch: int = 24, patience: int = _PROGRESS_CYCLES
    ) -> None:
        """Be a host until these lines are answered and taken, whatever the rings hold.

        Doorbells come in batches, some of them repeated; completions are taken now and then; a
        halted device is resumed.
        """
        last, since = self.taken, self.time.cycle
        goal, placed = self.taken + len(lines), 0
        while self.taken < goal:
            count = min(await self.room(), int(self.rng.integers(longest_batch + 1)))
            self.place_lines(lines[placed : placed + count])
            placed = min(placed + count, len(lines))
            await self.ring()
            if (await self.read("STATUS")) & HALTED:
                await self.resume()
            if self.rng.random() < 0.8:
                await self.take_all()
            if self.rng.random() < 0.1:
                # Any register may be read at any time; most of them know no time.
                names = list(OFFSET)
                await self.read(names[int(self.rng.integers(len(names)))])
            if self.taken != last:
                last, since = self.taken, self.time.cycle
            elif self.time.cycle - since > patience:
                raise self.timeout(f"no completion for {patience} cycles")

    async def serve_halts(self) -> int:
        """Resume the device for as long as it halts; how often it did."""
        await self.settle()
        halts = 0
        while (await self.read("STATUS")) & HALTED:
            halts += 1
            await self.resume()
            await self.take_all()
            await self.settle()
        return halts

    def unchanged(self, what: str, before: int, after: int) -> None:
        """What the device showed before it must show again."""
        self.scoreboard.registers.check(what, expected=before, actual=after)
