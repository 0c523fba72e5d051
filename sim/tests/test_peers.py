# SPDX-License-Identifier: Apache-2.0
"""Cores of others on both ports of the device: without them the way to get them, else a verdict.

The cores themselves are not part of this repository; here wires with the same ports replace them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.hdl import filelist
from descring_sim.signoff import peers, peers_top
from descring_sim.signoff.peers import main
from descring_sim.signoff.peers_top import Chain, Core
from descring_sim.support import paths
from descring_sim.support.errors import SimulationError

CHAIN = Chain("wires", {"WorkerCount": 2}, (Core("axi_wires", {}),), (Core("axil_wires", {}),))
QOS = "    input wire [3:0] s_axi_awqos,\n    output wire [3:0] m_axi_awqos,\n"


def _wires(lite: bool, broken: str = "") -> str:
    """The source of a core that passes all on, but ``broken``, whose lowest bit it inverts."""
    channels, prefix = (peers_top._REGISTERS, "axil") if lite else (peers_top._MEMORY, "axi")
    ports, joined = ["    input wire clk", "    input wire rst"], []
    for signal in peers_top._signals(channels, 32 if lite else 512, 4):
        ways = ("input wire", "output wire") if signal.forward else ("output wire", "input wire")
        for way, side in zip(ways, "sm", strict=True):
            ports.append(f"    {signal.declared(way, f'{side}_{prefix}_')}")
        to, of = ("m", "s") if signal.forward else ("s", "m")
        change = " ^ 1" * (signal.name == broken)
        joined.append(
            f"  assign {to}_{prefix}_{signal.name} = {of}_{prefix}_{signal.name}{change};"
        )
    head = f"module {prefix}_wires #\n(\n    parameter DATA_WIDTH = 32\n)\n(\n"
    more = "" if lite else QOS
    return head + more + ",\n".join(ports) + "\n);\n" + "\n".join(joined) + "\nendmodule\n"


def _cores(folder: Path, broken: str = "") -> Path:
    (folder / "rtl").mkdir(parents=True)
    (folder / "rtl" / "axi_wires.v").write_text(_wires(False, broken))
    (folder / "rtl" / "axil_wires.v").write_text(_wires(True))
    return folder


@pytest.mark.parametrize("arguments", [[], ["--verilog-axi", "/no/such/folder"]])
def test_without_the_cores_it_tells_how_to_get_them(arguments: list[str]) -> None:
    """Exit code 2: nothing is fetched, and nothing is taken for run."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "alexforencich/verilog-axi" in result.output
    assert "make peers VERILOG_AXI=" in result.output
    assert "holds" not in result.output


def test_a_core_that_is_missing_is_named(tmp_path: Path) -> None:
    """Another repository's cores are no reason to run with fewer."""
    cores = _cores(tmp_path / "cores")
    result = CliRunner().invoke(main, ["--verilog-axi", str(cores), "--chain", "crossbar"])
    assert result.exit_code == 2
    assert "expected axi_register.v in" in result.output


def test_a_file_without_the_ports_of_a_core_is_refused(tmp_path: Path) -> None:
    """Such a core would be wired to nothing."""
    cores = _cores(tmp_path / "cores")
    (cores / "rtl" / "axi_wires.v").write_text("module axi_wires (\n    input wire clk\n);\n")
    with pytest.raises(SimulationError, match="expected a core with s_axi or s_axil"):
        peers.collect(CHAIN, cores, paths.rtl_dir(), tmp_path / "run")


def test_every_signal_of_the_device_is_wired_to_the_cores(tmp_path: Path) -> None:
    """A port that the tables of channels forget would float."""
    peers.collect(CHAIN, _cores(tmp_path / "cores"), paths.rtl_dir(), tmp_path / "run")
    text = (tmp_path / "run" / f"{peers_top.TOP}.sv").read_text()
    header = (paths.rtl_dir() / "rl_runtime_axi.sv").read_text().partition("\n);")[0]
    ports = set(re.findall(r"\b(?:[ms]_axil?_\w+|\w+_n?[io])\b(?=,|$)", header, re.MULTILINE))
    device = text.partition("u_device (")[2].partition(");\n")[0]
    assert len(ports) > 50
    assert ports == set(re.findall(r"\.(\w+)\(", device))
    assert filelist.collect(tmp_path / "run", peers_top.TOP).sources


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "fails"), [("", ""), ("wdata", "never posted"), ("rlast", "ended prematurely")]
)
def test_what_a_core_breaks_is_seen(tmp_path: Path, broken: str, fails: str) -> None:
    """By the scoreboard, or by an assertion of the RTL: the cases run through the cores."""
    cores = _cores(tmp_path / "cores", broken)
    peers.collect(CHAIN, cores, paths.rtl_dir(), tmp_path / "wires")
    result = peers.run(CHAIN, tmp_path / "wires", 1, "test_rings_anywhere_in_64_bits")
    assert result.ok is not bool(fails)
    if fails:
        assert re.search(fails, result.failure_text())
    else:
        assert result.outcome.executed == 4
        assert result.matched == 4 * (40 + 20)
