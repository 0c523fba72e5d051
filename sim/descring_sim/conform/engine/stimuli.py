# SPDX-License-Identifier: Apache-2.0
"""What the cases of the level ``engine`` share: their table, and stimuli that show an order."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.engine import contract
from descring_model.engine.attention import slot_bias
from descring_model.engine.batch import Batch
from descring_model.engine.numbers import F16, FLOATS
from descring_model.engine.records import kv_blocks
from descring_model.engine.state import query
from descring_model.engine.weights import plane, weights

from descring_sim.conform.engine.trial import Trial

Body = Callable[[Trial], None]
COLD = 2.0**-10
"""A temperature at which the noise of a sum decides the token."""
BIG = 60000.0
SCORE = 8.5
"""A score that every position can have: its last place is above those of its parts."""
NAN = float("nan")


@dataclass(frozen=True)
class Case:
    """One case of one rule."""

    rule: str
    name: str
    what: str
    body: Body

    @property
    def id(self) -> str:
        """The name that ``--only`` takes."""
        return f"{self.rule}/{self.name}"


CASES: dict[str, Case] = {}
"""Every case by its id, in the order of declaration."""


def case(rule: str, name: str) -> Callable[[Body], Body]:
    """Declare a case; its docstring states what it shows."""

    def declare(body: Body) -> Body:
        made = Case(rule, name, (body.__doc__ or "").strip(), body)
        if made.id in CASES:
            raise ValueError(f"the case {made.id} is declared twice")
        CASES[made.id] = made
        return body

    return declare


def some_prompts(trial: Trial, lengths: list[int], vocabulary: int = 64) -> list[list[int]]:
    """Random prompts of these lengths."""
    return [trial.rng.integers(0, vocabulary, length).tolist() for length in lengths]


def mixed_members(trial: Trial, count: int) -> list[dict[str, Any]]:
    """Parameters of ``count`` rollouts, each within its range."""
    rng = trial.rng
    return [
        {
            "seed": int(rng.integers(0, 1 << 63)) * 2 + place % 2,
            "group": int(rng.integers(0, 1 << 31)),
            "sample": int(rng.integers(0, 1 << 31)),
            "temperature": float(rng.choice([0.25, 0.7, 1.0, 3.0])),
            "top_p": float(rng.choice([1.0, 0.9, 0.5, 0.1])),
            "top_k": int(rng.choice([0, 1, 5, 40, 64, 1000])),
        }
        for place in range(count)
    ]


def put_kv(batch: Batch, place: int, kv: F16) -> None:
    """Keys and values ``(n, 2, 128)`` of a rollout, as if n tokens were ingested."""
    pages = kv_blocks(batch.arena)
    for position, pair in enumerate(kv):
        block = int(batch.blocks(place)[position // contract.BLOCK_TOKENS])
        pages[block, :, position % contract.BLOCK_TOKENS] = pair
    batch.record(place)["length"] = len(kv)
    batch.record(place)["prompt_tokens"] = 1


def _equal_scores(query: F16, positions: npt.NDArray[np.integer]) -> F16:
    """Keys ``(n, 128)`` by which every position has the score :data:`SCORE`, bias included.

    Three elements approach the dot that is needed, the third in steps of its last place until the
    score is exact; a position for which no step is keeps a score that is nearly so.
    """
    dims = np.argsort(-np.abs(query.astype(np.float64)), kind="stable")[:3]
    q = query[dims].astype(np.float64)
    wanted = (SCORE - slot_bias(positions).astype(np.float64)) / float(FLOATS["SCORE_SCALE"])
    parts = np.zeros((3, len(positions)), dtype=np.float16)
    for place in range(3):
        parts[place] = (wanted - (parts.T.astype(np.float64) @ q)) / q[place]
    best = parts[2].copy()
    for step in range(-40, 41):
        tried = (parts[2].view(np.int16) + np.int16(step)).view(np.float16)
        exact = np.array([*parts[:2], tried]).astype(np.float64)
        dot = (q @ exact).astype(np.float32)
        score = dot * FLOATS["SCORE_SCALE"] + slot_bias(positions)
        best = np.where(score == np.float32(SCORE), tried, best)
    parts[2] = best
    keys = np.zeros((len(positions), contract.DIMS), dtype=np.float16)
    keys[:, dims] = parts.T
    return keys


def _cancelling(rng: np.random.Generator, query: F16, length: int, spread: float) -> F16:
    """Opposite values at positions of one score: what is left of their sum is its rounding.

    With a spread, pairs of positions that have one slot bias have one random key; without, all have
    the same score.
    """
    kv = np.zeros((length, 2, contract.DIMS), dtype=np.float16)
    kv[:, 1] = rng.normal(0, 2.0**-9, (length, contract.DIMS))
    order = rng.permutation(length)
    if spread:
        kv[:, 0] = rng.normal(0, spread, (length, contract.DIMS))
        order = order[np.argsort(slot_bias(order), kind="stable")]
    else:
        kv[:, 0] = _equal_scores(query, np.arange(length))
    bias = slot_bias(order)
    place = 0
    while place + 1 < length:
        one, other = order[place], order[place + 1]
        if spread and bias[place] != bias[place + 1]:
            place += 1
            continue
        if spread:
            kv[other, 0] = kv[one, 0]
        values = rng.uniform(BIG / 2, BIG, contract.DIMS) * rng.choice([-1, 1], contract.DIMS)
        kv[one, 1], kv[other, 1] = values, -values
        place += 2
    return kv


def show_attention(trial: Trial, lengths: list[int], spread: float) -> None:
    """One token each over crafted keys and values."""
    room = max(lengths) + 1
    cold = [{"temperature": COLD, "seed": seed} for seed in range(len(lengths))]
    order = trial.rng.permutation(len(lengths) * -(-room // contract.BLOCK_TOKENS))
    pair = trial.pair([[1]] * len(lengths), room, cold, order=order)

    def craft(batch: Batch) -> None:
        for place, length in enumerate(lengths):
            batch.state(place)[:] = trial.rng.normal(0, 0.5, contract.DIMS)
            made = query(batch.state(place)[np.newaxis], weights(64))[0].astype(np.float16)
            put_kv(batch, place, _cancelling(trial.rng, made, length, spread))

    pair.edit(craft)
    pair.advance([length + 1 for length in lengths])


@functools.cache
def _null_vectors() -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Triples of dims ``(k, 3)``, and elements ``(k, 3)`` for them that make two logits exactly 0.

    The elements are the vector product of the first two rows of the unembedding in these dims,
    where fp16 holds it.
    """
    rows = (64 * plane("UNEMBEDDING", np.arange(2))).astype(np.int64)
    dims = np.array(list(itertools.combinations(range(contract.DIMS), 3)))
    vectors = np.cross(rows[0][dims], rows[1][dims]).astype(np.float64)
    good = vectors.all(axis=1)
    dims, vectors = dims[good], vectors[good]
    vectors *= 2.0 ** np.floor(np.log2(BIG / np.abs(vectors).max(axis=1)))[:, np.newaxis]
    held = (vectors.astype(np.float16) == vectors).all(axis=1)
    return dims[held], vectors[held]


def small_logits(rng: np.random.Generator) -> F16:
    """An output ``(128,)`` of great elements whose two first logits are nearly 0."""
    output = rng.normal(0, 2.0**-14, contract.DIMS).astype(np.float16)
    dims, vectors = _null_vectors()
    used: set[int] = set()
    for place in rng.permutation(len(dims))[:400].tolist():
        if used.isdisjoint(dims[place].tolist()):
            output[dims[place]] = vectors[place]
            used |= set(dims[place].tolist())
    return output
