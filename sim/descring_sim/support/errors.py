# SPDX-License-Identifier: Apache-2.0
"""The error of everything that builds or starts a simulation."""

from __future__ import annotations

from descring_model.program import DescringError


class SimulationError(DescringError):
    """A simulation could not be built or started; programs turn it into a line and exit code 2."""
