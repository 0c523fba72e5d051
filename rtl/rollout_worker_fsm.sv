// SPDX-License-Identifier: Apache-2.0
//
// One worker: accepts a checked descriptor, makes one token a cycle, offers the completion.
//
// Rules: OP-000..OP-004, OP-010, OP-011, OP-255, FLAG-010, FLAG-011, DEC-001..DEC-007, ERR-010,
// RING-006. It is behind line_check and before line_seal (tag and checksum of the completion);
// with require_checked_i it sets flag CHECKED (DESC-025).
//
// StIdle:     descriptor with more than one token to make -> StDecode; any other -> StComplete
// StDecode:   the token made in this cycle is the last but one -> StComplete
// StComplete: completion accepted -> StIdle, or as from StIdle if a descriptor is valid
// StError:    never; an assertion forbids it
//
// A descriptor of n tokens occupies the worker for max(n, 1) cycles: the first token is made as the
// descriptor is loaded. The completion is stable while valid_o and not ready_i.
`default_nettype none
`include "hw_macros.svh"

module rollout_worker_fsm
  import hw_desc_pkg::*;
(
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // Descriptor, with its error code (0: accepted) and mode CTRL.REQUIRE_CHECKED.
    input wire logic                 valid_i,
    output logic                     ready_o,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [          7:0] error_code_i,
    input wire logic                 require_checked_i,
    // Completion, and how many tokens it made.
    output logic                     valid_o,
    input wire logic                 ready_i,
    output logic     [DESC_BITS-1:0] data_o,
    output logic     [         31:0] tokens_o
);

  typedef enum logic [1:0] {
    StIdle     = 2'd0,
    StDecode   = 2'd1,
    StComplete = 2'd2,
    StError    = 2'd3
  } state_e;

  state_e state_d, state_q;
  hw_desc_t line_d, line_q;
  hw_desc_t submitted, accepted;
  logic [15:0] host_flags, outcome_flags;
  logic [31:0] first_seq_len, next_seq_len;
  logic accepted_is_rollout, accepted_decodes, accepted_last, next_last;
  logic [7:0] accepted_score;
  logic load;
  logic [31:0] tokens_d, tokens_q;

  // The float32 bits of score / 255, rounded to nearest even [OP-010]. In binary, score / 255 is
  // the eight bits of score, repeated without end behind the point. Rotated so that its leading one
  // is first, the pattern fills the 24-bit significand three times, and the truncated rest starts
  // with a one again: more than half, so rounding is always up. For score 255, all ones, the carry
  // gives the exponent of 1.0.
  function automatic logic [31:0] score_float32(input logic [7:0] score);
    logic [7:0] pattern;
    logic [7:0] exponent;
    logic [22:0] fraction;
    pattern  = score;
    exponent = 8'd126;
    for (int i = 0; i < 7; i++) begin
      if (!pattern[7]) begin
        pattern  = {pattern[6:0], pattern[7]};
        exponent = exponent - 8'd1;
      end
    end
    fraction = 23'({3{pattern}});
    score_float32 = score == 8'd0 ? 32'd0 : {1'b0, exponent, fraction} + 32'd1;
  endfunction

  // Whether decoding pauses or ends at this length; a ROLLOUT does not pause [DEC-002] [DEC-006].
  function automatic logic is_last(input logic [31:0] seq_len, input logic [31:0] max_tokens,
                                   input logic is_rollout);
    is_last = seq_len == max_tokens || (seq_len % REWARD_INTERVAL == 32'd0 && !is_rollout);
  endfunction

  // The flag that ends a decode at this length; DONE wins [DEC-003].
  function automatic logic [15:0] end_flag(input logic [31:0] seq_len,
                                           input logic [31:0] max_tokens);
    end_flag = seq_len == max_tokens ? FLAG_DONE : FLAG_NEEDS_REWARD;
  endfunction

  assign submitted = data_i;

  // The worker's registers after loading data_i: the outcome, or the first token. No block reads a
  // variable that it writes in part: Icarus would evaluate it without end.
  assign first_seq_len = submitted.seq_len + 32'd1;
  assign accepted_is_rollout = submitted.opcode == OPCODE_ROLLOUT;
  assign accepted_decodes = error_code_i == 8'd0 &&
      (submitted.opcode == OPCODE_DECODE || accepted_is_rollout) &&
      submitted.seq_len < submitted.max_tokens;
  assign accepted_last = !accepted_decodes ||
      is_last(first_seq_len, submitted.max_tokens, accepted_is_rollout);
  // The length to be scored is known now, because a ROLLOUT ends at its limit [OP-010] [DEC-007].
  assign accepted_score = accepted_decodes ? 8'(submitted.max_tokens) : 8'(submitted.seq_len);
  assign host_flags = (submitted.flags & ~DEVICE_OWNED_FLAGS) |
      (require_checked_i ? FLAG_CHECKED : 16'd0);

  always_comb begin
    if (error_code_i != 8'd0) begin
      outcome_flags = FLAG_ERROR | (16'(error_code_i) << ERROR_CODE_SHIFT);
    end else if (submitted.opcode == OPCODE_STOP) begin
      outcome_flags = FLAG_STOPPED;
    end else if (accepted_decodes) begin
      outcome_flags = accepted_last ? end_flag(first_seq_len, submitted.max_tokens) : 16'd0;
    end else begin
      outcome_flags = FLAG_DONE;
    end
  end

  always_comb begin
    accepted = submitted;
    accepted.flags = host_flags | outcome_flags;
    if (accepted_decodes) begin
      accepted.seq_len = first_seq_len;
    end
    if (error_code_i == 8'd0 && (submitted.opcode == OPCODE_REWARD || accepted_is_rollout)) begin
      accepted.reserved0 = score_float32(accepted_score);
    end
    if (error_code_i == 8'd0 && submitted.opcode == OPCODE_PREFILL &&
        submitted.max_tokens > submitted.seq_len) begin
      accepted.seq_len = submitted.max_tokens;
    end
  end

  assign valid_o = state_q == StComplete;
  assign ready_o = state_q == StIdle || (state_q == StComplete && ready_i);
  assign data_o = valid_o ? line_q : '0;
  assign tokens_o = valid_o ? tokens_q : '0;
  assign load = valid_i && ready_o;

  assign next_seq_len = line_q.seq_len + 32'd1;
  assign next_last =
      is_last(next_seq_len, line_q.max_tokens, line_q.opcode == OPCODE_ROLLOUT);

  always_comb begin
    state_d = state_q;
    case (state_q)
      StIdle, StComplete: begin
        if (load) begin
          if (accepted_last) begin
            state_d = StComplete;
          end else begin
            state_d = StDecode;
          end
        end else if (ready_i) begin
          state_d = StIdle;
        end
      end
      StDecode: begin
        if (next_last) begin
          state_d = StComplete;
        end
      end
      default: state_d = StError;
    endcase
  end

  always_comb begin
    line_d   = line_q;
    tokens_d = tokens_q;
    if (load) begin
      line_d   = accepted;
      tokens_d = 32'(accepted_decodes);
    end else if (state_q == StDecode) begin
      line_d.seq_len = next_seq_len;
      tokens_d = tokens_q + 32'd1;
      if (next_last) begin
        line_d.flags = line_q.flags | end_flag(next_seq_len, line_q.max_tokens);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= StIdle;
    end else begin
      state_q <= state_d;
    end
  end

  always_ff @(posedge clk_i) begin
    line_q   <= line_d;
    tokens_q <= tokens_d;
  end

`ifndef SYNTHESIS
  logic [15:0] outcome_q;
  assign outcome_q =
      line_q.flags & (FLAG_NEEDS_REWARD | FLAG_DONE | FLAG_STOPPED | FLAG_ERROR);
  `HW_ASSERT(StateLegal_A, state_q != StError, "the worker never reaches its error state")
  `HW_ASSERT_STABLE(valid_o, ready_i, data_o,
                    "a stalled completion is held unchanged")
  `HW_ASSERT(OneOutcome_A,
             !valid_o || (outcome_q != 16'd0 && (outcome_q & (outcome_q - 16'd1)) == 16'd0),
             "exactly one outcome is set in a completion (FLAG-011)")
  `HW_ASSERT(TokensBounded_A,
             !valid_o || line_q.opcode == OPCODE_ROLLOUT || tokens_q <= REWARD_INTERVAL,
             "no DECODE makes more tokens than there are between two reward boundaries")
  `HW_ASSERT(OpcodeChecked_A,
             !load || error_code_i != 8'd0 || submitted.opcode == OPCODE_NOP ||
             submitted.opcode == OPCODE_DECODE || submitted.opcode == OPCODE_REWARD ||
             submitted.opcode == OPCODE_PREFILL || submitted.opcode == OPCODE_ROLLOUT ||
             submitted.opcode == OPCODE_STOP,
             "a line with an unknown opcode has an error code (OP-ERR)")
`endif

endmodule

`default_nettype wire
