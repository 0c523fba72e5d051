# SPDX-License-Identifier: Apache-2.0
"""Attention over paged keys and values, many rollouts at once [ATT-001..ATT-007]."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from descring_model.engine import contract
from descring_model.engine.numbers import F16, F32, FLOATS, add_chunks, exp2, pow2, tree, usable

_TOKENS = contract.BLOCK_TOKENS
_BLOCK_BITS = 5
_GROUP_BLOCKS = 4096
"""Blocks whose keys and values are widened to float32 at a time."""


@dataclass(frozen=True)
class Partial:
    """Partial results of ATT-005, ``k`` of them, by (rollout, index).

    Attributes:
        rollout: ``(k,)``, whose it is.
        index: ``(k,)``, its number at this level of the tree.
        reference: ``(k,)`` int64, m.
        weight: ``(k,)`` float32, l.
        values: ``(k, 128)`` float32, A.
    """

    rollout: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    reference: npt.NDArray[np.int64]
    weight: F32
    values: F32


def slot_bias(positions: npt.NDArray[np.integer]) -> F32:
    """``b(p)`` of each position, float32 [ATT-001]."""
    steps = positions.astype(np.uint32) * np.uint32(contract.SLOT_STEP)
    return (steps >> np.uint32(24)).astype(np.float32) / np.float32(128)


@np.errstate(invalid="ignore", over="ignore")
def attend(
    query: F16,
    kv: F16,
    blocks: Sequence[npt.NDArray[np.integer]],
    lengths: npt.NDArray[np.integer],
    *,
    biased: bool = True,
) -> tuple[F32, npt.NDArray[np.bool_]]:
    """The outputs of one query a rollout.

    Args:
        query: ``(n, 128)`` float16.
        kv: ``(b, 2, 32, 128)`` float16, the arena's blocks: keys, then values [KV-001].
        blocks: of each rollout the blocks of its tokens in order, at least ``ceil(length / 32)``.
        lengths: ``(n,)``, tokens of each, 1 or more.
        biased: with the slot bias; without it this is the reference's softmax.

    Returns:
        ``(n, 128)`` float32, and ``(n,)`` bool, whether all scores are usable [NUM-007].
    """
    counts = -(-np.asarray(lengths, dtype=np.int64) // _TOKENS)
    rollout = np.repeat(np.arange(len(counts)), counts)
    index = np.concatenate([np.arange(count) for count in counts])
    where = np.concatenate(
        [found[:count] for found, count in zip(blocks, counts, strict=True)]
    ).astype(np.int64)
    good = np.ones(len(counts), dtype=np.bool_)
    found = []
    for part in _groups(len(where)):
        owner, place = rollout[part], index[part]
        positions = place[:, np.newaxis] * _TOKENS + np.arange(_TOKENS)
        present = positions < np.asarray(lengths)[owner][:, np.newaxis]
        pages = kv[where[part]].astype(np.float32)
        scores = _scores(query[owner].astype(np.float32), pages[:, 0])
        if biased:
            scores = scores + slot_bias(positions)
        sound = usable(np.where(present, scores, np.float32(0)))
        np.logical_and.at(good, owner, sound)
        scores = np.where(sound[:, np.newaxis], scores, np.float32(0))
        found.append(Partial(owner, place, *_block(scores, present, pages[:, 1])))
    return _finish(_concatenate(found)), good


def _groups(count: int) -> Iterator[slice]:
    return (slice(first, first + _GROUP_BLOCKS) for first in range(0, count, _GROUP_BLOCKS))


def _scores(query: F32, keys: F32) -> F32:
    """``(k, 32)`` scores without bias of queries ``(k, 128)`` and keys ``(k, 32, 128)``."""
    shape = (contract.DIMS // contract.DOT_CHUNK, contract.DOT_CHUNK)
    q = query.reshape(len(query), 1, *shape)
    k = keys.reshape(len(keys), _TOKENS, *shape)
    chunks = q[..., 0] * k[..., 0]
    for place in range(1, contract.DOT_CHUNK):
        chunks = chunks + q[..., place] * k[..., place]
    dots = add_chunks(np.swapaxes(chunks, 1, 2))
    return dots * FLOATS["SCORE_SCALE"]


def _block(
    scores: F32, present: npt.NDArray[np.bool_], values: F32
) -> tuple[npt.NDArray[np.int64], F32, F32]:
    """Reference, weight and values of each block [ATT-002..ATT-004]."""
    reference = np.where(present, np.ceil(scores), -np.inf).max(axis=1).astype(np.int64)
    below = np.where(present, scores - reference.astype(np.float32)[:, np.newaxis], np.float32(0))
    weights = np.where(present, exp2(below), np.float32(0))
    weighted = np.where(present[..., np.newaxis], weights[..., np.newaxis] * values, np.float32(0))
    # Bit 0 is joined last, so the even tokens stand before the odd ones.
    ordered = np.concatenate([weighted[:, 0::2], weighted[:, 1::2]], axis=1)
    return reference, tree(weights, _BLOCK_BITS), tree(ordered, _BLOCK_BITS)


def _concatenate(parts: list[Partial]) -> Partial:
    names = ("rollout", "index", "reference", "weight", "values")
    return Partial(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _join_level(part: Partial) -> Partial:
    """One bit of the tree: neighbours 2 i and 2 i + 1 of one rollout are joined [ATT-005]."""
    lower = np.flatnonzero((part.index[:-1] % 2 == 0) & (part.index[1:] == part.index[:-1] + 1))
    upper = lower + 1
    reference = part.reference.copy()
    weight, values = part.weight.copy(), part.values.copy()
    reference[lower] = np.maximum(part.reference[lower], part.reference[upper])
    f = pow2(part.reference[lower] - reference[lower])
    g = pow2(part.reference[upper] - reference[lower])
    weight[lower] = part.weight[lower] * f + part.weight[upper] * g
    f, g = f[:, np.newaxis], g[:, np.newaxis]
    values[lower] = part.values[lower] * f + part.values[upper] * g
    kept = np.ones(len(part.index), dtype=np.bool_)
    kept[upper] = False
    return Partial(
        part.rollout[kept], part.index[kept] // 2, reference[kept], weight[kept], values[kept]
    )


def _finish(part: Partial) -> F32:
    """Blocks to the output of each rollout [ATT-006] [ATT-007]."""
    while part.index.any():
        part = _join_level(part)
    found: F32 = (part.values + np.float32(0)) / part.weight[:, np.newaxis]
    return found
