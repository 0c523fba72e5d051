# SPDX-License-Identifier: Apache-2.0
"""Measure the native engine on one core, beside memcpy and beside the golden model in NumPy.

Attention is given as bytes of keys and values a second, with memcpy of the same bytes in the same
rounds; tokens a second are those of whole rollouts, with short and long contexts. Every output and
every arena that was timed is compared, bit by bit, with the golden model's. Times are CPU time of
the calling thread, and the best of the rounds, since what disturbs one only adds to it.

Run: python bench/engine_bench.py --json docs/results/engine.json
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from descring_host.engine import NativeEngine
from descring_model.engine import contract
from descring_model.engine.attention import attend
from descring_model.engine.batch import Batch
from descring_model.engine.interface import Engine
from descring_model.engine.model import ModelEngine
from descring_sim.bench import results
from host_bench import report

Row = dict[str, Any]

AIM = 0.5
"""Of memcpy's rate, for attention over more than the caches hold."""
CONTEXTS = (512, 4096, 262144)
"""Tokens of one attention: 256 KiB, 2 MiB and 128 MiB of keys and values."""
ROLLOUTS = ((16, 8, 64), (16, 32, 256), (4, 512, 1024))
"""Rollouts, tokens of their prompts, and tokens of each at its end."""


def timed(call: Callable[[], object]) -> float:
    """Seconds of CPU time of this thread."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


def attention(tokens: int, rounds: int) -> Row:
    """Attention of one query over blocks in random order, copies of them, and the kernels' bits."""
    rng = np.random.default_rng(tokens)
    count = tokens // contract.BLOCK_TOKENS
    engines = {name: NativeEngine(kernels=name) for name in ("best", "scalar")}
    arena = engines["best"].new_arena(count * contract.BLOCK_BYTES)
    kv = arena.view(np.float16).reshape(count, 2, contract.BLOCK_TOKENS, contract.DIMS)
    for block in range(count):
        kv[block] = rng.standard_normal(kv.shape[1:], dtype=np.float32)
    blocks = rng.permutation(count).astype(np.uint32)
    query = rng.standard_normal(contract.DIMS, dtype=np.float32).astype(np.float16)
    expected, _ = attend(query[np.newaxis], kv, [blocks], np.array([tokens]))
    rows, copied = arena.reshape(count, -1), np.empty_like(arena)
    gathered = copied.reshape(count, -1)
    repeat = max(1, (1 << 22) // len(arena))

    def attended(engine: NativeEngine) -> None:
        for _ in range(repeat):
            output = engine.attend(arena, blocks, tokens, query)
            if output.tobytes() != expected[0].tobytes():
                raise AssertionError(f"{engine.kernels}: another output than the golden model's")

    def copy_whole() -> None:
        for _ in range(repeat):
            np.copyto(copied, arena)

    def copy_blocks() -> None:
        for _ in range(repeat):
            np.take(rows, blocks, axis=0, out=gathered, mode="clip")

    ways: dict[str, Callable[[], None]] = {
        "native": lambda: attended(engines["best"]),
        "memcpy": copy_whole,
        "copy of the blocks in their order": copy_blocks,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            took[name].append(timed(way))
    took["scalar"] = [timed(lambda: attended(engines["scalar"]))]
    moved = len(arena) * repeat / 1e9
    ratios = [copy / own for copy, own in zip(took["memcpy"], took["native"], strict=True)]
    return {
        "what": "attention",
        "tokens": tokens,
        "kernels": engines["best"].kernels,
        "gb_per_s": {name: round(moved / min(values), 2) for name, values in took.items()},
        "cpu_seconds": took,
        "of_memcpy": round(min(took["memcpy"]) / min(took["native"]), 2),
        "of_memcpy_median": round(statistics.median(ratios), 2),
    }


def rollouts(count: int, prompt: int, end: int, rounds: int) -> Row:
    """Whole rollouts by each engine; their arenas are compared."""
    rng = np.random.default_rng(end)
    prompts = [rng.integers(0, contract.VOCABULARY, prompt).tolist() for _ in range(count)]
    engines: dict[str, Engine] = {
        "native": NativeEngine(),
        "scalar": NativeEngine(kernels="scalar"),
        "NumPy": ModelEngine(contract.VOCABULARY),
    }
    made = count * (end - prompt)
    rates: dict[str, float] = {}
    seconds: dict[str, list[float]] = {}
    expected = b""
    for name, engine in reversed(engines.items()):
        took = []
        for _ in range(rounds if name == "native" else 1):
            batch = Batch(engine, prompts, end, [{"seed": 3, "sample": n} for n in range(count)])
            batch.advance(prompt)
            took.append(timed(lambda batch=batch: batch.advance(end)))  # type: ignore[misc]
            expected = expected or bytes(batch.arena)
            if bytes(batch.arena) != expected:
                raise AssertionError(f"{name}: another arena than the golden model's")
        rates[name] = round(made / min(took))
        seconds[name] = took
    return {
        "what": "tokens",
        "rollouts": count,
        "prompt": prompt,
        "end": end,
        "tokens_per_s": rates,
        "cpu_seconds": seconds,
        "of_numpy": round(rates["native"] / rates["NumPy"], 1),
    }


def table(rows: Sequence[Row]) -> str:
    """For people."""
    text = []
    for row in rows:
        if row["what"] == "attention":
            rates = ", ".join(f"{name} {rate:.2f}" for name, rate in row["gb_per_s"].items())
            text.append(
                f"attention over {row['tokens']} tokens: {row['of_memcpy']:.2f} of memcpy (median "
                f"{row['of_memcpy_median']:.2f}); GB/s: {rates}"
            )
        else:
            rates = ", ".join(f"{name} {rate}" for name, rate in row["tokens_per_s"].items())
            text.append(
                f"{row['rollouts']} rollouts of {row['prompt']} to {row['end']} tokens: "
                f"{row['of_numpy']} times NumPy; tokens a second: {rates}"
            )
    largest = max((row for row in rows if row["what"] == "attention"), key=lambda r: r["tokens"])
    verdict = "reached" if largest["of_memcpy"] >= AIM else "MISSED"
    text.append(f"aim: {AIM} of memcpy over {largest['tokens']} tokens: {verdict}")
    return "\n".join(text)


def main() -> None:
    """Measure, print, and write the file of results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--json", type=Path, help="write the result here")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: expected 1 or more, got {options.rounds}")
    origin = results.origin("host", "bench", "pymodel")
    rows: list[Row] = []
    for tokens in CONTEXTS:
        report(f"attention over {tokens} tokens")
        rows.append(attention(tokens, options.rounds))
    for count, prompt, end in ROLLOUTS:
        report(f"{count} rollouts of {prompt} to {end} tokens")
        rows.append(rollouts(count, prompt, end, options.rounds))
    print(table(rows))
    if options.json:
        raw = [{**row, "gb_per_s": None, "tokens_per_s": None} for row in rows]
        figures = results.figures_of_numbers(raw, ("what", "tokens", "rollouts", "end"))
        details = {"aim": AIM, "rows": rows}
        results.write(options.json, results.Results("engine_bench", figures, origin, details))


if __name__ == "__main__":
    main()
