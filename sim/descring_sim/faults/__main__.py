# SPDX-License-Identifier: Apache-2.0
"""Runs the fault table: many seeds of each kind of fault, on Verilator and on Icarus.

On Verilator the device is the compiled library behind ``open_device("verilated")``; on Icarus it
runs under cocotb with the protocol of both buses watched. Host, golden device and seeds are the
same. Run as ``descring dev faults``. Whatever is done is kept, so that ``--resume``
continues where a run was ended.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import cast

import click
import numpy as np
from descring_host import open_device

from descring_sim.cosim import runner
from descring_sim.faults import report
from descring_sim.faults.kinds import KINDS, run_seed
from descring_sim.faults.lockstep_host import FaultError, FaultyDevice, Setting
from descring_sim.faults.report import Chunk
from descring_sim.support import paths, provenance
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError

DEFAULT_SEEDS = {"verilator": 1000, "icarus": 63}
"""Enough for every k of a torn line, on Icarus once."""

_CHUNK = 50
_BACKPRESSURE = (0.0, 0.0, 0.3, 0.6)


def _open_verilated(setting: Setting, seed: int) -> FaultyDevice:
    rng = np.random.default_rng(seed)
    device = open_device(
        "verilated",
        memory=setting.memory_bytes,
        first_index=setting.first_index,
        seed=seed,
        latency=(1, setting.latency),
        backpressure=float(rng.choice(np.array(_BACKPRESSURE))),
    )
    return cast(FaultyDevice, device)


def on_verilator(kind: str, seed: int, first: int, count: int) -> Counter[str]:
    """Run seeds ``first`` to ``first + count`` of a kind on the compiled device.

    Raises:
        FaultError: the device and the golden device differ.
    """
    counts: Counter[str] = Counter()
    for number in range(first, first + count):
        run_seed(kind, seed, number, _open_verilated, counts)
    return counts


def on_icarus(kind: str, seed: int, first: int, count: int) -> Counter[str]:
    """Run seeds of a kind under cocotb.

    Raises:
        FaultError: the device and the golden device differ, or a bus broke its protocol.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = runner.run(
            simulator="icarus",
            top="rl_runtime_axi",
            cases="rl_runtime_axi.fault_cases",
            seed=seed,
            # cocotb names a case by the number of a long parameter.
            case=f"test_fault/kind={list(KINDS).index(kind)}",
            run_dir=Path(folder) / "run",
            extra_env={"DESCRING_FAULTS": f"{count}:{first}:{folder}"},
            timeout_s=3600,
        )
        if not result.ok:
            raise FaultError(result.failure_text())
        return Counter(json.loads((Path(folder) / f"{kind}.json").read_text("utf-8")))


_RUN = {"verilator": on_verilator, "icarus": on_icarus}


def _plan(
    simulators: Sequence[str], kinds: Sequence[str], seed: int, first: int, seeds: int | None
) -> list[Chunk]:
    """What is to be done, one kind after the other, in pieces that a run may end between."""
    chunks = []
    for kind in kinds:
        for simulator in simulators:
            stop = first + (seeds or DEFAULT_SEEDS[simulator])
            for start in range(first, stop, _CHUNK):
                chunks.append(Chunk(simulator, kind, seed, start, min(_CHUNK, stop - start)))
    return chunks


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--simulator", type=click.Choice(["all", *_RUN]), default="all", show_default=True)
@click.option("--kind", type=click.Choice(list(KINDS)), multiple=True, help="Default: all of them.")
@click.option("--seeds", type=click.IntRange(1), help="Of each kind; default 1000 and 63.")
@click.option("--first", type=click.IntRange(0), default=0, help="Number of the first seed.")
@click.option("--seed", type=click.IntRange(1, 2**31 - 1), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--resume", is_flag=True, help="Leave out what was done at this very commit.")
@click.option("--write", is_flag=True, help="Write docs/results/faults.md and faults.json too.")
def main(
    simulator: str,
    kind: tuple[str, ...],
    seeds: int | None,
    first: int,
    seed: int,
    jobs: int,
    resume: bool,
    write: bool,
) -> None:
    """Make faults between a host and the device; the outcome must be the golden device's."""
    root = paths.checkout_root()
    if write and (root is None or kind or seeds or first or simulator != "all"):
        raise click.UsageError("--write wants a checkout, all kinds, and the seeds of the table")
    commit = provenance.commit(*report.FOLDERS) if root is not None else "none"
    if resume and " " in commit:
        raise click.UsageError(f"--resume wants sources as they are in a commit, not {commit}")
    simulators = tuple(_RUN) if simulator == "all" else (simulator,)
    chunks = _plan(simulators, kind or tuple(KINDS), seed, first, seeds)
    journal = paths.build_dir() / "faults" / "done.jsonl"
    kept = report.read_journal(journal, commit) if resume else {}
    results = {chunk: kept[chunk] for chunk in chunks if chunk in kept}
    problems = []
    with ProcessPoolExecutor(jobs) as pool:
        work: dict[Future[Counter[str]], Chunk] = {
            pool.submit(
                _RUN[chunk.simulator], chunk.kind, chunk.seed, chunk.first, chunk.seeds
            ): chunk
            for chunk in chunks
            if chunk not in results
        }
        for task in as_completed(work):
            chunk = work[task]
            try:
                results[chunk] = task.result()
            except (FaultError, SimulationError) as error:
                problems.append(
                    f"{error}\nrerun: descring dev faults "
                    f"--simulator {chunk.simulator} --kind {chunk.kind} --seed {seed} "
                    f"--first {chunk.first} --seeds {chunk.seeds}"
                )
                continue
            report.note(journal, commit, chunk, results[chunk])
            click.echo(f"\r{len(results)} of {len(chunks)} chunks", nl=False, err=True)
    click.echo("", err=True)
    total = report.add_up((chunk, results[chunk]) for chunk in chunks if chunk in results)
    click.echo(report.overview(total), nl=False)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise SystemExit(1)
    if write and root is not None:
        report.write(root / "docs" / "results", total, commit, seed)


if __name__ == "__main__":
    run_module("descring_sim.faults", main)
