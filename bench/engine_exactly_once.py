# SPDX-License-Identifier: Apache-2.0
"""Rollouts on the resident shape, each exactly once, through STOP, RESET, pauses and host kills.

A child process runs rounds: it lays thousands of fresh rollouts into the GPU's arena, submits a
line for each in any order with STOPs between them, and meanwhile resumes, pauses and resets; after
a reset it submits again what was not yet taken. A round counts when every completion was the golden
model's, once and in order, and every byte of the arena is that of the native engine: a rollout that
was left out, or advanced twice, has other bytes. The parent kills the child at any moment
(SIGKILL), and the next one begins on the same GPU.

Exit code 0: so many rollouts, none lost, none twice; 1: a difference. Without a GPU nothing is run.
"""

from __future__ import annotations

import argparse
import json
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from descring_cuda import CudaEngine, ResidentDevice
from descring_cuda.machine import CupyMachine
from descring_host import CommandQueue, DeviceError
from descring_host.engine import NativeEngine
from descring_model import DESC_DTYPE, Lines, complete, contract
from descring_model.engine.batch import Batch

sys.path.insert(0, str(Path(__file__).parent))

from cuda_host import STOP, describe

PLANS = 3
ROOM = 24
"""Tokens of a rollout at most, its prompt included."""
SEATS = 2048
SLOTS = 16384
PATIENCE_S = 30.0
LONGEST_LIFE_S = 20.0
_CTRL, _ENABLE = contract.REGISTER["CTRL"].offset, 1


def make_plan(seed: int, count: int) -> dict[str, Any]:
    """Fresh rollouts, and what the native engine makes of them."""
    rng = np.random.default_rng(seed)
    native = NativeEngine()
    prompts = [rng.integers(0, 1024, int(size)).tolist() for size in rng.integers(1, 9, count)]
    parameters = [{"seed": seed, "sample": at} for at in range(count)]
    order = rng.permutation(count)
    batch = Batch(native, prompts, ROOM, parameters, order=order)
    start = batch.arena.copy()
    lengths = np.array([len(prompt) for prompt in prompts])
    ends = rng.integers(lengths + 1, ROOM, endpoint=True).astype(np.uint32)
    batch.advance(ends.tolist())
    native.close()
    return {"start": start, "expected": batch.arena.copy(), "offsets": batch.offsets, "ends": ends}


def _lines(rng: np.random.Generator, plan: dict[str, Any]) -> Lines:
    """A ROLLOUT for each in any order, with STOPs between them."""
    order = rng.permutation(len(plan["ends"]))
    lines = np.zeros(len(order), dtype=DESC_DTYPE)
    lines["opcode"] = contract.OPCODE["ROLLOUT"]
    lines["kv_offset"] = plan["offsets"][order]
    lines["max_tokens"] = plan["ends"][order]
    lines["rollout_id"] = order
    stop = np.zeros(1, dtype=DESC_DTYPE)
    stop["opcode"] = STOP
    for place in rng.integers(0, len(lines), int(rng.integers(0, 4))):
        lines = np.concatenate([lines[:place], stop, lines[place:]])
    return lines


def _pause(device: ResidentDevice) -> None:
    control = device.read32(_CTRL)
    device.write32(_CTRL, control & ~_ENABLE)
    device.write32(_CTRL, control)


def run_round(
    device: ResidentDevice, rng: np.random.Generator, plan: dict[str, Any]
) -> Counter[str]:
    """All rollouts of a plan; what was done meanwhile.

    Raises:
        AssertionError: a completion or a byte of the arena differs.
    """
    device.write_arena(0, plan["start"])
    lines = _lines(rng, plan)
    expected = complete(lines)
    resets = sorted(rng.integers(1, len(lines), int(rng.integers(0, 3))).tolist())
    done: Counter[str] = Counter(rollouts=len(plan["ends"]), rounds=1)
    taken = 0
    while taken < len(lines):
        with CommandQueue(device, cmd_slots=SLOTS, timeout_s=PATIENCE_S) as queue:  # resets it
            queue.submit(lines[taken:])
            since = time.monotonic()
            while taken < len(lines) and not (resets and taken >= resets[0]):
                got = queue.poll(timeout_s=0.001)
                if got.tobytes() != expected[taken : taken + len(got)].tobytes():
                    raise AssertionError(f"completions {taken} to {taken + len(got)} differ")
                taken += len(got)
                since = time.monotonic() if len(got) else since
                if queue.halted:
                    queue.continue_after_stop()
                    done["stops"] += 1
                elif rng.random() < 0.02:
                    _pause(device)
                    done["pauses"] += 1
                if time.monotonic() - since > PATIENCE_S:
                    raise AssertionError(f"no completion behind {taken} of {len(lines)}")
            done["resets"] += taken < len(lines)
            resets = [place for place in resets if place > taken]
    found = np.empty_like(plan["expected"])
    device.read_arena(0, found)
    if not np.array_equal(found, plan["expected"]) or device.failures():
        differ = int(np.count_nonzero(found != plan["expected"]))
        raise AssertionError(f"{differ} bytes of the arena differ; {device.failures()}")
    return done


def child(folder: Path, seed: int) -> None:
    """Rounds without end, each reported in a line."""
    plans = [dict(np.load(path)) for path in sorted(folder.glob("*.npz"))]
    rng = np.random.default_rng(seed)
    with (
        CudaEngine() as engine,
        ResidentDevice(
            16 << 20, engine=engine, arena=max(len(plan["start"]) for plan in plans), seats=SEATS,
            max_tokens=ROOM,
        ) as device,
    ):  # fmt: skip
        while True:
            done = run_round(device, rng, plans[int(rng.integers(len(plans)))])
            print(json.dumps(done), flush=True)


def main() -> int:
    """Children one after the other, until there are so many rollouts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rollouts", type=int, default=10_000_000)
    parser.add_argument("--count", type=int, default=8192, help="rollouts of a round")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, help="write the totals there as JSON")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.seed)
    try:
        machine = CupyMachine()
    except DeviceError as error:
        print(f"bench/engine_exactly_once.py: nothing run: {error}", file=sys.stderr)
        return 0
    rng = np.random.default_rng(options.seed)
    totals: Counter[str] = Counter()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(PLANS):
            np.savez(
                Path(folder) / f"{number}.npz", **make_plan(options.seed + number, options.count)
            )
        while totals["rollouts"] < options.rollouts:
            seed = int(rng.integers(1 << 31))
            life = float(rng.uniform(4, LONGEST_LIFE_S))
            command = [sys.executable, __file__, "--child", folder, "--seed", str(seed)]
            with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
                code = _watch(running, life, options.rollouts, totals)
            if code is not None:
                print(f"rerun: {' '.join(command[:2])} --seed {options.seed}", file=sys.stderr)
                return 1
            print(f"{totals['rollouts']} rollouts", file=sys.stderr, flush=True)
    row = {**totals, "seed": options.seed, "seconds": round(time.monotonic() - began, 1)}
    print(json.dumps(row))
    if options.output:
        text = {"where": describe(machine.cupy, 0), "rows": [row]}
        options.output.write_text(json.dumps(text, indent=1) + "\n")
    return 0


def _watch(
    running: subprocess.Popen[bytes], life: float, wanted: int, totals: Counter[str]
) -> int | None:
    """Add up what a child reports, and kill it when its time is over; its exit code if it ended."""
    assert running.stdout is not None
    first: float | None = None
    while True:
        over = first is not None and time.monotonic() - first > life
        if over or totals["rollouts"] >= wanted:
            running.kill()
            totals["kills"] += 1
            return None
        if not select.select([running.stdout], [], [], 0.01)[0]:
            continue
        line = running.stdout.readline()
        if not line:
            return running.wait()
        first = first or time.monotonic()
        totals.update(json.loads(line))


if __name__ == "__main__":
    sys.exit(main())
