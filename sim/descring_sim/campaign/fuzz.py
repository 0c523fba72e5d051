# SPDX-License-Identifier: Apache-2.0
"""Campaigns: millions of random lines through the RTL, each result compared with the golden model.

A campaign is cut into chunks of fixed size. Everything about a chunk is drawn from the campaign's
seed and the chunk's number: profile, lines, first index, modes of the device, doorbells and pauses.
So the outcome does not depend on how many processes share the chunks, and one chunk can be run
again alone.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Generator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

import numpy as np
from descring_model import Lines, complete, first_difference, goes_to_reward, streams

from descring_sim.conform.dut import StreamJob
from descring_sim.conform.duts.backends import BackendDut
from descring_sim.conform.errors import DutError
from descring_sim.cosim.simulators import SIMULATORS
from descring_sim.replay.backend import ReplayError
from descring_sim.verilated.core import CoreConfig, RtlFault, Traffic, VerilatedCore

CHUNK_LINES = 50_000
SIMULATOR_CHUNK_LINES = 5_000
"""Where a line takes a millisecond: a chunk is what a failure repeats."""
LIBRARY = "verilated"
_TIMEOUT_S = 3600.0
_PAUSES = (0, 0, 0, 24, 120)
_WORKERS = 8
_DEPTH = 256


@dataclass(frozen=True)
class Chunk:
    """What one chunk is made of."""

    number: int
    lines: int
    profile: str
    stream_seed: int
    first_index: int
    require_checked: bool
    split_reward: bool
    traffic: Traffic

    def __str__(self) -> str:
        modes = "require-checked " * self.require_checked + "split-reward " * self.split_reward
        return (
            f"chunk {self.number}: {self.lines} lines, profile {self.profile}, "
            f"seed {self.stream_seed}, first index {self.first_index}, {modes}{self.traffic}"
        )


@dataclass(frozen=True)
class Outcome:
    """How a chunk went: ``digest`` over all completions, or what went wrong.

    ``mismatch`` distinguishes a wrong completion from an error without one.
    """

    number: int
    lines: int
    cycles: int
    digest: bytes
    problem: str | None = None
    mismatch: bool = False


def draw(seed: int, number: int, lines: int) -> Chunk:
    """The chunk ``number`` of the campaign of ``seed``, with so many lines."""
    rng = np.random.default_rng([seed, number])
    # Half of all lines are of the profile that has everything in it.
    others = [name for name in streams.PROFILES if name != "mixed"]
    profile = "mixed" if rng.random() < 0.5 else str(rng.choice(others))
    near_wrap = rng.random() < 0.25
    pauses = rng.choice(np.array(_PAUSES), 2)
    return Chunk(
        number=number,
        lines=lines,
        profile=profile,
        stream_seed=int(rng.integers(2**63)),
        first_index=int((2**32 - rng.integers(1, lines + 1)) if near_wrap else rng.integers(2**32)),
        require_checked=bool(rng.random() < 0.2),
        split_reward=bool(rng.random() < 0.4),
        traffic=Traffic(
            seed=int(rng.integers(2**63)), pause_in=int(pauses[0]), pause_out=int(pauses[1])
        ),
    )


def chunks(seed: int, lines: int, backend: str = LIBRARY) -> list[Chunk]:
    """All chunks of a campaign."""
    size = SIMULATOR_CHUNK_LINES if backend in SIMULATORS else CHUNK_LINES
    counts = [size] * (lines // size)
    counts += [lines % size] if lines % size else []
    return [draw(seed, number, count) for number, count in enumerate(counts)]


@cache
def _core() -> VerilatedCore:
    """The device of this process; a replay begins with a reset."""
    return VerilatedCore(_configuration())


def _configuration() -> CoreConfig:
    """What the RTL of a campaign is built with."""
    return CoreConfig(depth=_DEPTH, workers=_WORKERS)


@cache
def _dut(backend: str) -> BackendDut:
    """Another backend of this process; simulators stay up between chunks."""
    return BackendDut(backend)


def prepare(backend: str, say: Callable[[str], None]) -> None:
    """Build what would else be built by every process at once."""
    if backend == LIBRARY:
        _configuration().build(say)


def _answer(chunk: Chunk, lines: Lines, backend: str) -> tuple[Lines, Lines, int]:
    """The completions of both rings, and clock cycles as far as they are known."""
    if backend == LIBRARY:
        actual = _core().replay(
            lines,
            first_index=chunk.first_index,
            require_checked=chunk.require_checked,
            split_reward=chunk.split_reward,
            traffic=chunk.traffic,
        )
        return actual.done, actual.reward, actual.cycles
    answer = _dut(backend).run(
        StreamJob(
            lines,
            first_index=chunk.first_index,
            require_checked=chunk.require_checked,
            split_reward=chunk.split_reward,
            seed=chunk.traffic.seed,
            timeout_s=_TIMEOUT_S,
        )
    )
    return answer.done, answer.reward, 0


def run_chunk(chunk: Chunk, backend: str) -> Outcome:
    """Push one chunk through a backend and the model, and compare byte by byte."""
    lines = streams.generate(
        chunk.lines, seed=chunk.stream_seed, profile=chunk.profile, first_index=chunk.first_index
    )
    expected = complete(
        lines,
        first_index=chunk.first_index,
        require_checked=chunk.require_checked,
        split_reward=chunk.split_reward,
    )
    try:
        done, reward, cycles = _answer(chunk, lines, backend)
    except RtlFault as fault:
        _core.cache_clear()
        return Outcome(chunk.number, 0, fault.cycle or 0, b"", str(fault))
    except (DutError, ReplayError) as error:
        return Outcome(chunk.number, 0, 0, b"", str(error))
    digest = hashlib.sha256()
    to_reward = goes_to_reward(expected) & chunk.split_reward
    rings = (
        ("done", expected[~to_reward], done),
        ("reward", expected[to_reward], reward),
    )
    problem = None
    for name, wanted, got in rings:
        digest.update(got.tobytes())
        difference = first_difference(wanted, got)
        if difference is not None and problem is None:
            problem = f"{name} ring: {difference}"
    return Outcome(chunk.number, len(lines), cycles, digest.digest(), problem, problem is not None)


def run(
    work: list[Chunk],
    backend: str,
    *,
    processes: int = 1,
    progress: Callable[[Outcome], None] = lambda _outcome: None,
) -> Generator[Outcome, None, None]:
    """The outcomes of chunks, in their order, from so many processes.

    Args:
        work: what to run.
        backend: what runs, after :func:`prepare`.
        processes: 1 runs everything in this process.
        progress: is told of every outcome as it comes, in any order.
    """
    if processes == 1:
        for chunk in work:
            outcome = run_chunk(chunk, backend)
            progress(outcome)
            yield outcome
        return
    # A fork would copy this process's threads' locks in whatever state they are.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        futures = [pool.submit(run_chunk, chunk, backend) for chunk in work]

        def tell(future: Future[Outcome]) -> None:
            with suppress(Exception):  # the loop below raises it
                progress(future.result())

        for future in futures:
            future.add_done_callback(tell)
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()


def digest_of(outcomes: list[Outcome]) -> str:
    """One number over all completions of a campaign."""
    digest = hashlib.sha256()
    for outcome in outcomes:
        digest.update(outcome.digest)
    return digest.hexdigest()[:16]
