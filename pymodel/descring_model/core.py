# SPDX-License-Identifier: Apache-2.0
"""Level 2 of the golden model, the core: indices, rings and STOP (sections 5 and 6).

The core executes published lines in batches, as far as it can, at every call: it is eager and has
no time. A batch ends at a STOP, where a completion ring is full, and where memory fails. Where
lines come from and where completions go is a :class:`Port`'s business.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from descring_model import contract
from descring_model.completion import (
    decoded_tokens,
    execute,
    goes_to_reward,
    post_indices,
    seal_checked,
)
from descring_model.lines import INDEX_MODULUS, Lines, check_index, index_range

_BATCH = 4096
"""Lines a batch at most; more would leave the cache, see :mod:`descring_model.completion`."""

_STOPPED = contract.FLAG["STOPPED"]
_ERROR = contract.FLAG["ERROR"]


class Ring(enum.Enum):
    """The two rings that completions go to [RING-008]."""

    DONE = "done"
    REWARD = "reward"


class Port(Protocol):
    """Where a core's lines come from and where its completions go.

    Indices are ring indices, ``(n,)`` uint32; the port maps them to slots [RING-001].
    """

    def available(self, tail: int, head: int) -> int:
        """How many of the published lines from ``head`` up to ``tail`` are written [RING-011]."""

    def readable(self, indices: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Which command lines can be read without an error response [LIFE-005]."""

    def read(self, indices: npt.NDArray[np.uint32]) -> Lines:
        """The command lines of these consecutive indices."""

    def release(self, head: int) -> None:
        """The command lines before ``head`` are completed: their slots are free [RING-009]."""

    def writable(self, ring: Ring, indices: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
        """Which slots of ``ring`` can be written without an error response [LIFE-005]."""

    def write(self, ring: Ring, indices: npt.NDArray[np.uint32], lines: Lines) -> None:
        """Post completions at these indices of ``ring``."""

    def publish(self, done_tail: int, reward_tail: int | None, cmd_head: int) -> bool:
        """Store the device's indices where hosts poll them; False at an error [RING-013]."""


@dataclass
class CompletionRing:
    """Indices of a completion ring: the device owns the tail, the host the head [RING-003]."""

    head: int
    tail: int
    log2: int

    @property
    def occupancy(self) -> int:
        """Completions posted and not taken [RING-002]."""
        return (self.tail - self.head) % INDEX_MODULUS

    @property
    def room(self) -> int:
        """Completions that can still be posted; all slots are usable [RING-001]."""
        return (1 << self.log2) - self.occupancy

    def take(self, head: int) -> bool:
        """Move the head forward to ``head``; False where it may not go there [RING-010]."""
        legal = (head - self.head) % INDEX_MODULUS <= self.occupancy
        if legal:
            self.head = head
        return legal


@dataclass
class Counters:
    """What the counter registers show [CNT-001]; whole numbers, cut to 32 bits when read."""

    descriptors: int = 0
    tokens: int = 0
    errors: int = 0
    stalls: int = 0
    """Completions that had to wait for room: the model has no cycles to count [RING-005]."""


@dataclass
class Events:
    """What happened since the flags were last taken; the register file makes interrupts of it."""

    completion: bool = False
    halted: bool = False
    bus_error: bool = False


@dataclass
class GoldenCore:
    """The device without its registers: lines in, completions out.

    Set ``enabled`` and the modes, publish a tail, and call :meth:`run`. All indices start at
    ``first_index`` [RING-012].
    """

    port: Port
    done_log2: int
    reward_log2: int
    first_index: int = 0
    enabled: bool = False
    require_checked: bool = False
    split_reward: bool = False
    publish_tails: bool = False
    halted: bool = field(default=False, init=False)
    head: int = field(init=False)
    tail: int = field(init=False)
    rings: dict[Ring, CompletionRing] = field(init=False)
    counters: Counters = field(default_factory=Counters, init=False)
    events: Events = field(default_factory=Events, init=False)

    _waiting: int | None = field(default=None, init=False)
    """Index of the last descriptor whose completion found no room."""
    _unpublished: bool = field(default=False, init=False)
    """Whether the words in memory are behind the indices [RING-013]."""
    _posting: bool = field(default=False, init=False)
    """Whether the indices have moved over completions and no one was told yet."""

    def __post_init__(self) -> None:
        self.first_index = check_index(self.first_index, "first_index")
        self.head = self.tail = self.first_index
        self.rings = {
            Ring.DONE: CompletionRing(self.first_index, self.first_index, self.done_log2),
            Ring.REWARD: CompletionRing(self.first_index, self.first_index, self.reward_log2),
        }

    def publish(self, tail: int) -> None:
        """Make the lines before ``tail`` visible [DB-001]; DB-002 is the caller's to keep."""
        self.tail = check_index(tail, "tail")

    def resume(self) -> None:
        """Leave HALTED; without it there is no effect [LIFE-003]."""
        self.halted = False

    def take_events(self) -> Events:
        """The events since the last call."""
        events, self.events = self.events, Events()
        return events

    def run(self) -> None:
        """Execute everything that can be executed now."""
        if self._posting:
            self._end_post()
        while self.enabled and not self.halted:
            if self._unpublished and not self._publish():
                return
            published = self.port.available(self.tail, self.head)
            if not published:
                return
            if not self._step(min(published, _BATCH)):
                return

    def _room(self) -> int:
        rings = self.rings.values() if self.split_reward else (self.rings[Ring.DONE],)
        return sum(ring.room for ring in rings)

    def _step(self, count: int) -> bool:
        """Complete up to ``count`` lines from the head; False where the first cannot be posted."""
        # The oldest line is read even where there is no room for its completion: a line that
        # cannot be read halts the device whatever the completion rings hold.
        indices = index_range(self.head, min(count, max(1, self._room())))
        readable = _leading(self.port.readable(indices))
        if not readable:
            self._fail()
            return False
        indices = indices[:readable]
        lines = self.port.read(indices)
        results = execute(lines, indices, require_checked=self.require_checked)

        stops = np.flatnonzero(results["flags"] & _STOPPED)
        if len(stops):
            results = results[: stops[0] + 1]
        to_reward = (
            goes_to_reward(results) if self.split_reward else np.zeros(len(results), dtype=np.bool_)
        )
        room = self._posts_with_room(to_reward)
        to_reward = to_reward[:room]
        posts = post_indices(to_reward, self.rings[Ring.DONE].tail, self.rings[Ring.REWARD].tail)
        writable = np.empty(room, dtype=np.bool_)
        writable[~to_reward] = self.port.writable(Ring.DONE, posts[~to_reward])
        writable[to_reward] = self.port.writable(Ring.REWARD, posts[to_reward])
        posted = _leading(writable)

        self._post(lines[:posted], results[:posted], posts[:posted], to_reward[:posted])
        if posted < room:
            self._fail()
        elif posted < len(results) and self._waiting != self.head:
            self._waiting = self.head
            self.counters.stalls += 1
        return posted == len(results)

    def _posts_with_room(self, to_reward: npt.NDArray[np.bool_]) -> int:
        """How many completions fit; a full ring holds back all later ones of both [RING-008]."""
        fits = np.where(
            to_reward,
            np.cumsum(to_reward) <= self.rings[Ring.REWARD].room,
            np.cumsum(~to_reward) <= self.rings[Ring.DONE].room,
        )
        return _leading(fits)

    def _post(
        self,
        lines: Lines,
        results: Lines,
        posts: npt.NDArray[np.uint32],
        to_reward: npt.NDArray[np.bool_],
    ) -> None:
        count = len(results)
        if not count:
            return
        seal_checked(results, posts)
        to_rewards = int(np.count_nonzero(to_reward))
        if to_rewards:
            for ring, where in ((Ring.DONE, ~to_reward), (Ring.REWARD, to_reward)):
                self.port.write(ring, posts[where], results[where])
        else:
            self.port.write(Ring.DONE, posts, results)
        tokens = int(decoded_tokens(lines, results).sum(dtype=np.uint64))
        errors = int(np.count_nonzero(results["flags"] & _ERROR))
        stopped = bool(results["flags"][-1] & _STOPPED)
        done, reward, counters, events = *self.rings.values(), self.counters, self.events
        # Up to here nothing has happened that would not happen again just so. The interpreter runs
        # a signal's handler, which may raise, at calls and loops: with none among these assignments
        # they are one step.
        done.tail = (done.tail + count - to_rewards) % INDEX_MODULUS
        reward.tail = (reward.tail + to_rewards) % INDEX_MODULUS
        self.head = (self.head + count) % INDEX_MODULUS
        counters.descriptors += count
        counters.tokens += tokens
        counters.errors += errors
        self.halted |= stopped
        events.halted |= stopped
        self._posting = True
        self._end_post()

    def _end_post(self) -> None:
        self.port.release(self.head)
        self._publish()
        self._posting = False

    def _publish(self) -> bool:
        """Tell the host of what was posted: words first, then the event [RING-013]."""
        done, reward = self.rings[Ring.DONE].tail, self.rings[Ring.REWARD].tail
        self._unpublished = self.publish_tails and not self.port.publish(
            done, reward if self.split_reward else None, self.head
        )
        if self._unpublished:
            self._fail()
        else:
            self.events.completion = True
        return not self._unpublished

    def _halt(self) -> None:
        self.halted = True
        self.events.halted = True

    def _fail(self) -> None:
        self.events.bus_error = True
        self._halt()


def _leading(mask: npt.NDArray[np.bool_]) -> int:
    """How many elements of ``mask`` are true before the first that is not."""
    return len(mask) if mask.all() else int(np.argmin(mask))
