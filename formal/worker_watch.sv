// SPDX-License-Identifier: Apache-2.0
//
// A worker's registers while it works on one known descriptor, at any token.
//
// This invariant makes the token loop provable without unrolling it: after t tokens the line is the
// submitted one with seq_len + t and the kept flags, and t is less than the number of tokens. The
// step from t to t + 1 and the last step are one induction step each; no bound on t is assumed, and
// that of a ROLLOUT is 2^32 - 1.
`default_nettype none
`include "hw_macros.svh"

module worker_watch
  import hw_desc_pkg::*;
  import spec_pkg::*;
(
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // The worker holds the descriptor below.
    input wire logic                 holds_i,
    input wire logic [DESC_BITS-1:0] submitted_i,
    input wire logic [          7:0] error_code_i,
    input wire logic                 require_checked_i,
    // Clock edges since it was accepted, until it is complete.
    input wire logic [         31:0] age_i,
    // The worker's registers.
    input wire logic [          1:0] state_i,
    input wire logic [DESC_BITS-1:0] line_i,
    input wire logic [         31:0] tokens_i
);

  localparam logic [1:0] Decode = 2'd1;
  localparam logic [1:0] Complete = 2'd2;

  hw_desc_t line, submitted, under_way;
  logic [31:0] all_tokens;

  assign line = line_i;
  assign submitted = submitted_i;
  assign all_tokens = tokens_of(submitted, error_code_i);

  always_comb begin
    under_way = submitted;
    under_way.flags = kept_flags(submitted, require_checked_i);
    under_way.seq_len = submitted.seq_len + tokens_i;
    if (submitted.opcode == OPCODE_ROLLOUT) begin
      under_way.reserved0 = score_bits(longer(submitted));  // known from the start
    end
  end

  // [DEC-002] [DEC-006] [FLAG-011] a decoding worker has made at most the tokens since the last
  // boundary, unless it is at a ROLLOUT, and no outcome is set
  `HW_ASSERT_IF(Decoding_A, state_i == Decode,
         (line.opcode == OPCODE_ROLLOUT || tokens_i <= line.seq_len % REWARD_INTERVAL) &&
         line.seq_len != line.max_tokens &&
         (line.flags & (FLAG_NEEDS_REWARD | FLAG_DONE | FLAG_STOPPED | FLAG_ERROR)) == 16'd0)
  // [RING-006] a worker that holds a descriptor decodes it or has its completion valid
  `HW_ASSERT_IF(HeldState_A, holds_i, state_i == Decode || state_i == Complete)
  // [DEC-002] [FLAG-010] after t tokens only seq_len has grown, by t, and the device-owned flags
  // are clear; the score of a ROLLOUT is there already [DEC-007]
  `HW_ASSERT_IF(TokenLoop_A, holds_i && state_i == Decode,
                line_i == under_way && tokens_i != 32'd0 && tokens_i < all_tokens)
  // [DESC-014] [RING-006] a complete worker holds the completion that the contract requires, all
  // 512 bits of it
  `HW_ASSERT_IF(CompletionHeld_A, holds_i && state_i == Complete,
                line_i == completion_of(submitted, error_code_i, require_checked_i) &&
                tokens_i == all_tokens)
  // [DEC-002] only a ROLLOUT makes more tokens than there are between two boundaries
  `HW_ASSERT_IF(TokensBounded_A, holds_i && submitted.opcode != OPCODE_ROLLOUT,
                all_tokens <= REWARD_INTERVAL)
  // [OP-011] [DEC-001] termination: a descriptor of n tokens is complete max(n, 1) cycles after it
  // was accepted, never later
  `HW_ASSERT_IF(CycleAToken_A, holds_i,
                state_i == Decode ? age_i == tokens_i :
                age_i == (all_tokens == 32'd0 ? 32'd1 : all_tokens))

endmodule

`default_nettype wire
