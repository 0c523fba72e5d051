# SPDX-License-Identifier: Apache-2.0
"""Weights and embeddings of the model ``fixed128``, from their formulas [STATE-001..STATE-007]."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from descring_model.engine import contract
from descring_model.engine.numbers import F16, F32, matrix

_PLANE = {item.name: item for item in contract.PLANES}
_RAMP = {item.name: item for item in contract.RAMPS}


def mix(words: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """The 32-bit mixer of STATE-001."""
    first, second, third = (np.uint32(shift) for shift in contract.HASH_SHIFTS)
    words = (words ^ (words >> first)) * np.uint32(contract.HASH_MULTIPLIERS[0])
    words = (words ^ (words >> second)) * np.uint32(contract.HASH_MULTIPLIERS[1])
    return words ^ (words >> third)


def plane(name: str, rows: npt.NDArray[np.integer]) -> F32:
    """Rows of a hashed plane, ``(n, 128)`` float32, exact in fp16."""
    item = _PLANE[name]
    first = np.uint32(item.number * contract.GOLDEN_32 & contract.NONE)
    start = mix(rows.astype(np.uint32) + first)
    columns = np.arange(contract.DIMS, dtype=np.uint32) * np.uint32(contract.GOLDEN_32)
    high = mix(start[:, np.newaxis] + columns) >> np.uint32(32 - item.bits)
    odd = 2 * high.astype(np.int32) - ((1 << item.bits) - 1)
    return odd.astype(np.float32) / np.float32(1 << item.scale)


def ramp(name: str) -> F16:
    """A weight by remainder, ``(128, 128)`` float16 [STATE-003]."""
    item = _RAMP[name]
    rows = np.arange(contract.DIMS)[:, np.newaxis] + item.row
    columns = np.arange(contract.DIMS) + item.column
    values: F16 = ((rows * columns % item.modulus - item.middle) / item.divisor).astype(np.float16)
    return values


def bias() -> F32:
    """``(128,)`` float32 [STATE-003]."""
    rows = np.arange(contract.DIMS) + contract.BIAS_OFFSET
    remainder = rows * contract.BIAS_FACTOR % contract.BIAS_MODULUS
    return ((remainder - contract.BIAS_MIDDLE) / contract.BIAS_DIVISOR).astype(np.float32)


def inputs(tokens: npt.NDArray[np.integer], positions: npt.NDArray[np.integer]) -> F32:
    """``x`` of each token at its position, ``(n, 128)`` float32, exact in fp16 [STATE-002]."""
    return plane("EMBEDDING", tokens) + plane("POSITION", positions)


class Weights:
    """Every matrix in the layout of :func:`~descring_model.engine.numbers.product`."""

    def __init__(self, vocabulary: int) -> None:
        rows = np.arange(contract.DIMS)
        self.w_in = matrix(ramp("W_IN"))
        self.w_res = matrix(ramp("W_RES"))
        self.w_q = matrix(ramp("W_Q"))
        self.w_k = matrix(plane("W_K", rows).astype(np.float16))
        self.w_v = matrix(plane("W_V", rows).astype(np.float16))
        self.bias = bias()
        self.unembedding = matrix(plane("UNEMBEDDING", np.arange(vocabulary)).T.astype(np.float16))


@lru_cache(maxsize=2)
def weights(vocabulary: int) -> Weights:
    """The weights for a vocabulary, made once."""
    return Weights(vocabulary)
