// SPDX-License-Identifier: Apache-2.0
//
// First in, first out, on one clock. Depth is a power of two; all places are usable.
//
// ready_o and valid_o come from registers. Data pushed in a cycle are on offer in the next. data_o
// is 0 while nothing is on offer. A push while not ready_o, or a pop while not valid_o, is a mistake
// of the user, which an assertion forbids. It obeys no rule of the contract itself.
`default_nettype none
`include "hw_macros.svh"

module sync_fifo #(
    parameter int Width = 8,
    parameter int Depth = 4
) (
    input wire logic             clk_i,
    input wire logic             rst_ni,
    input wire logic             push_i,
    output logic                 ready_o,
    input wire logic [Width-1:0] data_i,
    input wire logic             pop_i,
    output logic                 valid_o,
    output logic     [Width-1:0] data_o
);

  localparam int PlaceBits = $clog2(Depth);

  logic [Width-1:0] mem[Depth];
  // One bit more than a place needs, so that full and empty differ.
  logic [PlaceBits:0] write_q, read_q;

  assign valid_o = write_q != read_q;
  assign ready_o = (write_q ^ read_q) != {1'b1, {PlaceBits{1'b0}}};
  assign data_o  = valid_o ? mem[read_q[PlaceBits-1:0]] : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q <= '0;
      read_q  <= '0;
    end else begin
      if (push_i) begin
        write_q <= write_q + 1'b1;
      end
      if (pop_i) begin
        read_q <= read_q + 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (push_i) begin
      mem[write_q[PlaceBits-1:0]] <= data_i;
    end
  end

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(DepthLegal_A, Depth >= 2 && Depth == 2 ** PlaceBits,
                  "Depth must be a power of two, 2 or more")
  `HW_ASSERT(NoOverflow_A, !push_i || ready_o, "nothing is pushed into a full FIFO")
  `HW_ASSERT(NoUnderflow_A, !pop_i || valid_o, "nothing is popped from an empty FIFO")
`endif

endmodule

`default_nettype wire
