# SPDX-License-Identifier: Apache-2.0
"""What a run has done so far, one JSON object a line, so that the next run continues it."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from descring_sim.support.errors import SimulationError
from descring_sim.support.files import opened, write_files

MAX_LINE = 1 << 24
"""Bytes of a line; the longest that a run writes take a hundredth of it."""

_DAMAGE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading a line that is none of ours may raise."""

_Entry = TypeVar("_Entry")


class Journal:
    """A file of entries; each is on disk when :meth:`add` returns.

    A kill in the middle of an entry costs that entry alone: :meth:`read` leaves it out, and the
    next :meth:`add` takes its place.
    """

    def __init__(self, path: Path, what: str, advice: str = "remove the file") -> None:
        """Nothing is opened yet.

        Args:
            path: the file; its folder is made with the first entry.
            what: an entry, in the words of an error.
            advice: what to do about a file that is none of ours.
        """
        self.path = path
        self._what = what
        self._advice = advice
        self._torn_at: int | None = None
        self._lock = threading.Lock()

    def read(self, parse: Callable[[Any], _Entry]) -> list[_Entry]:
        """Return what ``parse`` makes of each entry; nothing where there is no file.

        Raises:
            SimulationError: a line is no JSON, or ``parse`` refuses it with an error of Python.
            FileError: the file cannot be read.
        """
        found: list[_Entry] = []
        if not os.path.lexists(self.path):
            return found
        whole = 0
        with opened(self.path) as (file, _):
            for number in itertools.count(1):
                line = file.readline(MAX_LINE)
                if not line.endswith(b"\n") and len(line) < MAX_LINE:
                    self._torn_at = whole if line else None
                    break
                try:
                    found.append(parse(json.loads(line)))
                except _DAMAGE as error:
                    raise SimulationError(
                        f"{self.path}:{number}: expected {self._what}, got "
                        f"{line[:80].decode('utf-8', 'replace').rstrip()!r} "
                        f"({' '.join(str(error).split())[:80]}); {self._advice}"
                    ) from error
                whole += len(line)
        return found

    def add(self, entry: object) -> None:
        """Append an entry.

        Raises:
            OSError: it cannot be written.
        """
        with self._lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                if self._torn_at is not None:
                    file.truncate(self._torn_at)
                    self._torn_at = None
                file.write(json.dumps(entry).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def replace(self, entries: Iterable[object]) -> None:
        """Leave only ``entries``, in one step.

        Raises:
            FileError: the file cannot be written, or its folder is not there.
        """
        write_files({self.path: "".join(json.dumps(entry) + "\n" for entry in entries)})
        self._torn_at = None
