# SPDX-License-Identifier: Apache-2.0
"""The error that every command of the simulation layer turns into a clear line and exit code 2."""

from __future__ import annotations


class SimulationError(Exception):
    """A simulation could not be built or started: says what was expected, what came, what to do."""
