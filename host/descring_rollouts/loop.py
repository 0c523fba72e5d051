# SPDX-License-Identifier: Apache-2.0
"""The ticks of one run: its core, a lane for its windows, its scorer, and who watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from descring_model import Lines
from descring_model.rollouts.records import Records
from descring_model.rollouts.rewards import ScoreRequest

from descring_rollouts.errors import ScorerError
from descring_rollouts.groups import Group, Groups, Made
from descring_rollouts.model_core import CoreStep, RolloutCore
from descring_rollouts.prompts import Tokens
from descring_rollouts.scorers import Scoring
from descring_rollouts.watch import Watcher

_NAMED = 5
"""Rollouts that an error names before it only counts."""


class Lane(Protocol):
    """Windows on their way: submitted whole, returned whole, in order."""

    def submit(self, lines: Lines) -> None:
        """Submit one window, which is not empty."""
        ...

    def take(self) -> Lines:
        """The completions of the oldest window, in the order of the index."""
        ...

    def close(self) -> None:
        """Leave nothing in flight."""
        ...


class Maker(Made, Protocol):
    """Tokens of a run as its log grows."""

    def address(self, lines: Lines) -> Lines:
        """A copy of a window in which each line names its rollout's record [REC-005]."""
        ...

    def end_at_eos(self, lines: Lines) -> Lines:
        """A window's completions, where a rollout that made its ``eos`` is DONE [REC-007]."""
        ...

    def process(self, records: Records) -> None:
        """Do what further records of the log ask for."""
        ...

    def tokens_so_far(self, request: int, length: int) -> Tokens:
        """The first ``length`` tokens of a live rollout, a copy."""
        ...


@dataclass(frozen=True)
class Run:
    """What one run consists of.

    Attributes:
        config: ``(1,)`` of CONFIG_DTYPE.
        requests: ``(n,)`` of REQUEST_DTYPE.
        core: a fresh one of these.
        groups: likewise.
        open_lane: called once, after the watchers were told.
        open_scoring: likewise.
        made: makes the tokens, if there is an engine.
        watchers: are told what happens.
    """

    config: Records
    requests: Records
    core: RolloutCore
    groups: Groups
    open_lane: Callable[[], Lane]
    open_scoring: Callable[[], Scoring]
    made: Maker | None = None
    watchers: Sequence[Watcher] = ()

    def ticks(self) -> Iterator[Group]:
        """Run to the end; yields each group when its last rollout has ended.

        Raises:
            ScorerError: behind the last group, if a scorer failed.
            HostError, RolloutError: the device failed. Whatever ends the run early leaves no block,
                credit or line behind [PIPE-013].
        """
        core, made = self.core, self.made
        seen = 0
        # Closed in the reverse order, each whatever the others raise.
        with ExitStack() as closing:
            for watcher in self.watchers:
                closing.push(watcher.ended)
                watcher.started(core, self.config, self.requests)
            lane = self.open_lane()
            closing.callback(lane.close)
            scoring = self.open_scoring()
            closing.callback(scoring.close)
            closing.callback(lambda: None if core.finished else core.abandon())
            while not core.finished:
                step = core.step(*self._due(lane, scoring))
                records = core.log(seen)
                seen += len(records)
                lines = step.lines
                if made is not None:
                    made.process(records)
                    lines = made.address(lines)
                if len(lines):
                    lane.submit(lines)
                    for watcher in self.watchers:
                        watcher.submitted(lines)
                if len(step.requests):
                    scoring.send(self._batch(step))
                for watcher in self.watchers:
                    watcher.ticked()
                yield from self.groups.add(records)
        if failed := self.groups.failed():
            raise self._scorer_error(failed, scoring.failure) from scoring.failure

    def _due(self, lane: Lane, scoring: Scoring) -> tuple[Lines | None, list[int] | None]:
        """What the next tick consumes, once it is there."""
        lines, scores = self.core.due
        taken = lane.take() if lines else None
        if taken is not None:
            for watcher in self.watchers:
                watcher.taken(taken)
            if self.made is not None:
                taken = self.made.end_at_eos(taken)
        return taken, scoring.receive() if scores else []

    def _batch(self, step: CoreStep) -> list[ScoreRequest]:
        made = self.made
        rows = self.requests[step.requests][["group", "sample", "prompt_tokens"]].tolist()
        numbers, lengths, final = step.requests.tolist(), step.lengths.tolist(), step.final.tolist()
        return [
            ScoreRequest(
                number,
                group,
                sample,
                prompt,
                length,
                last,
                None if made is None else made.tokens_so_far(number, length),
            )
            for number, (group, sample, prompt), length, last in zip(
                numbers, rows, lengths, final, strict=True
            )
        ]

    def _scorer_error(self, failed: tuple[int, ...], cause: Exception | None) -> ScorerError:
        names = [
            f"group {self.requests['group'][number]} sample {self.requests['sample'][number]}"
            for number in failed[:_NAMED]
        ]
        if len(failed) > _NAMED:
            names.append(f"and {len(failed) - _NAMED} more")
        return ScorerError(
            f"the scorer failed for {len(failed)} rollouts ({', '.join(names)}): "
            f"{type(cause).__name__}: {cause}; the others have ended as usual",
            failed,
        )
