# SPDX-License-Identifier: Apache-2.0
"""Single kinds of damage that a random change of a file seldom makes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from descring_model import line_bytes, streams

Command = Callable[..., subprocess.CompletedProcess[str]]


def refused(result: subprocess.CompletedProcess[str], message: str) -> None:
    """Exit code 2, and one line that has ``message`` and is no error of ours."""
    assert result.returncode == 2, result
    (line,) = result.stderr.splitlines()
    assert message in line and "internal error" not in line


@pytest.mark.parametrize("shape", ["(True, 64)", "(1, 64.0)", "(None, 64)", "([1], 64)", "1", "{}"])
def test_a_shape_that_is_not_made_of_numbers_is_refused(
    shape: str, tmp_path: Path, descring: Command
) -> None:
    """True counts as a number for NumPy's reader of headers, and not for its arrays."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".encode()
    start = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
    (tmp_path / "a.npy").write_bytes(start + header + bytes(64))
    refused(descring("compare", tmp_path / "a.npy", tmp_path / "a.npy"), "truncated or damaged")


@pytest.mark.parametrize("entry", ["manifest", "mixed/lines"])
def test_an_archive_with_a_password_is_refused(
    entry: str, tmp_path: Path, descring: Command
) -> None:
    """By a bit in the list of files, and in front of the file."""
    bundle = tmp_path / "b.npz"
    assert descring("record", bundle, "--backend", "model", "--count", "3").returncode == 0
    data = bytearray(bundle.read_bytes())
    for signature, flags, name in ((b"PK\x01\x02", 8, 46), (b"PK\x03\x04", 6, 30)):
        wanted = f"{entry}.npy".encode()
        place = data.find(signature)
        while data[place + name : place + name + len(wanted)] != wanted:
            place = data.index(signature, place + 1)
        data[place + flags] |= 1
    bundle.write_bytes(data)
    refused(descring("check", bundle, "--backend", "model"), "expected a bundle")


def test_a_folder_that_has_been_removed_takes_no_output(
    tmp_path: Path, descring: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the file that was asked for; what has an absolute path is read and written."""
    np.save(tmp_path / "a.npy", line_bytes(streams.generate(5, seed=1)))
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    words = ("replay", tmp_path / "a.npy", "--backend", "model", "-o")
    refused(descring(*words, "x.npy"), "x.npy: the current directory: No such file or directory")
    assert descring(*words, tmp_path / "x.npy").returncode == 0
