# SPDX-License-Identifier: Apache-2.0
"""Driver, sink and monitor of a ready/valid stream of 512-bit lines.

A stream's ports are named ``<prefix>valid_<io>``, ``<prefix>ready_<io>``, ``<prefix>data_<io>``;
the prefix is ``line_``, ``done_``, ``reward_`` or nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import NamedTuple

import cocotb
from cocotb.handle import HierarchyObject, LogicObject
from cocotb.task import Task
from cocotb.triggers import Event, RisingEdge
from cocotb.types import LogicArray
from cocotb_bus.drivers import BusDriver  # type: ignore[import-untyped]
from cocotb_bus.monitors import BusMonitor  # type: ignore[import-untyped]

from descring_vip.handles import Signal, bit, is_high, read_bytes, read_int, signal
from descring_vip.stream.lines import LINE_BYTES
from descring_vip.stream.patterns import FOREVER, Pattern, Ready
from descring_vip.timebase import Timebase


class Beat(NamedTuple):
    """One line that passed a stream.

    ``side`` holds further signals of the design, sampled with the line; ``cycle`` counts from the
    start of the case.
    """

    line: bytes
    cycle: int
    side: dict[str, int]


def _ports(prefix: str, *, into: bool) -> dict[str, str]:
    """The names of a stream's ports: ``into`` the design or out of it."""
    forward, back = ("_i", "_o") if into else ("_o", "_i")
    return {
        "valid": f"{prefix}valid{forward}",
        "ready": f"{prefix}ready{back}",
        "data": f"{prefix}data{forward}",
    }


class LineDriver:
    """Offers lines to a design: :meth:`send_soon` queues them.

    A line stays pending, unchanged, until the design takes it. While nothing is valid the data
    are other than any line's, so that a design that takes data without valid is found out.

    Attributes:
        accepted: lines that the design has taken.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        clock: LogicObject,
        prefix: str = "",
        *,
        idle: Pattern | None = None,
        side: Iterable[str] = (),
    ) -> None:
        """Drive the stream ``prefix``; with every line also the inputs named in ``side``."""
        self._dut, self._clock = dut, clock
        self._ports = _ports(prefix, into=True)
        self._side = {name: signal(dut, name) for name in side}
        self._pauses = _Pauses(idle)
        self._sent = 0
        self.accepted = 0
        self._bus = self._new_bus()

    @property
    def queued(self) -> int:
        """Lines that the design has not taken."""
        return self._sent - self.accepted

    def send_soon(self, lines: Iterable[bytes], **side: int) -> Event:
        """Queue ``lines``, each with the values ``side`` on the side inputs.

        Returns:
            An event that is set once the design has taken the last of them.

        Raises:
            ValueError: no lines, or a side input that this driver does not drive.
        """
        batch = list(lines)
        if not batch:
            raise ValueError("expected at least one line to send")
        unknown = side.keys() - self._side.keys()
        if unknown:
            raise ValueError(f"side inputs {sorted(unknown)} are not among {sorted(self._side)}")
        taken = Event()
        for line in batch[:-1]:
            self._bus.append(line, **side)
        self._bus.append(batch[-1], event=taken, **side)
        self._sent += len(batch)
        return taken

    def set_valid_generator(self, idle: Pattern | None) -> None:
        """Pause as ``idle`` tells from the next line on; None for a line every cycle."""
        self._pauses.start(idle)

    def clear(self) -> None:
        """Drop every line that is not pending."""
        self._bus.clear()
        self._sent = self.accepted + self._bus.sending

    def abort(self) -> None:
        """Drop every line that the design has not taken, also the pending one."""
        self.stop()
        self._sent = self.accepted
        self._bus = self._new_bus()

    def stop(self) -> None:
        """Stop driving; the pins stay as they are."""
        _kill(self._bus)

    def _new_bus(self) -> _LineBus:
        return _LineBus(self._dut, self._clock, self._ports, self._side, self._pauses, self._took)

    def _took(self) -> bool:
        """Count a line that the design took; whether another is waiting."""
        self.accepted += 1
        return self.queued > 0


class _LineBus(BusDriver):  # type: ignore[misc]
    """The pins of a stream into the design, with the queue and the task of cocotb-bus."""

    _GARBAGE = LogicArray.from_bytes(b"\xa5\x5a" * (LINE_BYTES // 2), byteorder="little")

    def __init__(
        self,
        dut: HierarchyObject,
        clock: LogicObject,
        ports: dict[str, str],
        side: dict[str, Signal],
        pauses: _Pauses,
        took: Callable[[], bool],
    ) -> None:
        """Offer nothing; ``took()`` is called for each line taken, and tells if another waits."""
        self._signals = ports
        self._side, self._pauses, self._took = side, pauses, took
        self.sending = False
        super().__init__(dut, None, clock, case_insensitive=False)
        self._edge = RisingEdge(clock)
        self._release()

    def _release(self) -> None:
        self.bus.valid.value = 0
        self.bus.data.value = self._GARBAGE

    async def _driver_send(self, transaction: bytes, sync: bool = True, **side: int) -> None:
        self.sending = True
        if sync:
            await self._edge
        pause = self._pauses.before_next()
        if pause:
            self._release()
        for _ in range(pause):
            await self._edge
        self.bus.valid.value = 1
        self.bus.data.value = LogicArray.from_bytes(transaction, byteorder="little")
        for name, value in side.items():
            self._side[name].value = value
        while True:
            await self._edge
            if is_high(self.bus.ready):
                break
        self.sending = False
        if not self._took():
            self._release()


class _Pauses:
    """The pauses of a source before each line; a reset does not restart them."""

    def __init__(self, pattern: Pattern | None) -> None:
        self.start(pattern)

    def start(self, pattern: Pattern | None) -> None:
        """Take the pauses of ``pattern`` from now on."""
        self._pattern = pattern
        self._on, self._off = self._next()

    def before_next(self) -> int:
        """The cycles to pause before the line that is about to be presented."""
        pause = 0
        if not self._on:
            pause = self._off
            self._on, self._off = self._next()
        self._on -= 1
        return pause

    def _next(self) -> tuple[int, int]:
        if self._pattern is None:
            return FOREVER, 0
        return next((on, off) for on, off in self._pattern if on)


def _kill(part: BusDriver | BusMonitor) -> None:
    """End the task of a driver or monitor."""
    with warnings.catch_warnings():
        # The call that cocotb-bus makes is deprecated in cocotb 2; there is no other public one.
        warnings.simplefilter("ignore", DeprecationWarning)
        part.kill()


class LineSink:
    """Drives the ready of a stream that leaves the design.

    cocotb-bus's ``BitDriver`` does not fit: it cannot follow valid, and stopping it leaves ready at
    whatever it was.
    """

    def __init__(self, dut: HierarchyObject, clock: LogicObject, prefix: str = "") -> None:
        """Drive the stream ``prefix``; ready is low until :meth:`start`."""
        ports = _ports(prefix, into=False)
        self._ready = bit(dut, ports["ready"])
        self._valid = bit(dut, ports["valid"])
        self._edge = RisingEdge(clock)
        self._task: Task[None] | None = None
        self._ready.value = 0

    def start(self, pattern: Pattern | None = None, *, kind: Ready | None = None) -> None:
        """Take lines by ``pattern``, None for always; ``kind`` AFTER_VALID follows valid."""
        self.stop()
        if kind is Ready.AFTER_VALID:
            if pattern is None:
                raise ValueError("AFTER_VALID needs a pattern for its pauses")
            self._task = cocotb.start_soon(self._after_valid(pattern))
        elif pattern is None:
            self._ready.value = 1
        else:
            self._task = cocotb.start_soon(self._in_time(pattern))

    def stop(self) -> None:
        """Take nothing any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._ready.value = 0

    async def _in_time(self, pattern: Pattern) -> None:
        for on, off in pattern:
            for value, cycles in ((1, on), (0, off)):
                if cycles:
                    self._ready.value = value
                for _ in range(cycles):
                    await self._edge

    async def _after_valid(self, pattern: Pattern) -> None:
        for _, off in pattern:
            self._ready.value = 0
            await self._edge
            while not is_high(self._valid):
                await self._edge
            for _ in range(off):
                await self._edge
            self._ready.value = 1
            await self._edge


class LineMonitor(BusMonitor):  # type: ignore[misc]
    """Sees the lines that pass a stream, and hands each to its callbacks as a :class:`Beat`.

    It also holds the source to its promise: a pending line stays valid and unchanged until it is
    taken.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        timebase: Timebase,
        prefix: str = "",
        *,
        into: bool,
        side: Iterable[str] = (),
    ) -> None:
        """Watch the stream ``prefix``, ``into`` the design or out of it.

        ``side`` names further signals of the design to sample with every line.
        """
        self._signals = _ports(prefix, into=into)
        self._timebase = timebase
        self._side = {name: signal(dut, name) for name in side}
        self.label = f"{prefix}in" if into else f"{prefix}out"
        super().__init__(
            dut, None, timebase.clock, reset_n=timebase.reset_n, case_insensitive=False
        )

    @property
    def seen(self) -> int:
        """Lines that have passed."""
        return int(self.stats.received_transactions)

    def stop(self) -> None:
        """Stop watching."""
        _kill(self)

    async def _monitor_recv(self) -> None:
        edge = RisingEdge(self.clock)
        valid, ready, data = self.bus.valid, self.bus.ready, self.bus.data
        offered = RisingEdge(valid)
        stalled: bytes | None = None
        while True:
            if stalled is None and not is_high(valid):
                await offered
            await edge
            if self.in_reset:
                stalled = None
                continue
            if not is_high(valid):
                if stalled is not None:
                    raise self._broken_promise("withdrawn", stalled, None)
                continue
            line = read_bytes(data)
            if stalled is not None and line != stalled:
                raise self._broken_promise("changed", stalled, line)
            if not is_high(ready):
                stalled = line
                continue
            stalled = None
            side = {name: read_int(handle) for name, handle in self._side.items()}
            self._recv(Beat(line, self._timebase.cycle, side))

    def _broken_promise(self, what: str, offered: bytes, now: bytes | None) -> AssertionError:
        text = f"stream {self.label}: a pending line was {what} before it was taken"
        if now is not None:
            text += f"\n  presented {offered.hex(' ', 8)}\n  now     {now.hex(' ', 8)}"
        return AssertionError(f"{text} ({self._timebase.context()})")
