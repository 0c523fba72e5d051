# SPDX-License-Identifier: Apache-2.0
"""``descring compare``: every difference is found, and the first is shown as people need it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from descring_model import DESC_DTYPE, line_bytes, streams
from descring_sim.replay import compare
from numpy.typing import NDArray

Command = Callable[..., subprocess.CompletedProcess[str]]


def written(path: Path, lines: NDArray[Any]) -> Path:
    """``path``, with ``lines`` in it."""
    np.save(path, lines)
    return path


def test_equal_streams_match(tmp_path: Path, descring: Command) -> None:
    """Also where one keeps structures and the other bytes; the count is printed."""
    lines = streams.generate(300, seed=1)
    a = written(tmp_path / "a.npy", lines)
    b = written(tmp_path / "b.npy", line_bytes(lines).copy())
    result = descring("compare", a, b)
    assert (result.returncode, result.stdout, result.stderr) == (0, "matched 300 lines\n", "")


@pytest.mark.parametrize("offset", range(64))
@pytest.mark.parametrize("index", [0, 6])
def test_a_flipped_bit_in_any_byte_is_found(
    index: int, offset: int, tmp_path: Path, descring: Command
) -> None:
    """In the first line and in the last; the offset printed is the byte's."""
    lines = streams.generate(7, seed=2)
    a = written(tmp_path / "a.npy", lines)
    line_bytes(lines)[index, offset] ^= 0x10
    b = written(tmp_path / "b.npy", lines)
    result = descring("compare", a, b)
    assert result.returncode == 1
    assert f"first difference: index {index}, field " in result.stdout
    assert f" offset {offset}, expected 0x" in result.stdout
    assert "1 of the 7 lines that both streams have differ" in result.stdout


def test_the_first_difference_is_shown_in_full(tmp_path: Path, descring: Command) -> None:
    """Index, field, offset, both values, both lines with marks, how many, and the rerun line."""
    lines = np.zeros(40, DESC_DTYPE)
    lines["seq_len"] = 0x11223344
    a = written(tmp_path / "a a.npy", lines)
    lines["seq_len"][12] = 0x11AA33BB
    lines["user_data"][12] = 1 << 63
    lines["opcode"][30:] = 5
    b = written(tmp_path / "b.npy", lines)
    result = descring("compare", a, b)
    assert result.returncode == 1
    assert result.stdout.splitlines() == [
        f"expected {a} (40 lines)",
        f"actual   {b} (40 lines)",
        "first difference: index 12, field seq_len, offset 32, "
        "expected 0x11223344, actual 0x11aa33bb",
        "  byte  0  expected  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "  byte 16  expected  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "  byte 32  expected  44 33 22 11 00 00 00 00 00 00 00 00 00 00 00 00",
        "           actual    bb 33 aa 11 00 00 00 00 00 00 00 00 00 00 00 00",
        "                     ^^    ^^",
        "  byte 48  expected  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        "           actual    00 00 00 00 00 00 00 80 00 00 00 00 00 00 00 00",
        "                                          ^^",
        "11 of the 40 lines that both streams have differ",
        f"rerun: descring compare '{a}' {b}",
    ]


@pytest.mark.parametrize("lengths", [(5, 4), (4, 5), (5, 0), (0, 5)])
def test_a_missing_line_is_a_mismatch(
    lengths: tuple[int, int], tmp_path: Path, descring: Command
) -> None:
    """On either side, although all lines that both have agree."""
    lines = streams.generate(5, seed=4)
    a, b = (
        written(tmp_path / f"{name}.npy", lines[:length])
        for name, length in zip("ab", lengths, strict=True)
    )
    result = descring("compare", a, b)
    assert result.returncode == 1
    assert f"0 of the {min(lengths)} lines that both streams have differ" in result.stdout
    message = f"the lengths differ: expected {lengths[0]} lines, got {lengths[1]}"
    assert message in result.stdout


def test_a_difference_before_the_shorter_end_is_shown_too(
    tmp_path: Path, descring: Command
) -> None:
    """Not only that the lengths differ."""
    lines = streams.generate(5, seed=4)
    a = written(tmp_path / "a.npy", lines)
    lines["rollout_id"][2] ^= 1
    b = written(tmp_path / "b.npy", lines[:4])
    result = descring("compare", a, b)
    assert result.returncode == 1
    assert "first difference: index 2, field rollout_id, offset 4" in result.stdout
    assert "expected 5 lines, got 4" in result.stdout


def test_nothing_compared_is_no_success(tmp_path: Path, descring: Command) -> None:
    """Two empty streams are equal and prove nothing."""
    empty = written(tmp_path / "empty.npy", np.zeros(0, DESC_DTYPE))
    result = descring("compare", empty, empty)
    assert result.returncode == 1
    assert "nothing was compared" in result.stdout


def test_differences_are_counted_over_all_of_a_big_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, descring: Command
) -> None:
    """Also in the last, partial chunk."""
    monkeypatch.setattr(compare, "CHUNK", 16)
    lines = streams.generate(100, seed=5)
    a = written(tmp_path / "a.npy", lines)
    lines["user_data"][[3, 15, 16, 31, 99]] ^= 1
    b = written(tmp_path / "b.npy", lines)
    assert "5 of the 100 lines" in descring("compare", a, b).stdout
