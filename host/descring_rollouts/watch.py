# SPDX-License-Identifier: Apache-2.0
"""What a run tells those who watch it: the live page, the trace."""

from __future__ import annotations

from types import TracebackType

from descring_model import Lines
from descring_model.rollouts.records import Records

from descring_rollouts.model_core import RolloutCore


class Watcher:
    """Is told what a run does, in its thread. Each method does nothing unless overridden."""

    def started(self, core: RolloutCore, config: Records, requests: Records) -> None:
        """A run begins; its first tick is to come."""

    def submitted(self, lines: Lines) -> None:
        """A window has been submitted."""

    def taken(self, lines: Lines) -> None:
        """All completions of a window were taken, in the order of the index."""

    def ticked(self) -> None:
        """A tick has ended."""

    def ended(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """The run has ended, with this error or none; nothing is held any more.

        Also called where :meth:`started` of this or a later watcher raised.
        """
