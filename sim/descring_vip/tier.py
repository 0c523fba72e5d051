# SPDX-License-Identifier: Apache-2.0
"""How much of a case the running tier does: all of it, or the share that the quick tier takes.

The quick tier runs every case of every block, on shorter streams and fewer combinations. Each value
of an axis is still met, each combination of them is not. :data:`QUICK` is decided once a process,
by the environment that :mod:`descring_sim.cosim.runner` composes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import cocotb

QUICK = os.environ.get("DESCRING_TIER") == "quick"
"""Whether the quick tier runs; without a word from the runner all of every case is done."""

_EVERY = "DESCRING_EVERY"
"""Set where a combination was asked for by name: then all of them exist in the quick tier too."""

_DIVISOR = 4


def share(count: int, least: int = 1) -> int:
    """Return how many of ``count`` lines, rounds or accesses the tier does, never below ``least``.

    ``least`` is what the case needs in order to prove anything; it may exceed ``count``.
    """
    return max(min(least, count), count // _DIVISOR) if QUICK else count


def sweep(**axes: Sequence[Any]) -> Callable[[Any], Any]:
    """Sweep a case over ``axes``: every combination, or in the quick tier every value.

    Either way a case has the name that ``cocotb.parametrize`` gives it, and so the same seed.
    """
    if not QUICK or os.environ.get(_EVERY):
        return cocotb.parametrize(**axes)
    return cocotb.parametrize((tuple(axes), diagonal(*axes.values())))


def diagonal(*axes: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return tuples that meet each value of each axis; as many as the longest axis has values.

    A shorter axis starts over, one step further each time, so that it does not meet the same
    values of the longest in every turn.
    """
    rank = {axis: rank for rank, axis in enumerate(sorted(range(len(axes)), key=_longest(axes)))}
    return [
        tuple(
            axis[(number + rank[place] * (number // len(axis))) % len(axis)]
            for place, axis in enumerate(axes)
        )
        for number in range(max(map(len, axes)))
    ]


def _longest(axes: Sequence[Sequence[Any]]) -> Callable[[int], int]:
    return lambda place: -len(axes[place])
