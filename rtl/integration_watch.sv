// SPDX-License-Identifier: Apache-2.0
//
// Names faults of the integration in a simulation; it is empty in synthesis.
//
// Rules: LIFE-001 (what was requested before a reset has no effect after it), as far as a system has
// to help: docs/how-to/integrate-the-rtl.md, "Clock and reset".
//
// It counts the replies that the memory is still to give, by the side of reset on which they were
// requested, and is not reset itself. A memory that is reset with the device has none to give; then
// the counts only make it milder.
`default_nettype none
`include "hw_macros.svh"

module integration_watch #(
    // Bits of the IDs.
    parameter int IdWidth = 4
) (
    // Clock and synchronous active-low reset.
    input wire logic               clk_i,
    input wire logic               rst_ni,
    // ID of all requests since the last reset.
    input wire logic [IdWidth-1:0] id_i,
    // The AXI4 port to memory.
    input wire logic               m_axi_awvalid,
    input wire logic               m_axi_awready,
    input wire logic               m_axi_wvalid,
    input wire logic               m_axi_wready,
    input wire logic               m_axi_wlast,
    input wire logic               m_axi_bvalid,
    input wire logic               m_axi_bready,
    input wire logic [IdWidth-1:0] m_axi_bid,
    input wire logic               m_axi_arvalid,
    input wire logic               m_axi_arready,
    input wire logic               m_axi_rvalid,
    input wire logic               m_axi_rready,
    input wire logic               m_axi_rlast,
    input wire logic [IdWidth-1:0] m_axi_rid
);

`ifndef SYNTHESIS
  logic read, read_done, addressed, sent, responded;

  assign read      = m_axi_arvalid && m_axi_arready;
  assign read_done = m_axi_rvalid && m_axi_rready && m_axi_rlast;
  assign addressed = m_axi_awvalid && m_axi_awready;
  assign sent      = m_axi_wvalid && m_axi_wready && m_axi_wlast;
  assign responded = m_axi_bvalid && m_axi_bready;

  // Bursts without all of their response: reads, write addresses and write data since the reset;
  // reads and whole writes from before it; writes that it cut.
  /* verilator lint_off PROCASSINIT */
  // Reset does not set them: they outlive it.
  int reads_q = 0, addresses_q = 0, data_q = 0;
  int old_reads_q = 0, old_writes_q = 0, cut_q = 0;
  logic in_reset_q = 1'b1;
  /* verilator lint_on PROCASSINIT */

  always_ff @(posedge clk_i) begin
    in_reset_q <= !rst_ni;
    if (rst_ni) begin
      reads_q     <= reads_q + int'(read) - int'(read_done && m_axi_rid == id_i);
      addresses_q <= addresses_q + int'(addressed) - int'(responded && m_axi_bid == id_i);
      data_q      <= data_q + int'(sent) - int'(responded && m_axi_bid == id_i);
      if (read_done && m_axi_rid != id_i && old_reads_q != 0) begin
        old_reads_q <= old_reads_q - 1;
      end
      if (responded && m_axi_bid != id_i && old_writes_q != 0) begin
        old_writes_q <= old_writes_q - 1;
      end
    end else if (!in_reset_q) begin
      old_reads_q  <= old_reads_q + reads_q;
      old_writes_q <= old_writes_q + (data_q < addresses_q ? data_q : addresses_q);
      cut_q        <= cut_q + (data_q < addresses_q ? addresses_q - data_q : 0);
      reads_q      <= 0;
      addresses_q  <= 0;
      data_q       <= 0;
    end
  end

  `HW_ASSERT(ReadIdIsOfRequest_A, !m_axi_rvalid || m_axi_rid == id_i || old_reads_q != 0,
             "RID is that of no request: return ARID, not a constant")
  `HW_ASSERT(ResponseIdIsOfRequest_A,
             !m_axi_bvalid || m_axi_bid == id_i || old_writes_q != 0 || cut_q != 0,
             "BID is that of no request: return AWID, not a constant")
  `HW_ASSERT(NoBurstCut_A,
             !m_axi_bvalid || m_axi_bid == id_i || old_writes_q != 0 || cut_q == 0,
             "a reset cut a write burst, and the memory took later data for the rest: reset both")

  // A reset that no clock edge has seen resets nothing.
  /* verilator lint_off PROCASSINIT */
  int edges_q = 0, edge_of_fall_q = -1;
  /* verilator lint_on PROCASSINIT */
  always_ff @(posedge clk_i) begin
    edges_q <= edges_q + 1;
  end

  /* verilator lint_off SYNCASYNCNET */
  // Its edges are what is asked about.
  always @(negedge rst_ni) begin
    edge_of_fall_q <= edges_q;
  end

  always @(posedge rst_ni) begin : ResetIsSampled_A
    if ($time != 0 && edge_of_fall_q == edges_q) begin
      $fatal(1, "%m: %s", "rst_ni fell and rose between two edges of the clock: synchronise it");
    end
  end
  /* verilator lint_on SYNCASYNCNET */
`else
  logic unused;
  assign unused = ^{
    clk_i,
    rst_ni,
    id_i,
    m_axi_awvalid,
    m_axi_awready,
    m_axi_wvalid,
    m_axi_wready,
    m_axi_wlast,
    m_axi_bvalid,
    m_axi_bready,
    m_axi_bid,
    m_axi_arvalid,
    m_axi_arready,
    m_axi_rvalid,
    m_axi_rready,
    m_axi_rlast,
    m_axi_rid
  };
`endif

endmodule

`default_nettype wire
