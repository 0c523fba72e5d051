// SPDX-License-Identifier: Apache-2.0
//
// The completion ring obeys its rules for every stream, every stall and every size in force.
`default_nettype none
`include "hw_macros.svh"

module completion_ring_props
  import hw_desc_pkg::*;
#(
    parameter int Depth = 16
) (
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    input wire logic [          7:0] ring_log2_i,
    input wire logic                 valid_i,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic                 ready_i,
    input wire logic [         31:0] watch_i
);

  localparam int SlotBits = $clog2(Depth);

  logic ready, valid;
  logic [DESC_BITS-1:0] data;
  logic [31:0] tail, head, posted, taken;
  logic past_reset_q = 1'b1;
  // A completion was posted since reset.
  logic used_q;
  logic [7:0] past_log2_q;
  logic [31:0] past_first_index_q;

  completion_ring #(
      .Depth(Depth)
  ) u_dut (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(first_index_i),
      .ring_log2_i  (ring_log2_i),
      .valid_i      (valid_i),
      .ready_o      (ready),
      .data_i       (data_i),
      .valid_o      (valid),
      .ready_i      (ready_i),
      .data_o       (data),
      .tail_o       (tail),
      .head_o       (head)
  );

  line_order u_order (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(first_index_i),
      .watch_i      (watch_i),
      .slots_i      (32'd1 << ring_log2_i),
      .push_valid_i (valid_i),
      .push_ready_i (ready),
      .push_data_i  (data_i),
      .pop_valid_i  (valid),
      .pop_ready_i  (ready_i),
      .pop_data_i   (data),
      .slot_data_i  (u_dut.mem[watch_i[SlotBits-1:0]]),
      .pushed_o     (posted),
      .popped_o     (taken)
  );

  always_ff @(posedge clk_i) begin
    past_reset_q       <= !rst_ni;
    used_q             <= rst_ni && (used_q || (valid_i && ready));
    past_log2_q        <= ring_log2_i;
    past_first_index_q <= first_index_i;
  end

  // only an enabled device posts completions, and mmio_regs enables none with a ring of another
  // size than 2^1 to 2^MaxDoneLog2 slots (its property BadConfigRefused_A)
  `HW_ASSUME(SizeLegal_M, !(valid_i || used_q) ||
             (ring_log2_i >= RING_LOG2_MIN && 32'(ring_log2_i) <= 32'(SlotBits)))
  // mmio_regs locks the size with the first ENABLE (its property ConfigLocked_A)
  `HW_ASSUME(SizeLocked_M, !used_q || ring_log2_i == past_log2_q)

  // [RING-003] [RING-010] from first_index, the tail counts the completions posted, the head those
  // accepted by the host
  `HW_ASSERT_IF(IndicesAgree_A, 1'b1, tail == posted && head == taken)
  // [LIFE-001] [RING-012] after reset both indices are first_index and valid is low
  `HW_ASSERT_IF(EmptyAfterReset_A, past_reset_q,
                tail == past_first_index_q && head == past_first_index_q && !valid)
  // [RING-005] without valid the data output is 0
  `HW_ASSERT_IF(QuietPayload_A, !valid, data == '0)
  // [RING-006] valid is high while a posted completion is not accepted
  `HW_ASSERT_IF(OfferedAtOnce_A, posted != taken, valid)

  // a ring that was never used is empty
  `HW_ASSERT_IF(UnusedIsEmpty_A, !used_q, posted == taken)

  // [RING-001] a size below the depth is in force and full
  `HW_COVER(SmallerFull_C, ring_log2_i == RING_LOG2_MIN && valid_i && !ready)

endmodule

`default_nettype wire
