# SPDX-License-Identifier: Apache-2.0
"""Bins of coverage: how often lines of each kind met each place, counted for many lines at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from descring_model import Lines, contract

from descring_sim.conform.status import Bin
from descring_sim.conform.suite.vector import U32

_OPCODES = ("other", *(item.name for item in contract.OPCODES))
_POSITIONS = ("first slot", "last slot", "between")
_WRAPS = ("before 2^32", "behind 2^32", "far")


def _of_values() -> npt.NDArray[np.uint8]:
    places = np.zeros(1 << 16, dtype=np.uint8)
    places[[item.value for item in contract.OPCODES]] = range(1, len(_OPCODES))
    return places


_OPCODE_AT = _of_values()
"""Place in :data:`_OPCODES` by the value of a line's opcode."""


def count_bins(
    lines: Lines,
    indices: npt.NDArray[np.int64],
    slots: int,
    occupancy: tuple[Sequence[str], npt.NDArray[np.int64]],
    fault: tuple[Sequence[str], npt.NDArray[np.int64]],
) -> dict[Bin, int]:
    """Lines in each bin.

    Args:
        lines: The lines, ``(n,)``.
        indices: Their indices in the stream, ``(n,)``.
        slots: Slots of the ring in which they lie.
        occupancy: Names, and for each line the place of its own among them, ``(n,)``.
        fault: The same for what is wrong with a line.
    """
    slot = indices % slots
    axes = (
        (_OPCODES, _OPCODE_AT[lines["opcode"]]),
        (_POSITIONS, np.select([slot == 0, slot == slots - 1], [0, 1], 2)),
        occupancy,
        (_WRAPS, np.select([indices > U32 - 64, indices < 64], [0, 1], 2)),
        fault,
    )
    shape = tuple(len(names) for names, _ in axes)
    found = np.bincount(np.ravel_multi_index([places for _, places in axes], shape))
    bins: dict[Bin, int] = {}
    for kind in np.flatnonzero(found):
        places = np.unravel_index(kind, shape)
        one, two, three, four, five = (
            names[int(at)] for (names, _), at in zip(axes, places, strict=True)
        )
        bins[one, two, three, four, five] = int(found[kind])
    return bins
