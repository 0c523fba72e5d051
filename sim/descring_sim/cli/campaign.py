# SPDX-License-Identifier: Apache-2.0
"""``descring campaign``: an implementation against the model, by the million lines or by seeds."""

from __future__ import annotations

import time
from pathlib import Path

import click

from descring_sim.replay.registry import BACKENDS
from descring_sim.support.click_options import SUITE, jobs_option, suite_options
from descring_sim.support.progress import progress_bar, say
from descring_sim.support.seeds import new_seed

MISMATCH, ERROR = 1, 2
DEFAULT_LINES = 1_000_000
_FOR_LINES = ("lines", "chunk")
_FOR_COUNT = (*SUITE, "sampled", "address", "state")


@click.command()
@click.argument("implementation", default="verilated")
@click.option(
    "--lines", type=click.IntRange(min=1), help=f"So many random lines.  [default: {DEFAULT_LINES}]"
)
@click.option(
    "--count", type=click.IntRange(1, 10**9), help="The conformance suite with so many seeds."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Of all lines, drawn when left out; with --count the first seed.  [default: 1]",
)
@jobs_option("Processes")
@click.option(
    "--chunk", type=click.IntRange(min=0), help="With --lines: the chunk of this number alone."
)
@suite_options("With --count: ")
@click.option(
    "--sampled",
    is_flag=True,
    help="With --count: covering sets instead of enumerations, as for a simulation.",
)
@click.option(
    "--ray",
    "address",
    metavar="ADDRESS",
    help="With --count: a Ray cluster's address, auto, or local for one on this machine.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --count: keep finished seeds there, and continue from them when called again.",
)
@click.pass_context
def campaign(
    context: click.Context,
    implementation: str,
    lines: int | None,
    count: int | None,
    seed: int | None,
    jobs: int,
    chunk: int | None,
    only: tuple[str, ...],
    smoke: bool,
    sampled: bool,
    timeout_s: float,
    address: str | None,
    state: Path | None,
    output: Path | None,
) -> int:
    """Compare an implementation with the golden model at length.

    With --lines, push random lines through one of our backends and compare every result. What is
    done, and the digest at the end, depends on --seed and --lines alone. Exit code 1: a result
    differs; 2: the implementation failed.

    With --count, run the conformance suite over seeds on any implementation that `descring conform`
    takes, and merge everything into one verdict. Exit codes are those of conform.
    """
    _refuse(context, _FOR_LINES if count else _FOR_COUNT, "--lines" if count is None else "--count")
    if count is None:
        return _lines(implementation, lines or DEFAULT_LINES, seed, jobs, chunk)
    # Imported late: it needs much that lines do not.
    from descring_sim.campaign.session import SuiteCampaign, judge_seeds
    from descring_sim.conform.duts.dut_file import notice

    if text := notice(Path(implementation)):
        say(f"descring: notice: {text}")

    return judge_seeds(
        SuiteCampaign(
            reference=implementation,
            count=count,
            first_seed=1 if seed is None else seed,
            only=only,
            smoke=smoke,
            sampled=sampled,
            jobs=jobs,
            timeout_s=timeout_s,
            address=address,
            state=state,
            output=output,
        )
    )


def _refuse(context: click.Context, names: tuple[str, ...], mode: str) -> None:
    """Options of the other mode are an error, not ignored."""
    for parameter in context.command.params:
        if parameter.name in names:
            source = context.get_parameter_source(parameter.name)
            if source is click.core.ParameterSource.COMMANDLINE:
                option = max(parameter.opts, key=len)
                raise click.UsageError(f"{option} means nothing with {mode}; leave one of them out")


def _lines(backend: str, lines: int, seed: int | None, jobs: int, chunk: int | None) -> int:
    # Imported late: the stream commands must not need a compiler.
    from descring_sim.campaign import fuzz as campaigns

    backends = [name for name in BACKENDS if name != "model"]
    if backend not in backends:
        raise click.UsageError(
            f"--lines is for {', '.join(backends)}; got {backend!r}. For any other implementation "
            "give --count"
        )
    seed = new_seed() if seed is None else seed
    campaigns.prepare(backend, say)
    work = campaigns.chunks(seed, lines, backend)
    if chunk is not None:
        if chunk >= len(work):
            raise click.BadParameter(
                f"expected a chunk from 0 to {len(work) - 1} of {lines} lines, got {chunk}",
                param_hint="--chunk",
            )
        work = [work[chunk]]
    began = time.monotonic()
    outcomes = []
    with progress_bar() as bar:
        task = bar.add_task(f"{backend}, seed {seed}", total=sum(item.lines for item in work))
        running = campaigns.run(
            work,
            backend,
            processes=min(jobs, len(work)),
            progress=lambda outcome: bar.advance(task, outcome.lines),
        )
        for outcome in running:
            outcomes.append(outcome)
            if outcome.problem is not None:
                running.close()
                break
    last = outcomes[-1]
    if last.problem is not None:
        failed = next(item for item in work if item.number == last.number)
        named = "" if backend == campaigns.LIBRARY else f"{backend} "
        click.echo(f"{failed}\n  {last.problem}", err=True)
        click.echo(
            f"rerun: descring campaign {named}--lines {lines} --seed {seed} --chunk {last.number}",
            err=True,
        )
        return MISMATCH if last.mismatch else ERROR
    seconds = time.monotonic() - began
    matched, cycles = sum(item.lines for item in outcomes), sum(item.cycles for item in outcomes)
    where = f"{cycles} cycles" if cycles else backend
    click.echo(
        f"matched {matched} lines in {seconds:.1f} s, {where}, seed {seed}, "
        f"digest {campaigns.digest_of(outcomes)}"
    )
    return 0
