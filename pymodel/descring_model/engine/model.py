# SPDX-License-Identifier: Apache-2.0
"""The golden model of the engine: rollouts advanced together, a token each a turn [REC-003]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from descring_model.engine import contract
from descring_model.engine.attention import attend
from descring_model.engine.interface import Statuses, check_call
from descring_model.engine.numbers import F16, F32, check_arithmetic, usable
from descring_model.engine.random_numbers import draws
from descring_model.engine.records import Bytes, Rollout, kv_blocks
from descring_model.engine.sampling import sample
from descring_model.engine.state import key_value, logits, next_state, query
from descring_model.engine.weights import inputs, weights

_STATUS = contract.STATUS
_TOKENS = contract.BLOCK_TOKENS


class ModelEngine:
    """An :class:`~descring_model.engine.interface.Engine` in NumPy.

    Raises:
        ValueError: a vocabulary out of range.
        RuntimeError: the processor's arithmetic is not IEEE's.
    """

    def __init__(self, vocabulary: int = contract.VOCABULARY) -> None:
        if not 1 <= vocabulary <= contract.VOCABULARY_MAX:
            raise ValueError(
                f"vocabulary: expected 1 to {contract.VOCABULARY_MAX}, got {vocabulary}"
            )
        check_arithmetic()
        self.vocabulary = vocabulary
        self._weights = weights(vocabulary)

    def new_arena(self, size: int) -> Bytes:
        """See :class:`~descring_model.engine.interface.Engine`."""
        spare = np.zeros(size + contract.RECORD_ALIGNMENT, dtype=np.uint8)
        first = -spare.ctypes.data % contract.RECORD_ALIGNMENT
        return spare[first : first + size]

    def advance(
        self,
        arena: Bytes,
        records: npt.NDArray[np.uint64],
        ends: npt.NDArray[np.uint32],
    ) -> Statuses:
        """See :class:`~descring_model.engine.interface.Engine`."""
        check_call(arena, records, ends)
        rollouts = [
            Rollout(arena, offset, end, self.vocabulary)
            for offset, end in zip(records.tolist(), ends.tolist(), strict=True)
        ]
        kv = kv_blocks(arena)
        with np.errstate(invalid="ignore", over="ignore"):
            while running := [item for item in rollouts if item.runs]:
                self._turn(kv, running)
        return np.array([item.status for item in rollouts], dtype=np.uint32)

    def close(self) -> None:
        """See :class:`~descring_model.engine.interface.Engine`."""

    def _turn(self, kv: F16, rollouts: Sequence[Rollout]) -> None:
        """One token more for each of ``rollouts``."""
        tokens = np.empty(len(rollouts), dtype=np.uint32)
        making = []
        for place, item in enumerate(rollouts):
            if item.length < item.prompt_tokens:
                tokens[place] = item.tokens[item.length]
            elif item.ended:
                tokens[place] = item.record["eos"]
            else:
                making.append(place)
        if making:
            tokens[making] = self._make(kv, [rollouts[place] for place in making])
        sound = np.array([item.status == _STATUS["OK"] for item in rollouts])
        left = [item for item in rollouts if item.status == _STATUS["OK"]]
        if left:
            self._ingest(kv, left, tokens[sound])

    def _make(self, kv: F16, rollouts: Sequence[Rollout]) -> npt.NDArray[np.uint32]:
        """The next token of each; a rollout that is refused gets its status, and token 0."""
        lengths = np.array([item.length for item in rollouts], dtype=np.uint32)
        q = query(np.stack([item.state for item in rollouts]), self._weights)
        narrow = q.astype(np.float16)
        _refuse(rollouts, usable(q) & usable(narrow), "BAD_QUERY")
        output, scored = attend(narrow, kv, [item.blocks for item in rollouts], lengths)
        _refuse(rollouts, scored, "BAD_SCORE")
        rounded = output.astype(np.float16)
        _refuse(rollouts, usable(output) & usable(rounded), "BAD_OUTPUT")
        found = logits(rounded, self._weights)
        _refuse(rollouts, usable(found), "BAD_LOGIT")
        good = np.array([item.status == _STATUS["OK"] for item in rollouts])
        records = np.array([item.record for item in rollouts])[good]
        tokens = np.zeros(len(rollouts), dtype=np.uint32)
        if good.any():
            random = draws(records["seed"], records["group"], records["sample"], lengths[good])
            tokens[good] = sample(
                found[good], records["temperature"], records["top_k"], records["top_p"], random
            )
        return tokens

    def _ingest(self, kv: F16, rollouts: Sequence[Rollout], tokens: npt.NDArray[np.uint32]) -> None:
        """Key, value and state of each one's next token, and the token, unless refused."""
        positions = np.array([item.length for item in rollouts])
        x = inputs(tokens, positions)
        keys, values = key_value(x, self._weights)
        states: F32 = next_state(np.stack([item.state for item in rollouts]), x, self._weights)
        _refuse(rollouts, usable(states), "BAD_STATE")
        for place, item in enumerate(rollouts):
            if item.status != _STATUS["OK"]:
                continue
            position = int(positions[place])
            block, slot = int(item.blocks[position // _TOKENS]), position % _TOKENS
            kv[block, 0, slot], kv[block, 1, slot] = keys[place], values[place]
            item.state[:] = states[place]
            item.tokens[position] = tokens[place]
            item.record["length"] = position + 1


def _refuse(rollouts: Sequence[Rollout], good: npt.NDArray[np.bool_], name: str) -> None:
    """Give the rollouts that are not good the status, unless they have one."""
    for item, fine in zip(rollouts, good.tolist(), strict=True):
        if not fine and item.status == _STATUS["OK"]:
            item.status = _STATUS[name]
