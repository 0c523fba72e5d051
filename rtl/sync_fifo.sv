// SPDX-License-Identifier: Apache-2.0
//
// FIFO on one clock. All Depth places are usable.
//
// An entry is pushed in Parts parts, the lowest first; it counts from its last part on. ready_o and
// valid_o depend on registers only. Pushed data are at the output in the next cycle. data_o is 0
// while valid_o is low, or undefined with ZeroWhenEmpty 0, which saves a gate for each bit. The user
// neither pushes without ready_o nor pops without valid_o; assertions check it. It implements no rule
// of the contract itself.
`default_nettype none
`include "hw_macros.svh"

module sync_fifo #(
    // Bits of an entry; entries, a power of two; parts of an entry, a power of two.
    parameter int Width = 8,
    parameter int Depth = 4,
    parameter int Parts = 1,
    // data_o is 0 while valid_o is low.
    parameter bit ZeroWhenEmpty = 1'b1
) (
    // Clock and synchronous active-low reset.
    input wire logic                   clk_i,
    input wire logic                   rst_ni,
    // Input: there is space; push the next part of an entry.
    input wire logic                   push_i,
    output logic                       ready_o,
    input wire logic [Width/Parts-1:0] data_i,
    // Output: data_o is the oldest entry; pop it.
    input wire logic                   pop_i,
    output logic                       valid_o,
    output logic     [      Width-1:0] data_o
);

  localparam int PlaceBits = $clog2(Depth);
  localparam int PartBits = Parts == 1 ? 1 : $clog2(Parts);
  localparam int PartWidth = Width / Parts;

  logic [Width-1:0] mem[Depth];
  // The part that is pushed next; an entry becomes whole.
  logic [PartBits-1:0] part;
  logic whole;
  // One bit more than an address, so that full and empty differ.
  logic [PlaceBits:0] write_q, read_q, count;
  // Registers of their own, so that no comparison is in front of what depends on them.
  logic valid_q, ready_q;

  assign count   = write_q - read_q;
  assign whole   = push_i && part == PartBits'(Parts - 1);
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
      valid_q <= whole || (valid_q && !(pop_i && count == 1));
      ready_q <= pop_i || (ready_q && !(whole && count == (PlaceBits + 1)'(Depth - 1)));
      if (whole) begin
        write_q <= write_q + 1'b1;
      end
      if (pop_i) begin
        read_q <= read_q + 1'b1;
      end
    end
  end

  if (Parts == 1) begin : gen_whole
    assign part = '0;
  end else begin : gen_parts
    logic [PartBits-1:0] part_q;
    assign part = part_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        part_q <= '0;
      end else if (push_i) begin
        part_q <= part_q + 1'b1;
      end
    end
  end

  // A write enable for each part.
  always_ff @(posedge clk_i) begin
    for (int i = 0; i < Parts; i++) begin
      if (push_i && part == PartBits'(i)) begin
        mem[write_q[PlaceBits-1:0]][i*PartWidth+:PartWidth] <= data_i;
      end
    end
  end

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(DepthLegal_A, Depth >= 2 && Depth == 2 ** PlaceBits,
                  "Depth must be a power of two, 2 or more")
  `HW_ASSERT_INIT(PartsLegal_A, Parts == 2 ** $clog2(Parts) && Width % Parts == 0,
                  "Parts must be a power of two that divides Width")
  `HW_ASSERT(ValidIfNotEmpty_A, valid_q == (count != 0), "valid_o is that there is an entry")
  `HW_ASSERT(ReadyIfNotFull_A, ready_q == (count != (PlaceBits + 1)'(Depth)),
             "ready_o is that there is a place")
  `HW_ASSERT(NoOverflow_A, !push_i || ready_o, "nothing is pushed into a full FIFO")
  `HW_ASSERT(NoUnderflow_A, !pop_i || valid_o, "nothing is popped from an empty FIFO")
`endif

endmodule

`default_nettype wire
