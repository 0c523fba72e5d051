# SPDX-License-Identifier: Apache-2.0
"""Measures the engine on a GPU: attention, whole steps, logits, sampling, each beside its floor.

Every figure is a median of one run, and what is timed is verified: words against the golden model
for some rollouts, and equal between repeated runs for all. Without a GPU it reports that and
measures nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from descring_cuda.engine import CudaEngine
from descring_cuda.machine import CupyMachine
from descring_host import DeviceError
from descring_model.engine import contract
from descring_model.engine.attention import attend
from descring_model.engine.batch import padded
from descring_model.engine.model import ModelEngine
from descring_model.engine.random_numbers import draws
from descring_model.engine.records import ROLLOUT_DTYPE
from descring_model.engine.sampling import sample
from descring_model.engine.state import logits
from descring_model.engine.weights import weights
from descring_sim.bench.results import Measured

sys.path.insert(0, str(Path(__file__).parent))

from common.report import Report, add_output
from cuda_host import describe
from engine_load import Baselines, Load, median_us

ATTENTION = ((4096, 512), (4096, 4096), (64, 32768), (8192, 32), (64, 4096), (256, 512))
STEPS = {
    contract.VOCABULARY: (
        *((4096, 32), (4096, 128), (4096, 512), (4096, 2048), (4096, 4096)),
        *((64, 32768), (1024, 2048), (8192, 32), (256, 512), (64, 512)),
    ),
    16384: ((1024, 512), (1024, 4096), (64, 32768)),
    contract.VOCABULARY_MAX: ((128, 512), (128, 8192)),
}
"""Rollouts and tokens of the whole steps, by vocabulary."""
CHAIN = 20_000
"""Fused multiply-adds of a chain, to measure their rate: some milliseconds."""
GOLDEN_TOKENS = 16384
"""Tokens of all rollouts whose attention the golden model makes, about."""
LABELS = ("what", "task_blocks", "temperature", "top_k", "top_p")
"""What names a figure."""


class Bench:
    """The measurements; ``report`` collects what they gave."""

    def __init__(self, gpu: int, output: Path | None) -> None:
        self.machine = CupyMachine(gpu)
        self.engine = CudaEngine(machine=self.machine)
        self.baselines = Baselines(self.machine)
        self._rate: float | None = None
        attention = self.machine.function("hwe_attention")
        self.report = Report(
            "engine_cuda", output, LABELS, describe(self.machine.cupy, gpu),
            attention_registers=attention.attributes["num_regs"],
            attention_blocks=self.machine.blocks,
        )  # fmt: skip

    def row(self, what: str, **values: Any) -> None:
        """Keep and print one result, and write all there are."""
        self.report.row(what=what, **values)

    def attention(self, count: int, length: int, task_blocks: int) -> None:
        """Attention of one step against reading the same bytes, and against a free order."""
        load = Load(self.engine, self.baselines, count, length, 32, task_blocks)
        seats, machine = load.seats, self.machine
        shape = (count, contract.DIMS)
        found = []
        for _ in range(3):
            load.poison("outputs", 4 * contract.DIMS * count)
            load.rewind_tasks()
            seats.attend()
            found.append(load.array("outputs", shape, np.uint32))
        unequal = int((found[0] != found[1]).sum() + (found[0] != found[2]).sum())
        outputs = found[0].view(np.float32)
        own = max(1, min(count, GOLDEN_TOKENS // length))
        places = np.random.default_rng(0).choice(count, own, replace=False)
        queries = load.array("queries", shape, np.float16)[places]
        each = load.maps.shape[1]
        maps = [np.arange(each) + at * each for at in range(own)]
        golden, good = attend(queries, load.blocks(places), maps, np.full(own, length))
        differ = int((golden.view(np.uint32) != found[0][places]).sum())
        load.poison("outputs", 4 * contract.DIMS * count)
        load.rewind_tasks()
        self.baselines.attention("free_attention", seats)
        free = load.array("outputs", shape, np.float32)
        error = float(np.linalg.norm(free - outputs) / np.linalg.norm(outputs))
        if differ or unequal or not good.all() or not error < 1e-3:
            raise SystemExit(
                f"{count} x {length}: {differ} words differ from the golden model, {unequal} "
                f"between runs, {error} from the free order"
            )
        exact = median_us(machine, seats.attend, load.rewind_tasks)
        again = median_us(machine, seats.attend, load.rewind_tasks)
        other, narrow = (
            median_us(
                machine,
                lambda kernel=kernel: self.baselines.attention(kernel, seats),  # type: ignore[misc]
                load.rewind_tasks,
            )
            for kernel in ("free_attention", "narrow_attention")
        )
        sweep = median_us(machine, lambda: self.baselines.sweep(load.arena, load.read_bytes))
        self.row(
            f"attention {count} x {length}", task_blocks=task_blocks, us=exact, again_us=again,
            sweep_us=sweep, free_order_us=other, narrow_us=narrow, of_sweep=sweep / exact,
            of_free_order=other / exact, terabytes_per_s=load.read_bytes / exact / 1e6,
            words_checked=own * contract.DIMS,
            words_equal_between_runs=2 * count * contract.DIMS, differences=differ + unequal,
            free_order_error=error,
        )  # fmt: skip
        load.close()

    def multiply_adds_a_us(self) -> float:
        """The GPU's rate of fused multiply-adds, every lane busy."""
        if self._rate is None:
            made = self.baselines.multiply_adds(CHAIN)
            took = median_us(self.machine, lambda: self.baselines.multiply_adds(CHAIN))
            self._rate = made / float(took)
            self.row("fused multiply-adds", us=took, teraflops=2e-6 * self._rate)
        return self._rate

    def steps(self, vocabulary: int, shapes: Iterable[tuple[int, int]], **members: float) -> None:
        """Whole steps with one vocabulary."""
        with CudaEngine(vocabulary, machine=self.machine) as engine:
            for count, length in shapes:
                self.step(engine, count, length, **members)

    def step(self, engine: CudaEngine, count: int, length: int, **members: float) -> None:
        """A whole step, launched and replayed as a graph, beside its floors.

        A step cannot be faster than a sweep of its keys and values, nor than its multiply-adds: two
        for each dim of each token, five matrices, and the logits.
        """
        rate = self.multiply_adds_a_us()
        task_blocks = engine._task_blocks(count * -(-length // contract.BLOCK_TOKENS))
        load = Load(engine, self.baselines, count, length, 128, task_blocks, **members)
        seats, machine = load.seats, self.machine
        self.check_steps(engine, load, 3)
        launched = median_us(machine, seats.step)
        replay = machine.repeated(seats.step)
        replayed = median_us(machine, replay)
        attention = median_us(machine, seats.attend, load.rewind_now)
        tail = max(0.0, replayed - attention)
        sweep = median_us(machine, lambda: self.baselines.sweep(load.arena, load.read_bytes))
        dims = contract.DIMS
        operations = count * dims * (2 * length + 5 * dims + engine.vocabulary) / rate
        floor = max(float(sweep), operations)
        self.row(
            f"step {count} x {length}, {engine.vocabulary} tokens", **members,
            launched_us=launched, graph_us=replayed, attention_us=attention, rest_us=tail,
            sweep_us=sweep, operations_us=operations, of_floor=floor / replayed,
            million_tokens_per_s=count / replayed,
        )  # fmt: skip
        load.close()

    def check_steps(self, engine: CudaEngine, load: Load, steps: int) -> None:
        """Some rollouts' tokens, states, keys and values after so many steps, to the bit."""
        before = load.own()
        own = max(1, min(load.count, 4, GOLDEN_TOKENS // load.length))
        places = np.random.default_rng(1).choice(load.count, own, replace=False)
        each = load.maps.shape[1]
        kv = load.blocks(places)
        golden = ModelEngine(engine.vocabulary)
        arena = golden.new_arena(kv.nbytes + before[places].nbytes)
        arena[: kv.nbytes] = kv.view(np.uint8).reshape(-1)
        rest = arena[kv.nbytes :].reshape(own, -1)
        rest[:] = before[places]
        step = rest.shape[1]
        for at in range(own):
            record = rest[at, : contract.RECORD_BYTES].view(ROLLOUT_DTYPE)
            base = kv.nbytes + at * step
            shift = int(load.offsets[places[at]]) - base
            for name in ("tokens", "blocks", "state"):
                record[name] -= np.uint64(shift)
            start = int(record["blocks"][0]) - base
            rest[at, start : start + 4 * each].view(np.uint32)[:] = np.arange(each) + at * each
        offsets = kv.nbytes + np.arange(own, dtype=np.uint64) * np.uint64(step)
        ends = np.full(own, load.length + steps, dtype=np.uint32)
        statuses = golden.advance(arena, offsets, ends)
        for _ in range(steps):
            load.seats.step()
        after = load.own()[places]
        size = contract.RECORD_BYTES
        tokens, states = padded(size), padded(size) + contract.STATE_BYTES
        same = (after[:, tokens:states] == rest[:, tokens:states]).all()
        span = slice(load._tokens_at, load._tokens_at + 4 * load.end)
        same = same and (after[:, span] == rest[:, span]).all()
        same = same and (load.blocks(places).view(np.uint8).reshape(-1) == arena[: kv.nbytes]).all()
        if not same or statuses.any():
            raise SystemExit(f"step {load.count} x {load.length}: not the golden model's bytes")

    def large_vocabulary(self, count: int, vocabulary: int) -> None:
        """Logits and sampling of a large vocabulary."""
        machine = self.machine
        with CudaEngine(vocabulary, machine=machine) as engine:
            load = Load(engine, self.baselines, count, 32, 32)
            seats = load.seats
            load.rewind_tasks()
            seats.attend()
            seats.make_logits()
            rows = load.array("logits", (count, vocabulary), np.float32)
            halves = load.array("halves", (count, contract.DIMS), np.float16)
            golden = logits(halves[:4], weights(vocabulary))
            differ = int((golden.view(np.uint32) != rows[:4].view(np.uint32)).sum())
            took = median_us(machine, seats.make_logits)
            logits_at = seats.addresses["logits"]
            sweep = median_us(machine, lambda: self.baselines.sweep(logits_at, rows.nbytes))
            self.row(
                f"logits {count} x {vocabulary}", us=took, sweep_us=sweep,
                teraflops=2e-6 * count * vocabulary * contract.DIMS / took,
                words_checked=golden.size, differences=differ,
            )  # fmt: skip
            rng = np.random.default_rng(3)
            drawn = rng.normal(0, 3, (count, vocabulary)).astype(np.float32)
            machine.write(seats.addresses["logits"], drawn)
            for top_k, top_p, heat in (
                (0, 1.0, 0.0), (0, 1.0, 1.0), (50, 1.0, 1.0), (0, 0.9, 1.0), (1000, 0.9, 0.7),
            ):  # fmt: skip
                self.draws(load, drawn, top_k, top_p, heat)
            load.close()

    def draws(self, load: Load, rows: Any, top_k: int, top_p: float, heat: float) -> None:
        """Sampling alone, from given logits."""
        machine, seats, count = self.machine, load.seats, load.count
        table = seats.read()
        members = {"top_k": top_k, "top_p": top_p, "temperature": heat}
        for name, value in members.items():
            table["rollout"][name] = value
        table["token"] = contract.NONE
        table["awaits"], table["refused"] = 1, 0
        machine.write(seats.addresses["seats"], table)

        seats.draw()
        found = seats.read()["token"]
        rollouts = table["rollout"]
        random = draws(rollouts["seed"], rollouts["group"], rollouts["sample"], rollouts["length"])
        start = time.perf_counter()
        golden = sample(rows, rollouts["temperature"], rollouts["top_k"], rollouts["top_p"], random)
        golden_s = time.perf_counter() - start
        differ = int((found != golden).sum())
        took = median_us(machine, seats.draw)
        sweep = median_us(
            machine, lambda: self.baselines.sweep(seats.addresses["logits"], rows.nbytes)
        )
        self.row(
            f"sampling {rows.shape[0]} x {rows.shape[1]}", **members, us=took, sweep_us=sweep,
            of_sweep=sweep / took, golden_model_us=golden_s * 1e6, tokens_checked=count,
            differences=differ,
        )  # fmt: skip
        if differ:
            raise SystemExit(f"sampling {members}: {differ} of {count} tokens differ")

    def torch(self, count: int, length: int) -> None:
        """PyTorch's attention on contiguous keys and values of the same size."""
        import torch

        torch.cuda.empty_cache()
        k, v = (
            torch.randn(count, 1, length, contract.DIMS, device="cuda", dtype=torch.float16)
            for _ in range(2)
        )
        q = torch.randn(count, 1, 1, contract.DIMS, device="cuda", dtype=torch.float16)
        took = torch_us(partial(torch.nn.functional.scaled_dot_product_attention, q, k, v))
        self.row(f"PyTorch SDPA {count} x {length}, contiguous", us=took)

    def torch_sampling(self, count: int, vocabulary: int) -> None:
        """PyTorch's draws, with random numbers of its own, from logits of the same kind."""
        import torch

        rows = torch.randn(count, vocabulary, device="cuda") * 3

        def draw(scores: Any) -> Any:
            return torch.multinomial(torch.softmax(scores, -1), 1)

        def top_k() -> Any:
            values, ids = torch.topk(rows, 50)
            return ids.gather(1, draw(values))

        def top_p() -> Any:
            values, ids = torch.sort(rows, descending=True)
            masses = torch.softmax(values, -1)
            kept = masses.cumsum(-1) - masses < 0.9
            return ids.gather(1, torch.multinomial(masses * kept, 1))

        for what, work in (("all", lambda: draw(rows)), ("top_k 50", top_k), ("top_p 0.9", top_p)):
            self.row(f"PyTorch sampling {count} x {vocabulary}, {what}", us=torch_us(work))


def torch_us(work: Callable[[], Any]) -> Measured:
    """Microseconds of ``work`` on PyTorch's stream, by events."""
    import torch

    times = []
    for _ in range(18):
        start, end = torch.cuda.Event(True), torch.cuda.Event(True)
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) * 1e3)
    return Measured(times[3:])


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_output(parser)
    parser.add_argument("--gpu", type=int, default=0)
    parser.add_argument("--only", default="attention,step,vocabulary,torch", help="comma-separated")
    options = parser.parse_args()
    try:
        bench = Bench(options.gpu, options.output)
    except DeviceError as error:
        print(f"bench/engine_cuda.py: nothing measured: {error}", file=sys.stderr)
        return 0
    print(json.dumps(bench.report.origin), flush=True)
    parts = options.only.split(",")
    if "attention" in parts:
        for count, length in ATTENTION:
            for task_blocks in (8, 4, 2) if length > 32 else (1,):
                bench.attention(count, length, task_blocks)
    if "step" in parts:
        for vocabulary, shapes in STEPS.items():
            bench.steps(vocabulary, shapes)
        for members in ({"temperature": 0.0}, {"temperature": 0.7, "top_k": 50, "top_p": 0.9}):
            bench.steps(contract.VOCABULARY, [(4096, 512)], **members)
    if "vocabulary" in parts:
        bench.large_vocabulary(128, contract.VOCABULARY_MAX)
    if "torch" in parts:
        for count, length in ATTENTION:
            bench.torch(count, length)
        bench.torch_sampling(128, contract.VOCABULARY_MAX)
    return 0


if __name__ == "__main__":
    sys.exit(main())
