# SPDX-License-Identifier: Apache-2.0
"""The dtype, and arrays of lines."""

import numpy as np
import pytest
from descring_model import DESC_DTYPE, as_lines, line_bytes
from model_support import packed
from scalar_reference import Desc

LAYOUT = {
    "opcode": (0, 2),
    "flags": (2, 2),
    "rollout_id": (4, 4),
    "kv_arena_id": (8, 4),
    "prefix_id": (12, 4),
    "kv_offset": (16, 8),
    "delta_offset": (24, 8),
    "seq_len": (32, 4),
    "max_tokens": (36, 4),
    "reward_model_id": (40, 4),
    "reserved0": (44, 4),
    "user_data": (48, 8),
    "checksum_or_cookie": (56, 8),
}


@pytest.mark.parametrize("name", LAYOUT)
def test_field_lies_at_its_bytes(name: str) -> None:
    """[DESC-001..DESC-013] [DESC-015] A field's bytes are little-endian at its offset."""
    offset, size = LAYOUT[name]
    raw = np.arange(1, 65, dtype=np.uint8)
    line = as_lines(raw[np.newaxis])
    assert int(line[name][0]) == int.from_bytes(raw[offset : offset + size].tobytes(), "little")
    assert DESC_DTYPE[name].itemsize == size


def test_dtype_is_one_cache_line_without_gaps() -> None:
    """[DESC-015] The fields fill 64 bytes and there is no other field."""
    assert DESC_DTYPE.itemsize == 64
    assert DESC_DTYPE.names == tuple(LAYOUT)
    assert sum(size for _, size in LAYOUT.values()) == 64


def test_as_lines_views_without_a_copy() -> None:
    """[DESC-015] Bytes and fields are two views of one memory."""
    raw = np.zeros((3, 64), dtype=np.uint8)
    lines = as_lines(raw)
    lines["seq_len"][1] = 0x01020304
    assert raw[1, 32:36].tolist() == [4, 3, 2, 1]
    assert as_lines(lines) is lines
    assert line_bytes(lines[1:2]).base is not None
    line_bytes(lines)[2, 0] = 9
    assert raw[2, 0] == 9


def test_as_lines_takes_every_other_row() -> None:
    """Rows may be apart; only the bytes of one must lie side by side."""
    raw = np.arange(6 * 64, dtype=np.uint32).astype(np.uint8).reshape(6, 64)
    assert packed(as_lines(raw[::2])) == [row.tobytes() for row in raw[::2]]


def test_as_lines_takes_no_lines() -> None:
    """An empty stream is a stream."""
    assert len(as_lines(np.zeros((0, 64), dtype=np.uint8))) == 0


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((2, 63), dtype=np.uint8),
        np.zeros(64, dtype=np.uint8),
        np.zeros((2, 64), dtype=np.int8),
        np.zeros((2, 16), dtype=np.uint32),
        np.zeros((1, 2), dtype=DESC_DTYPE),
        np.zeros((), dtype=DESC_DTYPE),
        np.zeros(2, dtype=[("a", "V64")]),
        np.zeros(2, dtype=DESC_DTYPE.newbyteorder(">")),
    ],
    ids=lambda bad: f"{bad.dtype.kind}{bad.dtype.itemsize}-{bad.shape}",
)
def test_as_lines_refuses_other_shapes_and_types(bad: np.ndarray) -> None:
    """No array is reinterpreted silently; the message reports the actual value."""
    with pytest.raises(ValueError, match=r"expected a 1-D array of DESC_DTYPE.* got shape"):
        as_lines(bad)


def test_as_lines_refuses_what_is_no_array() -> None:
    """Bytes are not lines without an explicit view."""
    with pytest.raises(ValueError, match="got bytes"):
        as_lines(Desc().pack())  # type: ignore[arg-type]


def test_as_lines_refuses_scattered_bytes() -> None:
    """A column-major array cannot be viewed, and is not copied behind one's back."""
    with pytest.raises(ValueError, match="ascontiguousarray"):
        as_lines(np.asfortranarray(np.zeros((3, 64), dtype=np.uint8)))
