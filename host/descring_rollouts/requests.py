# SPDX-License-Identifier: Apache-2.0
"""Requests from prompts: how many samples of each, how long, when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.rollouts import contract
from descring_model.rollouts.records import REQUEST_DTYPE, Records

from descring_rollouts.arguments import integer, integers, prompt_lengths

Integers = int | Sequence[int] | npt.NDArray[np.integer]


def make_requests(
    prompts: Sequence[int | Sequence[int] | npt.NDArray[np.integer]],
    *,
    samples: int = 1,
    new_tokens: Integers | npt.NDArray[np.integer] = 32,
    arrival: Integers = 0,
    cancel: Integers = contract.NONE,
    rank: Integers = 0,
) -> Records:
    """Requests for ``samples`` rollouts of each prompt.

    Args:
        prompts: of each its number of tokens, or its tokens, of which the number counts here.
        samples: rollouts a prompt, 1 or more.
        new_tokens: tokens to decode: one number, one a prompt, or ``(prompts, samples)``.
        arrival: tick, in the same forms.
        cancel: tick of the cancellation, likewise; the default is never.
        rank: of policy CUSTOM, likewise.

    Returns:
        ``(prompts * samples,)`` of REQUEST_DTYPE; the group is the prompt's place.

    Raises:
        ValueError: shapes that do not fit, or a number that is out of range.
    """
    samples = integer("samples", samples)
    if samples < 1:
        raise ValueError(f"samples: expected 1 or more, got {samples}")
    lengths = prompt_lengths(prompts)
    shape = (len(lengths), samples)
    requests = np.zeros(shape, dtype=REQUEST_DTYPE)
    columns: dict[str, Any] = {
        "prompt_tokens": lengths,
        "max_tokens": _spread("new_tokens", new_tokens, shape) + np.array(lengths)[:, np.newaxis],
        "arrival": arrival,
        "cancel": cancel,
        "rank": rank,
    }
    for name, values in columns.items():
        spread = _spread(name, values, shape)
        limits = np.iinfo(REQUEST_DTYPE[name])
        wrong = (spread < limits.min) | (spread > limits.max)
        if wrong.any():
            raise ValueError(
                f"{name}: expected {limits.min} to {limits.max}, got {spread[wrong].flat[0]}"
            )
        requests[name] = spread
    requests["group"] = np.arange(len(lengths))[:, np.newaxis]
    requests["sample"] = np.arange(samples)
    return requests.reshape(-1)


def _spread(name: str, values: Any, shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    array = integers(name, values)
    if array.ndim == 1:
        array = array[:, np.newaxis]
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"{name}: expected one number, {shape[0]} (one a prompt) or an array of shape {shape}, "
            f"got shape {np.shape(values)}"
        ) from None
