# SPDX-License-Identifier: Apache-2.0
"""fp32 arithmetic in the order of the contract, on arrays [NUM-001..NUM-007].

Only element-wise operations of NumPy are used, each of which rounds once; ``np.sum``, ``np.dot``
and ``np.exp2`` are not, since their order and their bits differ between versions and processors.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from descring_model.engine import contract

F32: TypeAlias = npt.NDArray[np.float32]
F16: TypeAlias = npt.NDArray[np.float16]

_LIMIT = np.float32(1 << contract.VALUE_LIMIT_LOG2)
_POW2_LOW = -126


def constant(bits: int) -> np.float32:
    """The float32 with the encoding ``bits``."""
    return np.float32(np.uint32(bits).view(np.float32))


FLOATS = {item.name: constant(item.bits) for item in contract.FLOATS}
"""The contract's float constants by name."""


def check_arithmetic() -> None:
    """Check that the processor is in the mode that the contract assumes.

    Raises:
        RuntimeError: subnormal numbers are flushed to zero, or rounding is not to nearest.
    """
    tiny = np.array([0x00000002], dtype=np.uint32).view(np.float32)
    one = np.ones(1, dtype=np.float32)
    half = constant(0x33800000)
    kept = (tiny * np.float32(0.5)).view(np.uint32)[0] == 1
    if not kept or (one + half)[0] != 1 or (-one - half)[0] != -1:
        raise RuntimeError(
            "expected IEEE arithmetic with subnormal numbers and rounding to nearest, got another "
            "mode of the processor; a library of this process has changed it (-ffast-math?)"
        )


def exp2(x: F32) -> F32:
    """``2^x`` for x <= 0, below 2 ulp from exact; +0 below -100 [NUM-005]."""
    low = x < FLOATS["EXP2_LOW"]
    x = np.where(low, np.float32(0), x)
    whole = np.rint(x)
    rest = x - whole
    coefficients = [constant(item.bits) for item in contract.EXP2_COEFFICIENTS]
    value = np.full_like(rest, coefficients[0])
    for item in coefficients[1:]:
        value = value * rest + item
    found: F32 = np.where(low, np.float32(0), value * pow2(whole.astype(np.int64)))
    return found


def pow2(exponent: npt.NDArray[np.int64]) -> F32:
    """``2^exponent`` for exponents <= 0; +0 below -126 [NUM-004]."""
    bits = (np.maximum(exponent, _POW2_LOW) + 127).astype(np.uint32) << np.uint32(23)
    found: F32 = np.where(exponent < _POW2_LOW, np.float32(0), bits.view(np.float32))
    return found


def add_chunks(chunks: F32) -> F32:
    """Chunks 0 to 15 along axis 1 added as the end of NUM-002; that axis is gone."""
    for half in (8, 4, 2, 1):
        chunks = chunks[:, :half] + chunks[:, half : 2 * half]
    return chunks[:, 0]


def matrix(weights: F16) -> F32:
    """``(128, m)`` weights in the layout of :func:`product`, ``(16, 8, m)`` float32."""
    shape = (contract.DIMS // contract.DOT_CHUNK, contract.DOT_CHUNK, -1)
    return np.ascontiguousarray(weights.astype(np.float32).reshape(shape))


def product(vectors: F32, weights: F32) -> F32:
    """Dots of 128 of each vector with each column [NUM-002].

    Args:
        vectors: ``(n, 128)`` float32.
        weights: of :func:`matrix`, ``(16, 8, m)``.

    Returns:
        ``(n, m)`` float32.
    """
    parts = vectors.reshape(len(vectors), *weights.shape[:2], 1)
    chunks = parts[:, :, 0] * weights[:, 0]
    for place in range(1, contract.DOT_CHUNK):
        chunks = chunks + parts[:, :, place] * weights[:, place]
    return add_chunks(chunks)


def tree(leaves: F32, bits: int) -> F32:
    """Leaves along axis 1, ``2^bits`` of them, added neighbours first [NUM-003]."""
    for _ in range(bits):
        leaves = leaves[:, 0::2] + leaves[:, 1::2]
    return leaves[:, 0]


def silu(a: F32) -> F32:
    """``a / (1 + exp(-a))`` [NUM-006]."""
    t = exp2(-np.abs(a) * FLOATS["LOG2_E"])
    found: F32 = np.where(a >= 0, a, a * t) / (np.float32(1) + t)
    return found


def usable(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which rows of ``(n, m)`` values have no NaN, infinity or magnitude from 2^24 [NUM-007]."""
    found: npt.NDArray[np.bool_] = (np.abs(values) < _LIMIT).all(axis=1)
    return found
