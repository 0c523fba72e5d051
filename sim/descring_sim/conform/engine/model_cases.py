# SPDX-License-Identifier: Apache-2.0
"""Cases of numbers, state and attention [NUM] [STATE] [ATT]."""

from __future__ import annotations

import numpy as np
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.records import kv_blocks

from descring_sim.conform.engine.stimuli import (
    COLD,
    NAN,
    case,
    mixed_members,
    put_kv,
    show_attention,
    small_logits,
    some_prompts,
)
from descring_sim.conform.engine.trial import Trial


@case("NUM-005", "weights")
def _(trial: Trial) -> None:
    """Weights have the bits of exp2: scores far and near, equal in pairs."""
    for spread in (0.2, 1.0, 4.0):
        show_attention(trial, trial.rng.integers(40, 300, 6).tolist(), spread)


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
        pair = trial.pair(some_prompts(trial, [40, 40]), 44)
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
    pair = trial.pair(
        some_prompts(trial, lengths), 60, mixed_members(trial, len(lengths)), order=order
    )
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
    pair = trial.pair(some_prompts(trial, [40] * 8), 40)
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
            put_kv(batch, place, kv)
            state = trial.rng.normal(0, 4e4, contract.DIMS).astype(np.float32)
            state[29:58], state[87:116], state[116:] = -state[:29], -state[58:87], 0
            batch.state(place)[:] = state

    pair.edit(craft)
    pair.advance(34)


@case("STATE-006", "keys-and-values")
def _(trial: Trial) -> None:
    """Keys and values of every token, given and made."""
    pair = trial.pair(some_prompts(trial, [70, 3]), 74, mixed_members(trial, 2))
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
                kv[0, 1] = small_logits(trial.rng)
                put_kv(batch, place, kv)

        pair.edit(craft)
        pair.advance(2)


@case("STATE-008", "steps")
def _(trial: Trial) -> None:
    """Whole rollouts, step after step."""
    pair = trial.pair(some_prompts(trial, [1, 9, 33]), 50, mixed_members(trial, 3))
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
            put_kv(batch, place, kv)

    pair.edit(craft)
    pair.advance(129)


@case("ATT-002", "absent-slots")
def _(trial: Trial) -> None:
    """Whatever is behind the last token has no part: NaN, infinities, great scores."""
    pair = trial.pair(some_prompts(trial, [37, 33, 64]), 70, mixed_members(trial, 3))
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
    show_attention(trial, list(range(1, 33)), 0.0)
    show_attention(trial, list(range(2, 34, 3)), 0.0)


@case("ATT-005", "rescale")
def _(trial: Trial) -> None:
    """Scores a hundred log2 units apart from block to block."""
    show_attention(trial, [40, 64, 96, 200, 300, 530], 8.0)


@case("ATT-006", "blocks")
def _(trial: Trial) -> None:
    """Values that cancel across blocks, for lengths around powers of two."""
    show_attention(trial, [33, 63, 64, 65, 96, 127, 129, 160, 255, 256, 257, 300], 0.0)
    show_attention(trial, [511, 513, 1000, 1025], 0.0)
