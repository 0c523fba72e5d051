# SPDX-License-Identifier: Apache-2.0
"""Upper parts of addresses that tell every bit from every other and from a constant."""

from __future__ import annotations

import numpy as np


def upper_parts(rng: np.random.Generator, bits: int) -> list[int]:
    """Return values of ``bits`` bits: each bit is 1 in one and 0 in another.

    Two alternate, one is a carry through all bits but the last, and two pairs are random.
    """
    every = (1 << bits) - 1
    alternating = every // 3
    found = [alternating, every ^ alternating, 1 << (bits - 1)]
    for _ in range(2):
        # Neither is so near to an end that what lies behind it would not fit.
        drawn = int(rng.integers(1 << 8, every - (1 << 8), dtype=np.uint64))
        found += [drawn, every ^ drawn]
    return found
