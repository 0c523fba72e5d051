# SPDX-License-Identifier: Apache-2.0
"""Properties of others around the AXI4-Lite port: without them the way to get them, else a verdict.

The properties themselves are not part of this repository; here a module of the same ports replaces
them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from descring_sim.signoff import formal_axi
from descring_sim.signoff.formal_axi import main
from descring_sim.support import paths, processes
from descring_sim.support.errors import SimulationError

STUB = """\
module faxil_slave #(
    parameter C_AXI_DATA_WIDTH = 32, C_AXI_ADDR_WIDTH = 12, F_OPT_XILINX = 0, F_OPT_BRESP = 0,
    parameter F_OPT_RRESP = 0, F_OPT_ASSUME_RESET = 1, F_OPT_NO_RESET = 1, F_LGDEPTH = 4,
    parameter F_AXI_MAXWAIT = 0, F_AXI_MAXRSTALL = 0, F_AXI_MAXDELAY = 0, F_OPT_INITIAL = 0
) (
    input i_clk, i_axi_reset_n, i_axi_awvalid, i_axi_awready, i_axi_wvalid, i_axi_wready,
    input i_axi_bvalid, i_axi_bready, i_axi_arvalid, i_axi_arready, i_axi_rvalid, i_axi_rready,
    input [C_AXI_ADDR_WIDTH-1:0] i_axi_awaddr, i_axi_araddr,
    input [2:0] i_axi_awprot, i_axi_arprot, input [3:0] i_axi_wstrb,
    input [C_AXI_DATA_WIDTH-1:0] i_axi_wdata, i_axi_rdata, input [1:0] i_axi_bresp, i_axi_rresp,
    output [F_LGDEPTH-1:0] f_axi_rd_outstanding, f_axi_wr_outstanding, f_axi_awr_outstanding
);
  reg started = 0;
  always @(posedge i_clk) begin
    started <= 1;
    if (!started) assume (!i_axi_reset_n);
    if (started) assert (CONDITION);
  end
endmodule
"""


def _root() -> Path:
    root = paths.checkout_root()
    assert root is not None
    return root


def _foreign(folder: Path, text: str) -> Path:
    file = folder / formal_axi.FOREIGN
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return folder


@pytest.mark.parametrize("arguments", [[], ["--wb2axip", "/no/such/folder"]])
def test_without_the_sources_it_tells_how_to_get_them(arguments: list[str]) -> None:
    """Exit code 2: nothing is fetched, and nothing is taken for proven."""
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "ZipCPU/wb2axip" in result.output
    assert "make formal-axi WB2AXIP=" in result.output
    assert "holds" not in result.output


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    """As a fetch that broke off leaves it."""
    foreign = _foreign(tmp_path / "wb2axip", STUB[:300])
    result = CliRunner().invoke(main, ["--wb2axip", str(foreign)])
    assert result.exit_code == 2
    assert "expected a whole module" in result.output


@pytest.mark.parametrize(
    ("text", "code", "verdict"),
    [
        ("summary\nSBY DONE (PASS, rc=0)", 0, True),
        ("SBY DONE (FAIL, rc=2)", 2, False),
        ("SBY DONE (ERROR, rc=16)", 16, None),
        ("SBY DONE (UNKNOWN, rc=4)", 4, None),
        ("nothing", 0, None),
    ],
)
def test_only_a_proof_is_taken_for_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    code: int,
    verdict: bool | None,
) -> None:
    """The words of SymbiYosys decide; without them there is no verdict."""
    program = tmp_path / "sby"
    processes.write_executable(program, f"#!/bin/sh\nprintf '%s\\n' '{text}'\nexit {code}\n")
    monkeypatch.setattr("descring_sim.formal.toolchain.sby", lambda *_: [str(program)])
    if verdict is None:
        with pytest.raises(SimulationError, match=r"prove: no verdict, log .*prove\.log"):
            formal_axi.prove("prove", tmp_path)
    else:
        assert formal_axi.prove("prove", tmp_path) is verdict


def test_the_harness_has_every_file_that_it_names(tmp_path: Path) -> None:
    """The list in the .sby file is what is copied, so that no file comes from elsewhere."""
    foreign = _foreign(tmp_path / "wb2axip", STUB)
    harness = _root() / "sim" / "outside" / "axi"
    formal_axi.collect(foreign, paths.rtl_dir(), harness, tmp_path / "run")
    listed = re.split(r"\[files\]\n", (tmp_path / "run" / "axil.sby").read_text())[1].split()
    copied = {path.name for path in (tmp_path / "run").iterdir()}
    assert copied == {*listed, "axil.sby"}


@pytest.mark.nightly
@pytest.mark.slow
def test_a_property_that_fails_is_a_failure(tmp_path: Path) -> None:
    """A response is reachable, so that its absence cannot be proven; exit code 1, and the log."""
    text = STUB.replace("CONDITION", "!i_axi_bvalid")
    foreign = _foreign(tmp_path / "wb2axip", text)
    harness = _root() / "sim" / "outside" / "axi"
    formal_axi.collect(foreign, paths.rtl_dir(), harness, tmp_path / "run")
    assert formal_axi.prove("prove", tmp_path / "run") is False
