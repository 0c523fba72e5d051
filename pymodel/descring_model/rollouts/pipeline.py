# SPDX-License-Identifier: Apache-2.0
"""The pipeline: admitted rollouts through six queues, one tick at a time [PIPE-005].

No device is in here. A tick is given the completions and scores that are due and returns the lines
and score requests of its own; :func:`descring_model.rollouts.run.run` connects it with the golden
device.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from descring_model.lines import DESC_DTYPE, Lines
from descring_model.rollouts import contract, windows
from descring_model.rollouts.errors import RolloutError
from descring_model.rollouts.kv import digest, prompt_tags, rollout_tags
from descring_model.rollouts.records import Records
from descring_model.rollouts.resources import Resources
from descring_model.rollouts.rewards import ScoreRequest
from descring_model.rollouts.state import Rollout, Usage, Window
from descring_model.rollouts.windows import Draft

_STATE = contract.STATE


@dataclass(frozen=True)
class Step:
    """What one tick asks of the device and of the scorer."""

    lines: Lines
    scores: list[ScoreRequest] = field(default_factory=list)


class Pipeline(Resources):
    """A run of ``requests`` in logical time.

    Attributes:
        tick: the tick that :meth:`step` runs next.
        finished: END is logged.
    """

    def __init__(self, config: Records, requests: Records) -> None:
        super().__init__(config, requests)
        self.tick = 0
        self.finished = False
        self._windows: dict[int, Window] = {}
        self._batches: dict[int, list[Rollout]] = {}
        self._window_number = 0
        numbers = np.arange(len(requests))
        self._arrivals = deque(np.lexsort((numbers, requests["arrival"])).tolist())
        cancelled = np.flatnonzero(requests["cancel"] != contract.NONE)
        self._cancellations = deque(
            cancelled[np.lexsort((cancelled, requests["cancel"][cancelled]))].tolist()
        )

    @property
    def due(self) -> tuple[int, int]:
        """Completions and scores that the next :meth:`step` consumes."""
        window = self._windows.get(self.tick)
        return len(window.lines) if window else 0, len(self._batches.get(self.tick, ()))

    @property
    def in_flight(self) -> int:
        """Lines of windows that have not been consumed."""
        return sum(len(window.lines) for window in self._windows.values())

    def step(self, completions: Lines | None = None, scores: Sequence[int] | None = ()) -> Step:
        """Run one tick.

        Args:
            completions: of the window that is due, in the order of the index.
            scores: words of the batch that is due, in order; None if the batch failed.

        Returns:
            The lines to submit now, and the scores that are asked for now.

        Raises:
            RolloutError: BAD_COMPLETION before anything changed; STALLED.
            ValueError: another number of scores than :attr:`due`, or the run has ended.
        """
        if self.finished:
            raise ValueError("expected a run that has not ended; this one has")
        if scores is not None and len(scores) != self.due[1]:
            raise ValueError(f"expected {self.due[1]} scores, got {len(scores)}")
        returned = np.empty(0, dtype=DESC_DTYPE) if completions is None else completions
        if self.tick in self._windows:
            window = self._windows[self.tick]
            windows.check(window.number, window.lines, returned)
        elif len(returned):
            raise RolloutError(
                "BAD_COMPLETION", f"expected no completion at tick {self.tick}, got {len(returned)}"
            )
        before = len(self.log)
        self.log.tick = self.tick
        self._complete(returned, scores)
        self._cancel()
        self._recycle()
        self._arrive()
        self._admit()
        self._sweep()
        result = self._schedule()
        self._deliver()
        self._check_end(len(self.log) > before)
        self.tick += 1
        self.counts["ticks"] += 1
        return result

    def usage(self) -> Usage:
        """What is held now."""
        return Usage(
            self.arena.in_use,
            self.arena.reserved,
            self.decode_credits.used,
            self.reward_credits.used,
            self.trajectory_credits.used,
            len(self.rollouts),
            len(self.tree.nodes),
        )

    def abandon(self) -> None:
        """End every rollout as cancelled, whatever is in flight, and give all back [PIPE-013]."""
        self._windows.clear()
        self._batches.clear()
        for rollout in list(self.by_request.values()):
            if not rollout.in_service:
                self.leave_queue(rollout)
            self.end(rollout, "cancelled")
        while len(self.waiting):
            self.waiting.pop()
        self._recycle()
        self._sweep()
        self.finished = True

    def _complete(self, completions: Lines, scores: Sequence[int] | None) -> None:
        window = self._windows.pop(self.tick, None)
        if window is not None:
            for index, rollout in enumerate(window.rollouts):
                rollout.in_service = False
                self._completion(window.number, index, rollout, completions[index])
        for place, rollout in enumerate(self._batches.pop(self.tick, ())):
            rollout.in_service = False
            if scores is None:
                self.log.add("SCORER_FAILED", rollout, **self._score_members(rollout))
                self.end(rollout, "cancelled" if rollout.marked else "failed")
            else:
                self._scored(rollout, scores[place])

    def _completion(self, window: int, index: int, rollout: Rollout, completion: np.void) -> None:
        opcode, length = int(completion["opcode"]), int(completion["seq_len"])
        flags = int(completion["flags"]) & windows.OWNED
        score = int(completion["reserved0"])
        self.log.add(
            "COMPLETION",
            rollout,
            a=window,
            b=index << 16 | opcode,
            c=flags,
            d=length | score << 32,
        )
        if opcode == windows.REWARD:
            self._scored(rollout, score)
            return
        if opcode == windows.PREFILL:
            self.tree.fill(rollout.node, prompt_tags(rollout.group, rollout.prompt_tokens))
            self.ready.add(rollout.node)
            self.counts["prompt_tokens"] += rollout.prompt_tokens
        if rollout.marked:
            self.end(rollout, "cancelled")
        elif opcode == windows.PREFILL:
            self.to_decode(rollout)
        else:
            self._decoded(rollout, length, done=flags == windows.DONE)

    def _decoded(self, rollout: Rollout, length: int, *, done: bool) -> None:
        if length > rollout.length:
            tags = rollout_tags(rollout.request, rollout.length, length)
            self.tree.write(rollout.branch, rollout.length, tags)
            self.decoded += length - rollout.length
            rollout.length = length
        rollout.final = done
        self.counts["legs"] += 1
        if done and not self.option("FINAL_REWARD"):
            self._delivered(rollout)
        elif done or self.option("BOUNDARY_REWARD"):
            self.reward.push(rollout.slot)
        else:
            self.to_decode(rollout)

    def _score_members(self, rollout: Rollout) -> dict[str, int]:
        return {"a": self.scorer, "b": int(rollout.final), "c": rollout.length}

    def _scored(self, rollout: Rollout, word: int) -> None:
        self.log.add("SCORE", rollout, **self._score_members(rollout), d=word)
        if rollout.marked:
            self.end(rollout, "cancelled")
        elif rollout.final:
            rollout.score = word
            self.trajectory.push(rollout.slot)
        else:
            self.move(rollout, "DECODING")
            self.to_decode(rollout)

    def _delivered(self, rollout: Rollout) -> None:
        checked = self.option("CHECK_KV")
        tags = digest(self.tree.tags_of(rollout.branch)) if checked else 0
        self.end(rollout, "delivered")
        self.log.add(
            "TRAJECTORY", rollout, a=rollout.length, b=rollout.score, c=rollout.version, d=tags
        )
        for version in self.seats.deliver(rollout.step):
            self.log.add("VERSION", a=version)

    def _cancel(self) -> None:
        while self._cancellations:
            number = self._cancellations[0]
            if self.requests["cancel"][number] > self.tick:
                return
            self._cancellations.popleft()
            if number in self.ended:
                continue
            rollout = self.by_request.get(number)
            if rollout is None:
                self.log.add("CANCEL", request=number)
                self.ended[number] = "cancelled"
                self.counts["cancelled"] += 1
                if number in self.waiting:
                    self.waiting.remove(number)
                continue
            self.log.add(
                "CANCEL", rollout, a=self.slab.state(rollout.handle), b=int(rollout.in_service)
            )
            if rollout.in_service:
                rollout.marked = True
                self.counts["cancels_deferred"] += 1
            else:
                self.leave_queue(rollout)
                self.end(rollout, "cancelled")

    def _recycle(self) -> None:
        while len(self.done):
            self.recycle(self.done.pop())

    def _arrive(self) -> None:
        while self._arrivals:
            number = self._arrivals[0]
            if self.requests["arrival"][number] > self.tick:
                return
            self._arrivals.popleft()
            if number not in self.ended:
                self.arrive(number)

    def _admit(self) -> None:
        while (number := self.waiting.next()) is not None:
            if (missing := self.lacks(number)) is not None:
                self.counts[f"waits_{missing}"] += 1
                return
            rollout = self.admit(self.waiting.pop())
            if rollout.node in self.ready:
                self.to_decode(rollout)
            else:
                self.prefill.push(rollout.slot)

    def _sweep(self) -> None:
        for node, blocks in self.tree.sweep():
            self.forget(node)
            self.log.add("NODE_FREE", a=node, b=blocks)

    def _schedule(self) -> Step:
        room = min(int(self.config["window"]), int(self.config["ring_slots"]) - self.in_flight)
        drafts: list[Draft] = []
        batch: list[Rollout] = []
        while len(self.reward) and self.reward_credits.free:
            if self.scorer == contract.SCORER_OP_010 and len(drafts) == room:
                break
            rollout = self.rollouts[self.reward.pop()]
            self.move(rollout, "REWARD_PENDING")
            if self.scorer == contract.SCORER_OP_010:
                self._draft(drafts, rollout, windows.REWARD, rollout.length, rollout.max_tokens)
            else:
                self.log.add("SCORE_REQUEST", rollout, **self._score_members(rollout))
                rollout.in_service = True
                batch.append(rollout)
        for slot in self.prefill:
            rollout = self.rollouts[slot]
            if rollout.node in self.ready:
                self.prefill.remove(slot)
                self.to_decode(rollout)
            elif rollout.node not in self.filling:
                if len(drafts) == room:
                    break
                self.prefill.remove(slot)
                self.filling.add(rollout.node)
                self._draft(drafts, rollout, windows.PREFILL, 0, rollout.prompt_tokens)
        while len(self.decode) and len(drafts) < room:
            self._draft_decode(drafts, self.rollouts[self.decode.pop()])
        self.counts["waits_window"] += len(self.decode) > 0
        self.counts["waits_reward"] += len(self.reward) > 0 and not self.reward_credits.free
        return Step(self._close_window(drafts), self._close_batch(batch))

    def _draft_decode(self, drafts: list[Draft], rollout: Rollout) -> None:
        if self.slab.state(rollout.handle) == _STATE["PREFILL_READY"]:
            self.move(rollout, "DECODING")
        prepared = self.tree.prepare(rollout.branch)
        if prepared is not None and prepared.copied_from is not None:
            self.log.add(
                "COPY", rollout, a=prepared.copied_from, b=prepared.block, c=prepared.copied
            )
        self._draft(
            drafts,
            rollout,
            windows.DECODE,
            rollout.length,
            rollout.max_tokens,
            None if prepared is None else prepared.block,
        )

    def _draft(
        self,
        drafts: list[Draft],
        rollout: Rollout,
        opcode: int,
        length: int,
        end: int,
        block: int | None = None,
    ) -> None:
        self.log.add(
            "LINE",
            rollout,
            a=self._window_number,
            b=len(drafts) << 16 | opcode,
            c=contract.NONE if block is None else block,
            d=length | end << 32,
        )
        first = self.tree.nodes[rollout.node].blocks[0] & contract.NONE
        self.counts[f"lines of {opcode}"] += 1
        drafts.append(Draft(rollout, opcode, length, end, first, block))
        rollout.in_service = True

    def _close_window(self, drafts: list[Draft]) -> Lines:
        number = self._window_number
        lines = windows.build(drafts, number, self.scorer)
        if drafts:
            rollouts = tuple(draft.rollout for draft in drafts)
            due = self.tick + int(self.config["depth"])
            self._windows[due] = Window(number, lines, rollouts)
            self._window_number += 1
            self.log.add("WINDOW", a=number, b=len(lines), c=self.in_flight)
        return lines

    def _close_batch(self, batch: list[Rollout]) -> list[ScoreRequest]:
        if batch:
            self._batches[self.tick + int(self.config["score_ticks"])] = batch
        return [rollout.score_request() for rollout in batch]

    def _deliver(self) -> None:
        for slot in self.trajectory:
            rollout = self.rollouts[slot]
            pending = self.slab.state(rollout.handle) == _STATE["REWARD_PENDING"]
            if pending and self.trajectory_credits.free:
                self.move(rollout, "TRAJECTORY_READY")
        limit = int(self.config["deliver"])
        for slot in list(self.trajectory)[:limit]:
            rollout = self.rollouts[slot]
            if self.slab.state(rollout.handle) == _STATE["TRAJECTORY_READY"]:
                self.trajectory.remove(slot)
                self._delivered(rollout)
        self.counts["waits_delivery"] += len(self.trajectory) > 0

    def _check_end(self, progress: bool) -> None:
        if len(self.ended) == len(self.requests) and not self.rollouts and not len(self.done):
            if not self.tree.nodes:
                outcomes = list(self.ended.values())
                self.log.add(
                    "END",
                    a=outcomes.count("delivered"),
                    b=outcomes.count("cancelled"),
                    c=outcomes.count("failed"),
                    d=self.decoded,
                )
                self.finished = True
            return
        waits = self._windows or self._batches or self._arrivals or self._cancellations
        if not progress and not waits:
            raise RolloutError(
                "STALLED", f"tick {self.tick}: expected progress, got none; held: {self.usage()}"
            )
