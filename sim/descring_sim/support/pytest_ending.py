# SPDX-License-Identifier: Apache-2.0
"""Plugin of every suite (`addopts` in pyproject.toml): a run of tests ends, whatever hangs in it.

``faulthandler_timeout`` there bounds each test: pytest prints the stack of every thread and leaves,
and pytest-xdist names the test and continues with another worker. This plugin bounds what follows
the last test, where a thread of a failed test can wait forever.
"""

import faulthandler

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """The time that a process of pytest gets to end after its last test."""
    parser.addini("ending_timeout", "seconds from the last test to the end of pytest", default="60")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print where a process hangs that outlives its tests, and end it."""
    faulthandler.dump_traceback_later(float(config.getini("ending_timeout")), exit=True)
