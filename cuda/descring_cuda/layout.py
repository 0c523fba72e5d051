# SPDX-License-Identifier: Apache-2.0
"""Structures that host and kernels share (``cuda/kernels/seats.cuh``), as NumPy types."""

from __future__ import annotations

import numpy as np
from descring_model.engine.records import ROLLOUT_DTYPE

POINTERS = (
    "arena", "arena_bytes", "w_in", "w_res", "w_q", "w_k", "w_v", "unembedding", "bias", "tables",
    "control", "seats", "tasks", "queries", "outputs", "halves", "logits", "partials",
    "partial_sums", "arrivals",
)  # fmt: skip
"""Addresses, and the arena's size, of ``hwe_engine_t``."""
NUMBERS = ("seat_count", "vocabulary", "pitch", "task_capacity", "given_turns", "task_blocks")

ENGINE_DTYPE = np.dtype(
    [*((name, "<u8") for name in POINTERS), *((name, "<u4") for name in NUMBERS)]
)
SEAT_DTYPE = np.dtype(
    [
        ("rollout", ROLLOUT_DTYPE),
        ("record", "<u8"),
        *(
            (name, "<u4")
            for name in (
                "end", "state", "refused", "status", "awaits", "ended", "token", "given_up",
                "first_task", "task_room",
                "line",
            )
        ),
        ("unused", "<u4", 3),
    ]
)  # fmt: skip
"""A seat, 128 bytes."""
CONTROL_DTYPE = np.dtype(
    [
        ("number", "<u4"),
        ("running", "<u4"),
        ("arrived", "<u4"),
        ("unused", "<u4"),
        ("step", "<u4", (3, 4)),
    ]
)
"""Of the steps, 64 bytes.

A step counts its tasks, those that are taken, seats that make a token, and seats with given tokens.
"""

SEAT_FREE, SEAT_NEW, SEAT_RUNS, SEAT_DONE = range(4)
TOO_LONG = 16
"""Status of a rollout that is longer than its seat has room for."""
STEPS = 3
FAN = 8
TASK_BYTES = 16
TASK_BLOCKS = 8
"""Blocks of one task of attention, at most."""
PITCH = 128


def levels(tasks: int) -> int:
    """How often neighbouring partial results of so many tasks are joined until one is left."""
    found = 0
    while FAN**found < tasks:
        found += 1
    return found
