# SPDX-License-Identifier: Apache-2.0
"""Workloads, engines and comparisons for runs over several devices."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from descring_host import open_device
from descring_model.engine.model import ModelEngine
from descring_model.rollouts import contract
from descring_model.rollouts.records import Records
from descring_rollouts import (
    Group,
    Runtime,
    Sampling,
    make_requests,
    open_engine,
)
from descring_rollouts.model_core import ModelCore

NONE = contract.NONE
VOCABULARY = 64
SAMPLING = Sampling(seed=77, temperature=0.9, top_p=0.95, eos=11)
NATIVE = open_engine("native", VOCABULARY)
OTHER = open_engine("native", VOCABULARY)
MODEL = ModelEngine(VOCABULARY)
LENGTHS = (1, 31, 32, 33, 70)
LIMITS: dict[str, Any] = {"slots": 6, "kv_blocks": 40, "sampling": SAMPLING}

Prompts = list[list[int]]


def prompts(count: int, seed: int = 5) -> Prompts:
    """Prompts around the edges of blocks."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 64, LENGTHS[place % len(LENGTHS)]).tolist() for place in range(count)]


def workload(count: int, seed: int) -> tuple[Prompts, Records]:
    """One to three samples a prompt, 0 to 40 new tokens, some arrivals and cancellations."""
    rng = np.random.default_rng(seed)
    given = prompts(count, seed)
    shape = (count, int(rng.integers(1, 4)))
    cancel = rng.integers(0, 30, shape)
    cancel[rng.random(shape) < 0.75] = NONE
    columns: dict[str, Any] = {
        "new_tokens": rng.integers(0, 41, shape),
        "arrival": rng.integers(0, 20, shape),
        "cancel": cancel,
        "rank": rng.integers(-5, 5, shape),
    }
    requests = make_requests(given, samples=shape[1], **columns)
    return given, rng.permutation(requests)


def run(runtime: Runtime, given: Prompts, requests: Records) -> list[Group]:
    """All groups in the order in which they were yielded."""
    return list(runtime.run_requests(requests, [np.array(item, dtype=np.uint32) for item in given]))


def assert_same(expected: Runtime, got: Runtime) -> None:
    """Byte by byte: the log with its inputs, and every column of every trajectory."""
    assert got.log_file() == expected.log_file()
    assert got.trajectories.npz() == expected.trajectories.npz()
    assert (got.counters() == expected.counters()).all()
    assert got.usage().blocks == got.usage().live == 0


class Acting:
    """The native engine, which does something in its ``at``-th call; 0: in each."""

    def __init__(self, act: Callable[[], None], at: int) -> None:
        self.vocabulary = VOCABULARY
        self.new_arena = NATIVE.new_arena
        self.calls = 0
        self._act, self._at = act, at

    def advance(self, *arguments: Any) -> Any:
        """As the native engine."""
        self.calls += 1
        if self._at in (0, self.calls):
            self._act()
        return NATIVE.advance(*arguments)

    def close(self) -> None:
        """Nothing is its own."""


GIVEN = prompts(8)
ASKED = make_requests(GIVEN, samples=3, new_tokens=40)


@functools.cache
def usual() -> Runtime:
    """The run of these with the golden device and engine."""
    with open_device("model") as device:
        runtime = Runtime(device, engine=MODEL, core=ModelCore, **LIMITS)
        run(runtime, GIVEN, ASKED)
    return runtime


def run_lazily(runtime: Runtime) -> Iterator[Group]:
    """The groups of the usual run."""
    return runtime.run_requests(ASKED, [np.array(item, dtype=np.uint32) for item in GIVEN])
