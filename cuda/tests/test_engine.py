# SPDX-License-Identifier: Apache-2.0
"""The engine's kernels against the golden model, on the CPU and on a GPU where there is one."""

from __future__ import annotations

from collections.abc import Callable

import engine_cases
import numpy as np
import pytest
from descring_cuda import layout
from descring_cuda.engine import CudaEngine
from descring_cuda.machine import CupyMachine, Machine
from emulated_machine import EmulatedMachine
from remote_support import no_gpu


@pytest.fixture(params=["cpu", "gpu"])
def machine(request: pytest.FixtureRequest) -> Machine:
    """Where the kernels run."""
    if request.param == "cpu":
        return EmulatedMachine()
    if no_gpu():
        pytest.skip(no_gpu())
    return CupyMachine()


@pytest.mark.parametrize("case", engine_cases.CASES, ids=lambda case: case.__name__)
def test_bytes_are_those_of_the_golden_model(
    machine: Machine, case: Callable[[Machine], None]
) -> None:
    """[NUM-001..NUM-008] [STATE-001..STATE-008] [ATT-001..ATT-007] [SAMP-001..SAMP-007]
    [REC-001..REC-004]: tokens, keys, values, states, lengths and statuses."""
    case(machine)


def test_an_arena_of_another_engine_is_refused(machine: Machine) -> None:
    """It has no copy on the GPU."""
    with CudaEngine(machine=machine) as engine, pytest.raises(ValueError, match="new_arena"):
        engine.advance(
            np.zeros(64, dtype=np.uint8),
            np.zeros(1, dtype=np.uint64),
            np.ones(1, dtype=np.uint32),
        )


def test_a_vocabulary_out_of_range_is_refused(machine: Machine) -> None:
    """[STATE-002]"""
    with pytest.raises(ValueError, match="vocabulary: expected 1 to 131072, got 0"):
        CudaEngine(0, machine=machine)


def test_layouts_have_the_sizes_of_the_kernels() -> None:
    """seats.cuh asserts the same numbers."""
    assert layout.SEAT_DTYPE.itemsize == 128
    assert layout.CONTROL_DTYPE.itemsize == 40
    assert layout.ENGINE_DTYPE.itemsize == 20 * 8 + 6 * 4
