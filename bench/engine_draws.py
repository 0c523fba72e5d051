# SPDX-License-Identifier: Apache-2.0
"""Compares draws of the golden model, the native engine and the GPU on many random rows of logits.

Every row has its own seed, temperature, top_k and top_p; a third of the rows have few different
logits, so that ties lie on both sides of every cut. Exit code 0: all tokens are equal; 1: a row's
differ, with the command that makes them again. Without a GPU model and native engine are compared.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

import numpy as np
import numpy.typing as npt
from descring_cuda import CudaEngine
from descring_cuda.machine import CupyMachine
from descring_host import DeviceError
from descring_host.engine import NativeEngine, ffi, lib
from descring_model.engine import random_numbers, sampling
from descring_model.engine.records import ROLLOUT_DTYPE

VOCABULARIES = (2, 5, 16, 33, 64, 200)
ROW_LOGITS = 1 << 19
"""Logits of a batch, about."""


def draw_rows(rng: np.random.Generator, vocabulary: int) -> tuple[Any, Any]:
    """Logits ``(n, vocabulary)`` float32, and ``(n,)`` of ROLLOUT_DTYPE."""
    count = min(20_000, max(64, ROW_LOGITS // vocabulary))
    rows = rng.normal(0, 3, (count, vocabulary)).astype(np.float32)
    rows[::3] = np.rint(rows[::3])
    rollouts = np.zeros(count, dtype=ROLLOUT_DTYPE)
    rollouts["seed"] = rng.integers(0, 1 << 64, count, dtype=np.uint64)
    for name in ("group", "sample"):
        rollouts[name] = rng.integers(0, 1 << 32, count, dtype=np.uint32)
    rollouts["length"] = rng.integers(1, 1 << 31, count)
    rollouts["temperature"] = np.exp2(rng.uniform(-10, 10, count)) * (rng.random(count) < 0.95)
    rollouts["temperature"][::2] = np.exp2(rng.uniform(-2, 3, len(rollouts[::2])))
    rollouts["temperature"] = np.where(
        rollouts["temperature"] == 0, 0, np.clip(rollouts["temperature"], 2.0**-10, 2.0**10)
    )
    rollouts["top_k"] = rng.integers(0, vocabulary + 2, count) * (rng.random(count) < 0.6)
    rollouts["top_p"] = np.where(rng.random(count) < 0.4, 1.0, rng.uniform(2.0**-20, 1.0, count))
    return rows, rollouts


def by_native(
    engine: NativeEngine, rows: Any, rollouts: Any, random: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint32]:
    """The tokens of the native engine."""
    found = np.empty(len(rows), dtype=np.uint32)
    logits = ffi.cast("float *", rows.ctypes.data)
    tokens = ffi.cast("uint32_t *", found.ctypes.data)
    columns = [rollouts[name].tolist() for name in ("temperature", "top_k", "top_p")]
    vocabulary = rows.shape[1]
    for at, (temperature, top_k, top_p, number) in enumerate(
        zip(*columns, random.tolist(), strict=True)
    ):
        status = lib.he_sample(
            engine.handle, logits + at * vocabulary, temperature, top_k, top_p, number, tokens + at
        )
        if status:
            raise SystemExit(f"the native engine refused a row: status {status}")
    return found


def compare(seed: int, number: int, machine: CupyMachine | None) -> int:
    """One batch; how many draws it had.

    Raises:
        AssertionError: a token differs.
    """
    rng = np.random.default_rng([seed, number])
    vocabulary = VOCABULARIES[number % len(VOCABULARIES)]
    rows, rollouts = draw_rows(rng, vocabulary)
    random = random_numbers.draws(
        rollouts["seed"], rollouts["group"], rollouts["sample"], rollouts["length"]
    )
    golden = sampling.sample(
        rows, rollouts["temperature"], rollouts["top_k"], rollouts["top_p"], random
    )
    engine = NativeEngine(vocabulary)
    others = {"the native engine": by_native(engine, rows, rollouts, random)}
    engine.close()
    if machine is not None:
        with CudaEngine(vocabulary, machine=machine) as kernels:
            others["the GPU"] = kernels.draws(rows, rollouts)
    for name, found in others.items():
        differ = np.flatnonzero(found != golden)
        assert not len(differ), (
            f"batch {number}, row {differ[0]} of {len(differ)} that differ: the model draws "
            f"{golden[differ[0]]}, {name} {found[differ[0]]}"
        )
    return len(rows)


def work(options: argparse.Namespace, place: int) -> dict[str, int]:
    """Batches ``place``, ``place + processes``, ... until this process has its share.

    Raises:
        AssertionError: a token differs; the message has the command that makes it again.
    """
    machine: CupyMachine | None = None
    if not options.no_gpu:
        try:
            machine = CupyMachine()
        except DeviceError as error:
            if place == 0:
                print(f"bench/engine_draws.py: no GPU compared: {error}", file=sys.stderr)
    made, number, start = Counter[str](), options.first + place, time.monotonic()
    while made["draws"] < options.draws / options.processes:
        if time.monotonic() - start > options.seconds:
            break
        try:
            more = compare(options.seed, number, machine)
        except AssertionError as error:
            raise AssertionError(
                f"{error}\nrerun: python {sys.argv[0]} --draws 1 --processes 1 --seed "
                f"{options.seed} --first {number}"
            ) from None
        made.update(draws=more, batches=1, gpu_draws=more if machine is not None else 0)
        number += options.processes
    return dict(made)


def main() -> int:
    """Run the processes and add up what they compared."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=100_000_000, help="at least")
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no batch after so long")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first batch")
    parser.add_argument("--no-gpu", action="store_true", help="compare model and native engine")
    options = parser.parse_args()
    if options.draws < 1 or options.processes < 1 or min(options.seed, options.first) < 0:
        parser.error(
            "expected --draws and --processes of 1 or more, --seed and --first of 0 or more"
        )
    start = time.monotonic()
    total: Counter[str] = Counter()
    with ProcessPoolExecutor(options.processes, multiprocessing.get_context("spawn")) as pool:
        parts = [pool.submit(work, options, place) for place in range(options.processes)]
        for part in as_completed(parts):
            try:
                total.update(part.result())
            except AssertionError as error:
                print(error, file=sys.stderr)
                return 1
    row = {**total, "differing": 0, "seed": options.seed}
    print(json.dumps({**row, "seconds": round(time.monotonic() - start, 1)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
