# SPDX-License-Identifier: Apache-2.0
"""A plugin of pytest: writes the counts of lines of C, as gcc's ``--coverage`` has them, by test.

The counts of a test function are in a folder of its own below the one that ``DESCRING_COUNTS``
names, also those of programs that it starts; those of imports, and of what ends with the process,
in ``REST``. ``tests.json`` has what ran.
"""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

COUNTS_VARIABLE = "DESCRING_COUNTS"
REST = "rest"
TESTS = "tests.json"
UNCOUNTED = "uncounted-"
"""What the name of a file begins with that a process leaves which is killed, in the folder of its
test; a process that runs on past its test leaves one as well."""
_PREFIX = "GCOV_PREFIX"
"""gcc's own: where counts go; read whenever they are written."""


def _libraries(home: str) -> Iterator[ctypes.CDLL]:
    """The libraries of this process that count, of those that the copy and tests have built.

    Raises:
        pytest.UsageError: one of the copy counts, and its counts cannot be told apart by test.
    """
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    places = (home, tempfile.gettempdir())
    for path in sorted({line.split(maxsplit=5)[-1] for line in lines}):
        if path.startswith(places) and path.endswith(".so"):
            library = ctypes.CDLL(path, os.RTLD_NOLOAD | os.RTLD_NOW)
            if hasattr(library, "__gcov_dump"):
                yield library
            elif path.startswith(home):
                raise pytest.UsageError(f"{path}: expected __gcov_dump of gcc's --coverage in it")


class Counts:
    """Separates the tests of one run."""

    def __init__(self, folder: Path) -> None:
        """Count into ``folder``; what is imported from now on is of no test."""
        self._folder = folder
        self._tests: dict[str, dict[str, Any]] = {}
        self._into(REST)

    def _into(self, name: str) -> None:
        os.environ[_PREFIX] = str(self._folder / name)

    def _write(self) -> None:
        for library in _libraries(str(Path.cwd())):
            # As attributes their names would be mangled.
            for name in ("__gcov_dump", "__gcov_reset"):
                getattr(library, name)()

    def pytest_collection_finish(self) -> None:
        """All is imported."""
        self._write()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Count for this test alone."""
        name = getattr(item, "originalname", None) or item.name
        of_it = self._tests.setdefault(name, {"seconds": 0.0, "ran": False, "failed": False})
        self._into(name)
        started = time.monotonic()
        try:
            return (yield)
        finally:
            of_it["seconds"] += time.monotonic() - started
            self._write()
            self._into(REST)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note whether it ran at all, and failed."""
        of_it = self._tests[report.location[2].partition("[")[0]]
        of_it["ran"] |= report.when == "call" and not report.skipped
        of_it["failed"] |= report.failed

    def pytest_sessionfinish(self) -> None:
        """Note what ran."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / TESTS).write_text(json.dumps(self._tests), encoding="utf-8")


def pytest_configure(config: pytest.Config) -> None:
    """Begin, where a folder for counts is given."""
    folder = os.environ.get(COUNTS_VARIABLE)
    if folder:
        config.pluginmanager.register(Counts(Path(folder)))
