# SPDX-License-Identifier: Apache-2.0
"""What the kit refuses, as one line for the user."""

from __future__ import annotations

from descring_sim.support.errors import SimulationError


class ConformError(SimulationError):
    """The kit was asked for something it cannot do: says what was expected, and what came."""


class DutError(Exception):
    """An implementation gave no answer that could be judged; the text says what it did instead."""


class DutUnavailable(DutError):
    """What an implementation needs is not on this machine: a GPU, say."""


class UnavailableError(ConformError):
    """An implementation cannot be judged on this machine; that says nothing about it."""


class DutHung(DutError):
    """An implementation makes no progress, and its own driver noticed."""
