# SPDX-License-Identifier: Apache-2.0
"""``rl_runtime_axi``, the whole device with rings in memory."""

from __future__ import annotations

from descring_sim.cosim.block import Block

test_rl_runtime_axi = Block(
    top="rl_runtime_axi",
    cases=(
        "rl_runtime_axi.stream_cases",
        "rl_runtime_axi.ring_cases",
        "rl_runtime_axi.lifecycle_cases",
        "rl_runtime_axi.error_cases",
        "rl_runtime_axi.cycle_cases",
        "rl_runtime_axi.place_cases",
    ),
    configs={
        "default": {},
        "small": {
            "WorkerCount": 3,
            "PrefetchDepth": 4,
            "ReadBurst": 3,
            "ReadOutstanding": 2,
            "WriteDepth": 4,
            "WriteBurst": 4,
            "WriteOutstanding": 2,
            "IdWidth": 1,
            "DataWidth": 128,
            "ResetTimeoutLog2": 7,
        },
    },
    quick={"icarus": ("small",)},
)
"""Streams, rings, STOP, pause, reset and error responses."""

test_half = Block(
    top="rl_runtime_axi",
    cases=(
        "rl_runtime_axi.stream_cases",
        "rl_runtime_axi.ring_cases",
        "rl_runtime_axi.error_cases",
    ),
    configs={"half": {"DataWidth": 256}},
    quick={"icarus": (), "verilator": ("half",)},
)
"""A line in two beats; ``small`` has it in four."""

test_once = Block(
    top="rl_runtime_axi",
    cases=(
        "rl_runtime_axi.register_cases",
        "rl_runtime_axi.fault_cases",
        "rl_runtime_axi.library_cases",
        "rl_runtime_axi.throughput_cases",
    ),
)
"""What one configuration shows for all: registers, faults, another's bus, lines a cycle."""
