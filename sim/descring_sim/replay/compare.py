# SPDX-License-Identifier: Apache-2.0
"""Two streams, byte by byte, and a report of their first difference."""

from __future__ import annotations

import shlex
from pathlib import Path

from descring_model import Lines, first_difference, line_bytes

from descring_sim.replay.stream_file import read_stream

BYTES_PER_ROW = 16


CHUNK = 1 << 16
"""Lines counted at a time: 4 MiB a side, so that a big file is never read into memory whole."""


def differing_lines(expected: Lines, actual: Lines) -> int:
    """How many lines of two streams of equal length differ."""
    count = 0
    for start in range(0, len(expected), CHUNK):
        part = slice(start, start + CHUNK)
        differs = line_bytes(expected[part]) != line_bytes(actual[part])
        count += int(differs.any(axis=1).sum())
    return count


def marked_hex(expected: Lines, actual: Lines) -> str:
    """Two single lines in hexadecimal, with a mark under every differing byte.

    Args:
        expected: shape ``(1,)``.
        actual: shape ``(1,)``.
    """
    wanted, got = line_bytes(expected)[0], line_bytes(actual)[0]
    rows = []
    for start in range(0, len(wanted), BYTES_PER_ROW):
        part = slice(start, start + BYTES_PER_ROW)
        differs = wanted[part] != got[part]
        rows.append(f"  byte {start:2}  expected  {wanted[part].tobytes().hex(' ')}")
        if differs.any():
            rows.append(f"           actual    {got[part].tobytes().hex(' ')}")
            marks = " ".join("^^" if differ else "  " for differ in differs)
            rows.append(f"                     {marks}".rstrip())
    return "\n".join(rows)


def report(expected_path: Path, actual_path: Path) -> tuple[bool, str]:
    """Whether two stream files hold the same lines, at least one, and what to report about it.

    Raises:
        StreamError: a file cannot be read as a stream.
    """
    expected, actual = read_stream(expected_path), read_stream(actual_path)
    rerun = f"rerun: {shlex.join(['descring', 'compare', str(expected_path), str(actual_path)])}"
    if len(expected) == len(actual) == 0:
        return False, f"nothing was compared: both streams hold no lines\n{rerun}"
    difference = first_difference(expected, actual)
    if difference is None:
        return True, f"matched {len(expected)} lines"

    common = min(len(expected), len(actual))
    count = differing_lines(expected[:common], actual[:common])
    text = [f"expected {expected_path} ({len(expected)} lines)"]
    text.append(f"actual   {actual_path} ({len(actual)} lines)")
    if count:
        digits = 2 * expected.dtype[difference.field].itemsize
        one = slice(difference.index, difference.index + 1)
        text += [
            f"first difference: index {difference.index}, field {difference.field}, "
            f"offset {difference.offset}, expected 0x{difference.expected:0{digits}x}, "
            f"actual 0x{difference.actual:0{digits}x}",
            marked_hex(expected[one], actual[one]),
        ]
    text.append(f"{count} of the {common} lines that both streams have differ")
    if len(expected) != len(actual):
        text.append(f"the lengths differ: expected {len(expected)} lines, got {len(actual)}")
    text.append(rerun)
    return False, "\n".join(text)
