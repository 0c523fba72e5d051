// SPDX-License-Identifier: Apache-2.0
//
// One worker: makes the tokens of a descriptor, one a cycle, up to its limit or a reward boundary.
//
// Rules: DEC-002..DEC-006, RING-006. It holds only what changes with a token: the line itself stays
// in worker_pool, and line_accept has made the first token.
//
// StIdle:     start with more than one token to make -> StDecode; any other -> StComplete
// StDecode:   the token made in this cycle is the last -> StComplete
// StComplete: result accepted -> StIdle, or as from StIdle if a start is valid
// StError:    never; an assertion forbids it
//
// A descriptor of n tokens occupies the worker for max(n, 1) cycles. The result is stable while
// valid_o and not ready_i.
`default_nettype none
`include "hw_macros.svh"

module rollout_worker_fsm
  import hw_desc_pkg::*;
(
    // Clock and synchronous active-low reset.
    input wire logic        clk_i,
    input wire logic        rst_ni,
    // Start: length with the first token; the length one below the limit; a ROLLOUT; no more tokens
    // are to be made, and whether that is a pause at a boundary.
    input wire logic        valid_i,
    output logic            ready_o,
    input wire logic [31:0] seq_len_i,
    input wire logic [31:0] last_from_i,
    input wire logic        rollout_i,
    input wire logic        ended_i,
    input wire logic        paused_i,
    // Result: final length; decoding pauses at a boundary.
    output logic            valid_o,
    input wire logic        ready_i,
    output logic     [31:0] seq_len_o,
    output logic            paused_o
);

  typedef enum logic [1:0] {
    StIdle     = 2'd0,
    StDecode   = 2'd1,
    StComplete = 2'd2,
    StError    = 2'd3
  } state_e;

  state_e state_d, state_q;
  logic [31:0] seq_len_q, last_from_q;
  logic rollout_q, paused_q;
  logic load, at_limit, at_boundary, ends;

  assign valid_o = state_q == StComplete;
  assign ready_o = state_q == StIdle || (state_q == StComplete && ready_i);
  assign seq_len_o = valid_o ? seq_len_q : '0;
  assign paused_o = valid_o && paused_q;
  assign load = valid_i && ready_o;

  // The token that is made now reaches the limit, or a boundary, which a ROLLOUT passes [DEC-002]
  // [DEC-006]. Compared is the length before the token, so that no sum is in front.
  assign at_limit = seq_len_q == last_from_q;
  assign at_boundary = seq_len_q % REWARD_INTERVAL == REWARD_INTERVAL - 32'd1 && !rollout_q;
  assign ends = at_limit || at_boundary;

  always_comb begin
    state_d = state_q;
    case (state_q)
      StIdle, StComplete: begin
        if (load) begin
          if (ended_i) begin
            state_d = StComplete;
          end else begin
            state_d = StDecode;
          end
        end else if (ready_i) begin
          state_d = StIdle;
        end
      end
      StDecode: begin
        if (ends) begin
          state_d = StComplete;
        end
      end
      default: state_d = StError;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= StIdle;
    end else begin
      state_q <= state_d;
    end
  end

  always_ff @(posedge clk_i) begin
    if (load) begin
      seq_len_q   <= seq_len_i;
      last_from_q <= last_from_i;
      rollout_q   <= rollout_i;
      paused_q    <= paused_i;
    end else if (state_q == StDecode) begin
      seq_len_q <= seq_len_q + 32'd1;
      paused_q  <= !at_limit;  // DONE wins where both meet [DEC-003]
    end
  end

`ifndef SYNTHESIS
  `HW_ASSERT(StateLegal_A, state_q != StError, "the worker never reaches its error state")
  // Not HW_ASSERT_STABLE: with data this narrow, Icarus 11 ends with a failed assertion of its own.
  logic past_stalled_q, past_paused_q;
  logic [31:0] past_seq_len_q;
  always_ff @(posedge clk_i) begin
    past_stalled_q <= rst_ni && valid_o && !ready_i;
    past_seq_len_q <= seq_len_o;
    past_paused_q  <= paused_o;
  end
  `HW_ASSERT(StableUnderStall_A,
             !past_stalled_q ||
             (valid_o && seq_len_o == past_seq_len_q && paused_o == past_paused_q),
             "a stalled result is held unchanged")
  `HW_ASSERT(PausesAtBoundary_A, !paused_o || seq_len_q % REWARD_INTERVAL == 32'd0,
             "decoding pauses only at a reward boundary (DEC-002)")
`endif

endmodule

`default_nettype wire
