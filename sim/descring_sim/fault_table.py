# SPDX-License-Identifier: Apache-2.0
"""Runs the fault table: many seeds of each kind of fault, on Verilator and on Icarus.

On Verilator the device is the compiled library behind ``open_device("verilated")``; on Icarus it
runs under cocotb with the protocol of both buses watched. Host, golden device and seeds are the
same. Run as ``python -m descring_sim.fault_table``.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
from descring_host import open_device

from descring_sim import runner
from descring_sim.errors import SimulationError
from descring_sim.fault_host import FaultError, FaultyDevice, Setting
from descring_sim.faults import KINDS, run_seed

DEFAULT_SEEDS = {"verilator": 1000, "icarus": 50}
_CHUNK = 50
_BACKPRESSURE = (0.0, 0.0, 0.3, 0.6)
COLUMNS = ("seeds", "faults", "lines", "refused", "bad doorbells", "halts")


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


def table(counts: dict[tuple[str, str], Counter[str]]) -> str:
    """The results as a table, a row for each kind on each simulator."""
    rows = [
        "| fault | simulator | " + " | ".join(COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    for (kind, simulator), found in counts.items():
        cells = " | ".join(str(found[name]) for name in COLUMNS)
        rows.append(f"| {kind.replace('_', ' ')} | {simulator} | {cells} |")
    return "\n".join(rows) + "\n"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--simulator", type=click.Choice(["all", *_RUN]), default="all", show_default=True)
@click.option("--kind", type=click.Choice(list(KINDS)), multiple=True, help="Default: all of them.")
@click.option("--seeds", type=click.IntRange(1), help="Of each kind; default 1000 and 50.")
@click.option("--first", type=click.IntRange(0), default=0, help="Number of the first seed.")
@click.option("--seed", type=click.IntRange(1, 2**31 - 1), default=1, show_default=True)
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True)
def main(
    simulator: str, kind: tuple[str, ...], seeds: int | None, first: int, seed: int, jobs: int
) -> None:
    """Make faults between a host and the device; the outcome must be the golden device's."""
    total: dict[tuple[str, str], Counter[str]] = {}
    problems = []
    with ProcessPoolExecutor(jobs) as pool:
        work: dict[Any, tuple[str, str, int, int]] = {}
        for name in _RUN if simulator == "all" else (simulator,):
            count = seeds or DEFAULT_SEEDS[name]
            for each in kind or KINDS:
                total[each, name] = Counter()
                for start in range(first, first + count, _CHUNK):
                    chunk = min(_CHUNK, first + count - start)
                    task = pool.submit(_RUN[name], each, seed, start, chunk)
                    work[task] = (each, name, start, chunk)
        for done, task in enumerate(as_completed(work), start=1):
            each, name, start, chunk = work[task]
            try:
                total[each, name] += task.result()
            except (FaultError, SimulationError) as error:
                problems.append(
                    f"{error}\nrerun: python -m descring_sim.fault_table --simulator {name} "
                    f"--kind {each} --seed {seed} --first {start} --seeds {chunk}"
                )
            click.echo(f"\r{done} of {len(work)} chunks", nl=False, err=True)
    click.echo("", err=True)
    click.echo(table(total), nl=False)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
