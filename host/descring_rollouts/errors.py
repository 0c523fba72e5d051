# SPDX-License-Identifier: Apache-2.0
"""What the rollout runtime reports besides the errors of its contract and of the host runtime."""

from __future__ import annotations

from descring_host import HostError


class ScorerError(HostError):
    """Rollouts ended as failed because a scorer raised, died, was too slow or miscounted [RWD-003].

    ``requests`` holds their numbers; all others have ended as usual. The exception of the scorer,
    if it raised one, is ``__cause__``.
    """

    def __init__(self, message: str, requests: tuple[int, ...]) -> None:
        super().__init__(message)
        self.requests = requests


class DevicesLost(HostError):
    """Every device of a run was lost; the text says how each."""


class DeviceLostWarning(RuntimeWarning):
    """A device of several was lost; what it was running was run again on the others."""
