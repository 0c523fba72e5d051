# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``axi_write_engine``: a requester, a source of lines, and memory."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from descring_vip.axi.memory import OKAY, AxiMemory, Latency
from descring_vip.handles import bit, is_high, read_int, signal
from descring_vip.scoreboard import LineChecker, ValueChecker
from descring_vip.stream.line_stream import Beat
from descring_vip.stream.lines import LINE_BYTES
from descring_vip.stream.patterns import Gate, Idle, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench

_AW = ("id", "addr", "len", "size", "burst", "lock", "cache", "prot", "valid")
_OUTPUTS = (
    *("req_ready_o", "line_ready_o", "resp_valid_o", "resp_word_o", "resp_lines_o", "idle_o"),
    *(f"m_axi_aw{name}" for name in _AW),
    *("m_axi_wvalid", "m_axi_wdata", "m_axi_wstrb", "m_axi_wlast", "m_axi_bready"),
)
_MEMORY_LINES = 512
_PAGE_LINES = 64
WORD_BYTES = 4


class Request(NamedTuple):
    """A request: its first line, its lines, and the word that it stores instead, if it does."""

    line: int
    lines: int = 1
    word: int | None = None


class EngineTestbench(Testbench):
    """Each response must find the data of its request in memory, in order.

    Attributes:
        bus: the memory; data reach it with the response only.
        accepted: requests that the design has accepted.
        responses: responses seen, the failed ones counted in ``errors`` too.
        line_beats: beats of a line.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        *,
        idle: Idle = Idle.NONE,
        ready: Ready = Ready.ALWAYS,
        latency: Latency | None = None,
    ) -> None:
        super().__init__(dut, outputs=_OUTPUTS)
        self.memory = self.rng.integers(0, 256, _MEMORY_LINES * LINE_BYTES, dtype=np.uint8)
        self.bus = AxiMemory(dut, self.time, self.memory, self.rng, reads=False)
        self.bus.write_latency = latency or Latency()
        self.bus.write_late = True
        self.bus.pause(b=idle_pattern(idle, self.rng))
        kind = Ready.RANDOM if ready is Ready.AFTER_VALID else ready
        self.bus.pause(**{name: ready_pattern(kind, self.rng) for name in ("aw", "w")})
        self.lines = self.add_checker(LineChecker("lines", self.time.context))
        self.values = self.add_checker(ValueChecker("responses", self.time.context))
        self.source = self.add_driver("line_", idle=idle_pattern(idle, self.rng))
        self.add_monitor("line_", into=True).add_callback(self._handed_over)
        self._gate = Gate(idle_pattern(idle, self.rng))
        self._todo: deque[Request] = deque()
        self._in_flight: deque[Request] = deque()
        self._handed: deque[bytes] = deque()
        self._late: list[bytes] = []
        names = ("req_valid_i", "req_word_i", "req_line_i", "req_lines_i", "word_i")
        self._inputs = {name: signal(dut, name) for name in names}
        self._response = {
            name: signal(dut, f"resp_{name}_o") for name in ("word", "error", "lines")
        }
        self._ready, self._valid = bit(dut, "req_ready_o"), bit(dut, "resp_valid_o")
        self._idle = bit(dut, "idle_o")
        for handle in self._inputs.values():
            handle.value = 0
        self.accepted = self.responses = self.errors = 0
        self.line_beats = LINE_BYTES // self.bus.width
        self.add_task(self._request())
        self.add_task(self._watch())

    @property
    def idle(self) -> bool:
        """Whether the design reports that nothing is in flight."""
        return is_high(self._idle)

    def on_reset(self) -> None:
        """Drop the requests, and what memory has of them."""
        for queue in (self._todo, self._in_flight, self._handed):
            queue.clear()
        self.bus.reset()

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        self.bus.stop()

    def is_drained(self) -> bool:
        """Whether every request has its response."""
        return super().is_drained() and not self._todo and not self._in_flight

    def progress(self) -> tuple[int, ...]:
        """Lines handed over, requests accepted and responses."""
        return (*super().progress(), self.accepted, self.responses)

    def move(self, origin: int) -> None:
        """Memory begins at this address, a multiple of a page; with nothing in flight."""
        self.bus.origin = origin

    def request(self, line: int, lines: int, *, late: bool = False) -> None:
        """Request a burst of random lines; ``late``: the source has them after :meth:`release`."""
        self._todo.append(Request(line, lines))
        data = [self.rng.bytes(LINE_BYTES) for _ in range(lines)]
        if late:
            self._late += data
        else:
            self.source.send_soon(data)

    def release(self) -> None:
        """Send the lines of the late requests."""
        self.source.send_soon(self._late)
        self._late = []

    def request_word(self, line: int) -> None:
        """Request a random word."""
        self._todo.append(Request(line, 1, int(self.rng.integers(1, 1 << 32))))

    def request_any(self, count: int, *, longest: int, words: float = 0.3) -> None:
        """Request bursts of up to ``longest`` lines, that share of the requests words instead."""
        for _ in range(count):
            if self.rng.random() < words:
                self.request_word(int(self.rng.integers(_MEMORY_LINES)))
            else:
                lines = int(self.rng.integers(1, longest + 1))
                page = int(self.rng.integers(_MEMORY_LINES // _PAGE_LINES))
                first = int(self.rng.integers(_PAGE_LINES - lines + 1))
                self.request(page * _PAGE_LINES + first, lines)

    def _handed_over(self, beat: Beat) -> None:
        self._handed.append(beat.line)

    def _drive(self, item: Request | None) -> None:
        inputs = self._inputs
        inputs["req_valid_i"].value = int(item is not None)
        if item is not None:
            inputs["req_word_i"].value = int(item.word is not None)
            inputs["req_line_i"].value = self.bus.origin // LINE_BYTES + item.line
            # A word has no lines: the engine must ignore this input.
            inputs["req_lines_i"].value = item.lines if item.word is None else 5
            if item.word is not None:
                inputs["word_i"].value = item.word

    async def _request(self) -> None:
        edge = RisingEdge(self.time.clock)
        offered: Request | None = None
        while True:
            await edge
            if not is_high(self.time.reset_n) or is_high(self._ready):
                offered = None
            if offered is None and self._todo and self._gate.step() and self._may_offer():
                offered = self._todo.popleft()
            self._drive(offered)

    def _may_offer(self) -> bool:
        """Whether the next request obeys the port: one word is in flight at a time.

        The watcher may not have seen the request of this edge yet, so the pins are asked too.
        """
        at_port = is_high(self._inputs["req_valid_i"]) and is_high(self._inputs["req_word_i"])
        words = at_port or any(item.word is not None for item in self._in_flight)
        return self._todo[0].word is None or not words

    async def _watch(self) -> None:
        edge = RisingEdge(self.time.clock)
        while True:
            await edge
            if not is_high(self.time.reset_n):
                continue
            if is_high(self._valid):
                self._on_response()
            if is_high(self._inputs["req_valid_i"]) and is_high(self._ready):
                self.accepted += 1
                self._in_flight.append(self._at_port())

    def _at_port(self) -> Request:
        """The request on the pins."""
        line, lines, word = (
            read_int(self._inputs[name]) for name in ("req_line_i", "req_lines_i", "word_i")
        )
        line -= self.bus.origin // LINE_BYTES
        if is_high(self._inputs["req_word_i"]):
            return Request(line, 1, word)
        return Request(line, lines)

    def _on_response(self) -> None:
        self.responses += 1
        if not self._in_flight:
            raise self.lines.fail("a response without a request")
        item = self._in_flight.popleft()
        kind = {"word": int(item.word is not None), "lines": item.lines}
        for name, expected in kind.items():
            actual = read_int(self._response[name])
            self.values.check(f"response, {name}", expected=expected, actual=actual)
        start = item.line * LINE_BYTES
        stop = start + (item.lines * LINE_BYTES if item.word is None else WORD_BYTES)
        hit = any(low < stop and high > start for low, high, _ in self.bus.faults.ranges)
        actual = read_int(self._response["error"])
        self.values.check("response, error", expected=int(hit), actual=actual)
        self.errors += hit
        if item.word is not None:
            if not hit:
                stored = int.from_bytes(self.memory[start:stop].tobytes(), "little")
                self.values.check("word in memory", expected=item.word, actual=stored)
            return
        if len(self._handed) < item.lines:
            taken = len(self._handed)
            raise self.lines.fail(f"a response to {item}, of which {taken} lines were taken")
        for number in range(item.lines):
            line = self._handed.popleft()
            at = start + number * LINE_BYTES
            if self.bus.faults.response(at, LINE_BYTES) == OKAY:
                self.lines.expect(line)
                self.lines.observe(self.memory[at : at + LINE_BYTES].tobytes(), self.time.cycle)

    async def all_written(self) -> None:
        """Wait for the response to the last request; then the design must be idle."""
        await self.drained()
        await self.time.edge()
        self.values.check("idle_o", expected=1, actual=int(self.idle))
