// SPDX-License-Identifier: Apache-2.0
//
// Completion ring on chip: holds completions in order until the host accepts them.
//
// Rules: RING-001, RING-002, RING-003 (the device moves tail_o, the host's handshake head_o),
// RING-005 (full: the producer stalls, nothing is overwritten), RING-010, RING-012.
//
// ring_log2_i is the size in force: 2^ring_log2_i slots, at most Depth. It may change only in
// reset. ready_o does not depend on valid_i, and valid_o does not depend on ready_i.
`default_nettype none
`include "hw_macros.svh"

module completion_ring
  import hw_desc_pkg::*;
#(
    // Slots, a power of two.
    parameter int Depth = 16
) (
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // Value of both indices after reset; log2 of the slots in use.
    input wire logic [         31:0] first_index_i,
    input wire logic [          7:0] ring_log2_i,
    // Completions from the core.
    input wire logic                 valid_i,
    output logic                     ready_o,
    input wire logic [DESC_BITS-1:0] data_i,
    // Completions to the host.
    output logic                     valid_o,
    input wire logic                 ready_i,
    output logic     [DESC_BITS-1:0] data_o,
    // Completions pushed and completions popped, as indices.
    output logic     [         31:0] tail_o,
    output logic     [         31:0] head_o
);

  localparam int SlotBits = $clog2(Depth);

  logic [DESC_BITS-1:0] mem[Depth];
  logic [31:0] tail_q, head_q;
  logic [31:0] occupancy, ring_size;
  logic push, pop;

  assign occupancy = tail_q - head_q;
  assign ring_size = 32'd1 << ring_log2_i;
  assign ready_o = occupancy < ring_size;
  assign push = valid_i && ready_o;

  assign valid_o = occupancy != 32'd0;
  assign pop = valid_o && ready_i;
  assign data_o = valid_o ? mem[head_q[SlotBits-1:0]] : '0;
  assign tail_o = tail_q;
  assign head_o = head_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      tail_q <= first_index_i;
      head_q <= first_index_i;
    end else begin
      if (push) begin
        tail_q <= tail_q + 32'd1;
      end
      if (pop) begin
        head_q <= head_q + 32'd1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (push) begin
      mem[tail_q[SlotBits-1:0]] <= data_i;
    end
  end

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(DepthLegal_A, Depth >= 2 && Depth <= 65536 && Depth == 2 ** SlotBits,
                  "Depth must be a power of two from 2 to 65536 (RING-001)")
  `HW_ASSERT(OccupancyLegal_A, occupancy <= 32'(Depth),
             "the ring never holds more completions than it has slots (RING-005)")
  `HW_ASSERT_STABLE(valid_o, ready_i, data_o,
                    "a stalled completion is held unchanged")
  `HW_ASSERT_KNOWN(ReadyKnown_A, ready_o, "ready_o is never X")
`endif

endmodule

`default_nettype wire
