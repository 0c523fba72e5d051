// SPDX-License-Identifier: Apache-2.0
//
// The core: lines in, completions out, behind a doorbell-visible tail.
//
// Rules: sections 1 to 6 of the contract that need neither memory nor registers; each block names
// its own in its header. Here: RING-008 (a full ring stalls every later completion), RING-009
// (cmd_head_o counts posted completions).
//
// desc_ring -> desc_pipeline -> done or reward ring.
// Mode inputs (require_checked_i, split_reward_i, sizes) may change only in reset.
`default_nettype none
`include "hw_macros.svh"

module rl_runtime_top
  import hw_desc_pkg::*;
#(
    // Slots of each ring, a power of two; workers, 1 to 16.
    parameter int RingDepth   = 16,
    parameter int DoneDepth   = 16,
    parameter int RewardDepth = 16,
    parameter int WorkerCount = 8
) (
    // Clock and synchronous active-low reset; value of all indices after reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    // Accept descriptors (CTRL.ENABLE); leave the halt of a STOP (CTRL.RESUME); modes; published
    // tail; log2 of the slots in use.
    input wire logic                 enable_i,
    input wire logic                 resume_i,
    input wire logic                 require_checked_i,
    input wire logic                 split_reward_i,
    input wire logic [         31:0] cmd_tail_i,
    input wire logic [          7:0] done_log2_i,
    input wire logic [          7:0] reward_log2_i,
    // Lines from the host.
    input wire logic                 line_valid_i,
    output logic                     line_ready_o,
    input wire logic [DESC_BITS-1:0] line_data_i,
    // Completions to the host.
    output logic                     done_valid_o,
    input wire logic                 done_ready_i,
    output logic     [DESC_BITS-1:0] done_data_o,
    output logic                     reward_valid_o,
    input wire logic                 reward_ready_i,
    output logic     [DESC_BITS-1:0] reward_data_o,
    // Indices and state.
    output logic     [         31:0] cmd_head_o,
    output logic     [         31:0] done_tail_o,
    output logic     [         31:0] done_head_o,
    output logic     [         31:0] reward_tail_o,
    output logic     [         31:0] reward_head_o,
    output logic                     halted_o,
    output logic                     busy_o,
    // A completion is posted in this cycle, with its error and tokens; or it waits for room.
    output logic                     post_o,
    output logic                     post_error_o,
    output logic     [         31:0] post_tokens_o,
    output logic                     stall_o
);

  logic fetched_valid, fetched_ready;
  logic [DESC_BITS-1:0] fetched_data;
  logic [31:0] fetched_index;

  logic pipe_valid, pipe_ready;
  logic [DESC_BITS-1:0] pipe_data;
  logic [31:0] pipe_tokens;
  logic pipe_error;
  logic to_reward, done_ready, reward_ready;
  logic [31:0] cmd_head_q;

  desc_ring #(
      .Depth(RingDepth)
  ) u_desc_ring (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(first_index_i),
      .line_valid_i (line_valid_i),
      .line_ready_o (line_ready_o),
      .line_data_i  (line_data_i),
      .cmd_tail_i   (cmd_tail_i),
      .valid_o      (fetched_valid),
      .ready_i      (fetched_ready),
      .data_o       (fetched_data),
      .index_o      (fetched_index)
  );

  assign pipe_ready = to_reward ? reward_ready : done_ready;

  /* verilator lint_off PINCONNECTEMPTY */
  // pending_o matters only to a device that prefetches lines.
  desc_pipeline #(
      .WorkerCount(WorkerCount)
  ) u_desc_pipeline (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .enable_i         (enable_i),
      .resume_i         (resume_i),
      .require_checked_i(require_checked_i),
      .split_reward_i   (split_reward_i),
      .valid_i          (fetched_valid),
      .ready_o          (fetched_ready),
      .data_i           (fetched_data),
      .index_i          (fetched_index),
      .done_index_i     (done_tail_o),
      .reward_index_i   (reward_tail_o),
      .valid_o          (pipe_valid),
      .ready_i          (pipe_ready),
      .to_reward_o      (to_reward),
      .data_o           (pipe_data),
      .tokens_o         (pipe_tokens),
      .error_o          (pipe_error),
      .halted_o         (halted_o),
      .pending_o        (),
      .busy_o           (busy_o)
  );
  /* verilator lint_on PINCONNECTEMPTY */

  completion_ring #(
      .Depth(DoneDepth)
  ) u_done_ring (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(first_index_i),
      .ring_log2_i  (done_log2_i),
      .valid_i      (pipe_valid && !to_reward),
      .ready_o      (done_ready),
      .data_i       (pipe_data),
      .valid_o      (done_valid_o),
      .ready_i      (done_ready_i),
      .data_o       (done_data_o),
      .tail_o       (done_tail_o),
      .head_o       (done_head_o)
  );

  completion_ring #(
      .Depth(RewardDepth)
  ) u_reward_ring (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(first_index_i),
      .ring_log2_i  (reward_log2_i),
      .valid_i      (pipe_valid && to_reward),
      .ready_o      (reward_ready),
      .data_i       (pipe_data),
      .valid_o      (reward_valid_o),
      .ready_i      (reward_ready_i),
      .data_o       (reward_data_o),
      .tail_o       (reward_tail_o),
      .head_o       (reward_head_o)
  );

  assign post_o = pipe_valid && pipe_ready;
  assign post_error_o = post_o && pipe_error;
  assign post_tokens_o = post_o ? pipe_tokens : '0;
  assign stall_o = pipe_valid && !pipe_ready;
  assign cmd_head_o = cmd_head_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      cmd_head_q <= first_index_i;
    end else if (post_o) begin
      cmd_head_q <= cmd_head_q + 32'd1;
    end
  end

`ifndef SYNTHESIS
  `HW_ASSERT(HeadsAgree_A,
             cmd_head_q - first_index_i ==
             (done_tail_o - first_index_i) + (reward_tail_o - first_index_i),
             "as many descriptors are complete as completions are posted (RING-006)")
  `HW_ASSERT(BehindTail_A, cmd_tail_i - cmd_head_q <= 32'd1 << RING_LOG2_MAX,
             "only published descriptors complete (DB-001)")
`endif

endmodule

`default_nettype wire
