// SPDX-License-Identifier: Apache-2.0
//
// WorkerCount workers that accept descriptors round robin and retire completions in the same order;
// STOP drains and halts them.
//
// Rules: LIFE-003 (nothing is accepted behind a STOP until resume_i), LIFE-007 (nothing is accepted
// without enable_i; what was accepted completes), RING-006, RING-007.
//
// Because retirement is in order, the next worker to become free is always the one whose turn it
// is. One line can enter and one can leave in each cycle. halted_o rises in the cycle after the
// completion of a STOP is accepted. The completion is stable while valid_o and not ready_i.
`default_nettype none
`include "hw_macros.svh"

module worker_pool
  import hw_desc_pkg::*;
#(
    // Workers, 1 to 16.
    parameter int WorkerCount = 8
) (
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // Accept descriptors (CTRL.ENABLE); leave the halt of a STOP (CTRL.RESUME); mode.
    input wire logic                 enable_i,
    input wire logic                 resume_i,
    input wire logic                 require_checked_i,
    // Checked lines, each with its error code (0: accepted); stop_i marks an accepted STOP.
    input wire logic                 valid_i,
    output logic                     ready_o,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [          7:0] error_code_i,
    input wire logic                 stop_i,
    // Completions, in the order of the lines; tag and checksum are not yet set.
    output logic                     valid_o,
    input wire logic                 ready_i,
    output logic     [DESC_BITS-1:0] data_o,
    output logic     [         31:0] tokens_o,
    output logic                     error_o,
    // Halted by a STOP.
    output logic                     halted_o,
    // A descriptor is accepted and its completion is not.
    output logic                     busy_o
);

  localparam int TurnBits = WorkerCount > 1 ? $clog2(WorkerCount) : 1;
  localparam int CountBits = $clog2(WorkerCount + 1);

  logic [WorkerCount-1:0] worker_valid_in, worker_ready_in;
  logic [WorkerCount-1:0] worker_valid_out, worker_ready_out;
  logic [WorkerCount-1:0][DESC_BITS-1:0] worker_data_out;
  logic [WorkerCount-1:0][31:0] worker_tokens_out;

  logic [TurnBits-1:0] accept_turn_q, retire_turn_q;
  logic [CountBits-1:0] in_flight_q;
  logic stop_taken_q, halted_q;
  logic may_accept, accept, retire;
  /* verilator lint_off UNUSEDSIGNAL */
  // Only the flags of a completion are read; the struct names them.
  hw_desc_t completion;
  /* verilator lint_on UNUSEDSIGNAL */

  function automatic logic [TurnBits-1:0] next_turn(input logic [TurnBits-1:0] turn);
    next_turn = turn == TurnBits'(WorkerCount - 1) ? '0 : turn + 1'b1;
  endfunction

  assign may_accept = enable_i && !stop_taken_q;
  assign ready_o = may_accept && worker_ready_in[accept_turn_q];
  assign accept = valid_i && ready_o;

  assign valid_o = worker_valid_out[retire_turn_q];
  assign retire = valid_o && ready_i;
  assign data_o = worker_data_out[retire_turn_q];
  assign tokens_o = worker_tokens_out[retire_turn_q];
  assign completion = data_o;
  assign error_o = valid_o && |(completion.flags & FLAG_ERROR);
  assign halted_o = halted_q;
  assign busy_o = in_flight_q != '0;

  for (genvar w = 0; w < WorkerCount; w++) begin : gen_worker
    assign worker_valid_in[w]  = valid_i && may_accept && accept_turn_q == TurnBits'(w);
    assign worker_ready_out[w] = ready_i && retire_turn_q == TurnBits'(w);

    rollout_worker_fsm u_worker (
        .clk_i            (clk_i),
        .rst_ni           (rst_ni),
        .valid_i          (worker_valid_in[w]),
        .ready_o          (worker_ready_in[w]),
        .data_i           (data_i),
        .error_code_i     (error_code_i),
        .require_checked_i(require_checked_i),
        .valid_o          (worker_valid_out[w]),
        .ready_i          (worker_ready_out[w]),
        .data_o           (worker_data_out[w]),
        .tokens_o         (worker_tokens_out[w])
    );
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      accept_turn_q <= '0;
      retire_turn_q <= '0;
      in_flight_q   <= '0;
    end else begin
      if (accept) begin
        accept_turn_q <= next_turn(accept_turn_q);
      end
      if (retire) begin
        retire_turn_q <= next_turn(retire_turn_q);
      end
      if (accept && !retire) begin
        in_flight_q <= in_flight_q + 1'b1;
      end else if (!accept && retire) begin
        in_flight_q <= in_flight_q - 1'b1;
      end
    end
  end

  // A STOP is the last line in flight: when its completion leaves, the pool is empty.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      stop_taken_q <= 1'b0;
      halted_q     <= 1'b0;
    end else if (resume_i && halted_q) begin
      stop_taken_q <= 1'b0;
      halted_q     <= 1'b0;
    end else begin
      if (accept && stop_i) begin
        stop_taken_q <= 1'b1;
      end
      if (retire && |(completion.flags & FLAG_STOPPED)) begin
        halted_q <= 1'b1;
      end
    end
  end

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(WorkerCountLegal_A, WorkerCount >= 1 && WorkerCount <= 16,
                  "WorkerCount must be 1 to 16")
  `HW_ASSERT(InFlightLegal_A, !accept || retire || in_flight_q != CountBits'(WorkerCount),
             "no more descriptors are in flight than there are workers")
  `HW_ASSERT(RetireAccepted_A, !retire || busy_o,
             "only an accepted descriptor retires (RING-006)")
  `HW_ASSERT(TurnsAgree_A, busy_o || accept_turn_q == retire_turn_q,
             "an empty pool accepts and retires at the same worker (RING-007)")
  `HW_ASSERT(HaltedIsEmpty_A, !halted_q || !busy_o,
             "a halted pool holds no descriptor (LIFE-003)")
  `HW_ASSERT_STABLE(valid_o, ready_i, data_o,
                    "a stalled completion is held unchanged")
`endif

endmodule

`default_nettype wire
