# SPDX-License-Identifier: Apache-2.0
"""Lines from the caller, and completions between their ring and the caller who gets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, as_lines

from descring_host.completion import LINE_STRUCT, Completion
from descring_host.ports import Port

_MASK = 0xFFFFFFFF


@dataclass
class Taking:
    """Completions that are being moved from a ring into an array.

    How many are there already stands in the ring's head alone, so an exception that a signal's
    handler raises in the middle loses none.
    """

    ring: int
    lines: Lines
    first: int
    """The ring's head before the first."""

    def count(self, port: Port) -> int:
        """How many completions lie in :attr:`lines`."""
        return min(len(self.lines), (port.head(self.ring) - self.first) & _MASK)

    def more(self, port: Port) -> int:
        """Take what can be taken now and still fits; how many that is."""
        rest = self.lines[self.count(port) :]
        return port.take(self.ring, rest) if len(rest) else 0

    def taken(self, port: Port) -> Lines:
        """What was taken so far."""
        return self.lines[: self.count(port)]


class Kept(Taking):
    """Completions that a call keeps until it returns."""

    def count(self, port: Port) -> int:
        """All of them."""
        return len(self.lines)


class Unsent(Taking):
    """Completions whose next legs are to be submitted from ring index ``first`` on.

    Those that were not submitted yet count as taken; the others are in flight.
    """

    def count(self, port: Port) -> int:
        """How many are left."""
        return max(0, len(self.lines) - ((port.next_index() - self.first) & _MASK))

    def taken(self, port: Port) -> Lines:
        """Those that are left."""
        return self.lines[len(self.lines) - self.count(port) :]


def as_array(held: Lines | Completion) -> Lines:
    """What a queue holds, as lines."""
    if isinstance(held, np.ndarray):
        return held
    return np.frombuffer(LINE_STRUCT.pack(*held), dtype=DESC_DTYPE).copy()


def contiguous_lines(lines: npt.NDArray[Any]) -> Lines:
    """A caller's lines as ``(n,)`` of DESC_DTYPE; ``ValueError`` for scattered memory."""
    viewed = as_lines(lines)
    if not viewed.flags.c_contiguous:
        raise ValueError(
            f"expected lines side by side in memory, got strides {viewed.strides}; pass "
            "numpy.ascontiguousarray(lines)"
        )
    return viewed
