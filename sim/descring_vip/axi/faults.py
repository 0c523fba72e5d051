# SPDX-License-Identifier: Apache-2.0
"""When a memory responds, and with which error: latency, failing ranges, single failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from descring_model import contract

from descring_vip.axi.rules import OKAY


class Burst(NamedTuple):
    """One burst: byte address of its first beat, beats, its id, and bytes of a beat."""

    address: int
    beats: int
    id: int
    width: int

    @property
    def bytes(self) -> int:
        """Bytes from its first to its last."""
        return self.beats * self.width

    @property
    def lines(self) -> int:
        """Lines of 64 bytes, of which the last may be in part."""
        return -(-self.bytes // contract.DESC_BYTES)


@dataclass
class Latency:
    """Cycles from the last handshake of a request to the first beat of its response, drawn evenly.

    Responses of one kind keep the order of their requests.
    """

    shortest: int = 1
    longest: int = 1

    def draw(self, rng: np.random.Generator) -> int:
        """The latency of the next response."""
        if self.shortest == self.longest:
            return self.shortest
        return int(rng.integers(self.shortest, self.longest + 1))


@dataclass
class AxiFaults:
    """Which accesses get an error response.

    Attributes:
        ranges: ``(start, stop, response)``. A beat that touches a failing range is not performed;
            the others of its burst are.
        next_write: ``(lines, response)``: the next write burst of at least so many lines gets this
            response although it is performed.
        next_write_at: ``(address, response)``: the same for the next write burst of two lines or
            more that covers this address.
        met: error responses given.
    """

    ranges: list[tuple[int, int, int]] = field(default_factory=list)
    next_write: tuple[int, int] | None = None
    next_write_at: tuple[int, int] | None = None
    met: int = 0

    def response(self, address: int, width: int, strobes: int = -1) -> int:
        """The response to an access of the lanes ``strobes`` (-1: all) of ``width`` bytes."""
        for start, stop, response in self.ranges:
            if start < address + width and stop > address:
                low, high = max(start - address, 0), min(stop - address, width)
                if strobes & ((1 << high) - (1 << low)):
                    return response
        return OKAY

    def once(self, burst: Burst) -> int:
        """The error response that this write burst gets although it is performed, or OKAY."""
        if self.next_write is not None and burst.lines >= self.next_write[0]:
            response, self.next_write = self.next_write[1], None
            return response
        if self.next_write_at is not None and burst.lines > 1:
            address, response = self.next_write_at
            if burst.address <= address < burst.address + burst.bytes:
                self.next_write_at = None
                return response
        return OKAY
