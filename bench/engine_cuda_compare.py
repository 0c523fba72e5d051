# SPDX-License-Identifier: Apache-2.0
"""Compares the engine on a GPU with another one on many random rollouts, byte by byte.

The other is the native engine or the golden model in NumPy. Every batch has a vocabulary, prompts,
parameters, ends and a block order of its own. The other engine advances each rollout in one call.
The GPU makes them in one of these ways:

- advance: some rollouts at a time, in any order, to any ends, with tasks and turns of any size;
- shared: likewise, samples of a prompt sharing its full blocks, its state, and a copy of the rest;
- resident: through the ring, in any order and seats, in one to three legs.

Exit code 0: every byte of the arenas (of shared rollouts: tokens, keys, values, states) is equal;
1: a difference, with the command that makes it again. Without a GPU it compares nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda import CudaEngine, ResidentDevice
from descring_cuda.machine import CupyMachine
from descring_host import CommandQueue, DeviceError
from descring_host.engine import NativeEngine
from descring_model import DESC_DTYPE, complete
from descring_model import contract as lines_contract
from descring_model.engine import contract
from descring_model.engine.batch import Batch
from descring_model.engine.interface import Engine
from descring_model.engine.model import ModelEngine
from descring_model.engine.records import kv_blocks

sys.path.insert(0, str(Path(__file__).parent))

from cuda_host import describe

WAYS = ("advance", "shared", "resident")
VOCABULARIES = (1024, 1024, 64, 333, 1, 4099)
BATCH_TOKENS = 400_000
AT_ONCE = 2
"""Batches at a time: one is laid out and compared while the other is on the GPU."""
_gpu = threading.Lock()


@dataclass
class Rollouts:
    """A batch as the native engine's arena, before its first token.

    Attributes:
        batch: fresh rollouts.
        ends: ``(n,)`` uint32.
        groups: places of the samples of each prompt.
        given: tokens of all prompts.
    """

    batch: Batch
    ends: npt.NDArray[np.uint32]
    groups: list[npt.NDArray[np.intp]]
    given: int


def draw(rng: np.random.Generator, engine: Engine, tokens: int, longest: int) -> Rollouts:
    """Rollouts of up to ``longest`` tokens, about ``tokens`` in all."""
    room = int(rng.integers(2, longest + 1))
    count = int(np.clip(tokens // room, 8, 4096))
    sizes: list[int] = []
    while sum(sizes) < count:
        sizes.append(int(rng.integers(1, 9)))
    groups = np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])
    count, vocabulary = sum(sizes), engine.vocabulary
    prompts: list[Any] = []
    parameters: list[dict[str, Any]] = []
    for number, size in enumerate(sizes):
        given = 1 + int(rng.random() ** 3 * room)  # many are short, some leave nothing to make
        prompt = rng.integers(0, vocabulary, given)
        prompts += [prompt] * size
        seed = int(rng.integers(0, 1 << 64, dtype=np.uint64))
        parameters += [
            {
                "seed": seed,
                "group": number,
                "sample": sample,
                "temperature": float(rng.choice([0.0, 0.5, 1.0, 3.0, 20.0])),
                "top_k": int(rng.choice([0, 1, 3, vocabulary])),
                "top_p": float(rng.choice([0.01, 0.3, 0.9, 1.0])),
                "eos": int(rng.choice([0, vocabulary - 1, contract.NONE])),
            }
            for sample in range(size)
        ]
    order = rng.permutation(count * -(-room // contract.BLOCK_TOKENS))
    batch = Batch(engine, prompts, room, parameters, order=order)
    lengths = np.array([len(prompt) for prompt in prompts], dtype=np.uint32)
    ends = rng.integers(lengths, room, endpoint=True).astype(np.uint32)
    return Rollouts(batch, ends, groups, int(lengths.sum()))


def copy_for(engine: Engine, batch: Batch) -> Batch:
    """The same arena for another engine."""
    found = Batch.__new__(Batch)
    found.__dict__.update(batch.__dict__)
    found.engine = engine
    found.arena = engine.new_arena(len(batch.arena))
    found.arena[:] = batch.arena
    return found


def in_pieces(
    rng: np.random.Generator, batch: Batch, ends: npt.NDArray[np.uint32], calls: int
) -> None:
    """Advance some rollouts to any ends, in any order, then all to theirs."""
    count = len(ends)
    for _ in range(calls):
        some = rng.permutation(count)[: rng.integers(1, count + 1)]
        between = (ends[some] * rng.random(len(some))).astype(np.uint32)
        batch.advance(between.tolist(), some.tolist())
    order = rng.permutation(count)
    batch.advance(ends[order].tolist(), order.tolist())


def share(batch: Batch, groups: list[npt.NDArray[np.intp]]) -> None:
    """Advance the first sample of each prompt to its end, and let the others begin behind it."""
    leaders = [int(group[0]) for group in groups]
    lengths = [int(batch.record(leader)["prompt_tokens"]) for leader in leaders]
    batch.advance(lengths, leaders)
    pages = kv_blocks(batch.arena)
    for group, length in zip(groups, lengths, strict=True):
        leader, full = int(group[0]), length // contract.BLOCK_TOKENS
        for place in group[1:].tolist():
            batch.state(place)[:] = batch.state(leader)
            batch.record(place)["length"] = length
            own = batch.blocks(place)
            if length % contract.BLOCK_TOKENS:
                pages[own[full]] = pages[batch.blocks(leader)[full]]
            pages[own[:full]] = np.nan  # no rollout reads what is shared from here
            own[:full] = batch.blocks(leader)[:full]


def through_ring(
    rng: np.random.Generator, machine: CupyMachine, vocabulary: int, batch: Batch, ends: Any
) -> npt.NDArray[np.uint8]:
    """The arena behind one to three legs of every rollout, each a line."""
    count = len(ends)
    seats = int(rng.choice([1 + count // 16, 1 + count // 3, count]))
    turns = int(rng.choice([1, 3, 16]))
    with (
        CudaEngine(vocabulary, machine=machine, given_turns=turns) as engine,
        ResidentDevice(
            16 << 20, engine=engine, arena=len(batch.arena), seats=seats, max_tokens=batch.room,
            heartbeat_s=60.0,
        ) as device,
        CommandQueue(device, cmd_slots=16384, done_slots=16384, timeout_s=300.0) as queue,
    ):  # fmt: skip
        device.write_arena(0, batch.arena)
        for leg in range(int(rng.integers(1, 4)), 0, -1):
            order = rng.permutation(count)
            lines = np.zeros(count, dtype=DESC_DTYPE)
            lines["opcode"] = lines_contract.OPCODE["ROLLOUT"]
            lines["kv_offset"] = batch.offsets[order]
            part = 1.0 if leg == 1 else rng.random(count)
            lines["max_tokens"] = (ends[order] * part).astype(np.uint32)
            got = queue.exchange(lines)
            if got.tobytes() != complete(lines).tobytes() or device.failures():
                raise AssertionError(f"completions differ, or {device.failures()}")
        found = np.empty_like(batch.arena)
        device.read_arena(0, found)
    return found


def differing(expected: Batch, got: npt.NDArray[np.uint8]) -> int:
    """Bytes of two arenas that differ."""
    if np.array_equal(expected.arena, got):
        return 0
    return int(np.count_nonzero(expected.arena != got))


def differing_contents(expected: Batch, got: Batch) -> int:
    """Bytes of tokens, keys, values, states and lengths that differ, read through the maps."""
    found = 0
    for place in range(len(expected.offsets)):
        length = int(expected.record(place)["length"])
        pairs = (
            (expected.tokens(place)[:length], got.tokens(place)[:length]),
            (expected.keys_values(place), got.keys_values(place)),
            (expected.state(place), got.state(place)),
        )
        for one, other in pairs:
            mine = np.frombuffer(one.tobytes(), dtype=np.uint8)
            theirs = np.frombuffer(other.tobytes(), dtype=np.uint8)
            if mine.shape != theirs.shape:
                found += len(mine)
            else:
                found += int(np.count_nonzero(mine != theirs))
    return found


@dataclass
class Compared:
    """What one batch was, and how many bytes differ."""

    way: str
    made: int
    ingested: int
    rollouts: int
    bytes: int
    differ: int


def opened(name: str, vocabulary: int) -> NativeEngine | ModelEngine:
    """The engine that is compared with."""
    if name == "model":
        return ModelEngine(vocabulary)
    return NativeEngine(vocabulary, threads=max(1, min(64, (os.cpu_count() or 1) // AT_ONCE)))


def compare(machine: CupyMachine, options: argparse.Namespace, number: int) -> Compared:
    """Make one batch on both."""
    rng = np.random.default_rng([options.seed, number])
    way = options.ways[number % len(options.ways)]
    vocabulary = VOCABULARIES[int(rng.integers(len(VOCABULARIES)))]
    other = opened(options.against, vocabulary)
    drawn = draw(rng, other, options.batch_tokens, options.longest)
    batch, ends = drawn.batch, drawn.ends
    with _gpu:
        if way == "resident":
            arena = through_ring(rng, machine, vocabulary, batch, ends)
        else:
            task_blocks = rng.choice([0, 1, 2, 4, 8])
            with CudaEngine(
                vocabulary,
                machine=machine,
                task_blocks=int(task_blocks) or None,
                given_turns=int(rng.choice([1, 3, 16])),
            ) as engine:
                mine = copy_for(engine, batch)
                if way == "shared":
                    share(mine, drawn.groups)
                in_pieces(rng, mine, ends, int(rng.integers(0, 4)))
                arena = mine.arena.copy()  # that of the engine goes with it
    batch.advance(ends.tolist())
    if way == "shared":
        got = Batch.__new__(Batch)
        got.__dict__.update(batch.__dict__)
        got.arena = arena
        differ = differing_contents(batch, got)
    else:
        differ = differing(batch, arena)
    other.close()
    total = int(ends.sum())
    return Compared(way, total - drawn.given, total, len(ends), len(arena), differ)


def main() -> int:
    """Compare batches until there are so many tokens, or the time is over."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=100_000_000, help="to make, at least")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no batch after so long")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first batch")
    parser.add_argument("--against", choices=("native", "model"), default="native")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--batch-tokens", type=int, default=BATCH_TOKENS)
    parser.add_argument("--longest", type=int, default=300, help="tokens of one rollout, at most")
    parser.add_argument("-o", "--output", type=Path, help="write the totals there as JSON")
    options = parser.parse_args()
    try:
        machine = CupyMachine()
    except DeviceError as error:
        print(f"bench/engine_cuda_compare.py: nothing compared: {error}", file=sys.stderr)
        return 0
    start, shown = time.monotonic(), time.monotonic()
    totals: Counter[str] = Counter()
    number = options.first
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pending: list[tuple[int, Future[Compared]]] = []
        while True:
            late = time.monotonic() - start > options.seconds
            while not late and len(pending) < AT_ONCE and totals["made"] < options.tokens:
                pending.append((number, pool.submit(compare, machine, options, number)))
                number += 1
            if not pending:
                break
            place, done = pending.pop(0)
            found = done.result()
            if found.differ:
                print(
                    f"batch {place} ({found.way}): {found.differ} bytes differ\nrerun: python "
                    f"{sys.argv[0]} --tokens 1 --seed {options.seed} --first {place} "
                    f"--batch-tokens {options.batch_tokens} --longest {options.longest} "
                    f"--against {options.against} --ways {' '.join(options.ways)}",
                    file=sys.stderr,
                )
                return 1
            for name in ("made", "ingested", "rollouts", "bytes"):
                totals[name] += getattr(found, name)
                totals[f"{found.way} {name}"] += getattr(found, name)
            totals["batches"] += 1
            if time.monotonic() - shown > 20:
                shown = time.monotonic()
                print(f"{totals['made']} tokens made", file=sys.stderr, flush=True)
    row = {
        **totals, "differing_bytes": 0, "against": options.against, "seed": options.seed,
        "seconds": round(time.monotonic() - start, 1),
    }  # fmt: skip
    print(json.dumps(row))
    if options.output:
        text = {"where": describe(machine.cupy, 0), "rows": [row]}
        options.output.write_text(json.dumps(text, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
