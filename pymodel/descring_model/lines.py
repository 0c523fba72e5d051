# SPDX-License-Identifier: Apache-2.0
"""Descriptor lines as NumPy arrays: the dtype of the contract and the views onto it [DESC-015]."""

from __future__ import annotations

import operator
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from descring_model import contract

Lines: TypeAlias = npt.NDArray[np.void]
"""A 1-D array of :data:`DESC_DTYPE`, one element a line."""

INDEX_MODULUS = 1 << 32
"""Ring indices are free-running u32 [RING-002]."""

DESC_DTYPE: np.dtype[np.void] = np.dtype(
    {
        "names": [field.name for field in contract.FIELDS],
        "formats": [f"<u{field.size}" for field in contract.FIELDS],
        "offsets": [field.offset for field in contract.FIELDS],
        "itemsize": contract.DESC_BYTES,
    }
)
"""One ``hw_desc_t``: 64 bytes, little-endian whatever the machine."""


def as_lines(array: npt.NDArray[Any]) -> Lines:
    """View ``array`` as lines, without a copy.

    Args:
        array: 1-D of :data:`DESC_DTYPE`, or ``(n, 64)`` uint8 whose rows are contiguous bytes.

    Returns:
        The same memory as a 1-D array of :data:`DESC_DTYPE`.

    Raises:
        ValueError: another shape or dtype, or rows whose bytes do not lie side by side.
    """
    wanted = (
        f"a 1-D array of DESC_DTYPE or an array of shape (n, {contract.DESC_BYTES}) and dtype uint8"
    )
    if not isinstance(array, np.ndarray):
        raise ValueError(
            f"expected {wanted}, got {type(array).__name__}; "
            "make lines with numpy.frombuffer(data, DESC_DTYPE) or streams.generate"
        )
    if array.dtype == DESC_DTYPE and array.ndim == 1:
        return array
    if array.dtype == np.uint8 and array.ndim == 2 and array.shape[1] == contract.DESC_BYTES:
        if array.shape[0] and array.strides[1] != 1:
            raise ValueError(
                "the 64 bytes of a row must lie side by side, got a stride of "
                f"{array.strides[1]}; pass numpy.ascontiguousarray(array)"
            )
        lines: Lines = array.view(DESC_DTYPE).reshape(array.shape[0])
        return lines
    raise ValueError(
        f"expected {wanted}, got shape {array.shape} and dtype {array.dtype}; "
        "make lines with numpy.frombuffer(data, DESC_DTYPE) or streams.generate"
    )


def line_bytes(lines: Lines) -> npt.NDArray[np.uint8]:
    """View ``lines`` as bytes, shape ``(n, 64)``; lines of any stride, without a copy."""
    return lines[:, np.newaxis].view(np.uint8)


def check_index(value: int, name: str) -> int:
    """Return ``value`` as a plain int if it is a u32; ``ValueError`` naming it ``name`` if not."""
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be an integer, got {value!r}") from None
    if not 0 <= number < INDEX_MODULUS:
        raise ValueError(f"{name} must be an unsigned 32-bit number, got {number}")
    return number


def index_range(first: int, count: int) -> npt.NDArray[np.uint32]:
    """The ``count`` ring indices from ``first``, wrapping through 2^32 [RING-002]; uint32."""
    return (np.arange(count, dtype=np.uint64) + np.uint64(first)).astype(np.uint32)


def copy_lines(target: Lines, source: Lines) -> None:
    """Copy lines as bytes, which NumPy does ten times as fast as field by field.

    Args:
        target: ``(n,)``, written.
        source: ``(n,)``.
    """
    line_bytes(target)[:] = line_bytes(source)


def read_ring(slots: Lines, first: int, target: Lines) -> None:
    """Copy lines out of a ring's slots.

    Args:
        slots: ``(n,)``, the ring.
        first: the index of the first line, modulo 2^32; its slot is ``first % n`` [RING-002].
        target: ``(m,)``, written; m is at most n.
    """
    start = first % len(slots)
    straight = min(len(target), len(slots) - start)
    copy_lines(target[:straight], slots[start : start + straight])
    copy_lines(target[straight:], slots[: len(target) - straight])


def write_ring(slots: Lines, first: int, lines: Lines) -> None:
    """Copy lines into a ring's slots, from index ``first`` on; see :func:`read_ring`."""
    start = first % len(slots)
    straight = min(len(lines), len(slots) - start)
    copy_lines(slots[start : start + straight], lines[:straight])
    copy_lines(slots[: len(lines) - straight], lines[straight:])
