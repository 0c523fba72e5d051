# SPDX-License-Identifier: Apache-2.0
"""Registers and life cycle of a device with a remote worker, held against the golden model's."""

from typing import Any

import pytest
from descring_model import GoldenDevice
from host_support import CTRL, assert_counts_all_tokens
from hypothesis import given
from hypothesis import strategies as st
from remote_support import OpenRemote
from test_cpu_registers import FIRST, MEMORY, STEPS, both, compare_at_rest, prepare


def test_any_register_program_leaves_both_devices_alike(open_remote: OpenRemote) -> None:
    """[LIFE-001..LIFE-004] [LIFE-006] [LIFE-007] [DB-001..DB-004] [DB-006] [RING-008..RING-010].

    Also [IRQ-001] [CNT-001]: every register and every byte of memory, at rest after every step.
    """
    remote: Any = open_remote(MEMORY, first_index=FIRST)
    model = GoldenDevice(MEMORY, first_index=FIRST)

    @given(st.booleans(), st.lists(STEPS, max_size=20))
    def program(prepared: bool, steps: list[tuple[str, int]]) -> None:
        prepare(model, remote)
        both(model, remote, "CTRL", CTRL["ENABLE"] if prepared else CTRL["RESET"])
        for name, value in steps:
            both(model, remote, name, value)
            compare_at_rest(model, remote)

    program()


@pytest.mark.parametrize("split", [0, CTRL["SPLIT_REWARD"]])
@pytest.mark.parametrize("log2", [0, 2, 17, 255])
def test_configurations_are_refused_as_the_model_does(
    open_remote: OpenRemote, log2: int, split: int
) -> None:
    """[LIFE-002]: size out of range; the worker never sees it."""
    remote: Any = open_remote(MEMORY, first_index=FIRST)
    model = GoldenDevice(MEMORY, first_index=FIRST)
    prepare(model, remote)
    both(model, remote, "RING_LOG2", 0x020304 & ~0xFF00 | log2 << 8)
    both(model, remote, "CTRL", CTRL["ENABLE"] | split)
    compare_at_rest(model, remote)


def test_tokens_are_counted_in_64_bits(open_remote: OpenRemote) -> None:
    """[CNT-001] [REG-054] [REG-058] [DEC-006] A round of ROLLOUTs makes more than 2^32 tokens."""
    assert_counts_all_tokens(open_remote(1 << 20))
