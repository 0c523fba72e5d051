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
