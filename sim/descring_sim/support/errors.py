# SPDX-License-Identifier: Apache-2.0
"""The errors that every command turns into a clear line and exit code 2."""

from __future__ import annotations


class DescringError(Exception):
    """The text is for the user: what was expected, what was found, what to do."""


class SimulationError(DescringError):
    """A simulation could not be built or started."""
