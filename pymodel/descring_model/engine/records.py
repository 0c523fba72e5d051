# SPDX-License-Identifier: Apache-2.0
"""Rollouts' records in an arena, and the checks before a rollout is advanced [REC-001..REC-004]."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from descring_model.engine import contract
from descring_model.engine.numbers import F16, F32, FLOATS
from descring_model.rollouts.kv import digest

ROLLOUT_DTYPE = np.dtype([(item.name, item.code) for item in contract.ROLLOUT_RECORD])
"""A record, 64 bytes [REC-001]."""

Bytes = npt.NDArray[np.uint8]

_STATUS = contract.STATUS
_TOKENS = contract.BLOCK_TOKENS


def kv_blocks(arena: Bytes) -> F16:
    """The whole blocks of an arena, ``(b, 2, 32, 128)`` float16, a view [KV-001]."""
    count = len(arena) // contract.BLOCK_BYTES
    whole = arena[: count * contract.BLOCK_BYTES]
    return whole.view(np.float16).reshape(count, 2, _TOKENS, contract.DIMS)


def words(arena: Bytes, offset: int, count: int) -> npt.NDArray[np.uint32]:
    """``count`` u32 from ``offset`` on, a view."""
    return arena[offset : offset + 4 * count].view(np.uint32)


def kv_digest(kv: F16, blocks: npt.NDArray[np.integer], length: int) -> int:
    """The digest of the keys and values of a sequence, read through its block map [REC-006].

    Args:
        kv: ``(b, 2, 32, 128)`` float16, the arena's blocks.
        blocks: of the sequence's tokens, in order.
        length: tokens.
    """
    pages = np.swapaxes(kv[blocks[: -(-length // _TOKENS)]], 1, 2)
    content = pages.reshape(-1, 2 * contract.DIMS)[:length].view(np.uint64)
    weights = np.arange(content.shape[1], dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    return digest((content * weights).sum(axis=1, dtype=np.uint64))


class Rollout:
    """Views of one rollout's record and of what it points to.

    Attributes:
        record: the record, a view.
        tokens: ``(end,)`` uint32, a view.
        blocks: ``(ceil(end / 32),)`` uint32, a view.
        state: ``(128,)`` float32, a view.
        end: where it shall be advanced to.
        status: OK, or what stopped it.
    """

    tokens: npt.NDArray[np.uint32]
    blocks: npt.NDArray[np.uint32]
    state: F32

    def __init__(self, arena: Bytes, offset: int, end: int, vocabulary: int) -> None:
        self.end = end
        self.status = self._open(arena, offset, vocabulary)

    @property
    def length(self) -> int:
        """Tokens that have been ingested."""
        return int(self.record["length"])

    @property
    def prompt_tokens(self) -> int:
        """Tokens that were given."""
        return int(self.record["prompt_tokens"])

    @property
    def runs(self) -> bool:
        """Whether there is something left to do."""
        return self.status == _STATUS["OK"] and self.length < self.end

    @property
    def ended(self) -> bool:
        """Whether the last token is one that ended the rollout [SAMP-007]."""
        last = self.length - 1
        return last >= self.prompt_tokens and int(self.tokens[last]) == int(self.record["eos"])

    def _open(self, arena: Bytes, offset: int, vocabulary: int) -> int:
        size = len(arena)
        if not _fits(offset, contract.RECORD_BYTES, size):
            return _STATUS["BAD_RECORD"]
        self.record: Any = arena[offset : offset + contract.RECORD_BYTES].view(ROLLOUT_DTYPE)[0]
        if self.end <= self.length:
            return _STATUS["OK"]
        count = -(-self.end // _TOKENS)
        extents = {"tokens": 4 * self.end, "blocks": 4 * count, "state": contract.STATE_BYTES}
        places = {name: int(self.record[name]) for name in extents}
        if not (
            self.prompt_tokens
            and self.end <= contract.LENGTH_MAX
            and _parameters_fit(self.record)
            and all(_fits(places[name], extents[name], size) for name in extents)
        ):
            return _STATUS["BAD_RECORD"]
        self.tokens = words(arena, places["tokens"], self.end)
        self.blocks = words(arena, places["blocks"], count)
        place = places["state"]
        self.state = arena[place : place + contract.STATE_BYTES].view(np.float32)
        if (self.blocks >= size // contract.BLOCK_BYTES).any():
            return _STATUS["BAD_BLOCK"]
        if (self.tokens[self.length : self.prompt_tokens] >= vocabulary).any():
            return _STATUS["BAD_TOKEN"]
        return _STATUS["OK"]


def _fits(offset: int, size: int, arena: int) -> bool:
    return offset % contract.RECORD_ALIGNMENT == 0 and offset + size <= arena


def _parameters_fit(record: Any) -> bool:
    temperature, top_p = record["temperature"], record["top_p"]
    warm = FLOATS["TEMPERATURE_MIN"] <= temperature <= FLOATS["TEMPERATURE_MAX"]
    return bool((temperature == 0 or warm) and FLOATS["TOP_P_MIN"] <= top_p <= 1)
