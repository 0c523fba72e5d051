# SPDX-License-Identifier: Apache-2.0
"""Testbench of the command ring: a ring model gated by the published tail."""

from __future__ import annotations

from cocotb.handle import HierarchyObject
from descring_model.lines import INDEX_MODULUS
from descring_vip.handles import parameter, read_int, signal
from descring_vip.models.ring import RingModel
from descring_vip.scoreboard import LineChecker, ValueChecker
from descring_vip.stream.line_stream import Beat
from descring_vip.stream.lines import random_lines
from descring_vip.stream.patterns import FOREVER, Idle, Ready, idle_pattern, ready_pattern
from descring_vip.testbench import Testbench

_QUIET_CYCLES = 12
"""Long enough for a line that must not come to come."""


class DescRingTestbench(Testbench):
    """Lines in, a published tail, lines out.

    Lines that went in are announced to the checker when they come out and are published, so that a
    line that no doorbell published has nothing to be compared with and fails.
    """

    def __init__(self, dut: HierarchyObject, *, idle: Idle = Idle.NONE) -> None:
        outputs = ("line_ready_o", "valid_o", "data_o", "index_o")
        super().__init__(dut, outputs=outputs, gated=("data_o",))
        self.depth = parameter(dut, "Depth")
        self._first_index = signal(dut, "first_index_i")
        self._tail = signal(dut, "cmd_tail_i")
        self._published = 0
        self._model = RingModel(self.depth)
        self._lines = self.add_checker(LineChecker("line", self.time.context))
        self._indices = self.add_checker(ValueChecker("index_o", self.time.context))
        self.driver = self.add_driver("line_", idle=idle_pattern(idle, self.rng))
        self.sink = self.add_sink()
        self._in = self.add_monitor("line_", into=True)
        self._in.add_callback(self._on_written)
        self._out = self.add_monitor(into=False, side=("index_o", "cmd_tail_i"))
        self._out.add_callback(self._on_taken)
        self.preset(0)

    def preset(self, first_index: int) -> None:
        """The value that all indices take in the next reset, to be begun at once [RING-012]."""
        self._first_index.value = first_index
        self._tail.value = first_index
        self._published = first_index

    def start_sink(self, ready: Ready) -> None:
        """Take lines with backpressure as ``ready`` says."""
        self.sink.start(ready_pattern(ready, self.rng), kind=ready)

    def write(self, count: int) -> None:
        """Queue ``count`` random lines for the driver."""
        self.driver.send_soon(random_lines(self.rng, count))

    def publish(self, count: int) -> None:
        """Ring the doorbell for ``count`` more lines, written or not [RING-011]."""
        self._published = (self._published + count) % INDEX_MODULUS
        self._tail.value = self._published

    async def take_one(self) -> None:
        """Take exactly one line."""
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
        cycles = 4 * self.depth + 16
        await self.until(lambda: self._model.occupancy >= self.depth, cycles, "all slots in use")
        await self.time.cycles(_QUIET_CYCLES)
        self._model.settle()

    async def quiet(self) -> None:
        """What is written and published comes out; then nothing else does for a while."""
        await self.drained()
        await self.time.cycles(_QUIET_CYCLES)

    def on_reset(self) -> None:
        """Empty the model; a preset index holds from here on."""
        first_index = read_int(self._first_index)
        self._model = RingModel(self.depth, first_index)
        self._tail.value = first_index
        self._published = first_index

    def is_drained(self) -> bool:
        """Whether every line that is written and published has come out."""
        return super().is_drained() and self._deliverable() == 0

    def _deliverable(self) -> int:
        published = (self._published - self._model.head) % INDEX_MODULUS
        return min(published, self._model.occupancy)

    async def finish(self) -> None:
        """Check that everything deliverable came out, then report."""
        await self.drained()
        self._model.settle()
        await super().finish()
        if self._deliverable():
            raise AssertionError(f"{self._deliverable()} published lines never came out")

    def state(self) -> dict[str, object]:
        """Add the model's indices."""
        return {
            **super().state(),
            "model": f"head {self._model.head}, tail {self._model.tail}, "
            f"published {self._published}",
        }

    def _on_written(self, beat: Beat) -> None:
        self._model.push(beat.line, beat.cycle)

    def _on_taken(self, beat: Beat) -> None:
        if beat.side["cmd_tail_i"] == self._model.head:
            raise self._lines.fail(
                f"index {self._model.head} was output in cycle {beat.cycle} before it was published"
            )
        line, index = self._model.pop(beat.cycle)
        self._lines.expect(line)
        self._lines.observe(beat.line, beat.cycle)
        self._indices.check("index", expected=index, actual=beat.side["index_o"])
