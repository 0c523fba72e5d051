# SPDX-License-Identifier: Apache-2.0
"""Scorers for tests; a process of its own imports them by this module's name."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from descring_model.rollouts.rewards import ScoreRequest


def half(batch: Sequence[ScoreRequest]) -> list[float]:
    """A score that depends on the length."""
    return [item.length / 2 for item in batch]


def bad_for_group_one(batch: Sequence[ScoreRequest]) -> list[float]:
    """Fails for a batch with a rollout of group 1."""
    if any(item.group == 1 for item in batch):
        raise RuntimeError("no such file")
    return half(batch)


def dies_for_group_one(batch: Sequence[ScoreRequest]) -> list[float]:
    """Ends its process at a batch with a rollout of group 1."""
    if any(item.group == 1 for item in batch):
        os._exit(3)
    return half(batch)


def late_for_group_one(batch: Sequence[ScoreRequest]) -> list[float]:
    """Too slow for a batch with a rollout of group 1."""
    if any(item.group == 1 for item in batch):
        time.sleep(30)
    return half(batch)


def miscounts(batch: Sequence[ScoreRequest]) -> list[float]:
    """A score too few for group 1."""
    return half(batch)[: -1 if batch[0].group == 1 else None]


def not_a_number(batch: Sequence[ScoreRequest]) -> list[float]:
    """NaN for group 1."""
    return [float("nan") if item.group == 1 else 1.0 for item in batch]
