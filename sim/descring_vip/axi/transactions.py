# SPDX-License-Identifier: Apache-2.0
"""The outstanding transactions of an AXI bus: data for addresses, responses for requests."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable

from descring_vip.axi.rules import EXOKAY, Burst

Broken = Callable[[str, str], None]
"""Is told the id of a rule that was broken, and by what."""


class AxiLedger:
    """The transactions of one bus.

    Enter responses before the requests of the same clock edge: no output may depend on an input
    without a register between them, so a response to one of those is too early.
    """

    def __init__(self, bus_bytes: int, *, lite: bool, broken: Broken) -> None:
        self._bytes = bus_bytes
        self._lite = lite
        self._broken = broken
        self.forget()

    def forget(self) -> None:
        """Reset: nothing is outstanding."""
        self._addresses: deque[Burst] = deque()  # whose data are not complete
        self._beats: list[int] = []  # strobes of the write data burst in flight
        self._early: deque[list[int]] = deque()  # whole bursts of data ahead of their address
        self._written: defaultdict[int, deque[Burst]] = defaultdict(deque)  # without a response
        self._reads: defaultdict[int, deque[Burst]] = defaultdict(deque)  # that lack data
        self._read_beats: defaultdict[int, int] = defaultdict(int)  # of the oldest read of an id

    @property
    def writes(self) -> int:
        """Write addresses without a response."""
        return len(self._addresses) + sum(map(len, self._written.values()))

    @property
    def reads(self) -> int:
        """Reads that lack data."""
        return sum(map(len, self._reads.values()))

    def finish(self) -> None:
        """The end: nothing may be outstanding."""
        ahead = len(self._early) + bool(self._beats and not self._addresses)
        if self.writes or ahead:
            self._broken(
                "AXI4_ERRS_BRESP_ALL_DONE_EOS",
                f"{self.writes} writes without a response, {ahead} bursts of data without address",
            )
        if self.reads:
            self._broken(
                "AXI4_ERRS_RLAST_ALL_DONE_EOS", f"{self.reads} reads without their last data"
            )

    def address_taken(self, burst: Burst) -> None:
        """A write address."""
        self._addresses.append(burst)
        if len(self._addresses) > 1:
            return  # its data follow those of the one before
        if self._early:
            strobes = self._early.popleft()
            self._check_beats(strobes, 0, complete=True)
            self._complete()
        elif self._beats:
            self._check_beats(self._beats, 0, complete=False)

    def data_taken(self, strobes: int, last: bool) -> None:
        """A beat of write data."""
        self._beats.append(strobes)
        if self._addresses:
            self._check_beats(self._beats, len(self._beats) - 1, complete=last)
        if not last:
            return
        if self._addresses:
            self._complete()
        else:
            self._early.append(self._beats)
        self._beats = []

    def _check_beats(self, strobes: list[int], start: int, *, complete: bool) -> None:
        """Check the data of the oldest address from beat ``start`` on."""
        burst = self._addresses[0]
        for number in range(start, len(strobes)):
            allowed = burst.lanes(number, self._bytes)
            if not self._lite and strobes[number] & ~allowed:
                self._broken(
                    "AXI4_ERRM_WSTRB",
                    f"beat {number} of {burst}: {strobes[number]:#x} is not within {allowed:#x}",
                )
        if complete != (len(strobes) == burst.beats):
            self._broken(
                "AXI4_ERRM_WDATA_NUM",
                f"beat {len(strobes) - 1} of {burst} has WLAST {int(complete)}",
            )

    def _complete(self) -> None:
        burst = self._addresses.popleft()
        self._written[burst.id].append(burst)

    def response_offered(self, identity: int, response: int) -> None:
        """A write response is pending."""
        waiting = self._written[identity]
        if not waiting:
            if any(burst.id == identity for burst in self._addresses):
                rule, text = "BRESP_WLAST", "its data are not complete"
            elif self._early:
                rule, text = "BRESP_AW", "its address has not been taken"
            else:
                rule, text = "BID", "no write of this id is without a response"
            self._broken(f"AXI4_ERRS_{rule}", f"id {identity}: {text}")
        self._check_exokay(response, waiting, "BRESP")

    def _check_exokay(self, response: int, outstanding: deque[Burst], what: str) -> None:
        if response != EXOKAY:
            return
        if self._lite:
            self._broken(f"AXI4LITE_ERRS_{what}_EXOKAY", "EXOKAY")
        elif not outstanding or not outstanding[0].exclusive:
            self._broken(
                f"AXI4_ERRS_{what}_EXOKAY", f"to {outstanding[0] if outstanding else 'nothing'}"
            )

    def response_taken(self, identity: int) -> None:
        """A write response was taken."""
        if self._written[identity]:
            self._written[identity].popleft()

    def read_asked(self, burst: Burst) -> None:
        """A read address."""
        self._reads[burst.id].append(burst)

    def read_offered(self, identity: int, response: int, last: bool) -> None:
        """A beat of read data is pending."""
        outstanding = self._reads[identity]
        if not outstanding:
            self._broken("AXI4_ERRS_RID", f"id {identity}: no read of it lacks data")
        else:
            number = self._read_beats[identity]
            if last != (number == outstanding[0].beats - 1):
                self._broken(
                    "AXI4_ERRS_RDATA_NUM",
                    f"beat {number} of {outstanding[0]} has RLAST {int(last)}",
                )
        self._check_exokay(response, outstanding, "RRESP")

    def read_taken(self, identity: int, last: bool) -> None:
        """A beat of read data was taken."""
        outstanding = self._reads[identity]
        if not outstanding:
            return
        self._read_beats[identity] += 1
        if last or self._read_beats[identity] == outstanding[0].beats:
            outstanding.popleft()
            self._read_beats[identity] = 0
