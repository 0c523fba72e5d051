# SPDX-License-Identifier: Apache-2.0
"""Testbench of ``comp_writer``: a source of completions, memory, and a host that takes them."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from cocotb.handle import HierarchyObject
from cocotb.triggers import RisingEdge
from descring_model.lines import INDEX_MODULUS
from descring_vip.axi.memory import AxiMemory, Latency
from descring_vip.handles import bit, is_high, read_int, signal
from descring_vip.scoreboard import LineChecker, ValueChecker
from descring_vip.stream.line_stream import Beat, LineMonitor
from descring_vip.stream.lines import LINE_BYTES
from descring_vip.stream.patterns import Idle, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench

_AW = ("id", "addr", "len", "size", "burst", "lock", "cache", "prot", "valid")
_BASES = {"done": 0x2000 - 3 * LINE_BYTES, "reward": 0x5000 - 9 * LINE_BYTES}
_PAGE_BYTES = 4096
_SIDE = ("to_reward_i", "tokens_i", "error_i")
_LEVELS = (
    "ready_o",
    "post_o",
    "announce_o",
    "stall_o",
    "failed_o",
    "fatal_o",
    "repaired_o",
    "drained_o",
)


class Completion(NamedTuple):
    """A completion that the design has taken and not posted."""

    line: bytes
    reward: int
    tokens: int
    error: int


class _SourceMonitor(LineMonitor):
    """Knows that a stop, too, takes completions off offer."""

    @property
    def in_reset(self) -> bool:
        """Whether nothing is on offer now because of a reset or a stop."""
        stopped = bit(self.entity, "stopped_i")
        return not is_high(self._timebase.reset_n) or is_high(stopped)


class WriterTestbench(Testbench):
    """Each posting must find its completion in memory, in order.

    Attributes:
        bus: the memory.
        posted: completions posted since the start.
        requests: cycles in which memory took a request.
        repairs: cycles in which the design told of an error that did not come again.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        *,
        log2: tuple[int, int] = (4, 3),
        first_index: int = 0,
        idle: Idle = Idle.NONE,
        ready: Ready = Ready.ALWAYS,
        latency: Latency | None = None,
    ) -> None:
        outputs = [*(f"m_axi_aw{name}" for name in _AW), "m_axi_wvalid", "m_axi_wdata"]
        outputs += ["m_axi_wstrb", "m_axi_wlast", "m_axi_bready", "cmd_head_o", *_LEVELS]
        super().__init__(dut, outputs=outputs)
        # Of two great rings, which would overlap, a case uses one.
        end = max(
            base + (LINE_BYTES << size) for base, size in zip(_BASES.values(), log2, strict=True)
        )
        self.memory = np.zeros(max(0x8000, end), dtype=np.uint8)
        self.bus = AxiMemory(dut, self.time, self.memory, self.rng, reads=False)
        self.bus.write_latency = latency or Latency()
        self.bus.write_late = True
        self.bus.pause(b=idle_pattern(idle, self.rng))
        kind = Ready.RANDOM if ready is Ready.AFTER_VALID else ready
        self.bus.pause(**{name: ready_pattern(kind, self.rng) for name in ("aw", "w")})
        self.lines = self.add_checker(LineChecker("completions", self.time.context))
        self.values = self.add_checker(ValueChecker("postings", self.time.context))
        self.source = self.add_driver(side=_SIDE, idle=idle_pattern(idle, self.rng))
        monitor = _SourceMonitor(dut, self.time, into=True, side=_SIDE)
        monitor.add_callback(self._taken)
        self.monitors.append(monitor)
        self.first_index = first_index
        self.slots = {ring: 1 << size for ring, size in zip(_BASES, log2, strict=True)}
        for ring, size in zip(_BASES, log2, strict=True):
            signal(dut, f"{ring}_log2_i").value = size
        for name in ("publish_tails_i", "split_reward_i", "cmd_line_i", "abort_i", *_SIDE):
            signal(dut, name).value = 0
        signal(dut, "first_index_i").value = first_index
        self._lines_i = {ring: signal(dut, f"{ring}_line_i") for ring in _BASES}
        self._place(0)
        self._asks, self._granted = bit(dut, "m_axi_awvalid"), bit(dut, "m_axi_awready")
        self.requests: list[int] = []
        self._stopped = bit(dut, "stopped_i")
        self._stopped.value = 0
        self._heads = {ring: signal(dut, f"{ring}_head_i") for ring in _BASES}
        names = (*_LEVELS, "cmd_head_o", "done_tail_o", "reward_tail_o", "post_error_o")
        self._outputs = {name: signal(dut, name) for name in (*names, "post_tokens_o")}
        self.takes = True
        self.posted = self.stalls = self.repairs = 0
        self._waiting: deque[Completion] = deque()
        self._tails = dict.fromkeys(_BASES, first_index)
        self._taken_up_to = dict.fromkeys(_BASES, first_index)
        for ring in _BASES:
            self.take_up_to(ring, first_index)
        self.add_task(self._watch())

    def stop(self) -> None:
        """Stop every task."""
        super().stop()
        self.bus.stop()

    def _place(self, origin: int) -> None:
        self.bus.origin = origin
        for ring, handle in self._lines_i.items():
            handle.value = (origin + _BASES[ring]) // LINE_BYTES

    async def move(self, ring: str, address: int) -> None:
        """Begin anew where a page of ``ring``, behind its first slots, is at ``address``."""
        self._place(address + _BASES[ring] % _PAGE_BYTES - _PAGE_BYTES - _BASES[ring])
        for each in _BASES:
            self._tails[each] = self.first_index
            self.take_up_to(each, self.first_index)
        self.posted = 0
        await self.reset()

    def slot(self, ring: str, index: int) -> slice:
        """The bytes of the slot of ``index``."""
        start = _BASES[ring] + LINE_BYTES * (index % self.slots[ring])
        return slice(start, start + LINE_BYTES)

    @property
    def unposted(self) -> int:
        """Completions that the design has taken and not posted."""
        return len(self._waiting)

    def take_up_to(self, ring: str, head: int) -> None:
        """The host has taken the completions of ``ring`` before index ``head``."""
        self._taken_up_to[ring] = head
        self._heads[ring].value = head

    def level(self, name: str) -> bool:
        """Whether an output is high."""
        return is_high(self._outputs[name])

    def send(self, count: int, *, reward: float = 0.3) -> None:
        """Offer random completions, that share of them for the reward ring."""
        for _ in range(count):
            self.offer(
                Completion(
                    self.rng.bytes(LINE_BYTES),
                    int(self.rng.random() < reward),
                    int(self.rng.integers(33 if self.rng.random() < 0.5 else 1 << 32)),
                    int(self.rng.random() < 0.2),
                )
            )

    def offer(self, item: Completion) -> None:
        """Offer one completion."""
        self.source.send_soon(
            [item.line], to_reward_i=item.reward, tokens_i=item.tokens, error_i=item.error
        )

    async def all_posted(self) -> None:
        """Wait until everything that is offered is posted."""
        await self.until(
            lambda: not self.source.queued and not self._waiting, 8_000, "the last posting"
        )
        total = (self.first_index + self.posted) % INDEX_MODULUS
        await self.time.edge()
        self.values.check("CMD_HEAD", expected=total, actual=read_int(self._outputs["cmd_head_o"]))

    async def start_over(self) -> list[Completion]:
        """After an error: let the bus come to rest, stop the design; what it has dropped."""
        await self.until(lambda: self.level("failed_o"), 4_000, "failed_o")
        await self.until(lambda: self.level("drained_o"), 4_000, "drained_o")
        self._stopped.value = 1
        self.source.abort()
        await self.time.cycles(2)
        self._stopped.value = 0
        dropped, self._waiting = list(self._waiting), deque()
        return dropped

    def _taken(self, beat: Beat) -> None:
        self._waiting.append(Completion(beat.line, *(beat.side[name] for name in _SIDE)))

    async def _watch(self) -> None:
        edge = RisingEdge(self.time.clock)
        while True:
            await edge
            if not is_high(self.time.reset_n):
                continue
            if is_high(self._asks) and is_high(self._granted):
                self.requests.append(self.time.cycle)
            self.stalls += self.level("stall_o")
            self.repairs += self.level("repaired_o")
            if self.level("post_o"):
                self._on_post()
            if self.takes and self.rng.random() < 0.2:
                for ring, tail in self._tails.items():
                    self.take_up_to(ring, tail)

    def _on_post(self) -> None:
        if not self._waiting:
            raise self.lines.fail("a posting of nothing")
        item = self._waiting.popleft()
        ring = "reward" if item.reward else "done"
        self.values.check(
            f"{ring} tail",
            expected=self._tails[ring],
            actual=read_int(self._outputs[f"{ring}_tail_o"]),
        )
        for name, expected in (("tokens", item.tokens), ("error", item.error)):
            actual = read_int(self._outputs[f"post_{name}_o"])
            self.values.check(name, expected=expected, actual=actual)
        used = (self._tails[ring] - self._taken_up_to[ring]) % INDEX_MODULUS
        if used >= self.slots[ring]:
            raise self.lines.fail(f"index {self._tails[ring]:#x} of the {ring} ring has no room")
        self.lines.expect(item.line)
        at = self.slot(ring, self._tails[ring])
        self.lines.observe(self.memory[at].tobytes(), self.time.cycle)
        self._tails[ring] = (self._tails[ring] + 1) % INDEX_MODULUS
        self.posted += 1
