# SPDX-License-Identifier: Apache-2.0
"""What a backend of a stream is: options in, completions out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from descring_model import Lines
from descring_model.program import DescringError

Progress = Callable[[int], None]
"""Called now and then with the number of completions so far."""


class ReplayError(DescringError):
    """A replay that could not be carried out; the text is meant for the user."""


@dataclass(frozen=True)
class ReplayOptions:
    """How a stream is replayed. None stands for the backend's own default.

    ``first_index`` is the value of every ring index at the start. A STOP is resumed unless
    ``halt``, which ends the replay there. ``rtl`` is a folder of other sources than
    descring's own.
    """

    first_index: int = 0
    halt: bool = False
    require_checked: bool = False
    split_reward: bool = False
    workers: int | None = None
    ring_depth: int | None = None
    seed: int | None = None
    waves: bool = False
    rtl: Path | None = None


@dataclass(frozen=True)
class ReplayResult:
    """The completions of the done ring and of the reward ring, and one line about the run."""

    done: Lines
    reward: Lines
    note: str


class Backend(Protocol):
    """Executes a descriptor stream."""

    description: str

    def replay(self, lines: Lines, options: ReplayOptions, progress: Progress) -> ReplayResult:
        """The completions of ``lines``; raises :class:`ReplayError` if some are missing.

        ``lines`` has shape ``(n,)`` with n > 0 and the descriptor dtype.
        """
        ...
