# SPDX-License-Identifier: Apache-2.0
"""The error that every command of the simulation layer turns into a clear line and exit code 2."""

from __future__ import annotations


class SimulationError(Exception):
    """A simulation cannot be built or started: ``expected X, got Y``, and what to do."""
