# SPDX-License-Identifier: Apache-2.0
"""``integration_watch`` names the fault of a memory or a reset, and stays silent without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from descring_sim.support import paths
from tool_support import run_tool

# Inputs change at falling edges. The ID is 1 at first; `reset` gives the next one, as reset_fence.
BENCH = """\
`default_nettype none
module bench;
  logic clk = 1'b0, rst_n = 1'b0;
  logic [3:0] id = 4'd0, rid = 4'd0, bid = 4'd0;
  logic ar = 1'b0, r = 1'b0, aw = 1'b0, w = 1'b0, last = 1'b0, b = 1'b0;

  integration_watch u_dut (
      .clk_i(clk), .rst_ni(rst_n), .id_i(id),
      .m_axi_awvalid(aw), .m_axi_awready(1'b1),
      .m_axi_wvalid(w), .m_axi_wready(1'b1), .m_axi_wlast(last),
      .m_axi_bvalid(b), .m_axi_bready(1'b1), .m_axi_bid(bid),
      .m_axi_arvalid(ar), .m_axi_arready(1'b1),
      .m_axi_rvalid(r), .m_axi_rready(1'b1), .m_axi_rlast(1'b1), .m_axi_rid(rid)
  );

  always #5 clk = !clk;

  task reset;
    rst_n = 1'b0;
    @(negedge clk) id = id + 4'd1;
    @(negedge clk) rst_n = 1'b1;
  endtask
  task request(input logic read, input logic write, input logic data);
    {ar, aw, w, last} = {read, write, data, data};
    @(negedge clk) {ar, aw, w, last} = 4'd0;
  endtask
  task respond(input logic read, input logic write, input logic [3:0] number);
    {r, b, rid, bid} = {read, write, number, number};
    @(negedge clk) {r, b} = 2'd0;
  endtask

  initial begin
    @(negedge clk);
    reset;
    %s
    repeat (3) @(negedge clk);
    $finish;
  end
endmodule
`default_nettype wire
"""


def _run(scenario: str, folder: Path) -> str:
    """What a simulation of the scenario prints."""
    rtl, bench = paths.rtl_dir(), folder / "bench.sv"
    bench.write_text(BENCH % scenario)
    files = [str(bench), str(rtl / "integration_watch.sv")]
    build = ["iverilog", "-g2012", f"-I{rtl}", "-s", "bench", "-o", "out.vvp", *files]
    printed = ""
    for command in (build, ["vvp", "-n", "out.vvp"]):
        done = run_tool(command, folder)
        printed += done.stdout + done.stderr
    return printed


@pytest.mark.parametrize(
    "scenario",
    [
        "request(1, 0, 0); request(0, 1, 1); respond(1, 1, 1);",
        "request(1, 0, 0); request(0, 1, 1); reset; respond(1, 1, 1);",
        "request(0, 1, 0); reset; request(0, 1, 1); respond(0, 1, 2);",
    ],
    ids=["ids-of-requests", "owed-from-before-a-reset", "no-response-to-a-cut-burst"],
)
def test_a_memory_that_returns_ids_is_no_fault(scenario: str, tmp_path: Path) -> None:
    """[LIFE-001] Responses with the IDs of their requests, from before a reset too."""
    assert _run(scenario, tmp_path) == ""


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        ("request(1, 0, 0); respond(1, 0, 0);", "ReadIdIsOfRequest_A: RID is that of no request"),
        (
            "request(1, 0, 0); reset; respond(1, 0, 1); respond(1, 0, 1);",
            "ReadIdIsOfRequest_A: RID is that of no request",
        ),
        (
            "request(0, 1, 1); respond(0, 1, 0);",
            "ResponseIdIsOfRequest_A: BID is that of no request",
        ),
        (
            "request(0, 1, 0); reset; request(0, 1, 1); respond(0, 1, 1);",
            "NoBurstCut_A: a reset cut a write burst",
        ),
        ("rst_n = 1'b0; #1 rst_n = 1'b1;", "ResetIsSampled_A: rst_ni fell and rose between"),
    ],
    ids=["rid-constant", "rid-of-two-reads", "bid-constant", "burst-cut", "reset-between-edges"],
)
def test_a_fault_of_the_integration_is_named(scenario: str, message: str, tmp_path: Path) -> None:
    """[LIFE-001] The simulation ends at the fault, with what to do about it."""
    assert message in _run(scenario, tmp_path)
