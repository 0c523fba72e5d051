# SPDX-License-Identifier: Apache-2.0
"""A plugin of pytest: notes which test runs, ends one that takes too long, leaves some out.

A run that ends by a signal, or that is ended, names no test; the note does. Its orders are the
JSON file that ``DESCRING_RUN_ORDERS`` names; :mod:`descring_sim.mutation.sampled.runs` writes it.
"""

from __future__ import annotations

import faulthandler
import json
import os
from pathlib import Path
from typing import Any

import pytest

ORDERS_VARIABLE = "DESCRING_RUN_ORDERS"


def node_of(item: pytest.Item) -> str:
    """Return file and function of a test, without its parameters."""
    return f"tests/{item.path.name}::{getattr(item, 'originalname', None) or item.name}"


class Notes:
    """Carries out the orders of one run."""

    def __init__(self, orders: dict[str, Any]) -> None:
        """Begin a note.

        Args:
            orders: ``note``, the file to write; ``left_out``, tests that do not run; ``limits``,
                the seconds that a test may take, by its node.

        Raises:
            OSError: the note cannot be written.
        """
        self._note = os.open(orders["note"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        self._left_out = frozenset(orders["left_out"])
        self._limits: dict[str, float] = orders["limits"]

    def _write(self, text: str) -> None:
        os.ftruncate(self._note, 0)
        os.pwrite(self._note, text.encode(), 0)
        os.lseek(self._note, 0, os.SEEK_END)

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[Any]) -> None:
        """Leave out what the orders name."""
        out = [item for item in items if node_of(item) in self._left_out]
        if out:
            config.hook.pytest_deselected(items=out)
            items[:] = [item for item in items if node_of(item) not in self._left_out]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Note the test; pytest's own limit, which is armed before this, is replaced."""
        self._write(f"tests/{item.path.name}::{item.name}\n")
        limit = self._limits.get(node_of(item))
        if limit is not None:
            # From a thread that needs no interpreter: a loop in C may hold it for good.
            faulthandler.dump_traceback_later(limit, exit=True, file=self._note)

    def pytest_runtest_logfinish(self) -> None:
        """The test has ended, and is at fault for nothing more."""
        faulthandler.cancel_dump_traceback_later()
        self._write("")


def pytest_configure(config: pytest.Config) -> None:
    """Begin, where there are orders."""
    orders = os.environ.get(ORDERS_VARIABLE)
    if orders:
        found = json.loads(Path(orders).read_text(encoding="utf-8"))
        config.pluginmanager.register(Notes(found))
