# SPDX-License-Identifier: Apache-2.0
"""Comparing and rendering lines."""

import numpy as np
import pytest
from descring_model import Difference, complete, describe, first_difference, status_of, streams
from model_support import checked, lines_of
from scalar_reference import CHECKED, COW_PREFIX, DONE, ERROR, NEEDS_REWARD, STOPPED, Desc


def test_equal_streams_have_no_difference() -> None:
    """Also over more lines than are compared at once."""
    lines = streams.generate(70_000, seed=1, profile="nop")
    assert first_difference(lines, lines.copy()) is None
    assert first_difference(lines[:0], lines[:0]) is None


@pytest.mark.parametrize("index", [0, 65_535, 65_536, 69_999])
def test_first_difference_names_index_field_and_bytes(index: int) -> None:
    """The first of two differing lines, and in it the first differing byte."""
    expected = streams.generate(70_000, seed=1, profile="nop")
    actual = expected.copy()
    actual["kv_offset"][index] ^= np.uint64(0xFF << 24)
    actual["user_data"][index] ^= np.uint64(1)
    actual["opcode"][index + 1 :] = 9
    want, got = int(expected["kv_offset"][index]), int(actual["kv_offset"][index])
    difference = first_difference(expected, actual)
    assert difference == Difference(index, "kv_offset", 19, want, got)
    assert str(difference) == (
        f"line {index}: kv_offset differs from byte 19 on: "
        f"expected 0x{want:016x}, actual 0x{got:016x}"
    )


def test_missing_line_is_a_difference() -> None:
    """The shorter stream is never taken for equal."""
    lines = streams.generate(5, seed=1)
    for expected, actual in ((lines, lines[:3]), (lines[:3], lines)):
        difference = first_difference(expected, actual)
        assert difference == Difference(3, "length", 0, len(expected), len(actual))
        assert f"expected {len(expected)} lines, actual {len(actual)}" in str(difference)


def test_differing_byte_comes_before_a_missing_line() -> None:
    """What is there is compared first."""
    lines = lines_of(Desc(), Desc(seq_len=1))
    assert first_difference(lines, lines[1:]) == Difference(0, "seq_len", 32, 0, 1)


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        (DONE | COW_PREFIX, 0x01),
        (NEEDS_REWARD, 0x02),
        (ERROR | 0x0300, 0x80),
        (STOPPED | CHECKED, 0xFF),
        (0, 0),
        (DONE | ERROR, 0),
        (NEEDS_REWARD | STOPPED, 0),
    ],
)
def test_status_is_a_view_of_the_flags(flags: int, status: int) -> None:
    """[STAT-001] [STAT-002] [STAT-080] [STAT-255] [FLAG-011] What is no completion has none."""
    got = status_of(lines_of(Desc(flags=flags)))
    assert got.dtype == np.uint8
    assert got.tolist() == [status]


def test_describe_names_what_a_person_looks_for() -> None:
    """Opcode, lengths, flags by name, and tag and checksum only where they are that."""
    line = checked(Desc(rollout_id=7, seq_len=3, max_tokens=9, flags=COW_PREFIX | 0x40), 12)
    text = describe(lines_of(line)[0])
    for part in ("DECODE", "rollout=7", "seq=3/9", "COW_PREFIX|CHECKED|RESERVED:0x40", "tag=12"):
        assert part in text
    assert "cookie" not in text
    assert "\n" not in text


def test_describe_says_what_an_error_was() -> None:
    """The code's name, its number, and unknown ones too."""
    text = describe(complete(lines_of(Desc(opcode=77, checksum_or_cookie=0xAB))))
    assert "opcode 77" in text
    assert "ERROR|code=BAD_OPCODE(2)" in text
    assert "cookie=0x00000000000000ab" in text
    assert "code=unknown(200)" in describe(lines_of(Desc(flags=ERROR | 200 << 8)))


def test_describe_wants_one_line() -> None:
    """Two lines are an error of the caller."""
    with pytest.raises(ValueError, match="expected one line, got 2"):
        describe(lines_of(Desc(), Desc()))
