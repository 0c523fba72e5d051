// SPDX-License-Identifier: Apache-2.0
//
// Command ring on chip: stores the lines that the host writes and delivers, in order, those that a
// doorbell has published.
//
// Rules: RING-001 (slot of index i is i mod Depth, all slots usable), RING-002 (free-running
// indices, only differences are compared), RING-005 (a full ring stalls its producer), RING-011
// (line n is the line of index n), RING-012, DB-001 (nothing beyond cmd_tail_i is delivered).
//
// Order is first in, first out. A slot is free again as soon as its line is delivered.
// line_ready_o does not depend on line_valid_i, and valid_o does not depend on ready_i.
`default_nettype none
`include "hw_macros.svh"

module desc_ring
  import hw_desc_pkg::*;
#(
    // Slots, a power of two.
    parameter int Depth = 16
) (
    // Clock and synchronous active-low reset; value of both indices after reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    // Lines from the host.
    input wire logic                 line_valid_i,
    output logic                     line_ready_o,
    input wire logic [DESC_BITS-1:0] line_data_i,
    // Tail published by the last accepted doorbell.
    input wire logic [         31:0] cmd_tail_i,
    // Published lines, each with the index of its slot.
    output logic                     valid_o,
    input wire logic                 ready_i,
    output logic     [DESC_BITS-1:0] data_o,
    output logic     [         31:0] index_o
);

  localparam int SlotBits = $clog2(Depth);

  logic [DESC_BITS-1:0] mem[Depth];
  logic [31:0] write_index_q, read_index_q;
  logic [31:0] occupancy;
  logic push, pop;

  assign occupancy = write_index_q - read_index_q;
  assign line_ready_o = occupancy != 32'(Depth);
  assign push = line_valid_i && line_ready_o;

  assign valid_o = (occupancy != 32'd0) && (cmd_tail_i != read_index_q);
  assign pop = valid_o && ready_i;
  assign data_o = valid_o ? mem[read_index_q[SlotBits-1:0]] : '0;
  assign index_o = valid_o ? read_index_q : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      write_index_q <= first_index_i;
      read_index_q  <= first_index_i;
    end else begin
      if (push) begin
        write_index_q <= write_index_q + 32'd1;
      end
      if (pop) begin
        read_index_q <= read_index_q + 32'd1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (push) begin
      mem[write_index_q[SlotBits-1:0]] <= line_data_i;
    end
  end

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(DepthLegal_A, Depth >= 2 && Depth <= 65536 && Depth == 2 ** SlotBits,
                  "Depth must be a power of two from 2 to 65536 (RING-001)")
  `HW_ASSERT(OccupancyLegal_A, occupancy <= 32'(Depth),
             "the ring never holds more lines than it has slots (RING-005)")
  `HW_ASSERT_STABLE(valid_o, ready_i, data_o,
                    "a stalled line is held unchanged")
  `HW_ASSERT_KNOWN(ReadyKnown_A, line_ready_o, "line_ready_o is never X")
`endif

endmodule

`default_nettype wire
