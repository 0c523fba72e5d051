// SPDX-License-Identifier: Apache-2.0
//
// Separates the transactions after a reset from those before it, which may still lack
// responses if the device alone was reset.
//
// Rules: LIFE-001 (what was requested before a reset has no effect after it).
//
// All requests since a reset carry one ID, which is another one after the next reset. Responses
// with another ID are accepted and dropped. No ready depends on a valid. An ID is used again after
// 2^IdWidth resets: by then the memory must have responded to the old requests.
//
// The data that the memory still waits for after a reset in the middle of a write burst cannot be
// supplied here: they have no ID. See docs/how-to/integrate-the-rtl.md.
`default_nettype none
`include "hw_macros.svh"

module reset_fence #(
    // Bits of the IDs.
    parameter int IdWidth = 4
) (
    // Clock and synchronous active-low reset.
    input wire logic                clk_i,
    input wire logic                rst_ni,
    // ID of all requests since the last reset.
    output logic     [ IdWidth-1:0] id_o,
    // Responses of the bus, and those of them that are the device's own.
    input wire logic                m_axi_rvalid,
    input wire logic [ IdWidth-1:0] m_axi_rid,
    output logic                    m_axi_rready,
    output logic                    rvalid_o,
    input wire logic                rready_i,
    input wire logic                m_axi_bvalid,
    input wire logic [ IdWidth-1:0] m_axi_bid,
    output logic                    m_axi_bready,
    output logic                    bvalid_o,
    input wire logic                bready_i
);

  // Not reset, for it has to differ after each reset; it may begin with any value. The values that
  // they are declared with are for simulators, which would keep an X forever.
  /* verilator lint_off PROCASSINIT */
  logic [IdWidth-1:0] id_q = '0;
  logic in_reset_q = 1'b0;
  /* verilator lint_on PROCASSINIT */

  always_ff @(posedge clk_i) begin
    in_reset_q <= !rst_ni;
    if (!rst_ni && !in_reset_q) begin
      id_q <= id_q + 1'b1;
    end
  end

  assign id_o         = id_q;
  assign m_axi_rready = rst_ni;
  assign m_axi_bready = rst_ni;
  assign rvalid_o     = m_axi_rvalid && m_axi_rid == id_q;
  assign bvalid_o     = m_axi_bvalid && m_axi_bid == id_q;

`ifndef SYNTHESIS
  `HW_ASSERT(ReadExpected_A, !rvalid_o || rready_i,
             "read data with the ID of this reset were requested since")
  `HW_ASSERT(ResponseExpected_A, !bvalid_o || bready_i,
             "a write response with the ID of this reset was requested since")
`else
  logic unused_readys;
  assign unused_readys = ^{rready_i, bready_i};
`endif

endmodule

`default_nettype wire
