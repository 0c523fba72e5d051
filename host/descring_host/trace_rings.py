# SPDX-License-Identifier: Apache-2.0
"""Rings of trace events in memory of their own [TRC-003]."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from descring_model.rollouts import seeing
from descring_model.rollouts.records import dtype_of

Ring = npt.NDArray[np.uint8]
"""A head of 64 bytes, then events; at a multiple of 64."""
MakeRing = Callable[[str], Ring]
"""Makes a ring for the thread of this name."""

EVENT_DTYPE = dtype_of(seeing.TRACE)
HEAD_DTYPE = dtype_of(seeing.TRACE_HEAD)
EVENTS_MAX = 1 << 28
_LINE = 64


def make_ring(events: int) -> Ring:
    """An empty ring whose pages are there already, so that writing makes no page fault.

    Args:
        events: that it holds, a power of two up to 2^28.

    Raises:
        ValueError: another number.
    """
    if not 0 < events <= EVENTS_MAX or events & (events - 1):
        raise ValueError(f"events: expected a power of two up to {EVENTS_MAX}, got {events}")
    size = HEAD_DTYPE.itemsize + events * EVENT_DTYPE.itemsize
    raw = np.empty(size + _LINE, dtype=np.uint8)
    start = -raw.ctypes.data % _LINE
    ring = raw[start : start + size]
    ring[:] = 0
    ring[: HEAD_DTYPE.itemsize].view(HEAD_DTYPE)["mask"] = events - 1
    return ring


def ring_events(ring: Ring) -> tuple[npt.NDArray[np.void], int]:
    """What a ring holds, the oldest first, ``(n,)`` of EVENT_DTYPE; and how many it has lost.

    The thread that writes must stand still.
    """
    head = ring[: HEAD_DTYPE.itemsize].view(HEAD_DTYPE)[0]
    events = ring[HEAD_DTYPE.itemsize :].view(EVENT_DTYPE)
    written = int(head["written"])
    if written <= len(events):
        return events[:written].copy(), 0
    return np.roll(events, -(written % len(events))), written - len(events)
