# SPDX-License-Identifier: Apache-2.0
"""Between arrays of lines, as the golden model has them, and single lines as a bus has them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from descring_model import contract
from descring_model.lines import DESC_DTYPE, Lines, as_lines

LINE_BYTES = contract.DESC_BYTES


def split(lines: Lines) -> list[bytes]:
    """Every line of an ``(n,)`` DESC_DTYPE or ``(n, 64)`` uint8 array as 64 bytes."""
    return _cut(as_lines(lines).tobytes())


def join(lines: Iterable[bytes]) -> Lines:
    """An ``(n,)`` array of DESC_DTYPE from lines of 64 bytes; the inverse of :func:`split`."""
    joined: Lines = np.frombuffer(b"".join(lines), dtype=DESC_DTYPE)
    return joined


def random_lines(rng: np.random.Generator, count: int) -> list[bytes]:
    """``count`` lines of random bytes: payload for blocks that must not inspect a line."""
    return _cut(rng.bytes(count * LINE_BYTES))


def _cut(data: bytes) -> list[bytes]:
    return [data[start : start + LINE_BYTES] for start in range(0, len(data), LINE_BYTES)]
