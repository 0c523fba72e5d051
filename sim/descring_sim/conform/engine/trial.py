# SPDX-License-Identifier: Apache-2.0
"""An engine beside the golden model: the same arena twice, advanced by both, compared as bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.interface import STATUS_NAMES, Engine
from descring_model.engine.model import ModelEngine

OpenEngine = Callable[[int], Engine]
"""Makes the engine under test, for a vocabulary."""


class CheckFailed(Exception):
    """A difference; ``rule`` is the one that it breaks."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule = rule


class Trial:
    """What a case gets.

    Attributes:
        rule: of the case; a token that differs breaks it.
        rng: the case's own generator.
        compared: tokens and refusals that were equal.
    """

    def __init__(self, open_engine: OpenEngine, rule: str, rng: np.random.Generator) -> None:
        self._open = open_engine
        self.rule, self.rng = rule, rng
        self.compared = 0

    def pair(
        self,
        prompts: Sequence[Sequence[int]],
        room: int,
        parameters: Sequence[dict[str, Any]] = (),
        *,
        vocabulary: int = 64,
        order: npt.NDArray[np.integer] | None = None,
    ) -> Pair:
        """Fresh rollouts, as :class:`~descring_model.engine.batch.Batch`, for both engines."""
        engines = self._open(vocabulary), ModelEngine(vocabulary)
        return Pair(
            self, *(Batch(engine, prompts, room, parameters, order=order) for engine in engines)
        )


class Pair:
    """The same rollouts in two arenas.

    Attributes:
        tested: the batch of the engine under test.
        golden: that of the golden model.
    """

    def __init__(self, trial: Trial, tested: Batch, golden: Batch) -> None:
        self._trial = trial
        self.tested, self.golden = tested, golden

    def edit(self, change: Callable[[Batch], None]) -> None:
        """Change both arenas in the same way."""
        change(self.golden)
        self.tested.arena[:] = self.golden.arena

    def advance(self, end: int | Sequence[int], places: Sequence[int] | None = None) -> None:
        """Advance both and compare statuses and every byte of the arenas.

        Raises:
            CheckFailed: they differ.
        """
        chosen = list(range(len(self.golden.offsets))) if places is None else list(places)
        ends = np.ascontiguousarray(np.broadcast_to(np.asarray(end, np.uint32), (len(chosen),)))
        before = [int(self.golden.record(place)["length"]) for place in chosen]
        expected, found = (
            np.asarray(batch.engine.advance(batch.arena, batch.offsets[chosen], ends.copy()))
            for batch in (self.golden, self.tested)
        )
        if found.shape != expected.shape or found.dtype != np.uint32:
            raise CheckFailed(
                "REC-003",
                f"expected {len(chosen)} statuses of uint32, got shape {found.shape} of "
                f"{found.dtype}",
            )
        for place, status, got in zip(chosen, expected.tolist(), found.tolist(), strict=True):
            if status != got:
                if status == 0:
                    rule = self._trial.rule  # what was to be made is unusable to this engine
                else:
                    rule = "REC-004" if status <= contract.STATUS["BAD_TOKEN"] else "NUM-007"
                raise CheckFailed(
                    rule,
                    f"rollout {place}: expected status {STATUS_NAMES[status]}, got "
                    f"{STATUS_NAMES.get(got, str(got))}",
                )
        for place, start in zip(chosen, before, strict=True):
            self._compare(place, start)
        if not np.array_equal(self.golden.arena, self.tested.arena):
            at = int(np.flatnonzero(self.golden.arena != self.tested.arena)[0])
            raise CheckFailed("REC-003", f"byte {at} of the arena was written, and is no rollout's")
        lengths = [int(self.golden.record(place)["length"]) for place in chosen]
        self._trial.compared += sum(lengths) - sum(before) + int((expected != 0).sum())

    def _compare(self, place: int, start: int) -> None:
        """Name the first thing of a rollout that differs, in the order of its making."""
        golden, tested = self.golden, self.tested
        if not _usable_record(golden, place):
            return
        length = int(golden.record(place)["length"])
        got = int(tested.record(place)["length"])
        if length != got:
            raise CheckFailed("REC-003", f"rollout {place}: expected length {length}, got {got}")
        given = int(golden.record(place)["prompt_tokens"])
        wanted, made = golden.tokens(place)[:length], tested.tokens(place)[:length]
        wrong = np.flatnonzero(wanted != made)
        first = int(wrong[0]) if len(wrong) else length
        pairs = golden.keys_values(place), tested.keys_values(place)
        bits = [item.view(np.uint16).reshape(length, 2 * contract.DIMS) for item in pairs]
        apart = np.flatnonzero((bits[0] != bits[1]).any(axis=1))
        apart = apart[apart < first]
        if len(apart):
            at = int(apart[0])
            rule = "REC-003" if at < start else "STATE-006"
            raise CheckFailed(rule, f"rollout {place}: key or value of position {at} differs")
        if first < length:
            rule = "REC-003" if first < given else self._trial.rule
            raise CheckFailed(
                rule,
                f"rollout {place}: expected token {wanted[first]} at position {first}, got "
                f"{made[first]}",
            )
        states = golden.state(place).view(np.uint32), tested.state(place).view(np.uint32)
        if not np.array_equal(*states):
            at = int(np.flatnonzero(states[0] != states[1])[0])
            rule = "STATE-004" if self._trial.rule[:4] in ("ATT-", "SAMP") else self._trial.rule
            raise CheckFailed(
                rule if rule.startswith(("STATE", "NUM")) else "STATE-004",
                f"rollout {place}: state[{at}] after {length} tokens: expected bits "
                f"{states[0][at]:08x}, got {states[1][at]:08x}",
            )


def _usable_record(batch: Batch, place: int) -> bool:
    """Whether what the record points to is where it was laid out."""
    record = batch.record(place)
    size = len(batch.arena)
    extents = {"tokens": 4 * batch.room, "state": contract.STATE_BYTES, "blocks": 4}
    inside = all(
        int(record[name]) % 64 == 0 and int(record[name]) + extent <= size
        for name, extent in extents.items()
    )
    count = size // contract.BLOCK_BYTES
    return inside and bool((batch.blocks(place) < count).all())
