# SPDX-License-Identifier: Apache-2.0
"""The host's side of line ports: lines in, completions out, one coroutine at the falling edge.

There outputs have settled and inputs may change without a race: two or three one-bit reads a cycle,
and one wide access for each line that moves. Drivers and monitors of their own would wake up as
often each.
"""

from __future__ import annotations

from cocotb.handle import HierarchyObject
from cocotb.triggers import FallingEdge
from descring_model import contract

from descring_vip.handles import read_bytes, read_int, signal
from descring_vip.testbench import Case
from descring_vip.timebase import Timebase

_FLAGS = contract.FIELD["flags"].offset
_STOPPED = contract.FLAG["STOPPED"]


class StreamHost(Case):
    """Offers the lines of a stream in order, and takes completions.

    A subclass decides before each :meth:`line_cycle` whether to offer (:attr:`offering`) and to
    take (:attr:`taking`), and adds doorbells.

    Attributes:
        lines: the stream, 64 bytes a line; count: how many lines.
        done: completions of the done ring so far; reward: of the reward ring.
        written: lines that the design has taken.
        taken: completions of both rings; idle: cycles since the last of them.
        stopped: a STOPPED has come that has not been dealt with.
    """

    def __init__(self, dut: HierarchyObject, lines: bytes) -> None:
        super().__init__(dut)
        self.time = Timebase(dut)
        self.lines = lines
        self.count = len(lines) // contract.DESC_BYTES
        self.done = bytearray()
        self.reward = bytearray()
        self.written = 0
        self.taken = 0
        self.idle = 0
        self.stopped = False
        self.offering = True
        self.taking = True

        self.first_index = signal(dut, "first_index_i")
        self._line_valid = signal(dut, "line_valid_i")
        self._line_ready = signal(dut, "line_ready_o")
        self._line_data = signal(dut, "line_data_i")
        self.done_valid = signal(dut, "done_valid_o")
        self._done_ready = signal(dut, "done_ready_i")
        self.done_data = signal(dut, "done_data_o")
        self.reward_valid = signal(dut, "reward_valid_o")
        self._reward_ready = signal(dut, "reward_ready_i")
        self.reward_data = signal(dut, "reward_data_o")
        self.falling = FallingEdge(self.time.clock)
        self._offered = False  # line number `written` is pending
        self._was_ready = False
        self._ready = False  # what the ready outputs of the host are

    def quiet_ports(self) -> None:
        """Drive every line port low."""
        for port in (self._line_valid, self._line_data, self._done_ready, self._reward_ready):
            port.value = 0

    def line_cycle(self) -> None:
        """At a falling edge: offer the next line, take the completions that are there."""
        self.idle += 1
        self._offer_line()
        if self._ready != self.taking:
            self._ready = self.taking
            self._done_ready.value = int(self.taking)
            self._reward_ready.value = int(self.taking)
        if not self.taking:
            return
        if read_int(self.done_valid):
            line = read_bytes(self.done_data)
            self.done += line
            if line[_FLAGS] & _STOPPED:
                self.stopped = True
            self.count_completion()
        if read_int(self.reward_valid):
            self.reward += read_bytes(self.reward_data)
            self.count_completion()

    def _offer_line(self) -> None:
        if self._offered and self._was_ready:
            self.written += 1
            self._offered = False
            if self.written == self.count or not self.offering:
                self._line_valid.value = 0
        if not self._offered and self.offering and self.written < self.count:
            start = self.written * contract.DESC_BYTES
            line = self.lines[start : start + contract.DESC_BYTES]
            self._line_data.value = int.from_bytes(line, "little")
            self._line_valid.value = 1
            self._offered = True
        self._was_ready = bool(read_int(self._line_ready))

    def count_completion(self) -> None:
        """A completion was taken."""
        self.taken += 1
        self.idle = 0

    def where(self) -> str:
        """How far host and design are."""
        return f"{self.taken} completions of {self.count} lines taken, {self.written} lines written"
