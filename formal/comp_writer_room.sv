// SPDX-License-Identifier: Apache-2.0
//
// What the completion writer derives for the next index of one ring, a cycle behind its sources.
`default_nettype none
`include "hw_macros.svh"

module comp_writer_room (
    input wire logic        clk_i,
    input wire logic        rst_ni,
    // Two cycles have passed; room is judged (comp_writer.settled_q); sizes and bases are those of the
    // last two cycles.
    input wire logic        started_i,
    input wire logic        settled_i,
    input wire logic        steady_i,
    // log2 of the slots and the host's head, one and two cycles before.
    input wire logic [ 7:0] past_log2_i,
    input wire logic [ 7:0] past2_log2_i,
    input wire logic [31:0] past_head_i,
    input wire logic [31:0] past2_head_i,
    // The ring now, and its next index.
    input wire logic [ 7:0] log2_i,
    input wire logic [11:6] base_i,
    input wire logic [16:0] index_i,
    // Registers of ring_room.
    input wire logic [15:0] mask_i,
    input wire logic [16:0] limit_i,
    input wire logic        full_i,
    input wire logic        last_i
);

  logic [16:0] past_limit_q;

  always_ff @(posedge clk_i) begin
    past_limit_q <= limit_i;
  end

  // The bits of an index that choose one of 2^log2 slots, 2^16 at most.
  function automatic logic [15:0] mask_of(input logic [7:0] log2);
    mask_of = log2 >= 8'd16 ? 16'hFFFF : 16'((32'd1 << log2) - 32'd1);
  endfunction

  // The slot of the index is the last of its ring or of its page.
  logic [15:0] slot;
  logic ends_run;
  assign slot     = index_i[15:0] & mask_of(log2_i);
  assign ends_run = slot == mask_of(log2_i) || 6'(base_i + slot[5:0]) == 6'd63;

  // [RING-001] which bits choose a slot, and where the ring is full, follow size and head by a cycle
  `HW_ASSERT_IF(RoomDerived_A, started_i, mask_i == mask_of(past_log2_i) &&
                limit_i == 17'(past_head_i + (32'd1 << past_log2_i)))
  // [RING-005] whether a ring is full is judged by the limit of the cycle before
  `HW_ASSERT_IF(FullAgrees_A, settled_i, full_i == (index_i == past_limit_q) &&
                past_limit_q == 17'(past2_head_i + (32'd1 << past2_log2_i)))
  // [RING-001] a run of lines ends with the ring and with the page
  `HW_ASSERT_IF(LastAgrees_A, settled_i && steady_i, last_i == ends_run)

endmodule

`default_nettype wire
