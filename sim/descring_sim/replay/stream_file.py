# SPDX-License-Identifier: Apache-2.0
"""Streams of descriptors and completions as ``.npy`` files.

A stream file holds the structured dtype of the contract, shape ``(n,)``, or plain bytes, shape
``(n, 64)`` and dtype ``uint8``. It is read without ever unpickling, and its header is checked
against its size before it is used. :mod:`descring_sim.support.files` writes it.
"""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from descring_model import DESC_DTYPE, Lines, as_lines

from descring_sim.support import files
from descring_sim.support.files import Content, FileError, outputs

__all__ = ["BYTES_PER_LINE", "StreamError", "content", "lines_of", "outputs", "read_stream", "save"]

BYTES_PER_LINE = 320
"""What a line needs of memory while it is generated or replayed; measured, and rounded up."""

NPY_MAGIC = b"\x93NUMPY"
_PREFIX = len(NPY_MAGIC) + 2
"""Bytes before the length of the header: the magic and the version of the format."""
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}
"""Bytes of the length of the header, by the version of the format."""
_MAX_HEADER = 1 << 16


class StreamError(FileError):
    """A file that cannot be read or written as a stream; the text is meant for the user."""


def read_stream(path: Path) -> Lines:
    """The lines of stream file ``path``: shape ``(n,)``, dtype ``DESC_DTYPE``, read-only.

    Raises:
        FileError: the file is missing, unreadable, no regular file, not ``.npy``, pickled,
            truncated, longer than its header states, or of another shape or dtype, it was written
            to while it was read, or it does not fit into memory.
    """
    # Read and not mapped: a mapped file that another process truncates raises SIGBUS, and one that
    # it rewrites changes under the reader.
    with files.opened(path) as (file, size):
        before = os.fstat(file.fileno())
        try:
            data = file.read(size)
        except MemoryError:
            raise StreamError(
                f"{path}: expected {size} bytes of free memory to read it; split the stream"
            ) from None
        after = os.fstat(file.fileno())
    if len(data) < size or (before.st_size, before.st_mtime_ns) != (
        after.st_size,
        after.st_mtime_ns,
    ):
        raise StreamError(
            f"{path}: expected a file of {size} bytes that no one writes, got {len(data)} bytes "
            f"while its size became {after.st_size}; wait for its writer, then try again"
        )
    return lines_of(data, str(path))


def lines_of(data: bytes, where: str) -> Lines:
    """The lines in the bytes of a ``.npy`` file, as :func:`read_stream` gives them.

    Raises:
        StreamError: naming ``where``.
    """
    try:
        return as_lines(np.ascontiguousarray(array_of(data, where)))
    except ValueError as error:
        raise StreamError(f"{where}: {_one_line(error)}") from error


def array_of(data: bytes, where: str) -> npt.NDArray[np.generic]:
    """The array in the bytes of a ``.npy`` file, which it shares.

    Raises:
        StreamError: naming ``where``.
    """
    shape, fortran, dtype, offset = _header(data, where)
    if dtype.hasobject:
        raise StreamError(
            f"{where}: expected plain numbers, but the file holds pickled Python objects, which "
            "are never loaded; save an array of the descriptor dtype or of uint8"
        )
    expected = offset + math.prod(shape) * dtype.itemsize
    if len(data) < expected:
        raise StreamError(
            f"{where}: the .npy file is truncated or damaged: expected {expected} bytes, as its "
            f"header states, got {len(data)}; write it again"
        )
    if len(data) > expected:
        raise StreamError(
            f"{where}: expected {expected} bytes, as its header states, but the file has "
            f"{len(data)}; it is damaged, write it again"
        )
    return np.ndarray(shape, dtype, data, offset, order="F" if fortran else "C")


def _header(data: bytes, where: str) -> tuple[tuple[int, ...], bool, np.dtype, int]:
    """Shape, order, dtype, and where the data begin."""
    magic = bytes(data[: len(NPY_MAGIC)])
    if magic != NPY_MAGIC:
        raise StreamError(
            f"{where}: expected a .npy file, which starts with {NPY_MAGIC!r}, "
            f"but it starts with {magic!r}; write streams with numpy.save or `descring stream`"
        )
    damaged = f"{where}: the .npy file is truncated or damaged"
    version = tuple(data[len(NPY_MAGIC) : _PREFIX])
    if len(version) != 2 or version[0] not in _LENGTH_BYTES or version[1] != 0:
        raise StreamError(
            f"{damaged}: expected version 1.0, 2.0 or 3.0 of the format, got "
            f"{'.'.join(map(str, version)) or 'none'}"
        )
    start = _PREFIX + _LENGTH_BYTES[version[0]]
    length = int.from_bytes(data[_PREFIX:start], "little")
    if length > _MAX_HEADER or start + length > len(data):
        raise StreamError(f"{damaged}: a header of {length} bytes; write it again")
    read = np.lib.format.read_array_header_1_0
    if version[0] > 1:
        read = np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            shape, fortran, dtype = read(io.BytesIO(data[_PREFIX : start + length]))
    # The header is a Python literal: what a damaged one raises depends on where Python's parser,
    # tokenizer or NumPy trips over it.
    except Exception as error:
        raise StreamError(f"{damaged} ({_one_line(error)}); write it again") from error
    if any(type(extent) is not int or extent < 0 for extent in shape):  # True is an int as well
        raise StreamError(f"{damaged}: shape {shape}; write it again")
    return shape, fortran, dtype, start + length


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def content(lines: Lines) -> Content:
    """The pieces of the ``.npy`` file that holds ``lines``."""
    array = np.ascontiguousarray(lines, dtype=DESC_DTYPE)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return [header.getvalue(), array.view(np.uint8).data] if len(array) else [header.getvalue()]


def save(targets: files.Outputs, streams: Sequence[Lines]) -> None:
    """Put ``streams`` into ``targets``, one for each.

    Raises:
        FileError: one cannot be written; no target has been touched then.
    """
    targets.commit([content(lines) for lines in streams])
