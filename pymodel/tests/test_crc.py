# SPDX-License-Identifier: Apache-2.0
"""The checksum, against the check value and against a library."""

import google_crc32c
import numpy as np
import pytest
import scalar_reference as ref
from descring_model import crc32c, seal
from hypothesis import given
from hypothesis import strategies as st
from model_support import U32, lines_of, packed
from scalar_reference import Desc


def test_check_value() -> None:
    """[DESC-020] The checksum of `123456789`."""
    digits = np.frombuffer(b"123456789", dtype=np.uint8)
    assert crc32c(digits[np.newaxis]).tolist() == [0xE3069283]


@given(st.integers(0, 130).flatmap(lambda k: st.lists(st.binary(min_size=k, max_size=k))))
def test_any_messages_agree_with_the_library(messages: list[bytes]) -> None:
    """[DESC-020] Every width and count, against google-crc32c."""
    width = len(messages[0]) if messages else 0
    data = np.frombuffer(b"".join(messages), dtype=np.uint8).reshape(len(messages), width)
    assert crc32c(data).tolist() == [google_crc32c.value(message) for message in messages]


def test_columns_of_a_wider_array() -> None:
    """[DESC-020] Rows that are apart in memory, as the bytes 0..59 of lines are."""
    data = np.random.default_rng(5).integers(0, 256, (9000, 64), dtype=np.uint8)
    sums = crc32c(data[:, :60])
    for row in (0, 1, 4095, 4096, 8999):
        assert sums[row] == google_crc32c.value(data[row, :60].tobytes())


@pytest.mark.parametrize(
    "bad", [np.zeros(60, np.uint8), np.zeros((1, 60), np.int16), b"123456789"], ids=type
)
def test_refuses_what_is_no_batch_of_bytes(bad: object) -> None:
    """The message reports the actual value."""
    with pytest.raises(ValueError, match="expected messages as an"):
        crc32c(bad)  # type: ignore[arg-type]


@given(st.integers(0, U32 - 1), st.booleans())
def test_seal_writes_tag_and_checksum(index: int, set_flag: bool) -> None:
    """[DESC-020] [DESC-022] Tag at 56, checksum over 0..59 at 60, the flag only if asked."""
    desc = Desc(opcode=2, flags=0x40, user_data=7, checksum_or_cookie=(1 << 64) - 1)
    given_line = lines_of(desc)
    (line,) = packed(seal(given_line, index, set_flag=set_flag))
    assert line == ref.sealed(desc._replace(flags=0x60 if set_flag else 0x40).pack(), index)
    assert packed(given_line) == [desc.pack()], "the lines that were given are not changed"


def test_seal_takes_an_index_for_each_line() -> None:
    """[DESC-022] Indices beyond u32 wrap, over more lines than a chunk has."""
    count = 5000
    lines = lines_of(*[Desc(user_data=n) for n in range(count)])
    got = packed(seal(lines, np.arange(count) + U32 - 10))
    for row in (0, 9, 10, 4095, 4096, count - 1):
        assert got[row] == ref.sealed(Desc(user_data=row).pack(), row - 10)


@pytest.mark.parametrize("indices", [np.zeros(2, int), np.zeros((1, 1), int), 1.5, np.zeros(1)])
def test_seal_refuses_indices_that_do_not_fit(indices: object) -> None:
    """One integer for all or one for each."""
    with pytest.raises(ValueError, match="ring ind"):
        seal(lines_of(Desc()), indices)  # type: ignore[arg-type]
