# SPDX-License-Identifier: Apache-2.0
"""Watches an AXI4 or AXI4-Lite bus and holds both sides to the standard.

The rules and their ids are in :mod:`descring_vip.axi.rules`. The monitor examines every clock
edge at which something is valid, and sleeps while nothing is. It drives nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import cocotb
from cocotb.handle import HierarchyObject, LogicObject
from cocotb.task import Task
from cocotb.triggers import Event, RisingEdge

from descring_vip.axi.rules import EXOKAY, INCR, OKAY, PAYLOAD, RULES, SOURCE, Burst
from descring_vip.axi.transactions import AxiLedger
from descring_vip.handles import Signal, bit, bits, signal
from descring_vip.scoreboard import Checker
from descring_vip.timebase import Timebase
from descring_vip.x_checker import simulator_has_x


class Violation(NamedTuple):
    """A rule that was broken, and by what."""

    rule: str
    text: str


class AxiViolation(AssertionError):
    """A bus broke a rule of the standard."""


class Beat(NamedTuple):
    """The payload of a handshake as text of 0, 1, X and Z, in the order of the channel's names."""

    names: tuple[str, ...]
    values: tuple[str, ...]

    def number(self, name: str, default: int = 0) -> int:
        """The value of a signal; ``default`` where the bus lacks it, 0 for X (reported apart)."""
        if name not in self.names:
            return default
        text = self.values[self.names.index(name)]
        return int(text, 2) if not text.strip("01") else 0


class _Channel:
    """One channel: its handles, and what is pending.

    Attributes:
        offer: the pending payload, not yet taken; None if there is none.
        taken: handshakes. ``ahead`` counts those whose valid preceded ready.
    """

    def __init__(self, dut: HierarchyObject, prefix: str, name: str) -> None:
        self.name = name
        self.valid = bit(dut, f"{prefix}_{name}valid")
        self.ready = bit(dut, f"{prefix}_{name}ready")
        found = {
            part: signal(dut, f"{prefix}_{name}{part}")
            for part in PAYLOAD[name]
            if hasattr(dut, f"{prefix}_{name}{part}")
        }
        self.names = tuple(found)
        self.payload: tuple[Signal, ...] = tuple(found.values())
        self.offer: Beat | None = None
        self.taken = 0
        self.ahead = 0

    def beat(self) -> Beat:
        """What stands at the payload signals."""
        return Beat(self.names, tuple(bits(handle) for handle in self.payload))


class AxiMonitor(Checker):
    """Checks one bus, from its construction on; :meth:`finish` checks that nothing is outstanding.

    ``matched`` counts handshakes that kept all rules.

    Attributes:
        violations: how often each rule was broken.
        tolerated: ids of rules that may be broken: they count and are not reported. For a bus whose
            sides are not reset together, for instance.
    """

    def __init__(
        self,
        dut: HierarchyObject,
        time: Timebase,
        prefix: str,
        *,
        lite: bool = False,
        on_violation: Callable[[Violation], None] | None = None,
    ) -> None:
        """Watch the bus whose signals are called ``<prefix>_awvalid`` and so on.

        Args:
            dut: has the bus, ``clk_i`` and ``rst_ni``.
            time: of the design.
            prefix: of the signals, without the last underscore.
            lite: the bus is AXI4-Lite: no ids, bursts or exclusive accesses.
            on_violation: is told of a broken rule; by default the case fails.
        """
        super().__init__(f"axi {prefix}", time.context)
        self._time = time
        self._lite = lite
        self._report = on_violation or self._raise
        self._channels = {name: _Channel(dut, prefix, name) for name in PAYLOAD}
        # Responses first: they must not respond to what is requested at the same edge.
        self._in_order = [self._channels[name] for name in ("b", "r", "aw", "w", "ar")]
        self._bytes = len(self._channels["w"].payload[0]) // 8
        self._has_x = simulator_has_x()
        # A synchronous reset needs an edge to be seen, the first one too.
        self._in_reset = False
        self.violations: Counter[str] = Counter()
        self.tolerated: frozenset[str] = frozenset()
        self._ledger = AxiLedger(self._bytes, lite=lite, broken=self._broken)
        self._wake = Event()
        self._tasks: list[Task[None]] = [cocotb.start_soon(self._watch())]
        for handle in (time.reset_n, *(channel.valid for channel in self._in_order)):
            self._tasks.append(cocotb.start_soon(self._wake_on_change(handle)))
        if self._has_x:
            for channel in self._in_order:
                self._tasks += [
                    cocotb.start_soon(self._watch_x(channel, handle))
                    for handle in (channel.valid, channel.ready)
                ]

    @property
    def seen(self) -> int:
        """Handshakes on all channels."""
        return sum(channel.taken for channel in self._in_order)

    def independent(self, channel: str) -> bool:
        """Whether valid of ``channel`` (``"aw"``, ...) has ever come while ready was low."""
        return self._channels[channel].ahead > 0

    async def expect_offer(self, channel: str, cycles: int) -> None:
        """Check that a source does not wait for ready: it must offer within ``cycles``.

        The caller holds the channel's ready low, and has seen to it that there is something to
        offer.

        Raises:
            RuntimeError: ready is high, so that nothing can be learnt.
        """
        watched = self._channels[channel]
        for _ in range(cycles):
            await self._time.edge()
            if bits(watched.valid) == "1":
                return
            if bits(watched.ready) != "0":
                raise RuntimeError(f"{self.name}: hold {channel}ready low during this check")
        self._broken(self._rule(watched, "VALID_WAIT"), f"nothing presented for {cycles} cycles")

    def stop(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()

    def finish(self) -> None:
        """Check that nothing is outstanding at the end.

        Raises:
            AxiViolation: something is (unless violations go elsewhere).
        """
        self._ledger.finish()

    def state(self) -> str:
        """Handshakes of each channel, and what is outstanding."""
        counts = ", ".join(f"{part.name} {part.taken}" for part in self._in_order)
        return (
            f"handshakes {counts}; {self._ledger.reads} reads and {self._ledger.writes} writes "
            "unanswered"
        )

    def _raise(self, violation: Violation) -> None:
        rule = RULES[violation.rule]
        raise AxiViolation(
            f"{self.name}: {rule.id} ({rule.section}: {rule.text}): {violation.text} "
            f"({self._context()})"
        )

    def _broken(self, rule: str, text: str) -> None:
        self.violations[RULES[rule].id] += 1
        if RULES[rule].id not in self.tolerated:
            self._report(Violation(rule, text))

    def _rule(self, channel: _Channel, what: str, *, sink: bool = False) -> str:
        side = SOURCE[channel.name]
        if sink:
            side = "S" if side == "M" else "M"
        return f"AXI4_ERR{side}_{channel.name.upper()}{what}"

    async def _watch(self) -> None:
        edge = RisingEdge(self._time.clock)
        while True:
            await edge
            # Before the look, so that what it starts wakes too.
            self._wake.clear()
            if not self.look():
                await self._wake.wait()

    async def _wake_on_change(self, handle: LogicObject) -> None:
        # cocotb's First() over these triggers does not survive the cancelling of its task.
        while True:
            await handle.value_change
            self._wake.set()

    def look(self) -> bool:
        """Check one clock edge; whether the next one must be examined too."""
        if bits(self._time.reset_n) != "1":
            return self._look_in_reset(first=not self._in_reset)
        if self._in_reset:
            self._look_in_reset(first=False)
            self._in_reset = False
            return True
        active = False
        for channel in self._in_order:
            if bits(channel.valid) == "1":
                active = True
                self._look_at(channel)
            elif channel.offer is not None:
                channel.offer = None
                self._broken(self._rule(channel, "VALID_STABLE"), "valid was withdrawn")
        return active

    def _look_in_reset(self, *, first: bool) -> bool:
        if first:
            # The design needs this edge to learn of a synchronous reset.
            self._in_reset = True
            self._ledger.forget()
            for channel in self._in_order:
                channel.offer = None
            return True
        high = [channel for channel in self._in_order if bits(channel.valid) == "1"]
        for channel in high:
            self._broken(self._rule(channel, "VALID_RESET"), "valid is high in reset")
        return bool(high)

    def _look_at(self, channel: _Channel) -> None:
        """A channel whose valid is high."""
        before = self.violations.total()
        ready = bits(channel.ready) == "1"
        beat = channel.beat()
        if channel.offer is None:
            channel.ahead += not ready
            self._offered(channel, beat)
        elif beat.values != channel.offer.values:
            for name, old, new in zip(beat.names, channel.offer.values, beat.values, strict=True):
                if old != new:
                    self._broken(
                        self._rule(channel, f"{name.upper()}_STABLE"),
                        f"{_short(old)} became {_short(new)} before it was taken",
                    )
        if not ready:
            channel.offer = beat
            return
        channel.offer = None
        channel.taken += 1
        self._taken(channel, beat)
        self.matched += self.violations.total() == before

    def _offered(self, channel: _Channel, beat: Beat) -> None:
        """The rules that hold for what is pending, taken or not."""
        if self._has_x:
            self._check_x(channel, beat)
        if channel.name in ("aw", "ar"):
            burst = self._burst(beat)
            for fault in burst.faults(self._bytes, beat.number("cache")):
                self._broken(f"AXI4_ERRM_{channel.name.upper()}{fault}", f"{burst}")
        elif channel.name == "b":
            self._ledger.response_offered(beat.number("id"), beat.number("resp"))
        elif channel.name == "r":
            self._ledger.read_offered(
                beat.number("id"), beat.number("resp"), bool(beat.number("last", 1))
            )

    def _taken(self, channel: _Channel, beat: Beat) -> None:
        """Enter a handshake into the ledger."""
        ledger = self._ledger
        if channel.name == "aw":
            ledger.address_taken(self._burst(beat))
        elif channel.name == "w":
            strobes = beat.number("strb", (1 << self._bytes) - 1)
            ledger.data_taken(strobes, bool(beat.number("last", 1)))
        elif channel.name == "b":
            ledger.response_taken(beat.number("id"))
        elif channel.name == "ar":
            ledger.read_asked(self._burst(beat))
        else:
            ledger.read_taken(beat.number("id"), bool(beat.number("last", 1)))

    def _burst(self, beat: Beat) -> Burst:
        return Burst(
            id=beat.number("id"),
            address=beat.number("addr"),
            beats=beat.number("len") + 1,
            size=1 << beat.number("size", self._bytes.bit_length() - 1),
            kind=beat.number("burst", INCR) if not self._lite else INCR,
            exclusive=bool(beat.number("lock")),
        )

    def _check_x(self, channel: _Channel, beat: Beat) -> None:
        for name, text in zip(beat.names, beat.values, strict=True):
            if text.strip("01") and (name != "data" or self._is_used(channel, beat, text)):
                self._broken(self._rule(channel, f"{name.upper()}_X"), _short(text))

    @staticmethod
    def _is_used(channel: _Channel, beat: Beat, data: str) -> bool:
        """Whether data with X are X where it matters: strobed bytes, and reads without an error."""
        if channel.name == "r":
            return beat.number("resp") in (OKAY, EXOKAY)
        strobes = beat.number("strb", -1)
        lanes = [data[end - 8 : end] for end in range(len(data), 0, -8)]
        return any(strobes >> lane & 1 and byte.strip("01") for lane, byte in enumerate(lanes))

    async def _watch_x(self, channel: _Channel, handle: Signal) -> None:
        """Valid and ready are never X outside reset, whether something is valid or not."""
        edge = RisingEdge(self._time.clock)
        is_ready = handle is channel.ready
        rule = self._rule(channel, "READY_X" if is_ready else "VALID_X", sink=is_ready)
        while True:
            await edge
            if bits(self._time.reset_n) != "1":
                continue
            text = bits(handle)
            if text.strip("01"):
                self._broken(rule, text)
            await handle.value_change


def _short(text: str) -> str:
    """A value for people: hex without X, else the first bits."""
    if not text.strip("01"):
        return f"{int(text, 2):#x}"
    return text if len(text) <= 32 else f"{text[:16]}... ({len(text)} bits)"
