# SPDX-License-Identifier: Apache-2.0
"""Runs with an engine for tests, and what their tokens are when each rollout runs by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from descring_model.engine.batch import Batch
from descring_model.engine.model import ModelEngine
from descring_model.rollouts import contract
from descring_model.rollouts.records import Records
from descring_rollouts import Runtime, Sampling, make_requests, open_engine

NONE = contract.NONE
ENGINE = ModelEngine(64)
NATIVE = open_engine("native", 64)
SAMPLING = Sampling(seed=77, temperature=0.9, top_p=0.95, top_k=40, eos=11)
LENGTHS = (1, 31, 32, 33, 70)


def prompts(count: int, seed: int = 5) -> list[list[int]]:
    """Prompts around the edges of blocks."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 64, LENGTHS[place % len(LENGTHS)]).tolist() for place in range(count)]


def requests(given: Sequence[Sequence[int]], samples: int = 3, seed: int = 6) -> Records:
    """0 to 40 new tokens, some arrivals and cancellations."""
    rng = np.random.default_rng(seed)
    shape = (len(given), samples)
    cancel = rng.integers(0, 30, shape)
    cancel[rng.random(shape) < 0.75] = NONE
    columns: dict[str, Any] = {
        "new_tokens": rng.integers(0, 41, shape),
        "arrival": rng.integers(0, 6, shape),
        "cancel": cancel,
    }
    return make_requests(given, samples=samples, **columns)


def run(device: Any, asked: Records, given: Sequence[Sequence[int]], **options: Any) -> Runtime:
    """A finished run with the engine."""
    base: dict[str, Any] = {
        "engine": NATIVE, "sampling": SAMPLING, "slots": 6, "kv_blocks": 40,
    }  # fmt: skip
    runtime = Runtime(device, **base | options)
    list(runtime.run_requests(asked, [np.array(item, dtype=np.uint32) for item in given]))
    return runtime


def alone(
    asked: Records, given: Sequence[Sequence[int]], sampling: Sampling = SAMPLING
) -> tuple[list[list[int]], list[int]]:
    """Tokens and digests of each request, every rollout by itself in an arena of its own.

    What it made behind its eos is cut off, the eos is not [REC-007].
    """
    groups = asked["group"].tolist()
    members = [
        {**sampling.members(), "group": group, "sample": sample}
        for group, sample in asked[["group", "sample"]].tolist()
    ]
    room = int(asked["max_tokens"].max())
    batch = Batch(ENGINE, [given[group] for group in groups], room, members)
    batch.advance(asked["max_tokens"].tolist())
    tokens, digests = [], []
    for place, most in enumerate(asked["max_tokens"].tolist()):
        row = batch.tokens(place)[:most].tolist()
        given_here = int(asked["prompt_tokens"][place])
        made = row[given_here:]
        length = given_here + (made.index(sampling.eos) + 1 if sampling.eos in made else len(made))
        tokens.append(row[:length])
        content = batch.keys_values(place).reshape(most, -1).view(np.uint64).astype(object)[:length]
        weights = np.arange(64, dtype=object) * 2 + 1
        tags = (content * weights).sum(axis=1) % 2**64
        digests.append(int((tags * (np.arange(length, dtype=object) * 2 + 1)).sum() % 2**64))
    return tokens, digests


GIVEN = prompts(5)
ASKED = requests(GIVEN)
EXPECTED = alone(ASKED, GIVEN)
"""Tokens and digests of :data:`ASKED`."""
