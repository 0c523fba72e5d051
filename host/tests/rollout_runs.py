# SPDX-License-Identifier: Apache-2.0
"""Requests, configurations and small runs that several suites of the rollout core share."""

import numpy as np
from descring_model.rollouts import contract, records
from descring_rollouts.core import Core

NONE = contract.NONE


def make_requests(rng: np.random.Generator, count: int, **limits: int) -> records.Records:
    """Random requests in groups, some cancelled, some of no token."""
    requests = np.zeros(count, dtype=records.REQUEST_DTYPE)
    samples = int(rng.integers(1, 9))
    requests["group"] = rng.permutation(1 << 20)[np.arange(count) // samples]
    requests["sample"] = np.arange(count) % samples
    prompts = rng.integers(1, limits.get("prompt", 150), size=count)
    requests["prompt_tokens"] = prompts[np.arange(count) // samples]
    more = rng.integers(0, limits.get("more", 200), size=count)
    more[rng.random(count) < 0.1] = 0
    requests["max_tokens"] = requests["prompt_tokens"] + more
    requests["arrival"] = np.where(rng.random(count) < 0.5, 0, rng.integers(0, 60, size=count))
    cancel = rng.integers(0, 90, size=count)
    requests["cancel"] = np.where(rng.random(count) < 0.25, cancel, NONE)
    requests["rank"] = rng.integers(-5, 5, size=count)
    order: records.Records = requests[rng.permutation(count)]
    return order


def make_config(rng: np.random.Generator, requests: records.Records) -> records.Records:
    """A random configuration in which every request fits, often scarcely."""

    def pick(*values: int) -> int:
        return int(rng.choice(values))

    prompt = requests["prompt_tokens"].astype(np.int64)
    longest = requests["max_tokens"].astype(np.int64)
    need = -(-prompt // 32) + np.where(longest > prompt, -(-longest // 32) - prompt // 32, 0)
    largest = int(need.max(initial=1))
    seats = pick(NONE, 1, 3, 16)
    return records.make_config(
        slots=pick(1, 2, 5, 16, 64),
        decode_credits=pick(NONE, 1, 4, 20),
        reward_credits=pick(NONE, 1, 3),
        trajectory_credits=pick(NONE, 1, 3),
        kv_blocks=pick(largest, largest + 3, 3 * largest, 4096),
        window=pick(1, 2, 7, 32, 256),
        depth=pick(1, 2, 3, 8),
        ring_slots=pick(2, 4, 16, 1024),
        policy=int(rng.integers(0, len(contract.POLICIES))),
        overtake=pick(NONE, 0, 1, 3),
        scorer=pick(0, 0, 1, 2, 16),
        score_ticks=pick(1, 2, 5),
        deliver=pick(NONE, 1, 2),
        seats=seats,
        staleness=pick(0, 1, 3),
        options=int(rng.integers(0, 1 + sum(contract.OPTION.values()))),
    )


def explain(expected: records.Records, got: records.Records) -> str:
    """The first record that differs, for people."""
    for number, (wanted, found) in enumerate(zip(expected, got, strict=False)):
        if wanted != found:
            texts = records.describe_record(wanted), records.describe_record(found)
            return f"record {number}: expected {texts[0]}\n  got {texts[1]}"
    return f"expected {len(expected)} records, got {len(got)}"


def small_run() -> Core:
    """Four rollouts of one prompt, of which the first window is out."""
    requests = np.zeros(4, dtype=records.REQUEST_DTYPE)
    requests["sample"] = range(4)
    requests["prompt_tokens"], requests["max_tokens"], requests["cancel"] = 40, 100, NONE
    return Core(records.make_config(slots=4), requests)


def wide_run(rollouts: int = 8, **limits: int) -> Core:
    """Rollouts of a prompt each, whose first windows are full until each has a line."""
    requests = np.zeros(rollouts, dtype=records.REQUEST_DTYPE)
    requests["group"] = range(rollouts)
    requests["prompt_tokens"], requests["max_tokens"], requests["cancel"] = 40, 100, NONE
    return Core(records.make_config(slots=rollouts, **limits), requests)
