# SPDX-License-Identifier: Apache-2.0
"""Proves the AXI4-Lite port against properties of others: faxil_slave of ZipCPU's wb2axip.

``descring dev formal-axi --wb2axip DIR`` takes ``bench/formal/faxil_slave.v`` out of a checkout of
wb2axip, which is not part of this repository, puts it around ``axil_slave`` and ``mmio_regs``
(``sim/outside/axi``), proves its assertions for all inputs by k-induction, and reaches its covers.

Exit codes: 0 all well; 1 a property fails; 2 the sources are missing, or a tool fails.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path

import click

from descring_sim.formal import toolchain
from descring_sim.hdl import filelist
from descring_sim.support import paths, processes
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError

TASK_FILE = "axil.sby"
HARNESS = ("axil_dut.sv", "axil_top.v")
BLOCKS = ("axil_slave", "mmio_regs")
FOREIGN = "bench/formal/faxil_slave.v"
TASKS = ("prove", "cover")
TIMEOUT_S = 3600.0

ADVICE = (
    "formal-axi checks against sources that are not part of this repository. Get wb2axip by ZipCPU "
    "(Apache-2.0; on GitHub as ZipCPU/wb2axip), then run: make formal-axi WB2AXIP=/path/to/wb2axip"
)

_PASS, _FAIL = re.compile(r"DONE \(PASS"), re.compile(r"DONE \(FAIL")


def collect(wb2axip: Path, rtl: Path, harness: Path, folder: Path) -> None:
    """Copy into ``folder`` what a proof reads.

    Raises:
        SimulationError: the properties are not in ``wb2axip``, or are cut short.
    """
    foreign = wb2axip / FOREIGN
    if not foreign.is_file():
        raise SimulationError(f"expected {FOREIGN} in {wb2axip}, found none. {ADVICE}")
    if not re.search(r"^\s*endmodule", foreign.read_text("utf-8", errors="replace"), re.MULTILINE):
        raise SimulationError(f"{foreign}: expected a whole module, got none; fetch it again")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    needed = [filelist.collect(rtl, name) for name in BLOCKS]
    sources = list(dict.fromkeys(path for item in needed for path in item.sources))
    own = [*sources, *dict.fromkeys(path for item in needed for path in item.headers)]
    for path in (*(harness / name for name in HARNESS), *own, foreign):
        shutil.copy(path, folder)
    text = (harness / TASK_FILE).read_text(encoding="utf-8")
    text = text.replace("@SOURCES@", " ".join(path.name for path in sources))
    text = text.replace("@FILES@", "\n".join(path.name for path in own))
    (folder / TASK_FILE).write_text(text, encoding="utf-8")


def prove(task: str, folder: Path) -> bool:
    """Run one task; whether every property holds, or every cover is reached.

    Raises:
        SimulationError: the proof ends without a verdict.
    """
    log = folder / f"{task}.log"
    code = processes.run(
        toolchain.sby(task, folder / TASK_FILE, folder / "out"),
        cwd=folder,
        log=log,
        timeout_s=TIMEOUT_S,
        env=toolchain.environment(),
    )
    text = log.read_text(encoding="utf-8", errors="replace")
    if code == 0 and _PASS.search(text):
        return True
    if _FAIL.search(text):
        return False
    raise SimulationError(f"{task}: no verdict, log {log}\n{processes.log_tail(log)}")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--wb2axip",
    type=click.Path(path_type=Path),
    help="A checkout of ZipCPU's wb2axip.",
)
@click.option(
    "--rtl",
    "rtl_dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Sources.  [default: descring's own]",
)
def main(wb2axip: Path | None, rtl_dir: Path | None) -> None:
    """Prove axil_slave and mmio_regs against the AXI4-Lite properties of wb2axip."""
    root = paths.checkout_root()
    if root is None:
        raise click.ClickException("expected a checkout of descring, got an installed package")
    folder = paths.build_dir() / "formal-axi"
    try:
        if wb2axip is None:
            raise SimulationError(ADVICE)
        rtl = (rtl_dir or paths.rtl_dir()).resolve()
        collect(wb2axip, rtl, root / "sim" / "outside" / "axi", folder)
        failed = []
        for task in TASKS:
            started = time.monotonic()
            holds = prove(task, folder)
            seconds = time.monotonic() - started
            click.echo(f"faxil_slave, {task}: {'holds' if holds else 'FAILS'}, {seconds:.0f} s")
            if not holds:
                failed.append(task)
    except SimulationError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    if failed:
        log = folder / f"{failed[0]}.log"
        click.echo(f"{processes.log_tail(log)}\nlog and trace: {log}, {folder}/out_*", err=True)
        sys.exit(1)


if __name__ == "__main__":
    run_module("descring_sim.signoff.formal_axi", main)
