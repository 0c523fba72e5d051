# SPDX-License-Identifier: Apache-2.0
"""``descring conform-engine``: the verdict on an engine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from descring_sim.conform.engine.cases import Case
from descring_sim.conform.engine.run import Result, judge_engine, select
from descring_sim.support.files import outputs, write_files
from descring_sim.support.progress import progress_bar


@click.command()
@click.argument("engine")
@click.option("--only", multiple=True, metavar="RULE|CASE", help="May be repeated.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=1, show_default=True)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(0.1),
    default=120.0,
    show_default=True,
    help="Seconds for a case.",
)
@click.option(
    "--json", "file", type=click.Path(path_type=Path), metavar="FILE", help="Write the results."
)
@click.option("--list", "list_only", is_flag=True, help="Print the cases and run none.")
def conform_engine(
    engine: str,
    only: tuple[str, ...],
    seed: int,
    timeout_s: float,
    file: Path | None,
    list_only: bool,
) -> int:
    """Judge an engine by docs/engine-contract.md, rule by rule.

    ENGINE is one of ours (model, native), a shared library ending in .so with the functions of
    descring_engine.h, or file.py:Class, which is called with the vocabulary. It runs beside the
    golden model, and every byte of their arenas is compared.

    Exit code 0 when it conforms, 1 when it does not, 2 when it could not be judged.
    """
    cases = select(only)
    if list_only:
        for case in cases:
            click.echo(f"{case.id:<28} {case.what}")
        return 0
    if file is not None:
        with outputs(file):
            pass  # refused now, and not after the work
    results = _judge(engine, cases, seed, timeout_s)
    for result in results:
        if result.status.bad:
            click.echo(f"{result.rule}: {result.status.value} in {result.case}: {result.text}")
            click.echo(f"  descring conform-engine {engine} --only {result.case} --seed {seed}")
    bad = [result for result in results if result.status.bad]
    compared = sum(result.compared for result in results)
    click.echo(
        f"{engine}: {len(results) - len(bad)} of {len(results)} cases passed, {compared} tokens "
        f"and refusals compared; {'conforms' if not bad else 'does not conform'}"
    )
    if file is not None:
        rows = [{**asdict(result), "status": result.status.value} for result in results]
        write_files({file: json.dumps({"engine": engine, "seed": seed, "results": rows}, indent=1)})
    return 1 if bad else 0


def _judge(engine: str, cases: Sequence[Case], seed: int, timeout_s: float) -> list[Result]:
    """The results, with a bar at a terminal."""
    with progress_bar() as bar:
        line = bar.add_task(engine, total=len(cases))
        return judge_engine(
            engine,
            cases,
            seed=seed,
            timeout_s=timeout_s,
            done=lambda result: bar.update(line, advance=1),
        )
