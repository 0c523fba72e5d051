# SPDX-License-Identifier: Apache-2.0
"""Cases of sampling and records [SAMP] [REC]."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.records import kv_blocks

from descring_sim.conform.engine.stimuli import NAN, case, mixed_members, put_kv, some_prompts
from descring_sim.conform.engine.trial import Trial


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
            put_kv(batch, place, kv)

    pair.edit(craft)
    pair.advance(2)


@case("SAMP-001", "zero-temperature")
def _(trial: Trial) -> None:
    """The greatest logit, the lowest id among equals, whatever top_k and top_p are."""
    cold = [{**item, "temperature": 0.0} for item in mixed_members(trial, 24)]
    _one_token(trial, 24, cold, 1.0)
    _one_token(trial, 4, cold[:4], 0.0)


@case("SAMP-002", "top-k")
def _(trial: Trial) -> None:
    """Exactly k tokens, the lowest ids among equal logits."""
    hot = [{**item, "temperature": 500.0, "top_p": 1.0} for item in mixed_members(trial, 64)]
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
        for item, scale in zip(mixed_members(trial, 96), scales, strict=True)
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
            for place, item in enumerate(mixed_members(trial, 84))
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
    prompt = some_prompts(trial, [34])[0]
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
    pair = trial.pair(some_prompts(trial, [10, 10]), 40, mixed_members(trial, 2))
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
        pair = trial.pair(some_prompts(trial, [5, 5]), 12)

        def craft(batch: Batch, name: str = name, value: Any = value) -> None:
            batch.record(0)[name] = value

        pair.edit(craft)
        pair.advance([end, 6])
    for where in ("blocks", "tokens"):
        pair = trial.pair(some_prompts(trial, [40, 5]), 40)

        def beyond(batch: Batch, where: str = where) -> None:
            if where == "blocks":
                batch.blocks(0)[1] = 1 << 20
            else:
                batch.tokens(0)[39] = 64

        pair.edit(beyond)
        pair.advance([40, 6])
        pair.advance([32, 8])
