# SPDX-License-Identifier: Apache-2.0
"""Runs of the engine's kernels beside the golden model; each raises if a byte differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda import layout
from descring_cuda.engine import CudaEngine
from descring_cuda.machine import Machine
from descring_cuda.seats import Seats, tasks_of
from descring_model.engine import contract, random_numbers
from descring_model.engine.attention import attend
from descring_model.engine.batch import Batch
from descring_model.engine.interface import STATUS_NAMES, Engine
from descring_model.engine.model import ModelEngine
from descring_model.engine.records import ROLLOUT_DTYPE, kv_blocks
from descring_model.engine.sampling import sample

Change = Callable[[Batch], None]
BLOCK = contract.BLOCK_BYTES
MIXED: list[dict[str, Any]] = [
    {"temperature": 0.0},
    {"temperature": 1.0, "seed": 3},
    {"temperature": 0.7, "top_k": 20, "top_p": 0.8, "seed": 99, "sample": 4, "group": 9},
    {"temperature": 3.0, "top_p": 0.5, "seed": 1 << 40, "eos": 7},
    {"temperature": 0.25, "top_k": 1, "seed": 5},
]


def poison(batch: Batch) -> None:
    """Fill every block with NaN: what is behind a length must not be used."""
    blocks = sum(len(batch.blocks(place)) for place in range(len(batch.offsets)))
    batch.arena[: blocks * BLOCK] = 0xFF


def agree(
    machine: Machine,
    prompts: Sequence[Sequence[int]],
    room: int,
    parameters: Sequence[dict[str, Any]],
    calls: Sequence[int | Sequence[int]],
    *,
    change: Change = poison,
    vocabulary: int = contract.VOCABULARY,
    given_turns: int = 16,
    task_blocks: int | None = None,
) -> list[str]:
    """Advance the same rollouts by both engines; the names of the statuses of the last call.

    ``calls`` holds the ends of each call of the kernels' engine; the golden model gets the last.
    """
    first = ModelEngine(vocabulary)
    expected, golden = _advance(first, prompts, room, parameters, calls[-1:], change)
    with CudaEngine(
        vocabulary, machine=machine, given_turns=given_turns, task_blocks=task_blocks
    ) as second:
        arena, found = _advance(second, prompts, room, parameters, calls, change)
    assert found.tolist() == golden.tolist(), (found, golden)
    differ = np.flatnonzero(arena != expected)
    assert not len(differ), f"{len(differ)} of {len(arena)} bytes differ, first at {differ[0]}"
    return [STATUS_NAMES[status] for status in found.tolist()]


def _advance(
    engine: Engine,
    prompts: Sequence[Sequence[int]],
    room: int,
    parameters: Sequence[dict[str, Any]],
    calls: Sequence[int | Sequence[int]],
    change: Change,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    count = len(prompts) * -(-room // contract.BLOCK_TOKENS)
    order = np.random.default_rng(5).permutation(count)
    batch = Batch(engine, prompts, room, parameters, order=order)
    change(batch)
    statuses = np.zeros(0, dtype=np.uint32)
    for ends in calls:
        wanted = np.ascontiguousarray(
            np.broadcast_to(np.asarray(ends, dtype=np.uint32), batch.offsets.shape)
        )
        statuses = engine.advance(batch.arena, batch.offsets, wanted)
    return batch.arena.copy(), statuses


def decodes(machine: Machine) -> None:
    """Every way to draw a token, in one call."""
    prompts = [[1, 2, 3], [5] * 40, [7], [9, 8], [0]]
    agree(machine, prompts, 64, MIXED, [[36, 44, 34, 33, 3]])


def groups_of_every_size(machine: Machine) -> None:
    """So many rollouts that a block has 8, 16 and 32 of them, the last one not all."""
    for count in (10, 18, 40):
        parameters = [{**MIXED[at % len(MIXED)], "sample": at} for at in range(count)]
        agree(machine, [[at] for at in range(count)], 32, parameters, [5])


def decodes_in_pieces(machine: Machine) -> None:
    """The same bytes in several calls, some of which end within a prompt [NUM-008]."""
    prompts = [[1, 2, 3], [5] * 20]
    agree(machine, prompts, 32, MIXED[1:3], [[2, 7], [4, 7], [9, 22], [12, 24]], given_turns=3)


def prompts_beside_others(machine: Machine) -> None:
    """All wait for a seat with given tokens: beside few it ingests 16 a step, beside many one."""
    for others, at_once in ((4, 16), (20, 1)):
        prompts = [[1]] * others + [[2] * 60]
        with CudaEngine(64, machine=machine) as engine:
            batch = Batch(engine, prompts, 64, [{"sample": at} for at in range(len(prompts))])
            address = machine.allocate(len(batch.arena))
            machine.write(address, batch.arena)
            seats = engine.seats(address, len(batch.arena), len(prompts), len(prompts))
            seats.assign(batch.offsets, np.full(len(prompts), 64, dtype=np.uint32))
            _put_state(seats, others, layout.SEAT_FREE)
            seats.finish()
            seats.step()
            _put_state(seats, others, layout.SEAT_NEW)
            lengths = []
            for _ in range(3):
                seats.step()
                lengths.append(seats.read()["rollout"]["length"])
            seats.close()
            machine.free(address)
        assert [row[0] for row in lengths] == [3, 4, 5]
        assert [row[others] for row in lengths] == [1, 1 + at_once, 1 + 2 * at_once]


def _put_state(seats: Seats, seat: int, state: int) -> None:
    table = seats.read()
    table["state"][seat] = state
    seats.machine.write(seats.addresses["seats"], table)


def grown(length: int, seed: int = 1) -> Change:
    """Rollouts that have so many tokens already, with random keys, values and states."""

    def change(batch: Batch) -> None:
        rng = np.random.default_rng(seed)
        poison(batch)
        for place in range(len(batch.offsets)):
            blocks = batch.blocks(place)
            pages = kv_blocks(batch.arena)
            for token in range(length):
                at = int(blocks[token // contract.BLOCK_TOKENS])
                pages[at, :, token % contract.BLOCK_TOKENS] = rng.normal(0, 1.5, (2, contract.DIMS))
            batch.state(place)[:] = rng.standard_normal(contract.DIMS)
            batch.record(place)["length"] = length

    return change


def long_sequences(machine: Machine) -> None:
    """More partial results than one warp joins, ragged ends, tasks of every size [ATT-006]."""
    for length, blocks in ((31, 1), (255, 8), (300, 4), (520, 2), (520, 1), (2350, 8), (2350, 1)):
        agree(
            machine, [[1], [2]], 2400, MIXED[1:3], [length + 2], change=grown(length),
            task_blocks=blocks,
        )  # fmt: skip


def vocabularies(machine: Machine) -> None:
    """One token, few tokens, many equal logits; a block a row, and ties at the cut."""
    hot = [{"temperature": 4.0, "seed": 8, "top_k": 2, "top_p": 0.9}]
    agree(machine, [[0]], 8, MIXED[1:2], [6], vocabulary=1)
    agree(machine, [[4, 2]], 32, hot, [20], vocabulary=5)
    agree(machine, [[1], [4999]], 8, [hot[0], MIXED[3]], [5], vocabulary=5000)
    agree(machine, [[1], [16999]], 3, [hot[0], MIXED[3]], [3], vocabulary=17000)

    def flat(batch: Batch) -> None:
        grown(40)(batch)
        for place in range(len(batch.offsets)):
            at = int(batch.blocks(place)[0])
            batch.arena[at * BLOCK + BLOCK // 2 : (at + 1) * BLOCK] = 0
            at = int(batch.blocks(place)[1])
            batch.arena[at * BLOCK + BLOCK // 2 : (at + 1) * BLOCK] = 0

    for size in (1000, 4200):  # all logits are 0: only ids decide
        ties = [
            {"temperature": 1.0, "top_k": 7, "seed": 3},
            {"temperature": 1.0, "top_p": 0.3, "seed": 4},
            {"temperature": 1.0, "top_k": 500, "top_p": 0.5, "seed": 5},
        ]
        agree(machine, [[1]] * 3, 64, ties, [41], change=flat, vocabulary=size)


def draws_of_whole_blocks(machine: Machine) -> None:
    """A block a row: few different logits, so that ties lie on both sides of every cut."""
    rng = np.random.default_rng(12)
    for vocabulary, count in ((300, 12), (5000, 1000), (17000, 12)):
        rows = rng.integers(-6, 3, (count, vocabulary)).astype(np.float32)
        rows[::3] += rng.normal(0, 1, rows[::3].shape).astype(np.float32)
        rollouts = np.zeros(count, dtype=ROLLOUT_DTYPE)
        rollouts["seed"], rollouts["sample"] = rng.integers(0, 1 << 40, count), 3
        rollouts["temperature"] = rng.choice([0.0, 0.5, 1.0, 9.0], count)
        rollouts["top_k"] = rng.choice([0, 5, vocabulary // 3], count)
        rollouts["top_p"] = rng.choice([0.2, 0.9, 1.0], count)
        rollouts["length"] = np.arange(count)
        with CudaEngine(vocabulary, machine=machine) as engine:
            found = engine.draws(rows, rollouts)
        random = random_numbers.draws(
            *(rollouts[name] for name in ("seed", "group", "sample", "length"))
        )
        expected = sample(
            rows, rollouts["temperature"], rollouts["top_k"], rollouts["top_p"], random
        )
        assert found.tolist() == expected.tolist()


def ends_of_sentence(machine: Machine) -> None:
    """A rollout that has made its ``eos`` repeats it; a given one does not count [SAMP-007]."""
    hot = [
        {"temperature": 1.0, "seed": 1, "eos": 3},
        {"temperature": 4.0, "seed": 8, "eos": 1},
        {"temperature": 4.0, "seed": 10, "eos": 2},
    ]
    prompts = [[1], [4, 2], [4, 2]]
    agree(machine, prompts, 32, hot, [[1, 2, 2], [9, 7, 7], 30], vocabulary=5)


def outputs(machine: Machine) -> None:
    """Every word of the attention's output, which a token seldom shows [ATT-001..ATT-007]."""
    for length, blocks in ((40, 1), (300, 8), (300, 2), (2350, 4)):
        with CudaEngine(machine=machine) as engine:
            batch = Batch(engine, [[1], [2]], 2400, MIXED[1:3])
            grown(length)(batch)
            ends = np.full(2, length + 1, dtype=np.uint32)
            tasks = int(tasks_of(ends, len(batch.arena), blocks).sum())
            address = machine.allocate(len(batch.arena))
            machine.write(address, batch.arena)
            seats = engine.seats(address, len(batch.arena), 2, tasks, blocks)
            seats.assign(batch.offsets, ends)
            seats.finish()
            seats.attend()
            found = np.empty((2, contract.DIMS), dtype=np.uint32)
            queries = np.empty((2, contract.DIMS), dtype=np.float16)
            machine.read(seats.addresses["outputs"], found)
            machine.read(seats.addresses["queries"], queries)
            maps = [batch.blocks(place) for place in range(2)]
            lengths = np.full(2, length)
            golden, _ = attend(queries, kv_blocks(batch.arena), maps, lengths)
            differ = int((golden.view(np.uint32) != found).sum())
            assert not differ, f"{differ} words differ at {length} tokens, {blocks} blocks a task"
            seats.close()
            machine.free(address)


def _set(**members: Any) -> Change:
    def change(batch: Batch) -> None:
        for name, value in members.items():
            batch.record(1)[name] = value

    return change


def _state(value: float, length: int) -> Change:
    def change(batch: Batch) -> None:
        grown(length)(batch)
        batch.state(1)[5] = value

    return change


def _slot(plane: int, value: float) -> Change:
    def change(batch: Batch) -> None:
        grown(40)(batch)
        kv_blocks(batch.arena)[int(batch.blocks(1)[1]), plane, 3] = value

    return change


def _map(batch: Batch) -> None:
    batch.blocks(1)[2] = 1 << 20


def _token(batch: Batch) -> None:
    batch.tokens(1)[2] = contract.VOCABULARY


REFUSALS: list[tuple[str, Change, int]] = [
    ("BAD_RECORD", _set(prompt_tokens=0), 8),
    ("BAD_RECORD", _set(temperature=float("nan")), 8),
    ("BAD_RECORD", _set(temperature=1e-4), 8),
    ("BAD_RECORD", _set(top_p=0.0), 8),
    ("BAD_RECORD", _set(state=4), 8),
    ("BAD_RECORD", _set(tokens=1 << 63), 8),
    ("BAD_RECORD", _set(blocks=1 << 40), 8),
    ("BAD_RECORD", lambda batch: None, 0xFFFFFFFF),
    ("BAD_BLOCK", _map, 90),
    ("BAD_TOKEN", _token, 8),
    ("BAD_STATE", _state(6e7, 2), 3),
    ("BAD_QUERY", _state(4e5, 3), 8),
    ("BAD_QUERY", _state(float("nan"), 3), 8),
    ("BAD_SCORE", _slot(0, float("nan")), 44),
    ("BAD_SCORE", _slot(0, float("inf")), 44),
    ("BAD_OUTPUT", _slot(1, float("inf")), 44),
    ("OK", _set(length=9, temperature=-1.0), 8),
]
"""Status, what is wrong with the second rollout, and its end; the first is not affected."""


def refusals(machine: Machine) -> None:
    """Each status, with nothing of the refused position written [REC-004] [NUM-007]."""
    for status, change, end in REFUSALS:
        found = agree(
            machine, [[1, 2, 3], [4, 5, 6]], 96, MIXED[1:3], [[min(end, 44), end]], change=change
        )
        assert found == ["OK", status], (found, status, end)


CASES = (
    decodes,
    groups_of_every_size,
    decodes_in_pieces,
    prompts_beside_others,
    ends_of_sentence,
    outputs,
    long_sequences,
    vocabularies,
    draws_of_whole_blocks,
    refusals,
)
