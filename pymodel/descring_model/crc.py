# SPDX-License-Identifier: Apache-2.0
"""CRC-32C of many short messages at once [DESC-020].

The checksum is linear over GF(2): the register after a message is the XOR of what each byte
contributes from its place, and of what the initial value contributes. So there is a table of 256
words for every byte position, and a batch is one gather and one XOR reduction.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from descring_model import contract


@lru_cache(maxsize=8)
def _tables(width: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int32], np.uint32]:
    """Contributions of a byte at each place of ``width`` bytes, each place's offset, and the rest.

    Shapes: ``(width * 256,)``, ``(width,)`` and a scalar, the checksum of ``width`` zero bytes.
    """
    step = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        step = np.where(
            step & 1, (step >> 1) ^ np.uint32(contract.CRC32C_POLY_REFLECTED), step >> 1
        )
    table = np.empty((width, 256), dtype=np.uint32)
    zeros = np.uint32(contract.CRC32C_INIT)
    contribution = step
    for place in reversed(range(width)):
        table[place] = contribution
        contribution = (contribution >> 8) ^ step[contribution & 0xFF]
        zeros = (zeros >> np.uint32(8)) ^ step[zeros & np.uint32(0xFF)]
    offsets = np.arange(width, dtype=np.int32) * 256
    return table.reshape(-1), offsets, zeros ^ np.uint32(contract.CRC32C_XOR_OUT)


def crc32c(data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """CRC-32C of every row.

    Args:
        data: ``(n, k)`` uint8, n messages of k bytes.

    Returns:
        ``(n,)`` uint32.

    Raises:
        ValueError: another shape or dtype.
    """
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.dtype != np.uint8:
        got = (
            f"shape {data.shape} and dtype {data.dtype}"
            if isinstance(data, np.ndarray)
            else type(data).__name__
        )
        raise ValueError(f"expected messages as an (n, k) array of uint8, got {got}")
    table, offsets, zeros = _tables(data.shape[1])
    contributions = table.take(data + offsets)
    result: npt.NDArray[np.uint32] = np.bitwise_xor.reduce(contributions, axis=1) ^ zeros
    return result
