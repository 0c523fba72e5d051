# SPDX-License-Identifier: Apache-2.0
"""What a backend of a stream is: options in, completions out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from descring_model import Lines
from descring_model.program import DescringError

from descring_sim.protocol.stream import StreamRequest

Progress = Callable[[int], None]
"""Called now and then with the number of completions so far."""


class ReplayError(DescringError):
    """A replay that could not be carried out; the text is meant for the user."""


@dataclass(frozen=True)
class ReplayResult:
    """The completions of the done ring and of the reward ring, and one line about the run."""

    done: Lines
    reward: Lines
    note: str


class Backend(Protocol):
    """Executes a descriptor stream."""

    description: str

    def replay(self, lines: Lines, options: StreamRequest, progress: Progress) -> ReplayResult:
        """The completions of ``lines``; raises :class:`ReplayError` if some are missing.

        ``lines`` has shape ``(n,)`` with n > 0 and the descriptor dtype.
        """
        ...
