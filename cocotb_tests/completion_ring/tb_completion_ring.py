# SPDX-License-Identifier: Apache-2.0
"""Testbench of the completion ring: a ring model, and the indices that the host reads."""

from __future__ import annotations

from cocotb.handle import HierarchyObject
from descring_model.lines import INDEX_MODULUS
from descring_vip.handles import bit, is_high, parameter, read_int, signal
from descring_vip.models.ring import RingModel
from descring_vip.scoreboard import LineChecker, ValueChecker
from descring_vip.stream.line_stream import Beat
from descring_vip.stream.lines import random_lines
from descring_vip.stream.patterns import FOREVER, Idle, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench

_QUIET_CYCLES = 12
"""Long enough for a line that must not come to come."""


class CompletionRingTestbench(Testbench):
    """Completions in, completions out; ``tail_o`` and ``head_o`` are compared with every one.

    Attributes:
        slots: the size in force, at most the parameter ``Depth``.
    """

    def __init__(
        self, dut: HierarchyObject, *, idle: Idle = Idle.NONE, log2_below_depth: int = 0
    ) -> None:
        """``log2_below_depth``: the size in force is the parameter's over two to this power."""
        outputs = ("ready_o", "valid_o", "data_o", "tail_o", "head_o")
        super().__init__(dut, outputs=outputs, gated=("data_o",))
        depth = parameter(dut, "Depth")
        self.slots = max(depth >> log2_below_depth, 2)
        signal(dut, "ring_log2_i").value = self.slots.bit_length() - 1
        self._first_index = signal(dut, "first_index_i")
        self._tail_o = signal(dut, "tail_o")
        self._head_o = signal(dut, "head_o")
        self._model = RingModel(self.slots)
        self._lines = self.add_checker(LineChecker("completion", self.time.context))
        self._indices = self.add_checker(ValueChecker("ring index", self.time.context))
        self.driver = self.add_driver(idle=idle_pattern(idle, self.rng))
        self.sink = self.add_sink()
        self.add_monitor(into=True, side=("tail_o",)).add_callback(self._on_posted)
        self._out = self.add_monitor(into=False, side=("head_o",))
        self._out.add_callback(self._on_taken)
        self.preset(0)

    def preset(self, first_index: int) -> None:
        """The value that all indices take in the next reset, to be begun at once [RING-012]."""
        self._first_index.value = first_index

    def start_sink(self, ready: Ready) -> None:
        """Take completions with backpressure as ``ready`` says."""
        self.sink.start(ready_pattern(ready, self.rng), kind=ready)

    def post(self, count: int) -> None:
        """Queue ``count`` random lines for the driver."""
        self.driver.send_soon(random_lines(self.rng, count))

    async def take_one(self) -> None:
        """Take exactly one completion."""
        seen = self._out.seen
        self.sink.start(iter([(1, 0), (0, FOREVER)]))
        await self.time.cycles(3)
        if self._out.seen != seen + 1:
            raise self._lines.fail(f"{self._out.seen - seen} lines came out instead of one")

    async def filled(self) -> None:
        """Wait until the ring is full; then it must stay so, with the producer waiting.

        Raises:
            AssertionError: a slot stays unused, or a line too many is taken in.
        """
        cycles = 4 * self.slots + 16
        await self.until(lambda: self._model.occupancy >= self.slots, cycles, "all slots in use")
        await self.time.cycles(_QUIET_CYCLES)
        self._model.settle()
        self._check_indices()

    async def posted(self) -> None:
        """Wait until the ring has taken in all that is queued; then nothing moves for a while."""
        cycles = 8 * self.driver.queued + 16
        await self.until(lambda: self.driver.queued == 0, cycles, "the queue to be posted")
        await self.time.cycles(_QUIET_CYCLES)
        self._check_indices()

    def on_reset(self) -> None:
        """Empty the model; a preset index holds from here on."""
        self._model = RingModel(self.slots, read_int(self._first_index))

    async def reset(self, cycles: int = 2) -> None:
        """Reset as the base does, and compare both indices with the preset one."""
        await super().reset(cycles)
        self._check_indices()

    def is_drained(self) -> bool:
        """Whether every completion that was posted has come out."""
        return super().is_drained() and self._model.occupancy == 0

    async def finish(self) -> None:
        """Check the indices at rest, then report."""
        await self.drained()
        await self.time.cycles(2)
        self._model.settle()
        self._check_indices()
        await super().finish()

    def state(self) -> dict[str, object]:
        """Add both indices, of the model and of the design."""
        return {
            **super().state(),
            "model": f"head {self._model.head}, tail {self._model.tail}, {self.slots} slots",
            "design": f"head_o {self._head_o.value}, tail_o {self._tail_o.value}",
        }

    def _check_indices(self) -> None:
        for name, port, expected in (
            ("tail_o", self._tail_o, self._model.tail),
            ("head_o", self._head_o, self._model.head),
        ):
            self._indices.check(name, expected=expected, actual=read_int(port))

    def _on_posted(self, beat: Beat) -> None:
        index = self._model.push(beat.line, beat.cycle)
        self._indices.check("tail_o", expected=index, actual=beat.side["tail_o"])

    def _on_taken(self, beat: Beat) -> None:
        line, index = self._model.pop(beat.cycle)
        self._lines.expect(line)
        self._lines.observe(beat.line, beat.cycle)
        self._indices.check("head_o", expected=index, actual=beat.side["head_o"])


class SizeTestbench(Testbench):
    """Only whether there is room: the ring is as full as :meth:`begin` presets it, with no lines.

    ``data_o`` is not watched: it would be a slot that was never written.
    """

    def __init__(self, dut: HierarchyObject) -> None:
        super().__init__(dut, outputs=("ready_o", "valid_o", "tail_o", "head_o"))
        self._inputs = {
            name: signal(dut, name)
            for name in ("first_index_i", "ring_log2_i", "valid_i", "ready_i", "data_i")
        }
        self._head = signal(dut, "head_q")
        self._outputs = {name: signal(dut, name) for name in ("tail_o", "head_o")}
        self._ready = bit(dut, "ready_o")
        self._checker = self.add_checker(ValueChecker("sizes", self.time.context))
        self._expected = {"tail_o": 0, "head_o": 0}
        for handle in self._inputs.values():
            handle.value = 0
        self._inputs["ring_log2_i"].value = 1

    async def begin(self, log2: int, first_index: int, *, free: int) -> None:
        """Reset, with ``2^log2`` slots of which all but ``free`` are taken."""
        self._inputs["ring_log2_i"].value = log2
        self._inputs["first_index_i"].value = first_index
        await self.reset()
        head = (first_index - (1 << log2) + free) % INDEX_MODULUS
        self._head.value = head
        self._expected = {"tail_o": first_index, "head_o": head}
        await self.time.edge()

    async def offer(self, cycles: int) -> None:
        """Offer a completion in each of so many cycles."""
        self._inputs["valid_i"].value = 1
        await self.time.cycles(cycles)
        self._inputs["valid_i"].value = 0
        await self.time.cycles(2)

    def check_posted(self, count: int) -> None:
        """So many completions went in, none came out, and there is no room for more."""
        self._expected["tail_o"] = (self._expected["tail_o"] + count) % INDEX_MODULUS
        for name, expected in self._expected.items():
            actual = read_int(self._outputs[name])
            self._checker.check(name, expected=expected, actual=actual)
        self._checker.check("ready_o", expected=0, actual=int(is_high(self._ready)))
