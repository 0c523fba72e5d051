# SPDX-License-Identifier: Apache-2.0
"""Prompts as tokens, checked before a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_model.rollouts import contract
from descring_model.rollouts.records import Records

Tokens = npt.NDArray[np.uint32]


def prompt_tokens(prompts: Sequence[Any]) -> list[Tokens]:
    """The tokens of each prompt, ``(n,)`` uint32.

    Raises:
        ValueError: a prompt is a mere number of tokens, or no sequence of integers below
            2^32 - 1.
    """
    found = []
    for place, prompt in enumerate(prompts):
        tokens = np.asarray(prompt)
        if tokens.ndim == 0:
            raise ValueError(
                f"prompt {place}: expected its tokens, got {prompt}; an engine needs the tokens, "
                "not their number"
            )
        if tokens.ndim != 1 or not (tokens.size == 0 or np.issubdtype(tokens.dtype, np.integer)):
            raise ValueError(
                f"prompt {place}: expected integers, got shape {tokens.shape} of {tokens.dtype}"
            )
        if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < contract.NONE:
            raise ValueError(
                f"prompt {place}: expected tokens from 0 to 2^32 - 2, got {tokens.min()} to "
                f"{tokens.max()}"
            )
        found.append(tokens.astype(np.uint32))
    return found


def check_prompts(vocabulary: int, requests: Records, prompts: Sequence[Tokens]) -> None:
    """Check that each request has its prompt.

    Args:
        vocabulary: tokens are below it.
        requests: ``(n,)`` of REQUEST_DTYPE.
        prompts: by the number of the group.

    Raises:
        ValueError: a prompt is missing, has another length, or a token is unknown.
    """
    for group, count in requests[["group", "prompt_tokens"]].tolist():
        got = len(prompts[group]) if group < len(prompts) else 0
        if got != count:
            raise ValueError(f"prompt {group}: expected {count} tokens, got {got}")
    for place, prompt in enumerate(prompts):
        if prompt.size and int(prompt.max()) >= vocabulary:
            raise ValueError(
                f"prompt {place}: expected tokens below the vocabulary of {vocabulary}, got "
                f"{int(prompt.max())}"
            )
