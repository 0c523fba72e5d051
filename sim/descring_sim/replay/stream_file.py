# SPDX-License-Identifier: Apache-2.0
"""Streams of descriptors and completions as ``.npy`` files.

A stream file holds the structured dtype of the contract, shape ``(n,)``, or plain bytes, shape
``(n, 64)`` and dtype ``uint8``. It is read without ever unpickling, and written beside its target
and renamed over it, so that a reader sees either the old file or the whole new one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from descring_model import DESC_DTYPE, Lines, as_lines

NPY_MAGIC = b"\x93NUMPY"


class StreamError(Exception):
    """A file that cannot be read or written as a stream; the text is meant for the user."""


def _reason(error: OSError) -> str:
    return error.strerror or str(error)


def read_stream(path: Path) -> Lines:
    """The lines of stream file ``path``: shape ``(n,)``, dtype ``DESC_DTYPE``, mapped read-only.

    Raises:
        StreamError: the file is missing, unreadable, not ``.npy``, pickled, truncated, longer than
            its header requires, or of another shape or dtype.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(NPY_MAGIC))
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise StreamError(f"{path}: cannot be read: {_reason(error)}") from error
    if magic != NPY_MAGIC:
        raise StreamError(
            f"{path}: expected a .npy file, which starts with {NPY_MAGIC!r}, "
            f"but it starts with {magic!r}; write streams with numpy.save or `descring stream`"
        )
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        if "object" in str(error).lower():
            raise StreamError(
                f"{path}: expected plain numbers, but the file holds pickled Python objects, which "
                "are never loaded; save an array of the descriptor dtype or of uint8"
            ) from error
        raise StreamError(
            f"{path}: the .npy file is truncated or damaged ({_one_line(error)}); write it again"
        ) from error
    expected = array.offset + array.nbytes
    if size != expected:
        raise StreamError(
            f"{path}: expected {expected} bytes, as its header requires, but the file has {size}; "
            "it is damaged, write it again"
        )
    try:
        return as_lines(np.ascontiguousarray(array))
    except ValueError as error:
        raise StreamError(f"{path}: {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


class Outputs:
    """Stream files that are written whole or not at all.

    Temporary files are opened at once, so that a target that cannot be written is refused before
    the work and not after it; :meth:`commit` renames all of them over their targets.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._targets = [_checked_target(path) for path in paths]
        self._parts = [
            target.with_name(f".{target.name}.{os.getpid()}.part") for target in self._targets
        ]
        self._files: list[IO[bytes]] = []
        try:
            for path, part in zip(paths, self._parts, strict=True):
                try:
                    self._files.append(part.open("xb"))
                except OSError as error:
                    raise StreamError(f"{path}: cannot be written: {_reason(error)}") from error
        except BaseException:
            self.discard()
            raise

    def commit(self, streams: Sequence[Lines]) -> None:
        """Write ``streams``, one for each path, and put them in place.

        Raises:
            StreamError: a file could not be written; no target has been touched then.
        """
        try:
            for target, file, lines in zip(self._targets, self._files, streams, strict=True):
                try:
                    np.save(file, np.asarray(lines, dtype=DESC_DTYPE), allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
                    file.close()
                except OSError as error:
                    raise StreamError(f"{target}: cannot be written: {_reason(error)}") from error
            for part, target in zip(self._parts, self._targets, strict=True):
                part.replace(target)
        finally:
            self.discard()

    def discard(self) -> None:
        """Close and remove the temporary files that are still there."""
        for file, part in zip(self._files, self._parts, strict=False):
            file.close()
            part.unlink(missing_ok=True)


def _checked_target(path: Path) -> Path:
    """``path`` with links followed, when a regular file can stand there."""
    target = path.resolve()
    if target.is_dir():
        raise StreamError(f"{path}: expected the name of a file, but this is a directory")
    if target.exists() and not target.is_file():
        raise StreamError(f"{path}: expected a regular file, but this is a device or a pipe")
    if not target.parent.is_dir():
        raise StreamError(f"{path}: its directory {target.parent} does not exist; make it first")
    return target


@contextlib.contextmanager
def outputs(*paths: Path) -> Iterator[Outputs]:
    """Temporary files for ``paths``, removed on leaving unless they were committed."""
    opened = Outputs(paths)
    try:
        yield opened
    finally:
        opened.discard()
