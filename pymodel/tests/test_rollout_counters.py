# SPDX-License-Identifier: Apache-2.0
"""Counters and gauges of the golden model: a run that moves each, with its value from the rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from descring_model import complete
from descring_model.rollouts import contract, counting, seeing
from descring_model.rollouts.pipeline import Pipeline
from descring_model.rollouts.records import make_config
from descring_model.rollouts.rewards import ScoreRequest
from descring_model.rollouts.run import run
from hypothesis import given, settings
from rollout_support import NONE, requests_of, runs


def moved(pipeline: Pipeline) -> dict[str, int]:
    """The counters by name."""
    words = counting.counters(pipeline)
    return {name: int(words[number]) for name, number in seeing.COUNTER.items()}


def refuse(_batch: Sequence[ScoreRequest]) -> list[int]:
    """A scorer that fails."""
    raise OSError("no such file")


# Two samples of a prompt of one whole block, one token each: the prompt at tick 0, the tokens at
# tick 1, the scores at tick 2, delivery at tick 3, slots and prompt given back at tick 4.
BRIEF = [(32, 33)]
CASES: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "plain": (
        {},
        {
            "ticks": 5, "arrived": 2, "admitted": 2, "delivered": 2, "windows": 3,
            "prefill_lines": 1, "decode_lines": 2, "reward_lines": 2, "completions": 5, "legs": 2,
            "tokens": 2, "prompt_tokens": 32, "scores": 2, "nodes": 1, "nodes_freed": 1,
            "blocks_allocated": 3, "blocks_freed": 3,
        },
    ),
    "window": (  # prompt; tokens, score, tokens, score: one line a tick
        {"window": 1},
        {"ticks": 7, "windows": 5, "waits_window": 2},
    ),
    "slot": ({"slots": 1}, {"waits_slot": 4, "nodes": 1, "prefill_lines": 1}),
    "credit": ({"decode_credits": 1}, {"waits_credit": 4}),
    "seat": ({"seats": 1, "staleness": 0}, {"waits_seat": 4, "versions": 2}),
    "blocks": ({"kv_blocks": 2}, {"waits_blocks": 4}),
    "reward": ({"reward_credits": 1}, {"waits_reward": 2}),
    "delivery": ({"deliver": 1}, {"waits_delivery": 1, "ticks": 6}),
    "versions": ({"seats": 2}, {"versions": 1}),
    "scorer": ({"scorer": 1}, {"score_requests": 2, "scores": 2, "reward_lines": 0}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_moves_a_counter(name: str) -> None:
    """[MET-001] [MET-002] [MET-003] By hand, from the rules of the tick."""
    limits, expected = CASES[name]
    pipeline = run(make_config(**limits), requests_of(BRIEF, samples=2))
    found = moved(pipeline)
    assert {key: found[key] for key in expected} == expected
    if name == "plain":
        assert {key for key, value in found.items() if value} == set(expected)
    if not name.startswith(("slot", "credit", "seat", "blocks")):
        assert not any(found[f"waits_{what}"] for what in ("slot", "credit", "seat", "blocks"))


def test_copies_cancellations_and_failed_scores_are_counted() -> None:
    """[MET-001] A partial block is copied once a sample; a cancelled and a failed rollout."""
    requests = requests_of([(40, 100)], samples=3)
    found = moved(run(make_config(), requests))
    # From 40 to 64, 96 and 100; one prompt of two blocks, three blocks a sample.
    assert (found["legs"], found["tokens"], found["blocks_copied"]) == (9, 180, 3)
    assert found["blocks_allocated"] == found["blocks_freed"] == 2 + 3 * 3
    requests["cancel"] = [1, NONE, 0]
    found = moved(run(make_config(depth=2), requests))
    # The first is in service at tick 1, the third never arrives.
    assert (found["cancelled"], found["cancels_deferred"], found["arrived"]) == (2, 1, 2)
    found = moved(run(make_config(scorer=1), requests_of(BRIEF, samples=2), refuse))
    assert (found["failed"], found["score_failures"], found["scores"]) == (2, 2, 0)


def test_an_abandoned_run_counts_its_rollouts_as_cancelled() -> None:
    """[MET-001] And holds nothing: every gauge is 0 but the free slots."""
    pipeline = Pipeline(make_config(slots=2), requests_of([(40, 100)], samples=3))
    first = pipeline.step()
    pipeline.step(complete(first.lines))
    pipeline.abandon()
    found = moved(pipeline)
    assert (found["ticks"], found["cancelled"], found["nodes_freed"]) == (2, 2, 1)
    assert found["blocks_allocated"] == found["blocks_freed"] > 0
    held = counting.gauges(pipeline)
    assert {name for name, number in seeing.GAUGE.items() if held[number]} == {
        "state_free",
        "queue_free",
    }


@given(runs())
@settings(max_examples=60)
def test_counters_agree_with_what_has_ended(case: tuple[Any, Any]) -> None:
    """[MET-001] What ended, was decoded and is held, in any run, at every tick; none ever falls."""
    config, requests = case
    before = np.zeros(seeing.COUNTER_WORDS, dtype=np.uint64)

    def watch(pipeline: Pipeline) -> None:
        nonlocal before
        now = counting.counters(pipeline)
        assert (now >= before).all()
        before = now
        found, held = moved(pipeline), counting.gauges(pipeline)
        ended = found["delivered"] + found["cancelled"] + found["failed"]
        assert ended == len(pipeline.ended)
        assert found["blocks_allocated"] - found["blocks_freed"] == pipeline.arena.in_use
        first = seeing.GAUGE["state_free"]
        states = held[first : first + len(contract.STATES)]
        assert int(states.sum()) == int(config["slots"][0])

    pipeline = run(config, requests, watch=watch)
    found, end = moved(pipeline), pipeline.log.records()[-1]
    assert (found["delivered"], found["cancelled"], found["failed"]) == tuple(
        int(end[name]) for name in "abc"
    )
    assert found["tokens"] == int(end["d"])
