# SPDX-License-Identifier: Apache-2.0
"""Stand-in tokens, the token rule, and the advantage of a group [RWD-001..RWD-005]."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from descring_model.rollouts import contract

_GROUP = np.uint64(0x9E3779B97F4A7C15)
_SAMPLE = np.uint64(0xC2B2AE3D27D4EB4F)
_POSITION = np.uint64(0x165667B19E3779F9)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


@dataclass(frozen=True)
class ScoreRequest:
    """One score that is asked for: of the request's first ``length`` tokens."""

    request: int
    group: int
    sample: int
    prompt_tokens: int
    length: int
    final: bool
    tokens: npt.NDArray[np.uint32] | None = field(default=None, compare=False)
    """The first ``length`` tokens, prompt included; None without an engine."""


Scorer = Callable[[Sequence[ScoreRequest]], Sequence[int]]
"""Scores one batch: the 32-bit word of each request, in order [RWD-001]."""


def tokens_of(group: int, sample: int, first: int, end: int) -> npt.NDArray[np.uint32]:
    """The stand-in tokens of positions ``first`` to ``end``, exclusive; uint32 [RWD-005]."""
    with np.errstate(over="ignore"):
        base = np.uint64(group) * _GROUP + np.uint64(sample) * _SAMPLE
        x = np.arange(first, end, dtype=np.uint64) * _POSITION + base
        x ^= x >> np.uint64(29)
        x *= _MIX
        x ^= x >> np.uint64(32)
    return (x % np.uint64(contract.VOCABULARY)).astype(np.uint32)


def token_rule(batch: Sequence[ScoreRequest]) -> list[int]:
    """Scorers 1 and 2: decoded tokens that are a multiple of 4 [RWD-005]."""
    words = []
    for item in batch:
        if item.tokens is None:
            tokens = tokens_of(item.group, item.sample, item.prompt_tokens, item.length)
        else:
            tokens = item.tokens[item.prompt_tokens :]
        words.append(int(np.count_nonzero(tokens % contract.TOKEN_DIVISOR == 0)))
    return words


def score_value(scorer: int, word: int) -> float:
    """The number that a score word of ``scorer`` stands for [RWD-001]; exact in float64."""
    kind = np.int32 if scorer in (contract.SCORER_TOKEN_RULE, contract.SCORER_ADVANTAGE) else None
    bits = np.array([word], dtype=np.uint32)
    return float(bits.view(kind or np.float32)[0])


def advantages(scores: Sequence[float]) -> list[float]:
    """``(n r_i - S) / n`` of each score, rounded once to float64 [RWD-004].

    Raises:
        ValueError: a score is NaN or infinite.
    """
    if not all(np.isfinite(score) for score in scores):
        raise ValueError(f"expected finite scores, got {list(scores)}")
    count = len(scores)
    # Denominators of floats are powers of two, and a quotient of integers is rounded once.
    ratios = [float(score).as_integer_ratio() for score in scores]
    common = max((denominator for _, denominator in ratios), default=1)
    exact = [numerator * (common // denominator) for numerator, denominator in ratios]
    total = sum(exact)
    return [(count * score - total) / (count * common) for score in exact]
