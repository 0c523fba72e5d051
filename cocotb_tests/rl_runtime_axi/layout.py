# SPDX-License-Identifier: Apache-2.0
"""Where rings lie in the memory of the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from descring_model import contract
from descring_vip.axi.memory import Burst

_PAGE = 4096
_LINE = contract.DESC_BYTES


class Place(NamedTuple):
    """Where a ring lies: address of slot 0, and slots."""

    base: int
    slots: int

    def slot(self, index: int) -> slice:
        """The bytes of the slot of ``index`` [RING-001]."""
        start = self.base + _LINE * (index % self.slots)
        return slice(start, start + _LINE)

    def slots_of(self, burst: Burst) -> range:
        """The slots that a burst covers; a burst does not pass the end of its ring."""
        first = (burst.address - self.base) // _LINE
        return range(first, first + burst.lines)


@dataclass(frozen=True)
class Layout:
    """Where the rings lie: log2 of their sizes, and the lines between a page's start and slot 0.

    A ring that begins in the middle of a page has pages' ends in its middle.
    """

    cmd: int = 4
    done: int = 4
    reward: int = 4
    skew: int = 3

    def places(self) -> tuple[dict[str, Place], int]:
        """Where each ring lies, and the end of the memory behind them, in whole pages."""
        found, end = {}, _PAGE
        for ring, log2 in (("CMD", self.cmd), ("DONE", self.done), ("REWARD", self.reward)):
            base = end + _LINE * self.skew + contract.RING_SLOTS_OFFSET
            found[ring] = Place(base, 1 << log2)
            end = -(-(base + (_LINE << log2)) // _PAGE) * _PAGE
        return found, end
