# SPDX-License-Identifier: Apache-2.0
"""Streams that another process writes while they are read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from descring_model import DESC_DTYPE, line_bytes
from descring_sim.replay.stream_file import StreamError, read_stream
from descring_sim.support import files

LINES = np.arange(8 << 18, dtype=np.uint64).view(DESC_DTYPE)
"""16 MiB, each line another."""


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    """A file of LINES."""
    path = tmp_path / "stream.npy"
    np.save(path, LINES)
    return path


class _Meddled:
    """A file that is changed when it is about to be read."""

    def __init__(self, file: IO[bytes], change: Callable[[], None]) -> None:
        self._file = file
        self._change = change

    def read(self, size: int) -> bytes:
        self._change()
        return self._file.read(size)

    def fileno(self) -> int:
        return self._file.fileno()


def _meddle(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    opened = files.opened

    @contextlib.contextmanager
    def meddled(path: Path) -> Iterator[tuple[_Meddled, int]]:
        with opened(path) as (file, size):
            yield _Meddled(file, change), size

    monkeypatch.setattr(files, "opened", meddled)


def _truncate(path: Path) -> None:
    os.truncate(path, 1000)


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(1 << 20)
        file.write(bytes(64))
    os.utime(path, ns=(0, 0))  # whatever the resolution of the file system's clock


@pytest.mark.parametrize("change", [_truncate, _append, _rewrite])
def test_a_stream_that_changes_while_it_is_read_is_an_error(
    stream: Path, change: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """[DESC-014]: neither lines of two streams nor a signal."""
    _meddle(monkeypatch, lambda: change(stream))
    with pytest.raises(StreamError, match=r"stream\.npy: expected a file of .* that no one writes"):
        read_stream(stream)


@pytest.mark.parametrize("change", [_truncate, _rewrite])
def test_a_stream_that_changes_after_it_was_read_stays_as_it_was(
    stream: Path, change: Callable[[Path], None]
) -> None:
    """[DESC-014]: a mapped file would give other bytes, or SIGBUS."""
    lines = read_stream(stream)
    change(stream)
    assert np.array_equal(line_bytes(lines), line_bytes(LINES))
