# SPDX-License-Identifier: Apache-2.0
"""Reads one wave file (FST), in a process of its own that a damaged file may crash.

The FST library checks little of what it reads: a damaged file ends it by a signal, keeps it busy
without end, or has it ask for any amount of memory. Limits are set before the library is loaded.

``python -m descring_sim.waves.child FILE`` prints the times and the signals as JSON. Exit code
:data:`REFUSED`: the file cannot be read, standard error has why.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
from typing import Any

MEMORY = 384 << 20
CPU_S = 60
FILE_BYTES = 1 << 30
"""Limits: bytes of data in memory, seconds of processor, bytes of a file that the library unpacks
for itself."""

MAX_RESULT = 16 << 20
"""Bytes that the signals may have as JSON."""

REFUSED = 3

_FIRST_KINDS = (b"\x00", b"\xfe")
"""What a file begins with: a header, or a whole file that is packed."""
_KIND_BYTES, _LENGTH_BYTES = 1, 8
"""How a block begins: its kind, and its length, of which the kind is no part."""


class _RefusedError(Exception):
    """The file cannot be read; the text continues "expected a whole wave file, but"."""


def _limit() -> None:
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_CPU, CPU_S),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
    ):
        _, hard = resource.getrlimit(what)
        kept = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (kept, kept))


def check_blocks(file: str) -> None:
    """Refuse a file that does not end with one of its blocks: of those the library shows a part."""
    with open(file, "rb") as stream:  # noqa: PTH123
        size = os.fstat(stream.fileno()).st_size
        end = 0
        if stream.read(_KIND_BYTES) not in _FIRST_KINDS:
            raise _RefusedError("it is none")
        while end < size:
            stream.seek(end + _KIND_BYTES)
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "big")
            if length < _LENGTH_BYTES:
                raise _RefusedError(f"at offset {end} it is damaged, or was not closed in order")
            end += _KIND_BYTES + length
    if end != size:
        raise _RefusedError(f"it has {size} bytes of {end}: it was cut off, or not closed in order")


def read(file: str) -> dict[str, Any]:
    """The start and end time of an FST file, in its own unit, and its signals, in its order.

    A signal is ``[path, bit range, width]``; the range is empty if the file has none.
    """
    from pylibfst import ffi, lib

    check_blocks(file)
    reader = lib.fstReaderOpen(file.encode())
    if reader == ffi.NULL:
        raise _RefusedError("it is damaged, or was not closed in order")
    found: dict[str, int] = {}
    scopes: list[str] = []
    size = 0
    lib.fstReaderIterateHierRewind(reader)
    while (entry := lib.fstReaderIterateHier(reader)) != ffi.NULL:
        if entry.htyp == lib.FST_HT_SCOPE:
            scopes.append(_text(ffi.string(entry.u.scope.name)))
        elif entry.htyp == lib.FST_HT_UPSCOPE:
            if not scopes:
                raise _RefusedError("its scopes end before they begin")
            scopes.pop()
        elif entry.htyp == lib.FST_HT_VAR:
            name = ".".join([*scopes, _text(ffi.string(entry.u.var.name))])
            found[name] = int(entry.u.var.length)
            size += len(name) + 16
            if size > MAX_RESULT:
                raise _RefusedError(f"the names of its signals have more than {MAX_RESULT} bytes")
    times = int(lib.fstReaderGetStartTime(reader)), int(lib.fstReaderGetEndTime(reader))
    signals = [[*name.partition(" ")[::2], bits] for name, bits in found.items()]
    return {"times": times, "signals": signals}


def _text(name: bytes) -> str:
    """A name of the file; a view is a text of one signal a line."""
    text = name.decode("utf-8", "backslashreplace")
    if not text.isprintable():
        raise _RefusedError(f"it has a name that cannot be printed, {text[:40]!r}")
    return text


def main(file: str) -> int:
    """Print what is in ``file``; the exit code."""
    _limit()
    try:
        found = json.dumps(read(file))
    except _RefusedError as error:
        print(error, file=sys.stderr)
        return REFUSED
    except MemoryError:
        print("it needs more memory than a wave file does", file=sys.stderr)
        return REFUSED
    print(found)
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # the parent reports it
        sys.exit(main(sys.argv[1]))
