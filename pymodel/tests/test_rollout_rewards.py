# SPDX-License-Identifier: Apache-2.0
"""Tokens, scores and advantages, against plain integers and exact fractions."""

import struct
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from descring_model.rollouts import contract
from descring_model.rollouts.rewards import (
    ScoreRequest,
    advantages,
    score_value,
    token_rule,
    tokens_of,
)
from hypothesis import given
from hypothesis import strategies as st
from rollout_support import token


def test_requests_for_scores_are_compared_without_their_tokens() -> None:
    """An array has no one truth; the tokens follow from the other fields or from the engine."""
    first, second = (
        ScoreRequest(0, 1, 2, 4, 6, True, np.arange(start, start + 6, dtype=np.uint32))
        for start in (0, 1)
    )
    assert first == second
    assert first != replace(first, length=7)


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**32 - 1), st.integers(1, 300), st.data())
def test_token_rule_counts_multiples_of_four(
    group: int, sample: int, prompt: int, data: st.DataObject
) -> None:
    """[RWD-005] [RWD-001] Against integers without bound."""
    length = data.draw(st.integers(prompt, prompt + 80))
    expected = [token(group, sample, p) for p in range(prompt, length)]
    assert tokens_of(group, sample, prompt, length).tolist() == expected
    request = ScoreRequest(0, group, sample, prompt, length, True)
    assert token_rule([request, request]) == [sum(1 for t in expected if t % 4 == 0)] * 2


@given(st.floats(width=32, allow_nan=False), st.integers(-(2**31), 2**31 - 1))
def test_score_words(number: float, integer: int) -> None:
    """[RWD-001] float32 bits for 0 and the caller's, two's complement for the token rule."""
    word = struct.unpack("<I", struct.pack("<f", number))[0]
    for scorer in (contract.SCORER_OP_010, contract.SCORER_CUSTOM, 4000):
        assert score_value(scorer, word) == number
    word = integer & 0xFFFFFFFF
    for scorer in (contract.SCORER_TOKEN_RULE, contract.SCORER_ADVANTAGE):
        assert score_value(scorer, word) == integer


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20))
def test_advantages_are_rounded_once(scores: list[float]) -> None:
    """[RWD-004] Each within half a unit of the exact value in the last place, or nearest to it."""
    exact_sum = sum((Fraction(score) for score in scores), Fraction(0))
    for score, value in zip(scores, advantages(scores), strict=True):
        exact = Fraction(score) - exact_sum / len(scores)
        assert value == float(exact)


def test_advantages_of_integers_are_exact_where_they_can_be() -> None:
    """[RWD-004] Four integer scores, a single one, none, and one that is no number."""
    assert advantages([1.0, 2.0, 3.0, 6.0]) == [-2.0, -1.0, 0.0, 3.0]
    assert advantages([0.1]) == [0.0]
    assert advantages([]) == []
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="finite"):
            advantages([1.0, bad])
