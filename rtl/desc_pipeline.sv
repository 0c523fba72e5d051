// SPDX-License-Identifier: Apache-2.0
//
// From a published line to its sealed completion: check, workers, routing, tag and checksum.
//
// Rules: sections 1 to 4 of the contract; each block names its own in its header. Here:
// RING-008 (to_reward_o names the ring that a completion goes to), DESC-023 (the tag is the index
// in that ring).
//
// register -> line_check -> worker_pool -> line_seal. Order is first in, first out. A completion is
// stable while valid_o and not ready_i, provided that done_index_i and reward_index_i are.
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
    // A line waits for a worker; a descriptor is accepted and its completion is not.
    output logic                     pending_o,
    output logic                     busy_o
);

  logic check_valid_q;
  logic [DESC_BITS-1:0] check_data_q;
  logic [31:0] check_index_q;
  logic [7:0] check_error_code;
  logic check_stop, pool_ready;

  logic [DESC_BITS-1:0] pool_data;
  /* verilator lint_off UNUSEDSIGNAL */
  // Only the flags of a completion are read; the struct names them.
  hw_desc_t completion;
  /* verilator lint_on UNUSEDSIGNAL */

  // A register in front of line_check, so that the ring read and the checksum are in different
  // cycles.
  assign ready_o = !check_valid_q || pool_ready;
  assign pending_o = check_valid_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      check_valid_q <= 1'b0;
    end else if (ready_o) begin
      check_valid_q <= valid_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (ready_o) begin
      check_data_q  <= data_i;
      check_index_q <= index_i;
    end
  end

  line_check u_line_check (
      .data_i           (check_data_q),
      .index_i          (check_index_q),
      .require_checked_i(require_checked_i),
      .error_code_o     (check_error_code),
      .stop_o           (check_stop)
  );

  worker_pool #(
      .WorkerCount(WorkerCount)
  ) u_worker_pool (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .enable_i         (enable_i),
      .resume_i         (resume_i),
      .require_checked_i(require_checked_i),
      .valid_i          (check_valid_q),
      .ready_o          (pool_ready),
      .data_i           (check_data_q),
      .error_code_i     (check_error_code),
      .stop_i           (check_stop),
      .valid_o          (valid_o),
      .ready_i          (ready_i),
      .data_o           (pool_data),
      .tokens_o         (tokens_o),
      .error_o          (error_o),
      .halted_o         (halted_o),
      .busy_o           (busy_o)
  );

  assign completion = pool_data;
  assign to_reward_o = split_reward_i && |(completion.flags & FLAG_NEEDS_REWARD);

  line_seal u_line_seal (
      .data_i (pool_data),
      .index_i(to_reward_o ? reward_index_i : done_index_i),
      .data_o (data_o)
  );

`ifndef SYNTHESIS
  logic past_waiting_q;
  logic [31:0] past_index_q;
  always_ff @(posedge clk_i) begin
    past_waiting_q <= rst_ni && check_valid_q && !pool_ready;
    past_index_q   <= check_index_q;
  end
  `HW_ASSERT(KeepsLine_A, !past_waiting_q || (check_valid_q && check_index_q == past_index_q),
             "a line stays under check until a worker accepts it")
  `HW_ASSERT(OfferIsAccepted_A, !valid_o || busy_o,
             "only an accepted descriptor completes (RING-006)")
`endif

endmodule

`default_nettype wire
