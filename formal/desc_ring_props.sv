// SPDX-License-Identifier: Apache-2.0
//
// The command ring obeys its rules for every stream of lines, doorbells and stalls.
`default_nettype none
`include "hw_macros.svh"

module desc_ring_props
  import hw_desc_pkg::*;
#(
    parameter int Depth = 16
) (
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    input wire logic                 line_valid_i,
    input wire logic [DESC_BITS-1:0] line_data_i,
    input wire logic [         31:0] cmd_tail_i,
    input wire logic                 ready_i,
    input wire logic [         31:0] watch_i
);

  localparam int SlotBits = $clog2(Depth);

  logic accept, line_ready, valid;
  logic [DESC_BITS-1:0] data;
  logic [31:0] index, written, taken;
  logic past_reset_q = 1'b1;
  logic past_stalled_q;
  logic [31:0] past_first_index_q, past_tail_q, past_taken_q, past_index_q;

  desc_ring #(
      .Depth(Depth)
  ) u_dut (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(first_index_i),
      .line_valid_i (line_valid_i),
      .line_ready_o (line_ready),
      .line_data_i  (line_data_i),
      .cmd_tail_i   (cmd_tail_i),
      .valid_o      (valid),
      .ready_i      (ready_i),
      .data_o       (data),
      .index_o      (index)
  );

  line_order u_order (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(first_index_i),
      .watch_i      (watch_i),
      .slots_i      (32'(Depth)),
      .push_valid_i (line_valid_i),
      .push_ready_i (line_ready),
      .push_data_i  (line_data_i),
      .pop_valid_i  (valid),
      .pop_ready_i  (ready_i),
      .pop_data_i   (data),
      .slot_data_i  (u_dut.mem[watch_i[SlotBits-1:0]]),
      .pushed_o     (written),
      .popped_o     (taken)
  );

  assign accept = line_valid_i && line_ready;

  always_ff @(posedge clk_i) begin
    past_reset_q       <= !rst_ni;
    past_stalled_q     <= rst_ni && valid && !ready_i;
    past_first_index_q <= first_index_i;
    past_tail_q        <= cmd_tail_i;
    past_taken_q       <= taken;
    past_index_q       <= index;
  end

  // mmio_regs resets the tail together with the ring (its property TailAfterReset_A)
  `HW_ASSUME(TailAfterReset_M, !rst_ni || !past_reset_q || cmd_tail_i == past_first_index_q)
  // mmio_regs moves the tail only forward, and at most 2^16 beyond the head (its properties
  // TailForward_A and TailBounded_A)
  `HW_ASSUME(TailForward_M, !rst_ni || past_reset_q ||
             (cmd_tail_i - past_taken_q >= past_tail_q - past_taken_q &&
              cmd_tail_i - past_taken_q <= 32'd1 << RING_LOG2_MAX))

  // [DB-001] no line beyond the published tail is delivered
  `HW_ASSERT_IF(BehindTail_A, 1'b1, cmd_tail_i - taken <= 32'd1 << RING_LOG2_MAX)
  // [DB-001] valid is high only below the published tail: writing a line alone does nothing
  `HW_ASSERT_IF(OnlyPublished_A, valid, cmd_tail_i != taken)
  // [DB-001] [RING-011] valid rises as soon as a line is both written and published
  `HW_ASSERT_IF(OfferedAtOnce_A, written != taken && cmd_tail_i != taken, valid)
  // [RING-011] [RING-012] line n after reset is delivered as the line of index first_index + n
  `HW_ASSERT_IF(IndexIsPosition_A, valid, index == taken)
  // [RING-005] without valid the data output is 0
  `HW_ASSERT_IF(QuietPayload_A, !valid, data == '0)
  // [RING-005] the index of a stalled line is held
  `HW_ASSERT_IF(IndexStable_A, past_stalled_q, index == past_index_q)
  // [RING-002] the ring's indices count the lines written and delivered
  `HW_ASSERT_IF(IndicesAgree_A, 1'b1, u_dut.write_index_q == written && u_dut.read_index_q == taken)

  // [RING-011] a doorbell precedes the line that it publishes
  `HW_COVER(DoorbellAhead_C, written == taken && cmd_tail_i != taken && line_valid_i)
  // [DB-001] a written line waits for its doorbell
  `HW_COVER(Unpublished_C, written != taken && cmd_tail_i == taken)

endmodule

`default_nettype wire
