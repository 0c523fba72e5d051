# SPDX-License-Identifier: Apache-2.0
"""``descring dev mutation rtl|python|c``: draw mutants, try them, report.

A sample is drawn with a seed from the present sources; results are noted in
``build/mutation/<kind>.jsonl``, and the same command continues, also from what a checkout has in
``docs/results/mutation.json``.

Exit codes: 0 each mutant is killed, or equivalent by proof or in writing; 1 one survived, or was
killed although it is judged equivalent; 2 an error in what was asked for, a damaged journal, or a
suite that fails on the unchanged sources.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from descring_sim.formal.tasks import formal_dir
from descring_sim.mutation.sampled import (
    c_changes,
    campaign,
    judgements,
    lasting,
    python_changes,
    python_judge,
    report,
)
from descring_sim.mutation.sampled.c_judge import NativeJudge
from descring_sim.mutation.sampled.campaign import Found, Progress, Sampled, Stage, one_stage
from descring_sim.mutation.sampled.rtl import TIERS, RtlJudge
from descring_sim.mutation.sampled.suites import NATIVE_OPTIONS, PROGRAMS, Area, SuiteJudge
from descring_sim.support import build_cache, paths, suggest
from descring_sim.support.errors import SimulationError

DEFAULT_SAMPLE = 60
DEFAULT_SEED = 1
_MODEL = "pymodel/descring_model"
_HOST = (_MODEL, "host/descring_host", "host/descring_rollouts", "host/native")
PYTHON_SOURCES = (*_HOST, "sim/descring_sim/conform")
C_SOURCES = (*_HOST, "host/include")
RTL_SOURCES = ("rtl", _MODEL)
"""What a result of a mutant depends on, beside the tests; a new test leaves the kills of others as
they are."""

Drawn = tuple[list[Sampled], Sequence[Stage]]


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.option(
                "--sample",
                type=click.IntRange(1, 100000),
                default=DEFAULT_SAMPLE,
                show_default=True,
                help="How many mutants to draw.",
            ),
            click.option(
                "--seed",
                type=click.IntRange(0, 2**31 - 1),
                default=DEFAULT_SEED,
                show_default=True,
                help="Of the sample.",
            ),
            click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True),
            click.option(
                "--module",
                "modules",
                multiple=True,
                metavar="NAME",
                help="Draw from this module, file or folder only; may be repeated.",
            ),
            click.option(
                "--only",
                multiple=True,
                metavar="ID",
                help="Try this mutant of the sample only; may be repeated.",
            ),
            click.option(
                "--list", "list_only", is_flag=True, help="Print the sample, try nothing."
            ),
            click.option(
                "--known", is_flag=True, help="Try nothing; report what was tried before."
            ),
            click.option(
                "--write", is_flag=True, help="Write docs/results/mutation.md and .json too."
            ),
        )
    ):
        command = option(command)
    return command


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Draw mutants by a seed and try them; the suites and proofs must kill each."""


def _root() -> Path:
    root = paths.checkout_root()
    if root is None:
        raise click.UsageError("mutants belong to a checkout of descring, not to a wheel")
    return root


def contents(*folders: Path) -> str:
    """Return a name for all that lies in ``folders``, without caches and programs of the tests."""
    files = sorted(
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix in (".sv", ".svh", ".sby", ".py", ".c", ".h", ".toml")
        and not str(path.parent).endswith(f"/{PROGRAMS}")
    )
    return build_cache.key([str(path.name) for path in files], files)


def _campaign(
    kind: str,
    draw: Callable[[], Drawn],
    source_of: Callable[[str], Path],
    sources: Sequence[str],
    *,
    sample: int,
    seed: int,
    jobs: int,
    only: tuple[str, ...],
    list_only: bool,
    write: bool,
    known: bool,
    settled: Callable[[Found], bool],
    remember: Callable[[Mapping[str, Found]], None] = lambda killers: None,
) -> None:
    root = _root()
    results_dir = root / "docs" / "results"
    if write and only:
        raise click.UsageError("--write wants the whole sample; leave --only out")
    try:
        judged = judgements.load(root / "sim" / "mutants" / "sampled" / f"{kind}.toml", source_of)
        progress = Progress(
            paths.build_dir() / "mutation" / f"{kind}.jsonl",
            contents(*(root / name for name in sources)),
            settled,
            report.written(results_dir, kind),
        )
        remember(progress.killers)
        drawn, stages = draw()
        mutants = campaign.chosen(drawn, only)
        if list_only:
            for mutant in mutants:
                click.echo(f"{mutant.name:<28} {mutant.text}")
            return
        if known:
            mutants = progress.all_of(mutants, stages)
        started = time.monotonic()
        results = campaign.run(mutants, stages, judged, progress, jobs)
        elapsed = time.monotonic() - started
        seconds = sum(result.seconds for result in results)  # those of earlier runs too
        click.echo(f"\n{kind}: {campaign.score(results)}, in {elapsed:.0f} s")
        if write:
            found = report.entry(
                results, contents=progress.contents, sample=sample, seed=seed, seconds=seconds
            )
            report.write(results_dir, kind, found)
    except SimulationError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    contradictions = campaign.contradicted(results, judged)
    for text in contradictions:
        click.echo(text, err=True)
    bad = [result for result in results if not result.good]
    for result in bad:
        again = report.rerun(kind, result.mutant.name, sample, seed)
        click.echo(
            f"{result.status}: {result.mutant.name}: {result.mutant.text}: {result.by}\n"
            f"  line:  {result.mutant.source}\n  again: .venv/bin/{again}",
            err=True,
        )
    if bad or contradictions:
        sys.exit(1)


def _modules(known: list[str], wanted: tuple[str, ...]) -> list[str]:
    def among(name: str, given: str) -> bool:
        return name == given or name.startswith(f"{given.rstrip('/')}/")

    for given in wanted:
        if not any(among(name, given) for name in known):
            near = ", ".join(suggest.near(given, known))
            raise click.UsageError(
                f"--module: expected a module, file or folder, got {given!r}; near: {near}"
            )
    return [name for name in known if not wanted or any(among(name, given) for given in wanted)]


@main.command()
@_options
@click.option(
    "--until",
    type=click.Choice(TIERS),
    default=TIERS[-1],
    show_default=True,
    help="The last tier that is tried.",
)
def rtl(
    sample: int, seed: int, jobs: int, modules: tuple[str, ...], only: tuple[str, ...],
    list_only: bool, write: bool, known: bool, until: str,
) -> None:  # fmt: skip
    """Mutate the netlists of the RTL: testbenches, SAT, the device's testbenches, proofs."""
    rtl_dir, tests_dir = paths.rtl_dir().resolve(), paths.cocotb_tests_dir().resolve()
    out = paths.build_dir() / "mutation" / "rtl"

    def draw() -> Drawn:
        judge = RtlJudge(rtl_dir, tests_dir, out, seed, formal_dir(), until)
        return judge.draw(_modules(judge.modules(), modules), sample), judge.stages()

    _campaign(
        "rtl",
        draw,
        lambda module: rtl_dir / f"{module}.sv",
        RTL_SOURCES,
        sample=sample, seed=seed, jobs=jobs, only=only, list_only=list_only, write=write,
        known=known,
        settled=lasting.of_benches(tests_dir, formal_dir()),
    )  # fmt: skip


@main.command()
@_options
def python(seed: int, modules: tuple[str, ...], **arguments: Any) -> None:
    """Mutate golden model, host and the kit's verdict path; the tests that execute a line run."""
    root = _root()
    areas = python_judge.areas(root)
    out = paths.build_dir() / "mutation" / "python"
    judge = python_judge.PythonJudge(
        areas, python_changes.changes, out, seed, jobs=arguments["jobs"]
    )
    _suite_campaign("python", judge, PYTHON_SOURCES, modules, seed=seed, **arguments)


@main.command()
@_options
def c(seed: int, modules: tuple[str, ...], **arguments: Any) -> None:
    """Mutate the native core and the worker's header; the tests that execute the line run."""
    root = _root()
    out = paths.build_dir() / "mutation" / "c"
    areas = (native_core(root),)
    judge = NativeJudge(areas, c_changes.changes, out, seed, jobs=arguments["jobs"])
    _suite_campaign("c", judge, C_SOURCES, modules, seed=seed, **arguments)


def _suite_campaign(
    kind: str,
    judge: SuiteJudge,
    sources: Sequence[str],
    modules: tuple[str, ...],
    *,
    sample: int,
    **arguments: Any,
) -> None:
    """Run a campaign whose judge is the suites of its areas."""

    def draw() -> Drawn:
        return judge.draw(_modules(judge.files(), modules), sample), one_stage(judge.judge)

    _campaign(
        kind,
        draw,
        judge.source_of,
        sources,
        sample=sample,
        settled=lasting.of_suites(judge.areas),
        remember=judge.killers.update,
        **arguments,
    )


def native_core(root: Path) -> Area:
    """The C sources that are mutated, with their suite."""
    home = root / "host"
    found = [*home.glob("native/*.c"), *home.glob("native/rollouts/*.c")]
    found.append(home / "include" / "hw_worker.h")
    files = tuple(sorted(str(path.relative_to(home)) for path in found))
    lists = root / "sim" / "mutants" / "host"
    return Area(home, "host", files, lists, options=NATIVE_OPTIONS, programs=PROGRAMS)
