# SPDX-License-Identifier: Apache-2.0
"""Proves the AXI ports against properties of others, which are not part of this repository.

``descring dev formal-axi`` takes them out of checkouts. With ``--wb2axip DIR`` it puts
``bench/formal/faxil_slave.v`` of ZipCPU's wb2axip around ``axil_slave`` and ``mmio_regs``
(``sim/outside/axi``), proves its assertions for all inputs by k-induction, and reaches its covers.
With ``--fvip DIR`` it adds the checkers of YosysHQ's SVA-AXI4-FVIP to the proofs of the units at
the port to memory: :mod:`descring_sim.signoff.fvip_proofs`.

Exit codes: 0 all well; 1 a property fails; 2 the sources are missing, or a tool fails.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

from descring_sim.formal import toolchain
from descring_sim.hdl import filelist
from descring_sim.signoff import fvip_proofs, options
from descring_sim.signoff.fvip import Translation
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
    "Get wb2axip by ZipCPU (Apache-2.0; on GitHub as ZipCPU/wb2axip), then run: "
    "make formal-axi WB2AXIP=/path/to/wb2axip"
)
NEITHER = (
    "formal-axi checks against sources that are not part of this repository. For the AXI4-Lite "
    f"port: {ADVICE}\nFor the port to memory: {fvip_proofs.ADVICE}"
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


def faxil(folder: Path) -> list[str]:
    """Prove what :func:`collect` left in ``folder``; prints verdicts, returns those that failed.

    Raises:
        SimulationError: as :func:`prove`.
    """
    failed = []
    for task in TASKS:
        started = time.monotonic()
        holds = prove(task, folder)
        seconds = time.monotonic() - started
        click.echo(f"faxil_slave, {task}: {'holds' if holds else 'FAILS'}, {seconds:.0f} s")
        if not holds:
            log = folder / f"{task}.log"
            failed.append(f"{processes.log_tail(log)}\nlog and trace: {log}, {folder}/out_*")
    return failed


def memory_port(
    checkers: Mapping[str, Translation], fvip: Path, root: Path, rtl: Path, folder: Path
) -> list[str]:
    """Prove the port to memory by FVIP; prints verdicts, returns those that failed.

    Raises:
        SimulationError: as :func:`descring_sim.signoff.fvip_proofs.run`.
    """
    failed = []
    for verdict in fvip_proofs.run(checkers, fvip, root, rtl, folder):
        click.echo(str(verdict))
        if not verdict.holds:
            failed.append(f"{verdict}\nlog and trace: {verdict.outcome.folder}")
    return failed


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--wb2axip",
    type=click.Path(path_type=Path),
    help="A checkout of ZipCPU's wb2axip.",
)
@click.option(
    "--fvip",
    type=click.Path(path_type=Path),
    help="A checkout of YosysHQ's SVA-AXI4-FVIP.",
)
@options.rtl
def main(wb2axip: Path | None, fvip: Path | None, rtl_dir: Path | None) -> None:
    """Prove the AXI ports by properties of others.

    --wb2axip: axil_slave and mmio_regs, the AXI4-Lite port. --fvip: desc_fetch and
    axi_write_engine, the port to memory.
    """
    root = paths.checkout_root()
    if root is None:
        raise click.ClickException("expected a checkout of descring, got an installed package")
    folder = paths.build_dir() / "formal-axi"
    failed = []
    try:
        if wb2axip is None and fvip is None:
            raise SimulationError(NEITHER)
        rtl = (rtl_dir or paths.rtl_dir()).resolve()
        # What is missing is reported before anything is proven for minutes.
        if wb2axip is not None:
            collect(wb2axip, rtl, root / "sim" / "outside" / "axi", folder / "faxil")
        if fvip is not None:
            checkers = fvip_proofs.translated(fvip)
            click.echo(fvip_proofs.summary(checkers))
        if wb2axip is not None:
            failed += faxil(folder / "faxil")
        if fvip is not None:
            failed += memory_port(checkers, fvip, root, rtl, folder / "fvip")
    except SimulationError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    if failed:
        click.echo("\n".join(failed), err=True)
        sys.exit(1)


if __name__ == "__main__":
    run_module("descring_sim.signoff.formal_axi", main)
