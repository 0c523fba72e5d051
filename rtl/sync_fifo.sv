// SPDX-License-Identifier: Apache-2.0
//
// FIFO on one clock. All Depth places are usable.
//
// ready_o and valid_o depend on registers only. Pushed data are at the output in the next cycle.
// data_o is 0 while valid_o is low, or undefined with ZeroWhenEmpty 0, which saves a gate for each
// bit. The user neither pushes without ready_o nor pops without
// valid_o; assertions check it. It implements no rule of the contract itself.
`default_nettype none
`include "hw_macros.svh"

module sync_fifo #(
    // Bits of an entry; entries, a power of two.
    parameter int Width = 8,
    parameter int Depth = 4,
    // data_o is 0 while valid_o is low.
    parameter bit ZeroWhenEmpty = 1'b1
) (
    // Clock and synchronous active-low reset.
    input wire logic             clk_i,
    input wire logic             rst_ni,
    // Input: there is space; push data_i.
    input wire logic             push_i,
    output logic                 ready_o,
    input wire logic [Width-1:0] data_i,
    // Output: data_o is the oldest entry; pop it.
    input wire logic             pop_i,
    output logic                 valid_o,
    output logic     [Width-1:0] data_o
);

  localparam int PlaceBits = $clog2(Depth);

  logic [Width-1:0] mem[Depth];
  // One bit more than an address, so that full and empty differ.
  logic [PlaceBits:0] write_q, read_q, count;
  // Registers of their own, so that no comparison is in front of what depends on them.
  logic valid_q, ready_q;

  assign count   = write_q - read_q;
  assign valid_o = valid_q;
  assign ready_o = ready_q;
  assign data_o  = valid_o || !ZeroWhenEmpty ? mem[read_q[PlaceBits-1:0]] : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_q <= '0;
      read_q  <= '0;
      valid_q <= 1'b0;
      ready_q <= 1'b1;
    end else begin
      valid_q <= push_i || (valid_q && !(pop_i && count == 1));
      ready_q <= pop_i || (ready_q && !(push_i && count == (PlaceBits + 1)'(Depth - 1)));
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
  `HW_ASSERT(ValidIfNotEmpty_A, valid_q == (count != 0), "valid_o is that there is an entry")
  `HW_ASSERT(ReadyIfNotFull_A, ready_q == (count != (PlaceBits + 1)'(Depth)),
             "ready_o is that there is a place")
  `HW_ASSERT(NoOverflow_A, !push_i || ready_o, "nothing is pushed into a full FIFO")
  `HW_ASSERT(NoUnderflow_A, !pop_i || valid_o, "nothing is popped from an empty FIFO")
`endif

endmodule

`default_nettype wire
