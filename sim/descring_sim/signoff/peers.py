# SPDX-License-Identifier: Apache-2.0
"""Runs the testbench of ``rl_runtime_axi`` with AXI cores of another project on both its ports.

``descring dev peers --verilog-axi DIR`` takes the cores from a checkout of alexforencich's
verilog-axi, which is not part of this repository. Each chain of :mod:`peers_top` is built with
Verilator; the cases compare every line with the golden model.

Exit codes: 0 all well; 1 a case fails; 2 the sources are missing, or do not build.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import click

from descring_sim.cosim import runner
from descring_sim.hdl import filelist
from descring_sim.hdl.verilator import lint_off
from descring_sim.signoff import options, peers_top
from descring_sim.signoff.peers_top import Chain
from descring_sim.support import paths
from descring_sim.support.click_program import run_module
from descring_sim.support.errors import SimulationError
from descring_sim.support.seeds import new_seed

CASES = tuple(
    f"rl_runtime_axi.{name}_cases" for name in ("stream", "ring", "place", "error", "lifecycle")
)
CASE = r"^(?!.*test_reset_(of_the_device_alone|lowers_valids_and_readys_at_once))"
"""All but those that examine the pins of the device in reset, or keep the memory out of it."""
ADVICE = (
    "peers runs sources that are not part of this repository. Get verilog-axi by Alex Forencich "
    "(MIT; on GitHub as alexforencich/verilog-axi), then run: "
    "make peers VERILOG_AXI=/path/to/verilog-axi"
)
_RULES = (
    *("WIDTH", "CASEINCOMPLETE", "UNOPTFLAT", "MULTIDRIVEN"),
    *("SELRANGE", "ASCRANGE", "INITIALDLY", "ZEROREPL"),
)


def collect(chain: Chain, cores: Path, rtl: Path, folder: Path) -> None:
    """Write into ``folder`` the sources of a chain's top; the cores are copied unchanged.

    Raises:
        SimulationError: ``cores`` has none of verilog-axi's cores.
    """
    found = sorted((cores / "rtl").glob("ax*.v")) + sorted((cores / "rtl").glob("[ap]r*_*.v"))
    found += sorted((cores / "rtl").glob("arbiter.v"))
    if not found:
        raise SimulationError(f"expected rtl/axi_register.v and others in {cores}. {ADVICE}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lint = lint_off(*_RULES)
    for path in dict.fromkeys(found):
        text = path.read_text("utf-8", errors="replace")
        (folder / f"{path.stem}.sv").write_text(lint + text, encoding="utf-8")
    for path in filelist.collect(rtl, peers_top.DEVICE).files:
        shutil.copy(path, folder)
    top = peers_top.text(chain, rtl, cores / "rtl")
    (folder / f"{peers_top.TOP}.sv").write_text(lint + top, encoding="utf-8")


def run(chain: Chain, folder: Path, seed: int, case: str) -> runner.RunResult:
    """Run the cases on the sources in ``folder``."""
    return runner.run(
        simulator="verilator",
        top=peers_top.TOP,
        cases=CASES,
        config=chain.name,
        seed=seed,
        case=case,
        tier="quick",
        rtl_dir=folder,
        run_dir=folder.with_name(f"{chain.name}-run"),
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--verilog-axi",
    "cores",
    type=click.Path(path_type=Path),
    help="A checkout of verilog-axi.",
)
@click.option(
    "--chain",
    "names",
    type=click.Choice([chain.name for chain in peers_top.CHAINS]),
    multiple=True,
    help="Run this chain only; may be repeated.",
)
@click.option("--case", default=CASE, help="Regular expression; other cases are left out.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), help="Of everything random.")
@options.rtl
def main(
    cores: Path | None, names: tuple[str, ...], case: str, seed: int | None, rtl_dir: Path | None
) -> None:
    """Run the device's testbench with cores of verilog-axi on both ports of the device."""
    rtl = (rtl_dir or paths.rtl_dir()).resolve()
    seed = new_seed() if seed is None else seed
    failed = []
    try:
        if cores is None:
            raise SimulationError(ADVICE)
        for chain in peers_top.CHAINS:
            if names and chain.name not in names:
                continue
            folder = paths.build_dir() / "peers" / chain.name
            collect(chain, cores, rtl, folder)
            result = run(chain, folder, seed, case)
            verdict = "holds" if result.ok else "FAILS"
            click.echo(
                f"{chain.name}: {verdict}, {result.outcome.executed} cases, {result.matched} lines "
                f"as the golden model has them, {result.wall_s:.0f} s"
            )
            if not result.ok:
                failed.append((chain, result))
    except SimulationError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    for chain, result in failed:
        text = re.sub(r"rerun: .*", "", result.failure_text())
        again = f"descring dev peers --verilog-axi {cores} --chain {chain.name} --seed {seed}"
        click.echo(f"{text}\n  again: {again}", err=True)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    run_module("descring_sim.signoff.peers", main)
