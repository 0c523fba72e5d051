# SPDX-License-Identifier: Apache-2.0
"""What the pipeline keeps: rollouts, seats, what is in flight, and the events so far."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from descring_model.lines import Lines
from descring_model.rollouts import contract
from descring_model.rollouts.records import RECORD_DTYPE, Records
from descring_model.rollouts.rewards import ScoreRequest


@dataclass
class Rollout:
    """One admitted rollout. ``final`` is set once its last leg has returned."""

    request: int
    group: int
    sample: int
    prompt_tokens: int
    max_tokens: int
    rank: int
    slot: int
    handle: int
    node: int
    branch: int
    version: int
    step: int
    length: int
    final: bool = False
    marked: bool = False
    in_service: bool = False
    score: int = 0

    @property
    def remaining(self) -> int:
        """Tokens that it may still decode [SCHED-002]."""
        return self.max_tokens - self.length

    def score_request(self) -> ScoreRequest:
        """What a scorer is asked about it now."""
        return ScoreRequest(
            self.request, self.group, self.sample, self.prompt_tokens, self.length, self.final
        )


@dataclass(frozen=True)
class Window:
    """Lines submitted by one tick, with their rollouts in the order of the index."""

    number: int
    lines: Lines
    rollouts: tuple[Rollout, ...]


@dataclass(frozen=True)
class Usage:
    """What is held at the end of a tick; all 0 once a run has ended [KV-005] [PIPE-004]."""

    blocks: int
    reserved: int
    decode: int
    reward: int
    trajectory: int
    live: int
    nodes: int


class Seats:
    """Seats of training steps: ``per_step`` each, at most ``staleness`` steps ahead [PIPE-010].

    Attributes:
        version: steps whose seats are all delivered.
    """

    def __init__(self, per_step: int, staleness: int) -> None:
        self.version = 0
        self._per_step = per_step
        self._staleness = staleness
        self._taken: defaultdict[int, int] = defaultdict(int)
        self._delivered: defaultdict[int, int] = defaultdict(int)

    def find(self) -> int | None:
        """The step of the next seat, or None if all within the bound are taken."""
        if self._per_step == contract.NONE:
            return 0
        for step in range(self.version, self.version + self._staleness + 1):
            if self._taken[step] < self._per_step:
                return step
        return None

    def take(self, step: int) -> None:
        """Take a seat of ``step``, which :meth:`find` returned."""
        self._taken[step] += 1

    def give_back(self, step: int) -> None:
        """Return the seat of a rollout that ended without being delivered."""
        self._taken[step] -= 1

    def deliver(self, step: int) -> list[int]:
        """Fill a seat for good; the versions that the delivery completes, ascending."""
        self._delivered[step] += 1
        versions = []
        while self._delivered[self.version] == self._per_step:
            self.version += 1
            versions.append(self.version)
        return versions


class EventLog:
    """Events in the order in which they happen [LOG-002].

    Attributes:
        counts: how many of each there were, by name.
    """

    def __init__(self) -> None:
        self.tick = 0
        self.counts: Counter[str] = Counter()
        self._rows: list[tuple[int, ...]] = []

    def add(
        self,
        event: str,
        rollout: Rollout | None = None,
        *,
        request: int = contract.NONE,
        a: int = 0,
        b: int = 0,
        c: int = 0,
        d: int = 0,
    ) -> None:
        """Append an event of ``rollout``, of a ``request`` that has no slot, or of neither."""
        self.counts[event] += 1
        slot = 0
        if rollout is not None:
            slot, request = rollout.slot, rollout.request
        self._rows.append((self.tick, contract.EVENT[event], slot, request, a, b, c, d))

    def records(self, first: int = 0) -> Records:
        """The events from number ``first`` on, ``(n,)`` of RECORD_DTYPE."""
        return np.array(self._rows[first:], dtype=RECORD_DTYPE)

    def __len__(self) -> int:
        return len(self._rows)
