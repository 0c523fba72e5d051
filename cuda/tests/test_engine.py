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
from descring_host import open_device
from descring_model.engine.interface import Engine
from descring_model.engine.model import ModelEngine
from descring_rollouts import Runtime, Sampling, Trajectories
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


def test_the_runtime_gets_the_same_trajectories(machine: Machine) -> None:
    """Shared prefixes, copies, rewards and an eos, over the device ``model`` [COW-010] [NUM-008]
    [REC-007]."""
    prompts = [[5, 6, 7] * 11, [9] * 40]

    def run(chosen: Engine, eos: int | None) -> Trajectories:
        with open_device("model") as device:
            sampling = Sampling(seed=5, eos=eos)
            runtime = Runtime(
                device, engine=chosen, sampling=sampling, scorer=1, slots=8, kv_blocks=64
            )
            list(runtime.run(prompts, samples=3, new_tokens=12))
            return runtime.trajectories

    golden = run(ModelEngine(), None)
    assert golden.tokens is not None
    eos = int(golden.tokens[0][len(prompts[0]) + 3])
    ended = run(ModelEngine(), eos)
    assert ended.length[0] < golden.length[0]
    with CudaEngine(machine=machine) as engine:
        assert run(engine, None).json_lines() == golden.json_lines()
        assert run(engine, eos).json_lines() == ended.json_lines()


def test_an_arena_of_another_engine_is_refused(machine: Machine) -> None:
    """It has no copy on the GPU."""
    with CudaEngine(machine=machine) as engine, pytest.raises(ValueError, match="new_arena"):
        engine.advance(
            np.zeros(64, dtype=np.uint8),
            np.zeros(1, dtype=np.uint64),
            np.ones(1, dtype=np.uint32),
        )


def test_the_memory_of_an_arena_ends_with_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A view keeps it, as the arena itself does; the next call frees what nothing refers to."""
    freed: list[int] = []
    free = machine.free

    def watched(address: int) -> None:
        freed.append(address)
        free(address)

    with CudaEngine(64, machine=machine) as engine:
        monkeypatch.setattr(machine, "free", watched)
        view = engine.new_arena(1 << 16)[64:]
        other = engine.new_arena(1 << 16)
        engine.new_arena(1 << 16)
        assert freed == []
        del view
        assert freed == []  # not while it is collected
        engine.new_arena(1 << 16)
        assert len(freed) == 2
        records = np.zeros(0, dtype=np.uint64)
        engine.advance(other, records, records.astype(np.uint32))
        assert len(freed) == 3
    assert len(freed) == 8  # the last arena, and four parts of the weights
    del other


def test_a_vocabulary_out_of_range_is_refused(machine: Machine) -> None:
    """[STATE-002]"""
    with pytest.raises(ValueError, match="vocabulary: expected 1 to 131072, got 0"):
        CudaEngine(0, machine=machine)


def test_layouts_have_the_sizes_of_the_kernels() -> None:
    """seats.cuh asserts the same numbers."""
    assert layout.SEAT_DTYPE.itemsize == 128
    assert layout.CONTROL_DTYPE.itemsize == 64
    assert layout.ENGINE_DTYPE.itemsize == 20 * 8 + 6 * 4
