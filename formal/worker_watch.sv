// SPDX-License-Identifier: Apache-2.0
//
// A worker's registers while it works on one known descriptor, at any token.
//
// This invariant makes the token loop provable without unrolling it: after t tokens the length is
// the submitted one plus t, and t is less than the number of tokens. The step from t to t + 1 and
// the last step are one induction step each; no bound on t is assumed, and that of a ROLLOUT is
// 2^32 - 1.
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
    // Clock edges since its start was accepted, until it is complete.
    input wire logic [         31:0] age_i,
    // The worker's registers.
    input wire logic [          1:0] state_i,
    input wire logic [         31:0] seq_len_i,
    input wire logic [         31:0] last_from_i,
    input wire logic                 rollout_i,
    input wire logic                 paused_i
);

  localparam logic [1:0] Decode = 2'd1;
  localparam logic [1:0] Complete = 2'd2;

  hw_desc_t submitted;
  logic [31:0] all_tokens, tokens;

  assign submitted = submitted_i;
  assign all_tokens = tokens_of(submitted, error_code_i);
  assign tokens = seq_len_i - submitted.seq_len;

  // [RING-006] a worker that holds a descriptor decodes it or has its result valid
  `HW_ASSERT_IF(HeldState_A, holds_i, state_i == Decode || state_i == Complete)
  // [DEC-002] [DEC-006] after t tokens the length has grown by t, and t is less than all tokens;
  // limit and kind are as submitted
  `HW_ASSERT_IF(TokenLoop_A, holds_i && state_i == Decode,
                tokens != 32'd0 && tokens < all_tokens &&
                last_from_i + 32'd1 == submitted.max_tokens &&
                rollout_i == (submitted.opcode == OPCODE_ROLLOUT))
  // [DEC-002] [DEC-003] [RING-006] a complete worker has the length that the contract requires, and
  // pauses iff the line needs a reward
  `HW_ASSERT_IF(ResultHeld_A, holds_i && state_i == Complete,
                seq_len_i == length_of(submitted, error_code_i) &&
                paused_i == (outcome(submitted, error_code_i) == FLAG_NEEDS_REWARD))
  // [DEC-002] only a ROLLOUT makes more tokens than there are between two boundaries
  `HW_ASSERT_IF(TokensBounded_A, holds_i && submitted.opcode != OPCODE_ROLLOUT,
                all_tokens <= REWARD_INTERVAL)
  // [OP-011] [DEC-001] termination: a descriptor of n tokens is complete max(n, 1) cycles after its
  // start was accepted, never later
  `HW_ASSERT_IF(CycleAToken_A, holds_i,
                state_i == Decode ? age_i == tokens :
                age_i == (all_tokens == 32'd0 ? 32'd1 : all_tokens))

endmodule

`default_nettype wire
