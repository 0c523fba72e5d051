// SPDX-License-Identifier: Apache-2.0
//
// A worker behind line_accept, with length_score beside it, completes every descriptor as sections 1
// to 4 of the contract state, and always terminates. Line and notes are kept here, as worker_pool
// does.
`default_nettype none
`include "hw_macros.svh"

module rollout_worker_fsm_props
  import hw_desc_pkg::*;
  import spec_pkg::*;
(
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic                 valid_i,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [          7:0] error_code_i,
    input wire logic                 below_limit_i,
    input wire logic                 at_limit_i,
    input wire logic                 require_checked_i,
    input wire logic                 ready_i
);

  localparam logic [1:0] Idle = 2'd0;
  localparam logic [1:0] Complete = 2'd2;

  logic ready, valid;
  logic [DESC_BITS-1:0] data;
  logic [31:0] tokens;
  logic started_q = 1'b0;
  logic past_reset_q, past_stalled_q;
  logic [DESC_BITS-1:0] past_data_q;

  logic [31:0] first_seq_len, last_from, seq_len, score;
  logic rollout, ended, starts_paused, decodes, scored, paused;
  logic [15:0] first_flags, flags;
  logic [7:0] scored_length;

  line_accept u_accept (
      .data_i           (data_i),
      .error_code_i     (error_code_i),
      .below_limit_i    (below_limit_i),
      .at_limit_i       (at_limit_i),
      .require_checked_i(require_checked_i),
      .seq_len_o        (first_seq_len),
      .last_from_o      (last_from),
      .rollout_o        (rollout),
      .ended_o          (ended),
      .paused_o         (starts_paused),
      .flags_o          (first_flags),
      .decodes_o        (decodes),
      .scored_o         (scored),
      .scored_length_o  (scored_length)
  );

  rollout_worker_fsm u_dut (
      .clk_i      (clk_i),
      .rst_ni     (rst_ni),
      .valid_i    (valid_i),
      .ready_o    (ready),
      .seq_len_i  (first_seq_len),
      .last_from_i(last_from),
      .rollout_i  (rollout),
      .ended_i    (ended),
      .paused_i   (starts_paused),
      .valid_o    (valid),
      .ready_i    (ready_i),
      .seq_len_o  (seq_len),
      .paused_o   (paused)
  );

  logic decodes_q, scored_q;
  logic [15:0] flags_q;

  logic [7:0] scored_length_q;

  length_score u_score (
      .length_i(scored_length_q),
      .score_o (score)
  );

  assign flags = flags_q | (!decodes_q ? 16'd0 : paused ? FLAG_NEEDS_REWARD : FLAG_DONE);

  // The descriptor that is accepted and not complete.
  logic holds_q, required_q;
  logic [DESC_BITS-1:0] line_q;
  logic [7:0] error_q;
  logic [31:0] age_q;
  hw_desc_t incoming, submitted, completion;
  logic accept, retire, done, decodes_now;
  logic [32:0] boundary;

  assign incoming = data_i;
  assign submitted = line_q;
  always_comb begin
    completion = submitted;
    completion.flags = flags;
    completion.seq_len = seq_len;
    if (scored_q) begin
      completion.reserved0 = score;
    end
  end

  assign data = completion;
  assign tokens = decodes_q ? seq_len - submitted.seq_len : 32'd0;
  assign accept = valid_i && ready;
  assign retire = valid && ready_i;
  assign done = valid && error_q == 8'd0;
  assign decodes_now = done && submitted.opcode == OPCODE_DECODE;
  assign boundary = {1'b0, submitted.seq_len | 32'd31} + 33'd1;

  always_ff @(posedge clk_i) begin
    started_q      <= 1'b1;
    past_reset_q   <= !rst_ni;
    past_stalled_q <= rst_ni && valid && !ready_i;
    past_data_q    <= data;
    if (!rst_ni) begin
      holds_q <= 1'b0;
    end else if (accept) begin
      holds_q <= 1'b1;
    end else if (retire) begin
      holds_q <= 1'b0;
    end
    if (accept) begin
      line_q     <= data_i;
      error_q    <= error_code_i;
      required_q <= require_checked_i;
      decodes_q  <= decodes;
      scored_q   <= scored;
      scored_length_q <= scored_length;
      flags_q    <= first_flags;
      age_q      <= 32'd1;
    end else if (!valid) begin
      age_q <= age_q + 32'd1;
    end
  end

  worker_watch u_watch (
      .clk_i       (clk_i),
      .rst_ni      (rst_ni),
      .holds_i     (holds_q),
      .submitted_i (line_q),
      .error_code_i(error_q),
      .age_i       (age_q),
      .state_i     (u_dut.state_q),
      .seq_len_i   (u_dut.seq_len_q),
      .last_from_i (u_dut.last_from_q),
      .rollout_i   (u_dut.rollout_q),
      .paused_i    (u_dut.paused_q)
  );

  // the first cycle is one of reset
  `HW_ASSUME(StartsInReset_M, started_q || !rst_ni)
  // line_check gives one of four error codes, and BAD_OPCODE only to an unknown opcode (its
  // properties Verdict_A and UnknownOpcode_A)
  `HW_ASSUME(VerdictLegal_M, !valid_i || error_code_i == ERROR_CODE_BAD_CHECKSUM ||
             error_code_i == ERROR_CODE_BAD_TAG ||
             error_code_i == (is_opcode(incoming.opcode) ? 8'd0 : ERROR_CODE_BAD_OPCODE))
  // line_check compares the length with the limit (its properties BelowLimit_A and AtLimit_A)
  `HW_ASSUME(LimitCompared_M, !valid_i ||
             (below_limit_i == (incoming.seq_len < incoming.max_tokens) &&
             at_limit_i == (incoming.seq_len + 32'd1 == incoming.max_tokens)))

  // [RING-006] the worker is always in a legal state
  `HW_ASSERT_IF(StateLegal_A, 1'b1, u_dut.state_q <= Complete)
  // [RING-006] without a descriptor valid is low, and the next is accepted at once
  `HW_ASSERT_IF(Idle_A, !holds_q, u_dut.state_q == Idle && !valid && ready)
  // [RING-006] a descriptor is accepted only if the previous one is complete: one completion each
  `HW_ASSERT_IF(OneAtATime_A, accept && holds_q, retire)
  // [LIFE-001] reset leaves no descriptor behind
  `HW_ASSERT_IF(IdleAfterReset_A, past_reset_q, !valid && ready)
  // [RING-005] a stalled completion is held unchanged
  `HW_ASSERT_IF(StableUnderStall_A, past_stalled_q, valid && data == past_data_q)

  // the next descriptor can be accepted with a completion: no idle cycle between two
  `HW_ASSERT_IF(NoIdleCycle_A, retire, ready)
  // without valid the outputs are 0, so that no unset register is visible
  `HW_ASSERT_IF(QuietData_A, !valid, seq_len == '0 && !paused)
  // [FLAG-010] the notes of a held descriptor are those that its line requires
  `HW_ASSERT_IF(NotesHeld_A, holds_q,
                flags_q == (kept_flags(submitted, required_q) |
                (decodes_q ? 16'd0 : outcome(submitted, error_q))) &&
                decodes_q == (tokens_of(submitted, error_q) != 32'd0) &&
                (!scored_q || scored_length_q == 8'(length_of(submitted, error_q))) &&
                scored_q == (error_q == 8'd0 && (submitted.opcode == OPCODE_REWARD ||
                submitted.opcode == OPCODE_ROLLOUT)))

  // [DESC-001..DESC-014] [FLAG-000..FLAG-008] [FLAG-010] the completion is the submitted line with
  // only the changes of sections 2 to 4, all 512 bits
  `HW_ASSERT_IF(Completion_A, valid,
                data == completion_of(submitted, error_q, required_q) &&
                tokens == tokens_of(submitted, error_q))
  // [FLAG-011] exactly one outcome is set, and an error code only with ERROR
  `HW_ASSERT_IF(OneOutcome_A, valid,
                $countones(completion.flags & (FLAG_NEEDS_REWARD | FLAG_DONE | FLAG_STOPPED |
                FLAG_ERROR)) == 1 && ((completion.flags & FLAG_ERROR) != 16'd0 ||
                completion.flags[15:8] == 8'd0))
  // [OP-000] NOP changes only its flags, to DONE
  `HW_ASSERT_IF(Nop_A, done && submitted.opcode == OPCODE_NOP,
         {completion.flags, tokens} == {kept_flags(submitted, required_q) | FLAG_DONE, 32'd0} &&
         (data | 512'hFFFF_0000) == (line_q | 512'hFFFF_0000))
  // [OP-255] STOP changes only its flags, to STOPPED
  `HW_ASSERT_IF(Stop_A, done && submitted.opcode == OPCODE_STOP,
                completion.flags == (kept_flags(submitted, required_q) | FLAG_STOPPED) &&
                (data | 512'hFFFF_0000) == (line_q | 512'hFFFF_0000))
  // [ERR-010] [ERR-001..ERR-003] [OP-ERR] a refused line changes only its flags, to ERROR and its
  // code
  `HW_ASSERT_IF(Refused_A, valid && error_q != 8'd0,
         completion.flags == (kept_flags(submitted, required_q) | FLAG_ERROR | {error_q, 8'd0}) &&
         (data | 512'hFFFF_0000) == (line_q | 512'hFFFF_0000) && tokens == 32'd0)
  // [DESC-025] where it is required, every completion carries CHECKED
  `HW_ASSERT_IF(Required_A, valid && required_q, (completion.flags & FLAG_CHECKED) != 16'd0)
  // [OP-002] [OP-010] REWARD writes the score, rounded to nearest, for all 256 scores
  `HW_ASSERT_IF(Reward_A, done && submitted.opcode == OPCODE_REWARD,
                completion.reserved0 == score_bits(submitted.seq_len) &&
                completion.seq_len == submitted.seq_len && (completion.flags & FLAG_DONE) != 16'd0)
  // [OP-003] [OP-011] PREFILL takes the longer length, ends with DONE and counts no token
  `HW_ASSERT_IF(Prefill_A, done && submitted.opcode == OPCODE_PREFILL,
         completion.seq_len >= submitted.seq_len && completion.seq_len >= submitted.max_tokens &&
         (completion.seq_len == submitted.seq_len || completion.seq_len == submitted.max_tokens) &&
         (completion.flags & FLAG_DONE) != 16'd0 && tokens == 32'd0)
  // [DEC-001] a length at or beyond the limit makes no token and is DONE
  `HW_ASSERT_IF(NothingToDecode_A, decodes_now && submitted.seq_len >= submitted.max_tokens,
         completion.seq_len == submitted.seq_len && (completion.flags & FLAG_DONE) != 16'd0 &&
         tokens == 32'd0)
  // [OP-001] [DEC-002] [DEC-005] decoding ends at the limit or at the next boundary, whichever is
  // lower, and counts its tokens
  `HW_ASSERT_IF(DecodeEnds_A, decodes_now && submitted.seq_len < submitted.max_tokens,
         completion.seq_len > submitted.seq_len && completion.seq_len <= submitted.max_tokens &&
         {1'b0, completion.seq_len} <= boundary &&
         (completion.seq_len == submitted.max_tokens || {1'b0, completion.seq_len} == boundary) &&
         completion.seq_len - submitted.seq_len == tokens)
  // [DEC-003] where limit and boundary coincide, DONE wins
  `HW_ASSERT_IF(DoneWins_A, decodes_now && {1'b0, submitted.max_tokens} == boundary &&
                submitted.seq_len < submitted.max_tokens,
                (completion.flags & (FLAG_DONE | FLAG_NEEDS_REWARD)) == FLAG_DONE)
  // [DEC-004] where the boundary does not fit in 32 bits, only the limit ends the decode
  `HW_ASSERT_IF(NearWrap_A, decodes_now && boundary[32] && submitted.seq_len < submitted.max_tokens,
         completion.seq_len == submitted.max_tokens && (completion.flags & FLAG_DONE) != 16'd0)
  // [FLAG-000] [DEC-002] [DEC-005] below the limit decoding pauses at the boundary, so that a
  // resubmission continues from there
  `HW_ASSERT_IF(Pauses_A, decodes_now && boundary < {1'b0, submitted.max_tokens},
                (completion.flags & (FLAG_DONE | FLAG_NEEDS_REWARD)) == FLAG_NEEDS_REWARD &&
                {1'b0, completion.seq_len} == boundary)

  // [OP-004] [DEC-006] [DEC-007] a ROLLOUT ends at its limit, is DONE, counts all its tokens and
  // has the score of its final length
  `HW_ASSERT_IF(Rollout_A, done && submitted.opcode == OPCODE_ROLLOUT,
                completion.seq_len == longer(submitted) &&
                completion.reserved0 == score_bits(completion.seq_len) &&
                (completion.flags & (FLAG_DONE | FLAG_NEEDS_REWARD)) == FLAG_DONE &&
                completion.seq_len - submitted.seq_len == tokens)

  // [DEC-006] a ROLLOUT passes a boundary, and another
  `HW_COVER(PassesBoundaries_C, valid && submitted.opcode == OPCODE_ROLLOUT && tokens == 32'd34)
  // [DEC-002] a descriptor makes all 32 tokens of an interval
  `HW_COVER(FullInterval_C, valid && tokens == 32'd32)
  // the next descriptor is accepted with the completion
  `HW_COVER(BackToBack_C, accept && retire)

endmodule

`default_nettype wire
