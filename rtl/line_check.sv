// SPDX-License-Identifier: Apache-2.0
//
// Checks a submitted line: checksum, then tag, then opcode; the first that fails names the error. On
// the way it compares the line's length with its limit, for line_accept.
//
// Rules: DESC-020, DESC-022, DESC-025, OP-ERR, ERR-001, ERR-002, ERR-003, ERR-011, DEC-001, DEC-003.
//
// A line a cycle, without stalls: shares of the checksum are registered, then their sum, and the
// verdict is at the output two cycles after its line. error_code_o is 0 for an accepted line. stop_o
// marks an accepted STOP. The mode may change only while no line is under check.
`default_nettype none

module line_check
  import hw_desc_pkg::*;
(
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // Line; index of its slot; mode CTRL.REQUIRE_CHECKED.
    input wire logic                 valid_i,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] index_i,
    input wire logic                 require_checked_i,
    // Verdict, and the share in the checksum of all fields that no completion changes.
    output logic                     valid_o,
    output logic     [          7:0] error_code_o,
    output logic                     stop_o,
    output logic     [         31:0] kept_crc_o,
    // Length as submitted: below the limit; one below it, so that the first token is the last.
    output logic                     below_limit_o,
    output logic                     at_limit_o
);

  hw_desc_t desc;
  // Shares of fields that a completion keeps, and of those that it may change: flags, seq_len,
  // reserved0 and the tag.
  logic [6:0][31:0] kept_share;
  logic [3:0][31:0] changed_share;
  logic [5:0][31:0] kept_q;
  logic [1:0][31:0] changed_q;
  logic [31:0] kept, difference, kept_sum_q;
  logic [30:0] carries;
  logic [3:0] differs_q;
  logic opcode_ok, checksum_ok;
  // What is known of a line but for its checksum.
  logic valid_q, checked_q, tag_ok_q, opcode_ok_q, is_stop_q, below_limit_q, at_limit_q;
  logic sum_valid_q, sum_checked_q, sum_tag_ok_q, sum_opcode_ok_q, sum_is_stop_q;
  logic sum_below_limit_q, sum_at_limit_q;

  assign desc = data_i;

  // ---------------------------------------------------------------- shares of the checksum

  crc32c #(
      .Lsb  (DESC_OPCODE_LSB),
      .Width(16)
  ) u_opcode_crc (
      .data_i(desc.opcode),
      .crc_o (kept_share[0])
  );

  crc32c #(
      .Lsb  (DESC_FLAGS_LSB),
      .Width(16)
  ) u_flags_crc (
      .data_i(desc.flags),
      .crc_o (changed_share[0])
  );

  crc32c #(
      .Lsb  (DESC_ROLLOUT_ID_LSB),
      .Width(32)
  ) u_rollout_crc (
      .data_i(desc.rollout_id),
      .crc_o (kept_share[1])
  );

  crc32c #(
      .Lsb  (DESC_KV_ARENA_ID_LSB),
      .Width(64)
  ) u_arena_crc (
      .data_i({desc.prefix_id, desc.kv_arena_id}),
      .crc_o (kept_share[2])
  );

  crc32c #(
      .Lsb  (DESC_KV_OFFSET_LSB),
      .Width(64)
  ) u_kv_crc (
      .data_i(desc.kv_offset),
      .crc_o (kept_share[3])
  );

  crc32c #(
      .Lsb  (DESC_DELTA_OFFSET_LSB),
      .Width(64)
  ) u_delta_crc (
      .data_i(desc.delta_offset),
      .crc_o (kept_share[4])
  );

  crc32c #(
      .Lsb  (DESC_SEQ_LEN_LSB),
      .Width(32)
  ) u_seq_len_crc (
      .data_i(desc.seq_len),
      .crc_o (changed_share[1])
  );

  crc32c #(
      .Lsb  (DESC_MAX_TOKENS_LSB),
      .Width(64)
  ) u_limit_crc (
      .data_i({desc.reward_model_id, desc.max_tokens}),
      .crc_o (kept_share[5])
  );

  crc32c #(
      .Lsb  (DESC_RESERVED0_LSB),
      .Width(32)
  ) u_reserved0_crc (
      .data_i(desc.reserved0),
      .crc_o (changed_share[2])
  );

  crc32c #(
      .Lsb  (DESC_USER_DATA_LSB),
      .Width(64)
  ) u_user_crc (
      .data_i(desc.user_data),
      .crc_o (kept_share[6])
  );

  crc32c #(
      .Lsb  (TAG_LSB),
      .Width(32)
  ) u_tag_crc (
      .data_i(desc.checksum_or_cookie[31:0]),
      .crc_o (changed_share[3])
  );

  always_comb begin
    case (desc.opcode)
      OPCODE_NOP, OPCODE_DECODE, OPCODE_REWARD, OPCODE_PREFILL, OPCODE_ROLLOUT, OPCODE_STOP:
      opcode_ok = 1'b1;
      default: opcode_ok = 1'b0;
    endcase
  end

  // That the length plus one is the limit is decided bit by bit, from the carries that this takes, so
  // that no sum is in front of the comparison.
  assign carries = desc.seq_len[30:0] & ~desc.max_tokens[30:0];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q     <= 1'b0;
      sum_valid_q <= 1'b0;
    end else begin
      valid_q     <= valid_i;
      sum_valid_q <= valid_q;
    end
  end

  // Sums of about 64 bits each, so that no stage has more than its part of the parity.
  always_ff @(posedge clk_i) begin
    kept_q[0]     <= kept_share[0] ^ kept_share[1];
    kept_q[1]     <= kept_share[2];
    kept_q[2]     <= kept_share[3];
    kept_q[3]     <= kept_share[4];
    kept_q[4]     <= kept_share[5];
    kept_q[5]     <= kept_share[6];
    changed_q[0]  <= changed_share[0] ^ changed_share[1];
    // With the line's own checksum, so that the sum of all is 0 for an intact line.
    changed_q[1]  <= changed_share[2] ^ changed_share[3] ^ desc.checksum_or_cookie[63:32];
    checked_q     <= |(desc.flags & FLAG_CHECKED);
    tag_ok_q      <= desc.checksum_or_cookie[31:0] == index_i;
    opcode_ok_q   <= opcode_ok;
    is_stop_q     <= desc.opcode == OPCODE_STOP;
    below_limit_q <= desc.seq_len < desc.max_tokens;
    at_limit_q    <= (desc.seq_len ^ desc.max_tokens) == {carries, 1'b1};
  end

  // ---------------------------------------------------------------- sum

  assign kept = kept_q[0] ^ kept_q[1] ^ kept_q[2] ^ kept_q[3] ^ kept_q[4] ^ kept_q[5];
  assign difference = kept ^ changed_q[0] ^ changed_q[1];

  always_ff @(posedge clk_i) begin
    kept_sum_q        <= kept;
    differs_q[0]      <= |difference[7:0];
    differs_q[1]      <= |difference[15:8];
    differs_q[2]      <= |difference[23:16];
    differs_q[3]      <= |difference[31:24];
    sum_checked_q     <= checked_q;
    sum_tag_ok_q      <= tag_ok_q;
    sum_opcode_ok_q   <= opcode_ok_q;
    sum_is_stop_q     <= is_stop_q;
    sum_below_limit_q <= below_limit_q;
    sum_at_limit_q    <= at_limit_q;
  end

  // ---------------------------------------------------------------- verdict

  assign checksum_ok = sum_checked_q ? differs_q == 4'd0 : !require_checked_i;

  always_comb begin
    error_code_o = 8'd0;
    if (sum_valid_q) begin
      if (!checksum_ok) begin
        error_code_o = ERROR_CODE_BAD_CHECKSUM;
      end else if (sum_checked_q && !sum_tag_ok_q) begin
        error_code_o = ERROR_CODE_BAD_TAG;
      end else if (!sum_opcode_ok_q) begin
        error_code_o = ERROR_CODE_BAD_OPCODE;
      end
    end
  end

  assign valid_o = sum_valid_q;
  assign stop_o = sum_valid_q && error_code_o == 8'd0 && sum_is_stop_q;
  assign kept_crc_o = sum_valid_q ? kept_sum_q : '0;
  assign below_limit_o = sum_valid_q && sum_below_limit_q;
  assign at_limit_o = sum_valid_q && sum_at_limit_q;

endmodule

`default_nettype wire
