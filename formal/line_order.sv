// SPDX-License-Identifier: Apache-2.0
//
// FIFO order, stated for one line: the line of index watch_i, a constant that the solver chooses.
// Because watch_i may be any index, what is proven of this line is proven of every line. The
// checker counts handshakes itself and shares no counter with the ring.
`default_nettype none
`include "hw_macros.svh"

module line_order
  import hw_desc_pkg::*;
(
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    input wire logic [         31:0] watch_i,
    // Most lines that the ring may hold.
    input wire logic [         31:0] slots_i,
    input wire logic                 push_valid_i,
    input wire logic                 push_ready_i,
    input wire logic [DESC_BITS-1:0] push_data_i,
    input wire logic                 pop_valid_i,
    input wire logic                 pop_ready_i,
    input wire logic [DESC_BITS-1:0] pop_data_i,
    // Content of the slot of watch_i.
    input wire logic [DESC_BITS-1:0] slot_data_i,
    // Index of the next line to be pushed, and of the next to be popped.
    output logic     [         31:0] pushed_o,
    output logic     [         31:0] popped_o
);

  logic [31:0] pushed_q, popped_q, held;
  logic [DESC_BITS-1:0] written_q;
  logic started_q = 1'b0;
  logic [31:0] past_watch_q;
  logic past_stalled_q;
  logic [DESC_BITS-1:0] past_data_q;
  logic push, pop, watched_inside;

  assign push = push_valid_i && push_ready_i;
  assign pop = pop_valid_i && pop_ready_i;
  assign held = pushed_q - popped_q;
  assign watched_inside = watch_i - popped_q < held;
  assign pushed_o = pushed_q;
  assign popped_o = popped_q;

  always_ff @(posedge clk_i) begin
    started_q      <= 1'b1;
    past_watch_q   <= watch_i;
    past_stalled_q <= rst_ni && pop_valid_i && !pop_ready_i;
    past_data_q    <= pop_data_i;
    if (!rst_ni) begin
      pushed_q <= first_index_i;
      popped_q <= first_index_i;
    end else begin
      pushed_q <= pushed_q + 32'(push);
      popped_q <= popped_q + 32'(pop);
    end
    if (push && pushed_q == watch_i) begin
      written_q <= push_data_i;
    end
  end

  // the first cycle is one of reset
  `HW_ASSUME(StartsInReset_M, started_q || !rst_ni)
  // the watched index is any value, and keeps it
  `HW_ASSUME(WatchStays_M, !started_q || watch_i == past_watch_q)

  // [RING-002] [RING-003] [RING-005] the n-th popped line is the n-th pushed line: none is lost,
  // duplicated or reordered, and every bit is as it was written
  `HW_ASSERT_IF(InOrder_A, pop_valid_i && popped_q == watch_i, pop_data_i == written_q)
  // [RING-001] [RING-005] a slot, named by the low bits of the index, is not overwritten before its
  // line is popped
  `HW_ASSERT_IF(SlotKept_A, watched_inside, slot_data_i == written_q)
  // [RING-001] [RING-005] a line is pushed only while a slot is free
  `HW_ASSERT_IF(NoOverflow_A, push, held < slots_i)
  // [RING-005] valid is high only for a line that was pushed and not popped
  `HW_ASSERT_IF(NoUnderflow_A, pop_valid_i, held != 32'd0)
  // [RING-001] all slots are usable: ready is low only when every slot is in use
  `HW_ASSERT_IF(AllSlotsUsable_A, held < slots_i, push_ready_i)
  // [RING-005] a stalled line is held unchanged
  `HW_ASSERT_IF(StableUnderStall_A, past_stalled_q, pop_valid_i && pop_data_i == past_data_q)
  // [RING-001] [RING-005] the ring never holds more lines than it has slots
  `HW_ASSERT_IF(HeldBounded_A, 1'b1, held <= slots_i)

  // a full ring is popped
  `HW_COVER(FullThenPop_C, held == slots_i && pop)
  // [RING-002] [RING-012] the watched line is the last before the index wraps
  `HW_COVER(IndexWraps_C, pop && popped_q == 32'hFFFF_FFFF && watch_i == popped_q)

endmodule

`default_nettype wire
