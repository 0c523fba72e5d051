// SPDX-License-Identifier: Apache-2.0
//
// What a checked line asks of its worker, and what is known of its completion before a token is
// made. Combinational.
//
// Rules: OP-000..OP-004, OP-011, OP-255, FLAG-010, FLAG-011, DEC-001..DEC-006, ERR-010, DESC-025.
//
// The first token of a decode is made here.
`default_nettype none

module line_accept
  import hw_desc_pkg::*;
(
    // Line, with its error code (0: accepted), and whether its length is below its limit, and one
    // below it; mode CTRL.REQUIRE_CHECKED.
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [          7:0] error_code_i,
    input wire logic                 below_limit_i,
    input wire logic                 at_limit_i,
    input wire logic                 require_checked_i,
    // For the worker; rollout_worker_fsm describes it.
    output logic     [         31:0] seq_len_o,
    output logic     [         31:0] last_from_o,
    output logic                     rollout_o,
    output logic                     ended_o,
    output logic                     paused_o,
    // For the completion: flags, without the end of a decode; it makes tokens; it is scored, and the
    // lowest byte of the length that is: a ROLLOUT ends at its limit, if it is below it [DEC-007].
    output logic     [         15:0] flags_o,
    output logic                     decodes_o,
    output logic                     scored_o,
    output logic     [          7:0] scored_length_o
);

  /* verilator lint_off UNUSEDSIGNAL */
  // Only what execution reads is used; the struct names it.
  hw_desc_t line;
  /* verilator lint_on UNUSEDSIGNAL */
  logic accepted, at_boundary;
  logic [15:0] outcome_flags;

  assign line = data_i;
  assign accepted = error_code_i == 8'd0;

  assign rollout_o = line.opcode == OPCODE_ROLLOUT;
  assign decodes_o = accepted && (line.opcode == OPCODE_DECODE || rollout_o) && below_limit_i;
  assign scored_o = accepted && (line.opcode == OPCODE_REWARD || rollout_o);

  assign scored_length_o = rollout_o && below_limit_i ? line.max_tokens[7:0] : line.seq_len[7:0];

  // Whether the first token is the last, and why; DONE wins [DEC-003].
  assign last_from_o = line.max_tokens - 32'd1;
  assign at_boundary =
      line.seq_len % REWARD_INTERVAL == REWARD_INTERVAL - 32'd1 && !rollout_o;
  assign ended_o = !decodes_o || at_limit_i || at_boundary;
  assign paused_o = decodes_o && !at_limit_i && at_boundary;

  always_comb begin
    seq_len_o = line.seq_len;
    if (decodes_o) begin
      seq_len_o = line.seq_len + 32'd1;
    end else if (accepted && line.opcode == OPCODE_PREFILL && below_limit_i) begin
      seq_len_o = line.max_tokens;
    end
  end

  always_comb begin
    if (!accepted) begin
      outcome_flags = FLAG_ERROR | (16'(error_code_i) << ERROR_CODE_SHIFT);
    end else if (line.opcode == OPCODE_STOP) begin
      outcome_flags = FLAG_STOPPED;
    end else if (decodes_o) begin
      outcome_flags = 16'd0;
    end else begin
      outcome_flags = FLAG_DONE;
    end
  end

  assign flags_o = (line.flags & ~DEVICE_OWNED_FLAGS) |
      (require_checked_i ? FLAG_CHECKED : 16'd0) | outcome_flags;

endmodule

`default_nettype wire
