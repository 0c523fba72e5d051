// SPDX-License-Identifier: Apache-2.0
//
// Starts, stops and halts the device with rings in memory.
//
// Rules: LIFE-003, LIFE-005, LIFE-007, and LIFE-004 (nothing starts during a soft reset).
//
// StStopped: enabled and not halted -> StRun
// StRun:     ENABLE cleared, a STOP completed, a write failed, or the oldest line could not be read
//            -> StDrain
// StDrain:   everything accepted is posted (failed write: nothing is in flight) -> StStopped
// StError:   never; an assertion forbids it
//
// In StStopped fetch buffer and pipeline are held empty, so that prefetched lines are fetched
// again: the host may have repaired them. HALTED rises with StStopped, when memory and registers
// agree.
`default_nettype none
`include "hw_macros.svh"

module run_control (
    // Clock and synchronous active-low reset.
    input wire logic clk_i,
    input wire logic rst_ni,
    // From the registers: CTRL.ENABLE, CTRL.RESUME, a soft reset is pending.
    input wire logic enable_i,
    input wire logic resume_i,
    input wire logic soft_reset_i,
    // From the fetch: no read is in flight; the oldest line has an error response.
    input wire logic fetch_idle_i,
    input wire logic fetch_error_i,
    // From the pipeline: a line waits for a worker, descriptors are in flight, a STOP is complete.
    input wire logic pending_i,
    input wire logic busy_i,
    input wire logic stop_done_i,
    // From the writer: a write failed, finally; a failed burst was repaired; everything is posted.
    input wire logic write_failed_i,
    input wire logic write_fatal_i,
    input wire logic write_repaired_i,
    input wire logic write_drained_i,
    // Lines may be fetched, descriptors may be accepted, everything is held empty.
    output logic     fetch_o,
    output logic     accept_o,
    output logic     stopped_o,
    // To the registers: STATUS.HALTED, running, a pulse that sets STATUS.BUS_ERROR.
    output logic     halted_o,
    output logic     busy_o,
    output logic     bus_error_o
);

  typedef enum logic [1:0] {
    StStopped = 2'd0,
    StRun     = 2'd1,
    StDrain   = 2'd2,
    StError   = 2'd3
  } state_e;

  state_e state_d, state_q;
  logic halted_q, read_failed_q;
  logic oldest_failed, drained, halts, read_halts;

  // Every earlier line is with the workers.
  assign oldest_failed = fetch_error_i && !pending_i;
  assign drained = fetch_idle_i && write_drained_i && (!busy_i || write_failed_i);

  always_comb begin
    state_d = state_q;
    case (state_q)
      StStopped: begin
        if (enable_i && !halted_q && !soft_reset_i) begin
          state_d = StRun;
        end
      end
      StRun: begin
        if (!enable_i || stop_done_i || write_failed_i || oldest_failed) begin
          state_d = StDrain;
        end
      end
      StDrain: begin
        if (drained) begin
          state_d = StStopped;
        end
      end
      default: state_d = StError;
    endcase
  end

  // A failed write drops the lines behind it, a STOP leaves them unread.
  assign read_halts = read_failed_q && !write_failed_i && !stop_done_i;
  assign halts = state_q == StDrain && drained &&
      (write_failed_i ? write_fatal_i : stop_done_i || read_failed_q);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q       <= StStopped;
      halted_q      <= 1'b0;
      read_failed_q <= 1'b0;
    end else begin
      state_q <= state_d;
      halted_q <= halts || (halted_q && !resume_i);
      // Only if nothing else stopped the device before.
      read_failed_q <= state_q == StRun ? enable_i && oldest_failed :
          (state_q == StDrain && read_failed_q);
    end
  end

  assign fetch_o     = state_q == StRun && !soft_reset_i;
  assign accept_o    = state_q == StRun && enable_i && !soft_reset_i;
  assign stopped_o   = state_q == StStopped;
  assign halted_o    = halted_q;
  assign busy_o      = state_q != StStopped;
  assign bus_error_o = write_repaired_i ||
      (halts && (write_failed_i ? write_fatal_i : read_halts));

`ifndef SYNTHESIS
  `HW_ASSERT(StateLegal_A, state_q != StError, "the control never reaches its error state")
  `HW_ASSERT(HaltedIsStopped_A, !halted_q || state_q == StStopped,
             "a halted device is at rest (LIFE-003)")
`endif

endmodule

`default_nettype wire
