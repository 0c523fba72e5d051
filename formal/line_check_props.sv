// SPDX-License-Identifier: Apache-2.0
//
// The check of a line, for every line, index and mode. crc32c has a proof of its own, also that the
// shares of the parts make up the checksum; here the shares are cut and may be anything.
`default_nettype none
`include "hw_macros.svh"

module line_check_props
  import hw_desc_pkg::*;
  import spec_pkg::*;
(
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic                 valid_i,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] index_i,
    input wire logic                 require_checked_i
);

  logic valid, stop, below_limit, at_limit;
  logic [7:0] error_code;
  logic [31:0] kept_crc;

  line_check u_dut (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .valid_i          (valid_i),
      .data_i           (data_i),
      .index_i          (index_i),
      .require_checked_i(require_checked_i),
      .valid_o          (valid),
      .error_code_o     (error_code),
      .stop_o           (stop),
      .kept_crc_o       (kept_crc),
      .below_limit_o    (below_limit),
      .at_limit_o       (at_limit)
  );

  // The shares of the checksum at the input: all of them, and those of fields that are kept.
  logic [31:0] all_shares, kept_shares;

  assign kept_shares = u_dut.kept_share[0] ^ u_dut.kept_share[1] ^ u_dut.kept_share[2] ^
      u_dut.kept_share[3] ^ u_dut.kept_share[4] ^ u_dut.kept_share[5] ^ u_dut.kept_share[6];
  assign all_shares = kept_shares ^ u_dut.changed_share[0] ^ u_dut.changed_share[1] ^
      u_dut.changed_share[2] ^ u_dut.changed_share[3];

  // The lines of the two stages, with their indices and their shares.
  logic [DESC_BITS-1:0] first_line_q, line_q;
  logic [31:0] first_index_q, index_q, first_all_q, all_q, first_kept_q, kept_q;
  logic first_held_q, held_q;
  hw_desc_t first;
  logic started_q = 1'b0;
  logic past_reset_q, past_require_q;
  hw_desc_t line;
  logic checked, intact;

  assign first = first_line_q;
  assign line = line_q;
  assign checked = (line.flags & FLAG_CHECKED) != 16'd0;
  assign intact = checked && line_q[CRC_LSB+:32] == all_q;

  always_ff @(posedge clk_i) begin
    started_q      <= 1'b1;
    past_reset_q   <= !rst_ni;
    past_require_q <= require_checked_i;
    first_held_q   <= rst_ni && valid_i;
    first_line_q   <= data_i;
    first_index_q  <= index_i;
    first_all_q    <= all_shares;
    first_kept_q   <= kept_shares;
    held_q         <= rst_ni && first_held_q;
    line_q         <= first_line_q;
    index_q        <= first_index_q;
    all_q          <= first_all_q;
    kept_q         <= first_kept_q;
  end

  // the first cycle is one of reset
  `HW_ASSUME(StartsInReset_M, started_q || !rst_ni)
  // mmio_regs changes the mode only before the first ENABLE, and no line arrives before it (its
  // properties ConfigLocked_A and DisabledDoorbell_A)
  `HW_ASSUME(ModeStays_M, !rst_ni || past_reset_q || !(first_held_q || held_q) ||
             require_checked_i == past_require_q)

  // [DESC-020] the shares are those of the fields of bytes 0 to 59, in the order of the line
  `HW_ASSERT_IF(Covered_A, 1'b1,
                {u_dut.u_tag_crc.data_i, u_dut.u_user_crc.data_i, u_dut.u_reserved0_crc.data_i,
                 u_dut.u_limit_crc.data_i, u_dut.u_seq_len_crc.data_i, u_dut.u_delta_crc.data_i,
                 u_dut.u_kv_crc.data_i, u_dut.u_arena_crc.data_i, u_dut.u_rollout_crc.data_i,
                 u_dut.u_flags_crc.data_i, u_dut.u_opcode_crc.data_i} == data_i[CRC_BITS-1:0])
  // [RING-006] each line has one verdict, two cycles after it
  `HW_ASSERT_IF(OneVerdict_A, 1'b1, u_dut.valid_q == first_held_q && valid == held_q)
  // [DESC-020] [DESC-022] [DEC-001] [DEC-003] the first stage has what the verdict needs of its line
  `HW_ASSERT_IF(FirstStage_A, first_held_q,
                u_dut.kept == first_kept_q &&
                u_dut.difference == (first_all_q ^ first_line_q[CRC_LSB+:32]) &&
                u_dut.checked_q == ((first.flags & FLAG_CHECKED) != 16'd0) &&
                u_dut.tag_ok_q == (first_line_q[TAG_LSB+:32] == first_index_q) &&
                u_dut.opcode_ok_q == is_opcode(first.opcode) &&
                u_dut.is_stop_q == (first.opcode == OPCODE_STOP) &&
                u_dut.below_limit_q == (first.seq_len < first.max_tokens) &&
                u_dut.at_limit_q == (first.seq_len + 32'd1 == first.max_tokens))
  // [ERR-011] [DESC-020] [DESC-022] the error code is that of the contract's checks in their order
  `HW_ASSERT_IF(Verdict_A, valid, error_code == verdict(line_q, all_q, index_q, require_checked_i))
  // [OP-255] [ERR-011] a STOP is marked iff it passes every check
  `HW_ASSERT_IF(Stop_A, valid, stop == (error_code == 8'd0 && line.opcode == OPCODE_STOP))
  // [DESC-023] beside the verdict are the shares of the fields that no completion changes
  `HW_ASSERT_IF(KeptShares_A, valid, kept_crc == kept_q)
  // [ERR-001] [DESC-020] a checked line with a wrong checksum is refused for that, whatever its
  // other fields
  `HW_ASSERT_IF(WrongChecksum_A, valid && checked && line_q[CRC_LSB+:32] != all_q,
                error_code == ERROR_CODE_BAD_CHECKSUM && !stop)
  // [DESC-025] a line without a required checksum is refused
  `HW_ASSERT_IF(MissingChecksum_A, valid && !checked && require_checked_i,
                error_code == ERROR_CODE_BAD_CHECKSUM && !stop)
  // [ERR-003] [DESC-022] an intact line for another index is refused for its tag
  `HW_ASSERT_IF(WrongTag_A, valid && intact && line_q[TAG_LSB+:32] != index_q,
                error_code == ERROR_CODE_BAD_TAG && !stop)
  // [ERR-002] [OP-ERR] [OP-000..OP-004] all 16 bits of the opcode count
  `HW_ASSERT_IF(UnknownOpcode_A, valid && intact && line_q[TAG_LSB+:32] == index_q &&
                !(line.opcode <= 16'd4 || line.opcode == 16'd255),
                error_code == ERROR_CODE_BAD_OPCODE)
  // [DESC-021] without CHECKED the last field is opaque: only the opcode can be refused
  `HW_ASSERT_IF(Opaque_A, valid && !checked && !require_checked_i,
                error_code == (is_opcode(line.opcode) ? 8'd0 : ERROR_CODE_BAD_OPCODE))
  // [DEC-001] a length is below its limit or not
  `HW_ASSERT_IF(BelowLimit_A, valid, below_limit == (line.seq_len < line.max_tokens))
  // [DEC-003] a length is one below its limit or not
  `HW_ASSERT_IF(AtLimit_A, valid, at_limit == (line.seq_len + 32'd1 == line.max_tokens))
  // without valid the outputs are 0
  `HW_ASSERT_IF(Quiet_A, !valid, error_code == 8'd0 && !stop && kept_crc == 32'd0 &&
                !below_limit && !at_limit)
  // [LIFE-001] reset leaves no line under check
  `HW_ASSERT_IF(IdleAfterReset_A, past_reset_q, !valid && !u_dut.valid_q)

  // [ERR-011] a STOP passes every check
  `HW_COVER(Accepted_C, valid && intact && error_code == 8'd0 && stop)

endmodule

`default_nettype wire
