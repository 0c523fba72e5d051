# SPDX-License-Identifier: Apache-2.0
"""Trajectories as arrays, group by group, from the event log of a run."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from descring_model.rollouts import contract
from descring_model.rollouts.records import Records
from descring_model.rollouts.rewards import advantages, score_value
from descring_model.rollouts.run import OUTCOMES, add_results, start_results

from descring_rollouts.prompts import Tokens


class Made(Protocol):
    """What an engine has made of the rollouts that were delivered, by their requests."""

    @property
    def tokens(self) -> Mapping[int, Tokens]:
        """Prompt and decoded tokens."""
        ...

    @property
    def digests(self) -> Mapping[int, int]:
        """Digests of keys and values [REC-006]."""
        ...


@dataclass(frozen=True)
class Trajectories:
    """Rollouts that have ended, one element of each array a rollout, by (group, sample).

    Attributes:
        group: ``(n,)`` uint32, the prompt.
        sample: ``(n,)`` uint32, the number within the group.
        prompt_tokens: ``(n,)`` uint32.
        length: ``(n,)`` uint32, prompt and decoded tokens; the prompt's if not delivered.
        outcome: ``(n,)`` uint8, 1 delivered, 2 cancelled, 3 failed.
        reward: ``(n,)`` float64; NaN without a final score.
        advantage: ``(n,)`` float64, within the group [RWD-004]; NaN without a reward.
        version: ``(n,)`` uint32, policy version at admission.
        step: ``(n,)`` uint32, training step of its seat.
        legs: ``(n,)`` uint32, DECODE lines.
        admitted: ``(n,)`` uint32, tick.
        ended: ``(n,)`` uint32, tick.
        digest: ``(n,)`` uint64, of its KV's tags [KV-008].
        tokens: ``(n, m)`` uint32, prompt and decoded tokens, the rest of a row NONE; a rollout that
            was not delivered has none. None without an engine.
        kv_digest: ``(n,)`` uint64, of its keys and values [REC-006]; None without an engine.
    """

    group: npt.NDArray[np.uint32]
    sample: npt.NDArray[np.uint32]
    prompt_tokens: npt.NDArray[np.uint32]
    length: npt.NDArray[np.uint32]
    outcome: npt.NDArray[np.uint8]
    reward: npt.NDArray[np.float64]
    advantage: npt.NDArray[np.float64]
    version: npt.NDArray[np.uint32]
    step: npt.NDArray[np.uint32]
    legs: npt.NDArray[np.uint32]
    admitted: npt.NDArray[np.uint32]
    ended: npt.NDArray[np.uint32]
    digest: npt.NDArray[np.uint64]
    tokens: npt.NDArray[np.uint32] | None = None
    kv_digest: npt.NDArray[np.uint64] | None = None

    def __len__(self) -> int:
        return len(self.group)

    def npz(self) -> bytes:
        """The bytes of a ``.npz`` file with an array for each attribute."""
        file = io.BytesIO()
        np.savez(file, **self.columns())  # type: ignore[arg-type]
        return file.getvalue()

    def json_lines(self) -> str:
        """One JSON object a rollout and line; NaN is null, the outcome is its name."""
        columns = {name: values.tolist() for name, values in self.columns().items()}
        lines = []
        for values in zip(*columns.values(), strict=True):
            row: dict[str, Any] = dict(zip(columns, values, strict=True))
            row["outcome"] = OUTCOMES[row["outcome"]]
            for name in ("reward", "advantage"):
                row[name] = None if np.isnan(row[name]) else row[name]
            if "tokens" in row:
                row["tokens"] = [token for token in row["tokens"] if token != contract.NONE]
            lines.append(json.dumps(row) + "\n")
        return "".join(lines)

    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Every attribute that is not None, by its name."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: values for name, values in found.items() if values is not None}


@dataclass(frozen=True)
class Group:
    """All samples of one prompt, ended: ``number`` is the prompt's."""

    number: int
    trajectories: Trajectories


class Groups:
    """Groups of a run as its log grows.

    Attributes:
        ended: requests that have ended so far.
    """

    def __init__(self, config: Records, requests: Records, made: Made | None = None) -> None:
        self._made = made
        self._longest = int(requests["max_tokens"].max(initial=1))
        self._scorer = int(config["scorer"][0])
        self._found = start_results(requests)
        order = np.lexsort((requests["sample"], requests["group"]))
        names, starts = np.unique(requests["group"][order], return_index=True)
        self._members = dict(zip(names.tolist(), np.split(order, starts[1:]), strict=True))
        self._left = {name: len(members) for name, members in self._members.items()}
        self._of = requests["group"]
        self.ended = 0

    def add(self, records: Records) -> list[Group]:
        """The groups that further records of the log complete, in the order of their ends."""
        complete = []
        for number in add_results(self._found, records):
            name = int(self._of[number])
            self._left[name] -= 1
            self.ended += 1
            if not self._left[name]:
                complete.append(Group(name, self._trajectories(self._members[name])))
        return complete

    def all(self) -> Trajectories:
        """Every rollout of the run, by (group, sample)."""
        parts = [self._trajectories(members) for members in self._members.values()]
        if not parts:
            return self._trajectories(np.empty(0, dtype=np.intp))
        columns = [part.columns() for part in parts]
        return Trajectories(
            **{name: np.concatenate([found[name] for found in columns]) for name in columns[0]}
        )

    def failed(self) -> tuple[int, ...]:
        """The requests that a failed scorer ended."""
        return tuple(np.flatnonzero(self._found["outcome"] == OUTCOMES.index("failed")).tolist())

    def _trajectories(self, members: npt.NDArray[np.intp]) -> Trajectories:
        rows = self._found[members]
        delivered = rows["outcome"] == OUTCOMES.index("delivered")
        scored = np.flatnonzero(delivered & rows["scored"])
        reward = np.full(len(rows), np.nan)
        advantage = np.full(len(rows), np.nan)
        reward[scored] = [score_value(self._scorer, int(word)) for word in rows["score"][scored]]
        advantage[scored] = advantages(reward[scored].tolist())
        if self._scorer == contract.SCORER_ADVANTAGE:
            reward = advantage.copy()
        columns = {item.name for item in fields(Trajectories)} & set(rows.dtype.names or ())
        return Trajectories(
            reward=reward,
            advantage=advantage,
            **{name: rows[name].copy() for name in columns},
            **self._tokens(members),
        )

    def _tokens(self, members: npt.NDArray[np.intp]) -> dict[str, npt.NDArray[Any]]:
        """Tokens and digests, if there is an engine."""
        if self._made is None:
            return {}
        tokens = np.full((len(members), self._longest), contract.NONE, dtype=np.uint32)
        digests = np.zeros(len(members), dtype=np.uint64)
        for place, request in enumerate(members.tolist()):
            found = self._made.tokens.get(request)
            if found is not None:
                tokens[place, : len(found)] = found
                digests[place] = self._made.digests[request]
        return {"tokens": tokens, "kv_digest": digests}
