# SPDX-License-Identifier: Apache-2.0
"""What the kit refuses, as one line for the user."""

from __future__ import annotations

from descring_sim.support.errors import SimulationError


class ConformError(SimulationError):
    """The kit cannot do what was requested; the text is ``expected X, got Y``."""


class DutError(Exception):
    """An implementation gave no valid result; the text describes what it did instead."""


class DutUnavailable(DutError):
    """What an implementation needs is not on this machine, such as a GPU."""


class UnavailableError(ConformError):
    """An implementation cannot be judged on this machine, which is no verdict about it."""


class DutHung(DutError):
    """An implementation makes no progress, as its own driver detected; ``waves`` show it."""

    def __init__(self, text: str, waves: str | None = None) -> None:
        super().__init__(text)
        self.waves = waves
