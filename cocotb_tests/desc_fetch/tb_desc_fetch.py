# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``desc_fetch``: memory on one side, a consumer on the other."""

from __future__ import annotations

from collections.abc import Iterator

import cocotb
import numpy as np
from cocotb.handle import HierarchyObject
from descring_model.lines import INDEX_MODULUS
from descring_vip.axi.memory import AxiMemory, Latency
from descring_vip.handles import bit, is_high, read_int, signal
from descring_vip.scoreboard import LineChecker, ValueChecker
from descring_vip.stream.line_stream import Beat
from descring_vip.stream.lines import LINE_BYTES
from descring_vip.stream.patterns import Idle, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench

_AR = ("id", "addr", "len", "size", "burst", "lock", "cache", "prot", "valid")
_PAGE_BYTES = 4096
_FIRST_PAGE = 0x3000
_BASE = _FIRST_PAGE - 5 * LINE_BYTES


class FetchTestbench(Testbench):
    """A ring of random lines in memory, of which the design must hand over what is published.

    Attributes:
        bus: the memory.
        tail: the published tail.
        restarts: how often it went back; every other flush takes one cycle only.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        *,
        log2: int = 4,
        first_index: int = 0,
        idle: Idle = Idle.NONE,
        ready: Ready = Ready.ALWAYS,
        latency: Latency | None = None,
    ) -> None:
        outputs = [*(f"m_axi_ar{name}" for name in _AR), "m_axi_rready", "valid_o", "data_o"]
        super().__init__(dut, outputs=[*outputs, "index_o", "error_o", "idle_o"])
        self.slots = 1 << log2
        self.memory = self.rng.integers(0, 256, _BASE + LINE_BYTES * self.slots, dtype=np.uint8)
        self.bus = AxiMemory(dut, self.time, self.memory, self.rng, writes=False)
        self.bus.read_latency = latency or Latency()
        self.bus.pause(r=idle_pattern(idle, self.rng), ar=ready_pattern(Ready.RANDOM, self.rng))
        self.lines = self.add_checker(LineChecker("lines", self.time.context))
        self.bursts = self.add_checker(ValueChecker("bursts", self.time.context))
        self.sink = self.add_sink()
        self._ready_kind = ready
        self.add_monitor(into=False, side=("index_o",)).add_callback(self._handed_over)
        self._inputs = {
            name: signal(dut, name)
            for name in ("cmd_head_i", "cmd_tail_i", "cmd_log2_i", "cmd_line_i")
        }
        self._run, self._flush = bit(dut, "run_i"), bit(dut, "flush_i")
        self._idle, self._error = bit(dut, "idle_o"), bit(dut, "error_o")
        self._index = signal(dut, "index_o")
        self.tail = self.next = first_index
        self.restarts = 0
        self._inputs["cmd_log2_i"].value = log2
        self._inputs["cmd_line_i"].value = _BASE // LINE_BYTES
        self._inputs["cmd_tail_i"].value = self._inputs["cmd_head_i"].value = first_index
        self._run.value, self._flush.value = 0, 1

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        self.bus.stop()

    def slot(self, index: int) -> slice:
        """The bytes of the slot of ``index``."""
        start = _BASE + LINE_BYTES * (index % self.slots)
        return slice(start, start + LINE_BYTES)

    def publish(self, count: int) -> None:
        """Publish so many lines more; each must be handed over."""
        for step in range(count):
            index = (self.tail + step) % INDEX_MODULUS
            self.lines.expect(self.memory[self.slot(index)].tobytes())
        self.tail = (self.tail + count) % INDEX_MODULUS
        self._inputs["cmd_tail_i"].value = self.tail

    async def run(self) -> None:
        """Let reads start."""
        await self.time.edge()
        self._flush.value = 0
        self._run.value = 1
        self.sink.start(ready_pattern(self._ready_kind, self.rng), kind=self._ready_kind)

    async def restart(self, head: int) -> None:
        """Let the reads under way end, empty the buffer, and go back to ``head``."""
        self._run.value = 0
        await self.time.edge()
        await self.until(lambda: is_high(self._idle), 2_000, "idle_o")
        self.sink.stop()
        # Ready is low before the flush, so that no line is taken while it is on.
        await self.time.edge()
        self._inputs["cmd_head_i"].value = head
        self._flush.value = 1
        self.restarts += 1
        if self.restarts % 2:
            await self.time.cycles(2)
        self.lines.discard()
        self.next = head
        for step in range((self.tail - head) % INDEX_MODULUS):
            at = self.slot((head + step) % INDEX_MODULUS)
            self.lines.expect(self.memory[at].tobytes())
        await self.run()

    async def move(self, address: int) -> None:
        """Go on at the tail, with the first page behind slot 0 at ``address``."""
        self.bus.origin = address - _FIRST_PAGE
        self._inputs["cmd_line_i"].value = (self.bus.origin + _BASE) // LINE_BYTES
        await self.restart(self.tail)

    async def served(self) -> None:
        """Wait until everything published was handed over."""
        await self.until(lambda: self.next == self.tail, 20_000, "the published lines")

    async def handed_over(self, index: int) -> None:
        """Wait until every line before ``index`` was handed over."""
        await self.until(
            lambda: (self.next - index) % INDEX_MODULUS < INDEX_MODULUS // 2,
            2_000,
            f"the lines before {index}",
        )

    async def failed_at(self, index: int) -> None:
        """Wait for the error of the line ``index``; nothing behind it may be handed over."""
        await self.until(lambda: is_high(self._error), 4_000, "error_o")
        self.bursts.check("index of the error", expected=index, actual=read_int(self._index))
        await self.time.cycles(100)
        self.bursts.check("lines handed over up to", expected=index, actual=self.next)

    def _handed_over(self, beat: Beat) -> None:
        self.lines.observe(beat.line, beat.cycle)
        self.bursts.check("index", expected=self.next, actual=beat.side["index_o"])
        self.next = (self.next + 1) % INDEX_MODULUS

    def check_bursts(self, longest: int) -> None:
        """Every burst lies in the ring and in one page, and is no longer than allowed."""
        for burst in self.bus.reads:
            start, stop = burst.address, burst.address + LINE_BYTES * burst.lines
            legal = (
                burst.lines <= longest
                and _BASE <= start < stop <= _BASE + LINE_BYTES * self.slots
                and start // 4096 == (stop - 1) // 4096
            )
            self.bursts.check(f"whether {burst} is legal", expected=1, actual=int(legal))
        cocotb.log.info("%d bursts", len(self.bus.reads))

    def fewest(self, index: int, count: int, longest: int) -> Iterator[int]:
        """The lines of each of the fewest bursts for ``count`` lines from ``index`` on."""
        while count:
            start = self.slot(index).start
            in_page = (_PAGE_BYTES - start % _PAGE_BYTES) // LINE_BYTES
            lines = min(count, longest, in_page, self.slots - index % self.slots)
            yield lines
            index, count = (index + lines) % INDEX_MODULUS, count - lines
