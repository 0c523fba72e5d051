# SPDX-License-Identifier: Apache-2.0
"""Idle and backpressure patterns: the axis along which every streaming test is swept.

A pattern is an endless generator of ``(on, off)`` cycle counts, the form that the drivers of
cocotb-bus take. ``@streaming`` sweeps a case over the pairs of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import numpy as np

from descring_vip.tier import sweep

Pattern = Iterator[tuple[int, int]]

FOREVER = 1 << 40
"""Cycles that no simulation reaches."""

LATE_CYCLES = 640
"""How long the pattern LATE refuses: enough to fill a ring of 256 slots from any source."""


class Idle(Enum):
    """When the source of a stream has something to offer."""

    NONE = "a line every cycle"
    RANDOM = "lines and pauses of one or two cycles, at random"
    BURSTS = "runs of lines and long pauses"


class Ready(Enum):
    """When the sink of a stream takes what is presented."""

    ALWAYS = "every cycle"
    RANDOM = "every other cycle on average, at random"
    BURSTS = "runs of cycles and long pauses"
    LATE = "never for a long while, then every cycle"
    AFTER_VALID = "not before something is presented: ready waits for valid"


def idle_pattern(idle: Idle, rng: np.random.Generator) -> Pattern | None:
    """The ``(valid, idle)`` counts of a source; None means valid whenever there is a line."""
    if idle is Idle.NONE:
        return None
    if idle is Idle.RANDOM:
        return _random(rng, on=(1, 3), off=(0, 3))
    return _random(rng, on=(1, 40), off=(5, 40))


def ready_pattern(ready: Ready, rng: np.random.Generator) -> Pattern | None:
    """The ``(ready, not ready)`` counts of a sink; None means always ready.

    AFTER_VALID is no pattern in time: a driver follows ``valid`` instead and pauses in between for
    as long as this generator's second number.
    """
    if ready is Ready.ALWAYS:
        return None
    if ready is Ready.RANDOM:
        return _random(rng, on=(1, 3), off=(1, 3))
    if ready is Ready.BURSTS:
        return _random(rng, on=(1, 40), off=(5, 40))
    if ready is Ready.LATE:
        return iter([(0, LATE_CYCLES), (FOREVER, 0)])
    return _random(rng, on=(1, 2), off=(0, 3))


class Gate:
    """A pattern asked cycle by cycle; without one it is always open."""

    def __init__(self, pattern: Pattern | None) -> None:
        self._pattern = pattern
        self._on = self._off = 0

    def step(self) -> bool:
        """Whether the gate is open in this cycle."""
        if self._pattern is None:
            return True
        while not self._on and not self._off:
            self._on, self._off = next(self._pattern)
        if self._on:
            self._on -= 1
            return True
        self._off -= 1
        return False


def _random(rng: np.random.Generator, *, on: tuple[int, int], off: tuple[int, int]) -> Pattern:
    """Counts drawn evenly from the half-open ranges ``on`` and ``off``, in blocks for speed."""
    while True:
        ons = rng.integers(*on, size=256).tolist()
        offs = rng.integers(*off, size=256).tolist()
        yield from zip(ons, offs, strict=True)


streaming = sweep(idle=list(Idle), ready=list(Ready))
"""Sweep a case ``(dut, idle, ready)`` over the pairs of idle and backpressure pattern."""
