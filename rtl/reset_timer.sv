// SPDX-License-Identifier: Apache-2.0
//
// Tells a reset that waits for the bus from one that waits for a response which was lost.
//
// Rules: LIFE-004 (STATUS.RESET_TIMEOUT).
`default_nettype none
`include "hw_macros.svh"

module reset_timer #(
    // Cycles until late_o, as log2.
    parameter int TimeoutLog2 = 16
) (
    // Clock and synchronous active-low reset.
    input wire logic clk_i,
    input wire logic rst_ni,
    // A reset waits; it has done so for 2^TimeoutLog2 cycles.
    input wire logic waiting_i,
    output logic     late_o
);

  logic [TimeoutLog2:0] cycles_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || !waiting_i) begin
      cycles_q <= '0;
    end else if (!late_o) begin
      cycles_q <= cycles_q + 1'b1;
    end
  end

  assign late_o = cycles_q[TimeoutLog2];

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(TimeoutLegal_A, TimeoutLog2 >= 1 && TimeoutLog2 <= 31,
                  "a reset waits for 2^1 to 2^31 cycles before it is late")
`endif

endmodule

`default_nettype wire
