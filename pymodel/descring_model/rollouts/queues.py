# SPDX-License-Identifier: Apache-2.0
"""Bounded queues of slots and credits of a stage [PIPE-003] [PIPE-004]."""

from __future__ import annotations

from collections.abc import Iterator

from descring_model.rollouts import contract
from descring_model.rollouts.errors import RolloutError


class SlotQueue:
    """First in, first out; an entry can also leave from the middle. At most ``room`` entries."""

    def __init__(self, name: str, room: int) -> None:
        self.name = name
        self._room = room
        self._entries: dict[int, None] = {}

    def push(self, slot: int) -> None:
        """Append ``slot``; QUEUE_FULL if there is no room, ``ValueError`` if it is in already."""
        if len(self._entries) >= self._room:
            raise RolloutError(
                "QUEUE_FULL", f"expected at most {self._room} slots in queue {self.name}"
            )
        if slot in self._entries:
            raise ValueError(f"slot {slot} is in queue {self.name} already")
        self._entries[slot] = None

    def pop(self) -> int:
        """Remove and return the head; QUEUE_EMPTY if there is none."""
        slot = self.head()
        del self._entries[slot]
        return slot

    def head(self) -> int:
        """The head; QUEUE_EMPTY if there is none."""
        for slot in self._entries:
            return slot
        raise RolloutError("QUEUE_EMPTY", f"expected an entry in queue {self.name}, got none")

    def remove(self, slot: int) -> None:
        """Take ``slot`` out of the middle; ``KeyError`` if it is not there."""
        del self._entries[slot]

    def __contains__(self, slot: int) -> bool:
        return slot in self._entries

    def __iter__(self) -> Iterator[int]:
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(self._entries)


class Credits:
    """The credits of one stage: ``used`` is the number of holders, ``limit`` NONE is no limit."""

    def __init__(self, stage: str, limit: int) -> None:
        self.stage = stage
        self.limit = limit
        self.used = 0

    @property
    def free(self) -> bool:
        """Whether another holder is possible."""
        return self.limit == contract.NONE or self.used < self.limit

    def take(self) -> None:
        """Become a holder; NO_CREDIT if there is none left."""
        if not self.free:
            raise RolloutError(
                "NO_CREDIT",
                f"expected a free credit of {self.stage}, got {self.used} of {self.limit} in use",
            )
        self.used += 1

    def give_back(self) -> None:
        """Stop holding; CREDIT_UNDERFLOW without a holder."""
        if self.used == 0:
            raise RolloutError(
                "CREDIT_UNDERFLOW", f"expected a holder of a credit of {self.stage}, got none"
            )
        self.used -= 1
