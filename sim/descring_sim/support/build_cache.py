# SPDX-License-Identifier: Apache-2.0
"""Build products kept by a key of their inputs."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

_STAMP = "finished"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` against every other process."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def key(identity: object, files: Iterable[Path] = ()) -> str:
    """Return a name for inputs: ``identity``, which JSON can hold, and the content of ``files``."""
    digest = hashlib.sha256(json.dumps(identity).encode())
    for path in files:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def product(folder: Path, *needed: Path) -> Iterator[bool]:
    """Hold ``folder`` alone, and yield whether it is there; if not, it is empty and to be filled.

    It counts as there once a body that filled it has ended without an exception, for as long as it
    has the files ``needed``.
    """
    # Its name may go through a link to a folder that is not there yet.
    folder.parent.resolve().mkdir(parents=True, exist_ok=True)
    with locked(folder.parent / "locks" / folder.name):
        there = all(path.is_file() for path in (folder / _STAMP, *needed))
        if not there:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        yield there
        if not there:
            (folder / _STAMP).touch()
