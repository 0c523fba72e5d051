# SPDX-License-Identifier: Apache-2.0
"""Place and route: the harness, what is read from a report, what is kept, and small modules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from descring_sim.hdl import filelist, slang
from descring_sim.signoff import pnr, pnr_run
from descring_sim.signoff.pnr import main
from descring_sim.signoff.pnr_run import Route
from descring_sim.support import paths, processes
from descring_sim.support.errors import SimulationError

BLOCK = """\
module block #(
    parameter int WorkerCount = 8
) (
    input wire logic clk_i,
    input wire logic rst_ni,
    input wire logic [WorkerCount-1:0] data_i,
    output logic [{width}-1:0] data_o,
    output logic any_o
);
  always_ff @(posedge clk_i) data_o <= rst_ni ? {width}'(data_i) * {width}'(data_i) : '0;
  assign any_o = |data_i;
endmodule
"""


def _rtl(folder: Path, width: int = 8) -> Path:
    rtl = folder / "rtl"
    rtl.mkdir(exist_ok=True)
    (rtl / "block.sv").write_text(BLOCK.format(width=width))
    return rtl


def _route(**changes: Any) -> Route:
    found = Route("block", 1, "ecp5-25k", 1, "s", 100.0, ("a", "b"), 4.0, 6.0, 10, 20, 0, 1.0)
    return Route.of({**found.record(), **changes})


def test_the_harness_connects_every_port(tmp_path: Path) -> None:
    """slang elaborates it without a port that is open or of another width."""
    rtl = _rtl(tmp_path)
    text = pnr_run.harness(rtl, "block", 8)
    for connection in (
        ".clk_i(clk)",
        ".rst_ni(drive_q[0 +: 1])",
        ".data_i(drive_q[1 +: 8])",
        ".data_o(seen[0 +: 8])",
        ".any_o(seen[8 +: 1])",
        "block #(.WorkerCount(8)) dut",
    ):
        assert connection in text
    (tmp_path / "harness.sv").write_text(text)
    compilation, _ = slang.elaborate([rtl / "block.sv", tmp_path / "harness.sv"])
    assert [item.name for item in compilation.getRoot().topInstances] == [pnr_run.HARNESS]


@pytest.mark.parametrize("module", ["rl_runtime_axi", "rl_runtime_top", "crc32c", "mmio_regs"])
def test_the_harness_of_our_modules_elaborates(tmp_path: Path, module: str) -> None:
    """With and without a clock, with and without workers."""
    (tmp_path / "harness.sv").write_text(pnr_run.harness(paths.rtl_dir(), module, 2))
    sources = filelist.collect(paths.rtl_dir(), module).sources
    compilation, _ = slang.elaborate([*sources, tmp_path / "harness.sv"])
    assert [item.name for item in compilation.getRoot().topInstances] == [pnr_run.HARNESS]


def test_a_module_without_outputs_is_refused(tmp_path: Path) -> None:
    """Nothing of it would be left."""
    (tmp_path / "block.sv").write_text("module block (input wire logic a_i);\nendmodule\n")
    with pytest.raises(SimulationError, match="expected inputs and outputs"):
        pnr_run.harness(tmp_path, "block", 1)


def _step(kind: str, delay: float, net: str = "") -> dict[str, Any]:
    return {"type": kind, "delay": delay, **({"net": net} if kind == "routing" else {})}


def test_the_critical_path_is_the_one_between_registers() -> None:
    """Paths to and from pins do not count; the names are those of the RTL, each once."""
    steps = [
        _step("clk-to-q", 0.5),
        _step("routing", 1.25, "dut.u_ring.head_q[3]"),
        _step("logic", 0.25),
        _step("routing", 2.0, "dut.u_ring.sum_LUT4_Z_3"),
        _step("logic", 0.25),
        _step("routing", 0.5, "dut.u_ring.head_q[4]"),
        _step("routing", 0.5, "seen[2]"),
        _step("setup", 0.0),
    ]
    report = {
        "critical_paths": [
            {"from": "<async>", "to": "posedge clk", "path": [_step("routing", 99.0, "in")]},
            {"from": "posedge clk", "to": "posedge clk", "path": steps},
        ]
    }
    assert pnr_run.critical_path(report) == (("u_ring.head_q", "seen"), 1.0, 4.25)
    with pytest.raises(SimulationError, match="expected a path between registers"):
        pnr_run.critical_path({"critical_paths": report["critical_paths"][:1]})


def test_the_page_has_the_spread_and_the_worst_path() -> None:
    """Lowest, median and highest clock; the path is the slowest seed's; a seed counts once."""
    found = [_route(seed=seed, mhz=mhz) for seed, mhz in ((1, 90.0), (2, 80.0), (3, 110.0))]
    found[1] = _route(seed=2, mhz=80.0, path=("slow_q",))
    found.append(_route(seed=4, mhz=0.0, failure=pnr_run.UNROUTED))
    large = _route(module="large", mhz=0.0, failure=pnr_run.FULL)
    text = pnr.page([*found, found[0], large], "abc")
    assert "| block | 1 | 80.0 | 90.0 | 110.0 | 3 | 10 | 20 | 0 |" in text
    assert "| block | 1 | 4.0 | 6.0 | `slow_q` |" in text
    assert "| large | 1 | does not fit |" in text


def test_what_is_known_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run measures what is new; another source, all of it; what does not fit, once."""
    rtl = _rtl(tmp_path)
    measured: list[pnr.Job] = []

    def measure(rtl: Path, module: str, workers: int, device: str, seed: int, out: Path) -> Route:
        measured.append((module, workers, device, seed))
        known = pnr_run.state(rtl, module, pnr_run.DEVICES[device])
        job = {"module": module, "workers": workers, "device": device, "seed": seed}
        if workers > 8:
            failure = pnr_run.FULL if workers == 16 else pnr_run.UNROUTED
            return _route(**job, state=known, mhz=0.0, failure=failure)
        return _route(**job, state=known, mhz=50.0 + seed)

    monkeypatch.setattr(pnr_run, "measure", measure)

    def run(workers: int, *seeds: int) -> list[float]:
        jobs = [("block", workers, "ecp5-25k", seed) for seed in seeds]
        measured.clear()
        return [item.mhz for item in pnr.run(rtl, jobs, tmp_path / "out", 1)]

    assert run(2, 1, 2) == [51.0, 52.0] and len(measured) == 2
    assert run(2, 1, 2, 3) == [51.0, 52.0, 53.0] and measured == [("block", 2, "ecp5-25k", 3)]
    assert run(16, 1, 2, 3) == [0.0, 0.0, 0.0] and len(measured) == 1
    assert run(15, 1, 2, 3) == [0.0, 0.0, 0.0] and len(measured) == 3
    _rtl(tmp_path, width=9)
    assert run(2, 1, 2) == [51.0, 52.0] and len(measured) == 2


def test_wrong_use_is_an_error() -> None:
    """Exit code 2, and what would be right."""
    result = CliRunner().invoke(main, ["--module", "blocc", "--seeds", "1"])
    assert result.exit_code == 2
    assert "no module blocc" in result.output and "sync_fifo" in result.output
    for arguments in (["--device", "none"], ["--seeds", "0"], ["--workers", "17"]):
        assert CliRunner().invoke(main, arguments).exit_code == 2


@pytest.mark.slow
def test_a_small_module_is_placed_and_routed(tmp_path: Path) -> None:
    """Registers, tables and a clock; the result is read back from the journal's form."""
    found = pnr_run.measure(_rtl(tmp_path), "block", 2, "ecp5-25k", 1, tmp_path / "out")
    assert found.failure == "" and 10 < found.mhz < 2000
    assert found.tables > 0 and found.flip_flops > 9
    assert found.logic_ns > 0 and found.routing_ns > 0
    assert Route.of(json.loads(json.dumps(found.record()))) == found


@pytest.mark.nightly
@pytest.mark.slow
def test_the_other_family_takes_a_netlist(tmp_path: Path) -> None:
    """Its router finds no way from the pin to the clock with some seeds."""
    found = pnr_run.measure(_rtl(tmp_path), "block", 2, "nexus-40k", 1, tmp_path / "out")
    assert found.failure == pnr_run.UNROUTED or (found.mhz > 10 and found.flip_flops > 9)


SAYINGS = {
    "ERROR: Unable to place cell 'x', no BELs remaining to implement cell type 'y'": pnr_run.FULL,
    "ERROR: Unable to find legal placement for all cells, design is probably at utilisation "
    "limit.": pnr_run.FULL,
    "ERROR: Failed to route arc 0.0 of net 'clk', from X87/Y17/A to X86/Y28/B.": pnr_run.UNROUTED,
}


def _program(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, code: int) -> Path:
    """A nextpnr that prints and ends; returns where its netlist would be."""
    program = folder / "nextpnr"
    processes.write_executable(program, f'#!/bin/sh\nprintf "%s\\n" "{text}"\nexit {code}\n')
    monkeypatch.setattr("descring_sim.formal.toolchain.tool", lambda name: str(program))
    return folder / "netlist.json"


@pytest.mark.parametrize("text", SAYINGS)
def test_a_module_that_finds_no_place_is_a_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """In the words of nextpnr: no room is left, or this seed finds no route."""
    netlist = _program(tmp_path, monkeypatch, text, 1)
    assert pnr_run.route(netlist, pnr_run.DEVICES["ecp5-25k"], 1) == SAYINGS[text]


@pytest.mark.parametrize("code", [0, 1, 134])
def test_another_failure_of_nextpnr_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Also where it ends well and leaves no report; the log is named."""
    netlist = _program(tmp_path, monkeypatch, "ERROR: Failed to open the netlist", code)
    with pytest.raises(SimulationError, match=r"no route, log .*seed1\.log"):
        pnr_run.route(netlist, pnr_run.DEVICES["ecp5-25k"], 1)
