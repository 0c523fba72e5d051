# SPDX-License-Identifier: Apache-2.0
"""State, query, key, value and logits of many rollouts at once [STATE-003..STATE-007]."""

from __future__ import annotations

import numpy as np

from descring_model.engine.numbers import F16, F32, product, silu
from descring_model.engine.weights import Weights


def next_state(state: F32, x: F32, weights: Weights) -> F32:
    """The states after one more token each [STATE-004].

    Args:
        state: ``(n, 128)`` float32.
        x: ``(n, 128)`` float32, the tokens' inputs.
        weights: of the model.

    Returns:
        ``(n, 128)`` float32.
    """
    a = weights.bias + product(x, weights.w_in)
    r = product(state, weights.w_res)
    kept = np.float32(0.5) * state + np.float32(0.125) * r
    found: F32 = (kept + np.float32(0.25) * x) + np.float32(0.125) * silu(a)
    return found


def query(state: F32, weights: Weights) -> F32:
    """The queries of states, ``(n, 128)`` float32, not yet rounded to fp16 [STATE-005]."""
    return product(state, weights.w_q)


def key_value(x: F32, weights: Weights) -> tuple[F16, F16]:
    """Keys and values of tokens' inputs, ``(n, 128)`` float16 each [STATE-006]."""
    key, value = product(x, weights.w_k), product(x, weights.w_v)
    return key.astype(np.float16), value.astype(np.float16)


def logits(output: F16, weights: Weights) -> F32:
    """``(n, vocabulary)`` float32 of outputs ``(n, 128)`` float16 [STATE-007]."""
    return product(output.astype(np.float32), weights.unembedding)
