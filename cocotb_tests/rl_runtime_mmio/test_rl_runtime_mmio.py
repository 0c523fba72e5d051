# SPDX-License-Identifier: Apache-2.0
"""``rl_runtime_mmio``, the whole device."""

from __future__ import annotations

from descring_sim.cosim.block import Block


def _sizes(ring: int, done: int, reward: int, workers: int) -> dict[str, int]:
    return {"RingDepth": ring, "DoneDepth": done, "RewardDepth": reward, "WorkerCount": workers}


test_rl_runtime_mmio = Block(
    top="rl_runtime_mmio",
    cases=(
        "rl_runtime_mmio.rl_runtime_mmio_cases",
        "rl_runtime_mmio.lifecycle_cases",
        "rl_runtime_mmio.stream_cases",
    ),
    configs={
        "tiny": _sizes(2, 2, 2, 1),
        "small": _sizes(4, 4, 4, 3),
        "default": _sizes(16, 16, 16, 8),
        "deep": _sizes(256, 256, 256, 8),
        "wide": _sizes(16, 16, 16, 16),
        "lopsided": _sizes(16, 2, 4, 5),
    },
    quick={"icarus": ("tiny", "small", "lopsided"), "verilator": ("default", "deep", "wide")},
)
"""Doorbells, rings, interrupt, STOP, pause, reset and whole streams."""

test_throughput = Block(
    top="rl_runtime_mmio",
    cases=("rl_runtime_mmio.throughput_cases",),
    configs={
        "single": _sizes(16, 16, 16, 1),
        "default": _sizes(16, 16, 16, 8),
        "wide_and_deep": _sizes(64, 16, 16, 16),
        "lopsided": _sizes(16, 2, 4, 5),
    },
    quick={"icarus": ("single", "lopsided"), "verilator": ("default", "wide_and_deep")},
)
"""Lines a cycle, where the command ring holds more lines than the workers do. A slot is free only
with the completion posted, so a ring of as many slots as workers leaves each worker waiting for the
way from its completion to the doorbell and back."""
