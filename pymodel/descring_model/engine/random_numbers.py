# SPDX-License-Identifier: Apache-2.0
"""Random numbers of the sampler: Philox4x32-10, and xoshiro256** [SAMP-006] [SAMP-008]."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from descring_model.engine import contract

Words = npt.NDArray[np.uint32]

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_MASK = (1 << 64) - 1


def philox(counter: Words, key: Words) -> Words:
    """Philox4x32-10 of each counter.

    Args:
        counter: ``(n, 4)`` uint32.
        key: ``(n, 2)`` uint32.

    Returns:
        ``(n, 4)`` uint32.
    """
    c0, c1, c2, c3 = (counter[:, place].astype(np.uint64) for place in range(4))
    k0, k1 = key[:, 0].astype(np.uint64), key[:, 1].astype(np.uint64)
    m0, m1 = (np.uint64(item) for item in contract.PHILOX_MULTIPLIERS)
    w0, w1 = (np.uint64(item) for item in contract.PHILOX_WEYL)
    for turn in range(contract.PHILOX_ROUNDS):
        if turn:
            k0, k1 = (k0 + w0) & _LOW, (k1 + w1) & _LOW
        p0, p1 = m0 * c0, m1 * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
    return np.stack([c0, c1, c2, c3], axis=1).astype(np.uint32)


def draws(
    seed: npt.NDArray[np.uint64],
    group: Words,
    sample: Words,
    position: Words,
) -> npt.NDArray[np.uint64]:
    """The random u64 of each rollout's token at ``position``; arrays of one shape ``(n,)``."""
    counter = np.empty((len(seed), 4), dtype=np.uint32)
    for place, words in enumerate((position, sample, group)):
        counter[:, place] = words
    counter[:, 3] = contract.STREAM_SAMPLING
    key = np.stack([seed & _LOW, seed >> _HALF], axis=1).astype(np.uint32)
    words = philox(counter, key).astype(np.uint64)
    found: npt.NDArray[np.uint64] = words[:, 0] | words[:, 1] << _HALF
    return found


def _rotate(word: int, count: int) -> int:
    return (word << count | word >> (64 - count)) & _MASK


def xoshiro(seed: int) -> Iterator[int]:
    """The outputs of xoshiro256**, seeded as SAMP-008; endless."""
    s0, s1 = seed, seed ^ contract.XOSHIRO_S1
    s2 = _rotate(seed, contract.XOSHIRO_S2_ROTATION) ^ contract.XOSHIRO_S2
    s3 = ~seed & _MASK
    while True:
        yield _rotate(s1 * 5 & _MASK, 7) * 9 & _MASK
        shifted = s1 << 17 & _MASK
        s2 ^= s0
        s3 ^= s1
        s1 ^= s2
        s0 ^= s3
        s2 ^= shifted
        s3 = _rotate(s3, 45)
