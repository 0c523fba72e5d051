# SPDX-License-Identifier: Apache-2.0
"""The cases: which rule, and the rollouts that show it.

An engine shows tokens, keys, values and states, no scores or outputs. So the cases of attention,
query and logits are built to cancel: what remains of a sum is its rounding, which another order of
the sum changes, and a low temperature makes a token of it. The sum of a block's weights (ATT-003)
and the division (ATT-007) change an output by an ulp at most and can pass unseen.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
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


def _prompts(trial: Trial, lengths: list[int], vocabulary: int = 64) -> list[list[int]]:
    return [trial.rng.integers(0, vocabulary, length).tolist() for length in lengths]


def _mixed(trial: Trial, count: int) -> list[dict[str, Any]]:
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


def _set_kv(batch: Batch, place: int, kv: F16) -> None:
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


def _attention(trial: Trial, lengths: list[int], spread: float) -> None:
    """One token each over crafted keys and values."""
    room = max(lengths) + 1
    cold = [{"temperature": COLD, "seed": seed} for seed in range(len(lengths))]
    order = trial.rng.permutation(len(lengths) * -(-room // contract.BLOCK_TOKENS))
    pair = trial.pair([[1]] * len(lengths), room, cold, order=order)

    def craft(batch: Batch) -> None:
        for place, length in enumerate(lengths):
            batch.state(place)[:] = trial.rng.normal(0, 0.5, contract.DIMS)
            made = query(batch.state(place)[np.newaxis], weights(64))[0].astype(np.float16)
            _set_kv(batch, place, _cancelling(trial.rng, made, length, spread))

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


def _small_logits(rng: np.random.Generator) -> F16:
    """An output ``(128,)`` of great elements whose two first logits are nearly 0."""
    output = rng.normal(0, 2.0**-14, contract.DIMS).astype(np.float16)
    dims, vectors = _null_vectors()
    used: set[int] = set()
    for place in rng.permutation(len(dims))[:400].tolist():
        if used.isdisjoint(dims[place].tolist()):
            output[dims[place]] = vectors[place]
            used |= set(dims[place].tolist())
    return output


@case("NUM-005", "weights")
def _(trial: Trial) -> None:
    """Weights have the bits of exp2: scores far and near, equal in pairs."""
    for spread in (0.2, 1.0, 4.0):
        _attention(trial, trial.rng.integers(40, 300, 6).tolist(), spread)


@case("NUM-006", "states-are-rounded")
def _(trial: Trial) -> None:
    """Products with a state are rounded before they are added: no fused multiply-add."""
    pair = trial.pair([[1, 2]] * 8, 8)

    def craft(batch: Batch) -> None:
        for place in range(8):
            batch.state(place)[:] = trial.rng.normal(0, 10.0 ** (place - 3), contract.DIMS)

    pair.edit(craft)
    pair.advance(1)


@case("NUM-007", "statuses")
def _(trial: Trial) -> None:
    """A NaN or infinity in state, key or value, named by the first stage; neighbours run."""
    for damage in range(5):
        pair = trial.pair(_prompts(trial, [40, 40]), 44)
        pair.advance(40)

        def craft(batch: Batch, damage: int = damage) -> None:
            kv = kv_blocks(batch.arena)
            first, second = batch.blocks(0)[:2].tolist()
            if damage == 0:
                batch.state(0)[77] = np.inf
            elif damage == 1:
                batch.state(0)[:] = trial.rng.normal(0, 1e6, contract.DIMS)
            elif damage == 2:
                kv[second, 0, 7, 127] = NAN
            elif damage == 3:
                kv[first, 1, 0, 0] = -np.inf
            else:
                batch.record(0)["prompt_tokens"] = 42
                batch.state(0)[5] = 3e8

        pair.edit(craft)
        pair.advance(44)


@case("NUM-008", "batch")
def _(trial: Trial) -> None:
    """All together, one by one, in blocks of any order, a few tokens a call."""
    lengths = [1, 31, 32, 33, 5]
    order = trial.rng.permutation(len(lengths) * 2)
    pair = trial.pair(_prompts(trial, lengths), 60, _mixed(trial, len(lengths)), order=order)
    pair.advance(35)
    for place in trial.rng.permutation(len(lengths)).tolist():
        pair.advance(40 + place, [place])
    for end in (46, 47, 60):
        pair.advance(end)


@case("STATE-002", "inputs")
def _(trial: Trial) -> None:
    """Tokens up to the vocabulary's last, positions up to 131072."""
    vocabulary = 4099
    pair = trial.pair([[vocabulary - 1, 0, 4096]] * 2, 4, vocabulary=vocabulary)
    pair.advance(3)
    far = trial.pair([[1]], 1 << 17)

    def craft(batch: Batch) -> None:
        start = (1 << 17) - 40
        batch.record(0)["prompt_tokens"] = 1 << 17
        batch.record(0)["length"] = start
        batch.tokens(0)[start:] = trial.rng.integers(0, 64, 40)

    far.edit(craft)
    far.advance((1 << 17) - 3)


@case("STATE-004", "prompt")
def _(trial: Trial) -> None:
    """The state after prompts, and after states that cancel in the recurrent product."""
    pair = trial.pair(_prompts(trial, [40] * 8), 40)
    pair.advance(20)

    def craft(batch: Batch) -> None:
        for place in range(8):
            state = trial.rng.normal(0, 10.0 ** (place - 2), contract.DIMS).astype(np.float32)
            state[17:34] = -state[:17]
            batch.state(place)[:] = state

    pair.edit(craft)
    pair.advance(21)


@case("STATE-005", "query")
def _(trial: Trial) -> None:
    """Queries of states that cancel in the product: rows 29 apart are equal."""
    count = 12
    cold = [{"temperature": COLD, "seed": seed} for seed in range(count)]
    pair = trial.pair([[1]] * count, 34, cold)

    def craft(batch: Batch) -> None:
        for place in range(count):
            kv = trial.rng.normal(0, 1, (33, 2, contract.DIMS)).astype(np.float16)
            kv[:, 0] *= np.float16(200)
            _set_kv(batch, place, kv)
            state = trial.rng.normal(0, 4e4, contract.DIMS).astype(np.float32)
            state[29:58], state[87:116], state[116:] = -state[:29], -state[58:87], 0
            batch.state(place)[:] = state

    pair.edit(craft)
    pair.advance(34)


@case("STATE-006", "keys-and-values")
def _(trial: Trial) -> None:
    """Keys and values of every token, given and made."""
    pair = trial.pair(_prompts(trial, [70, 3]), 74, _mixed(trial, 2))
    pair.advance([74, 20])


@case("STATE-007", "logits")
def _(trial: Trial) -> None:
    """Two logits that nearly cancel: the order of their sums decides; and many that do not."""
    for vocabulary, count in ((2, 48), (1024, 8)):
        cold = [{"temperature": COLD, "seed": seed} for seed in range(count)]
        pair = trial.pair([[1]] * count, 2, cold, vocabulary=vocabulary)

        def craft(batch: Batch, count: int = count) -> None:
            for place in range(count):
                kv = np.zeros((1, 2, contract.DIMS), dtype=np.float16)
                kv[0, 1] = _small_logits(trial.rng)
                _set_kv(batch, place, kv)

        pair.edit(craft)
        pair.advance(2)


@case("STATE-008", "steps")
def _(trial: Trial) -> None:
    """Whole rollouts, step after step."""
    pair = trial.pair(_prompts(trial, [1, 9, 33]), 50, _mixed(trial, 3))
    pair.advance(50)


@case("ATT-001", "order-of-blocks")
def _(trial: Trial) -> None:
    """The slot bias: keys and values that are equal in every slot but for the values' sign."""
    count = 16
    warm = [{"temperature": 0.3, "seed": seed} for seed in range(count)]
    pair = trial.pair([[1]] * count, 129, warm)

    def craft(batch: Batch) -> None:
        for place in range(count):
            kv = trial.rng.normal(0, 1, (128, 2, contract.DIMS)).astype(np.float16)
            kv[:, 0] = 0
            _set_kv(batch, place, kv)

    pair.edit(craft)
    pair.advance(129)


@case("ATT-002", "absent-slots")
def _(trial: Trial) -> None:
    """Whatever is behind the last token has no part: NaN, infinities, great scores."""
    pair = trial.pair(_prompts(trial, [37, 33, 64]), 70, _mixed(trial, 3))
    pair.advance([37, 33, 64])

    def craft(batch: Batch) -> None:
        for place, trash in enumerate((NAN, np.inf, 3e4)):
            length = int(batch.record(place)["length"])
            tail = kv_blocks(batch.arena)[batch.blocks(place)[length // contract.BLOCK_TOKENS]]
            tail[:, length % contract.BLOCK_TOKENS :] = trash

    pair.edit(craft)
    pair.advance([38, 34, 65])


@case("ATT-004", "values")
def _(trial: Trial) -> None:
    """Values that cancel within a block, for each number of tokens in it."""
    _attention(trial, list(range(1, 33)), 0.0)
    _attention(trial, list(range(2, 34, 3)), 0.0)


@case("ATT-005", "rescale")
def _(trial: Trial) -> None:
    """Scores a hundred log2 units apart from block to block."""
    _attention(trial, [40, 64, 96, 200, 300, 530], 8.0)


@case("ATT-006", "blocks")
def _(trial: Trial) -> None:
    """Values that cancel across blocks, for lengths around powers of two."""
    _attention(trial, [33, 63, 64, 65, 96, 127, 129, 160, 255, 256, 257, 300], 0.0)
    _attention(trial, [511, 513, 1000, 1025], 0.0)


def _one_token(
    trial: Trial,
    count: int,
    parameters: list[dict[str, Any]],
    spread: float,
    vocabulary: int = 64,
) -> None:
    """One token each from the logits of one value."""
    pair = trial.pair([[1]] * count, 2, parameters, vocabulary=vocabulary)

    def craft(batch: Batch) -> None:
        for place in range(count):
            kv = np.zeros((1, 2, contract.DIMS), dtype=np.float16)
            kv[0, 1] = trial.rng.normal(0, spread, contract.DIMS)
            _set_kv(batch, place, kv)

    pair.edit(craft)
    pair.advance(2)


@case("SAMP-001", "zero-temperature")
def _(trial: Trial) -> None:
    """The greatest logit, the lowest id among equals, whatever top_k and top_p are."""
    cold = [{**item, "temperature": 0.0} for item in _mixed(trial, 24)]
    _one_token(trial, 24, cold, 1.0)
    _one_token(trial, 4, cold[:4], 0.0)


@case("SAMP-002", "top-k")
def _(trial: Trial) -> None:
    """Exactly k tokens, the lowest ids among equal logits."""
    hot = [{**item, "temperature": 500.0, "top_p": 1.0} for item in _mixed(trial, 64)]
    for place, item in enumerate(hot):
        item["top_k"] = 1 + place % 7
    _one_token(trial, 64, hot, 0.5)
    _one_token(trial, 64, hot, 0.0)


@case("SAMP-003", "masses")
def _(trial: Trial) -> None:
    """Draws from all masses, at temperatures from 2^-10 to 2^10."""
    scales = 2.0 ** trial.rng.integers(-10, 11, 96)
    wide = [
        {**item, "temperature": float(scale), "top_p": 1.0, "top_k": 0}
        for item, scale in zip(_mixed(trial, 96), scales, strict=True)
    ]
    for spread in (0.05, 0.5, 3.0):
        _one_token(trial, 96, wide, spread, 1024)


@case("SAMP-004", "top-p")
def _(trial: Trial) -> None:
    """The shortest prefix with the share, of what top_k left, exact shares among them."""
    shares = (0.5, 0.1, 0.25, 0.75, 2.0**-20, 1 - 2.0**-24, 1 / 3)
    for spread in (0.0, 0.2, 0.6):
        made = [
            {**item, "temperature": 2.0, "top_p": shares[place % 7], "top_k": (0, 9)[place % 2]}
            for place, item in enumerate(_mixed(trial, 84))
        ]
        _one_token(trial, 84, made, spread)


@case("SAMP-005", "draws")
def _(trial: Trial) -> None:
    """Equal masses, where the token is the random number's high bits; and 4099 others."""
    seeds = [{"seed": int(seed)} for seed in trial.rng.integers(0, 1 << 62, 1000)]
    _one_token(trial, 200, seeds[:200], 0.0)
    _one_token(trial, 1000, seeds, 0.1, 4099)


@case("SAMP-006", "random-numbers")
def _(trial: Trial) -> None:
    """Seed, group, sample and position each have their word, all 32 or 64 bits of it."""
    parameters: list[dict[str, Any]] = [{}]
    for name, bits in (("seed", 64), ("group", 32), ("sample", 32)):
        parameters += [{name: 1 << bit} for bit in range(bits)]
    _one_token(trial, len(parameters), parameters, 0.0)
    pair = trial.pair([[1]], 40, [{"temperature": 1024.0}])
    pair.advance(40)


@case("SAMP-007", "eos")
def _(trial: Trial) -> None:
    """After eos only eos; one in the prompt does not count; it is ingested like any other."""
    made = [
        {"temperature": 8.0, "eos": eos, "seed": seed} for seed in range(3) for eos in (0, 1, 2)
    ]
    pair = trial.pair([[0, 1, 2]] * 9, 40, made, vocabulary=4)
    pair.advance(20)
    pair.advance(40)


@case("REC-002", "shared-prefix")
def _(trial: Trial) -> None:
    """Two samples behind a copy of one prompt's state, on its blocks."""
    prompt = _prompts(trial, [34])[0]
    pair = trial.pair([prompt] * 3, 60, [{}, {"sample": 1}, {"sample": 2}])
    pair.advance(34, [0])

    def craft(batch: Batch) -> None:
        kv = kv_blocks(batch.arena)
        for place in (1, 2):
            batch.record(place)["length"] = 34
            batch.state(place)[:] = batch.state(0)
            kv[batch.blocks(place)[1], :, :2] = kv[batch.blocks(0)[1], :, :2]
            batch.blocks(place)[0] = batch.blocks(0)[0]

    pair.edit(craft)
    pair.advance(60, [1, 2])


@case("REC-003", "ends")
def _(trial: Trial) -> None:
    """An end that is reached already changes nothing; given tokens stay."""
    pair = trial.pair(_prompts(trial, [10, 10]), 40, _mixed(trial, 2))
    for end in ([12, 0], [3, 4], [12, 10], [13, 39]):
        pair.advance(end)


def _refusals() -> Iterator[tuple[str, Any, int]]:
    """Members, values and ends that are to be refused, or only just not."""
    for value in (-1.0, NAN, 2.0**-11, 1024.5, np.inf, 2.0**-10, 1024.0):
        yield "temperature", value, 12
    for value in (0.0, NAN, -0.5, 1.0000001, 2.0**-21, 2.0**-20):
        yield "top_p", value, 12
    for name in ("tokens", "blocks", "state"):
        for offset in (4, 32, 1 << 40, (1 << 64) - 64, 1 << 63):
            yield name, offset, 12
    yield "prompt_tokens", 0, 12
    yield "top_k", 0xFFFFFFFF, 12
    yield "eos", 0xFFFFFFFF, 12
    yield "seed", 0, 1 << 31
    yield "seed", 0, 0xFFFFFFFF


@case("REC-004", "refusals")
def _(trial: Trial) -> None:
    """Each member out of range, maps and tokens beyond; nothing is changed, neighbours run."""
    for name, value, end in _refusals():
        pair = trial.pair(_prompts(trial, [5, 5]), 12)

        def craft(batch: Batch, name: str = name, value: Any = value) -> None:
            batch.record(0)[name] = value

        pair.edit(craft)
        pair.advance([end, 6])
    for where in ("blocks", "tokens"):
        pair = trial.pair(_prompts(trial, [40, 5]), 40)

        def beyond(batch: Batch, where: str = where) -> None:
            if where == "blocks":
                batch.blocks(0)[1] = 1 << 20
            else:
                batch.tokens(0)[39] = 64

        pair.edit(beyond)
        pair.advance([40, 6])
        pair.advance([32, 8])
