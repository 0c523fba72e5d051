// SPDX-License-Identifier: Apache-2.0
//
// From a published line to its sealed completion: check, workers, routing, tag and checksum.
//
// Rules: sections 1 to 4 of the contract; each block names its own in its header. Here:
// RING-008 (to_reward_o names the ring that a completion goes to), DESC-023 (the tag is the index
// in that ring).
//
// line_check, and beside it a FIFO of lines -> worker_pool -> line_seal. Order is first in, first
// out. The pool sees a line three cycles after it was taken. A completion is stable while valid_o and
// not ready_i, provided that done_index_i and reward_index_i are.
// Mode inputs (require_checked_i, split_reward_i) may change only in reset.
`default_nettype none
`include "hw_macros.svh"

module desc_pipeline
  import hw_desc_pkg::*;
#(
    // Workers, 1 to 16.
    parameter int WorkerCount = 8
) (
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // Accept descriptors (CTRL.ENABLE); leave the halt of a STOP (CTRL.RESUME); modes.
    input wire logic                 enable_i,
    input wire logic                 resume_i,
    input wire logic                 require_checked_i,
    input wire logic                 split_reward_i,
    // Published lines, each with the index of its slot.
    input wire logic                 valid_i,
    output logic                     ready_o,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] index_i,
    // Completions, with their tokens and error; the index of the next one in each ring.
    input wire logic [         31:0] done_index_i,
    input wire logic [         31:0] reward_index_i,
    output logic                     valid_o,
    input wire logic                 ready_i,
    output logic                     to_reward_o,
    output logic     [DESC_BITS-1:0] data_o,
    output logic     [         31:0] tokens_o,
    output logic                     error_o,
    // Halted by a STOP.
    output logic                     halted_o,
    // A line is under check or waits for a worker; a descriptor is accepted and its completion is not.
    output logic                     pending_o,
    output logic                     busy_o
);

  // Lines that are checked or wait for the pool: with as many one passes each cycle.
  localparam int Places = 4;
  localparam int VerdictBits = 8 + 1 + 1 + 1 + 32;

  logic take, check_valid, check_stop, check_below, check_last, line_valid;
  logic verdict_ready, verdict_valid, verdict_stop, verdict_below, verdict_last, accept, pool_ready;
  logic [7:0] check_error_code, verdict_error_code;
  logic [31:0] check_crc, verdict_crc;
  logic [DESC_BITS-1:0] line;

  logic [DESC_BITS-1:0] pool_data;
  logic [31:0] pool_crc;
  /* verilator lint_off UNUSEDSIGNAL */
  // Only the flags of a completion are read; the struct names them.
  hw_desc_t completion;
  /* verilator lint_on UNUSEDSIGNAL */

  assign take = valid_i && ready_o;
  assign accept = verdict_valid && pool_ready;
  assign pending_o = line_valid;

  line_check u_line_check (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .valid_i          (take),
      .data_i           (data_i),
      .index_i          (index_i),
      .require_checked_i(require_checked_i),
      .valid_o          (check_valid),
      .error_code_o     (check_error_code),
      .stop_o           (check_stop),
      .kept_crc_o       (check_crc),
      .below_limit_o    (check_below),
      .at_limit_o       (check_last)
  );

  // Whether a line can be taken depends on registers only: no path leads from the pool's ready to
  // ready_o. The pool reads a line only together with its verdict.
  sync_fifo #(
      .Width        (DESC_BITS),
      .Depth        (Places),
      .ZeroWhenEmpty(1'b0)
  ) u_lines (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .push_i (take),
      .ready_o(ready_o),
      .data_i (data_i),
      .pop_i  (accept),
      .valid_o(line_valid),
      .data_o (line)
  );

  // A verdict has a place, since its line has one.
  sync_fifo #(
      .Width(VerdictBits),
      .Depth(Places)
  ) u_verdicts (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .push_i (check_valid),
      .ready_o(verdict_ready),
      .data_i ({check_error_code, check_stop, check_below, check_last, check_crc}),
      .pop_i  (accept),
      .valid_o(verdict_valid),
      .data_o ({verdict_error_code, verdict_stop, verdict_below, verdict_last, verdict_crc})
  );

  worker_pool #(
      .WorkerCount(WorkerCount)
  ) u_worker_pool (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .enable_i         (enable_i),
      .resume_i         (resume_i),
      .require_checked_i(require_checked_i),
      .valid_i          (verdict_valid),
      .ready_o          (pool_ready),
      .data_i           (line),
      .error_code_i     (verdict_error_code),
      .stop_i           (verdict_stop),
      .below_limit_i    (verdict_below),
      .at_limit_i       (verdict_last),
      .kept_crc_i       (verdict_crc),
      .valid_o          (valid_o),
      .ready_i          (ready_i),
      .data_o           (pool_data),
      .crc_o            (pool_crc),
      .tokens_o         (tokens_o),
      .error_o          (error_o),
      .halted_o         (halted_o),
      .busy_o           (busy_o)
  );

  assign completion = pool_data;
  assign to_reward_o = split_reward_i && |(completion.flags & FLAG_NEEDS_REWARD);

  line_seal u_line_seal (
      .data_i (pool_data),
      .crc_i  (pool_crc),
      .index_i(to_reward_o ? reward_index_i : done_index_i),
      .data_o (data_o)
  );

`ifndef SYNTHESIS
  `HW_ASSERT(LineBesideVerdict_A, !verdict_valid || line_valid,
             "each verdict has its line beside it")
  `HW_ASSERT(VerdictHasPlace_A, !check_valid || verdict_ready,
             "a verdict has a place (RING-006)")
  `HW_ASSERT(OfferIsAccepted_A, !valid_o || busy_o,
             "only an accepted descriptor completes (RING-006)")
`endif

endmodule

`default_nettype wire
