// SPDX-License-Identifier: Apache-2.0
//
// The device with its rings on chip: the core behind the register file.
//
// Rules: sections 1 to 7 of the contract for a host that writes lines and reads completions through
// ready/valid ports (RING-010, RING-011) and uses registers for everything else. CTRL.RESET resets
// the core together with the registers [LIFE-004].
`default_nettype none
`include "hw_macros.svh"

module rl_runtime_mmio
  import hw_desc_pkg::*;
#(
    // Slots of each ring, a power of two; workers, 1 to 16.
    parameter int RingDepth   = 16,
    parameter int DoneDepth   = 16,
    parameter int RewardDepth = 16,
    parameter int WorkerCount = 8
) (
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // Test only [RING-012]: tie to 0 in a product.
    input wire logic [         31:0] first_index_i,
    // Register accesses; read data return in the next cycle.
    input wire logic                 reg_valid_i,
    input wire logic                 reg_write_i,
    input wire logic [         11:0] reg_addr_i,
    input wire logic [         31:0] reg_wdata_i,
    output logic                     reg_rvalid_o,
    output logic     [         31:0] reg_rdata_o,
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
    // Interrupt, level.
    output logic                     irq_o
);

  logic soft_reset, core_rst_n, core_line_ready;
  logic enable, resume, require_checked, split_reward;
  logic [31:0] cmd_tail, cmd_head;
  logic [31:0] done_tail, done_head, reward_tail, reward_head;
  logic [7:0] done_log2, reward_log2;
  logic halted, busy, post, post_error, stall;
  logic [31:0] post_tokens;

  assign core_rst_n = rst_ni && !soft_reset;
  // A line accepted in the cycle of the reset would be lost.
  assign line_ready_o = core_line_ready && !soft_reset;

  /* verilator lint_off PINCONNECTEMPTY */
  // Outputs for a device with rings in memory are left open.
  mmio_regs #(
      .MaxCmdLog2   ($clog2(RingDepth)),
      .MaxDoneLog2  ($clog2(DoneDepth)),
      .MaxRewardLog2($clog2(RewardDepth)),
      .OnChip       (1'b1)
  ) u_mmio_regs (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .first_index_i    (first_index_i),
      .reg_valid_i      (reg_valid_i),
      .reg_write_i      (reg_write_i),
      .reg_addr_i       (reg_addr_i),
      .reg_wdata_i      (reg_wdata_i),
      .reg_rvalid_o     (reg_rvalid_o),
      .reg_rdata_o      (reg_rdata_o),
      .cmd_head_i       (cmd_head),
      .done_tail_i      (done_tail),
      .done_head_i      (done_head),
      .reward_tail_i    (reward_tail),
      .reward_head_i    (reward_head),
      .halted_i         (halted),
      .busy_i           (busy),
      .post_i           (post),
      .post_error_i     (post_error),
      .post_tokens_i    (post_tokens),
      .stall_i          (stall),
      .announce_i       (post),
      .bus_error_i      (1'b0),
      .bus_idle_i       (1'b1),
      .reset_late_i     (1'b0),
      .window_last_i    (64'hFFFF_FFFF_FFFF_FFFF),
      .soft_reset_o     (soft_reset),
      .enable_o         (enable),
      .resume_o         (resume),
      .require_checked_o(require_checked),
      .split_reward_o   (split_reward),
      .publish_tails_o  (),
      .cmd_tail_o       (cmd_tail),
      .done_head_o      (),
      .reward_head_o    (),
      .cmd_log2_o       (),
      .done_log2_o      (done_log2),
      .reward_log2_o    (reward_log2),
      .cmd_base_o       (),
      .done_base_o      (),
      .reward_base_o    (),
      .irq_o            (irq_o)
  );
  /* verilator lint_on PINCONNECTEMPTY */

  rl_runtime_top #(
      .RingDepth  (RingDepth),
      .DoneDepth  (DoneDepth),
      .RewardDepth(RewardDepth),
      .WorkerCount(WorkerCount)
  ) u_core (
      .clk_i            (clk_i),
      .rst_ni           (core_rst_n),
      .first_index_i    (first_index_i),
      .enable_i         (enable),
      .resume_i         (resume),
      .require_checked_i(require_checked),
      .split_reward_i   (split_reward),
      .cmd_tail_i       (cmd_tail),
      .done_log2_i      (done_log2),
      .reward_log2_i    (reward_log2),
      .line_valid_i     (line_valid_i),
      .line_ready_o     (core_line_ready),
      .line_data_i      (line_data_i),
      .done_valid_o     (done_valid_o),
      .done_ready_i     (done_ready_i),
      .done_data_o      (done_data_o),
      .reward_valid_o   (reward_valid_o),
      .reward_ready_i   (reward_ready_i),
      .reward_data_o    (reward_data_o),
      .cmd_head_o       (cmd_head),
      .done_tail_o      (done_tail),
      .done_head_o      (done_head),
      .reward_tail_o    (reward_tail),
      .reward_head_o    (reward_head),
      .halted_o         (halted),
      .busy_o           (busy),
      .post_o           (post),
      .post_error_o     (post_error),
      .post_tokens_o    (post_tokens),
      .stall_o          (stall)
  );

endmodule

`default_nettype wire
