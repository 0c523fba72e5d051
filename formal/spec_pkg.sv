// SPDX-License-Identifier: Apache-2.0
//
// Sections 1 to 4 of the contract as functions: the completion of every line. Written from the
// rules alone; the design's own functions are not used, and compute in other ways.
`default_nettype none

package spec_pkg;
  import hw_desc_pkg::*;

  // CRC-32C bit by bit, as defined: bits enter lowest first, and the register shifts towards its
  // low end [DESC-020].
  function automatic logic [31:0] crc32c_bit_serial(input logic [CRC_BITS-1:0] data);
    logic [31:0] register;
    register = CRC32C_INIT;
    for (int i = 0; i < CRC_BITS; i++) begin
      register = (register >> 1) ^ (CRC32C_POLY_REFLECTED & {32{register[0] ^ data[i]}});
    end
    crc32c_bit_serial = register ^ CRC32C_XOR_OUT;
  endfunction

  // The opcodes of section 2; any other completes with BAD_OPCODE [OP-ERR].
  function automatic logic is_opcode(input logic [15:0] opcode);
    is_opcode = opcode == OPCODE_NOP || opcode == OPCODE_DECODE || opcode == OPCODE_REWARD ||
        opcode == OPCODE_PREFILL || opcode == OPCODE_ROLLOUT || opcode == OPCODE_STOP;
  endfunction

  // The checks in their order [ERR-011]; crc is the checksum that the line should have.
  function automatic logic [7:0] verdict(input hw_desc_t line, input logic [31:0] crc,
                                         input logic [31:0] index, input logic require_checked);
    logic checked;
    checked = (line.flags & FLAG_CHECKED) != 16'd0;
    verdict = 8'd0;
    if (!is_opcode(line.opcode)) begin
      verdict = ERROR_CODE_BAD_OPCODE;
    end
    if (checked && line.checksum_or_cookie[31:0] != index) begin
      verdict = ERROR_CODE_BAD_TAG;
    end
    if (checked ? line.checksum_or_cookie[63:32] != crc : require_checked) begin
      verdict = ERROR_CODE_BAD_CHECKSUM;
    end
  endfunction

  // (seq_len & 255) / 255 as float32, by long division and rounding to nearest, ties to even
  // [OP-010].
  function automatic logic [31:0] score_bits(input logic [31:0] seq_len);
    logic [9:0] rest;
    logic [7:0] exponent;
    logic [23:0] significand;
    rest = {2'd0, seq_len[7:0]};
    exponent = 8'd127;
    for (int i = 0; i < 8; i++) begin
      if (rest < 10'd255) begin
        rest = rest << 1;
        exponent = exponent - 8'd1;
      end
    end
    significand = '0;
    for (int i = 23; i >= 0; i--) begin
      if (rest >= 10'd255) begin
        significand[i] = 1'b1;
        rest = rest - 10'd255;
      end
      rest = rest << 1;
    end
    // The remainder was doubled once more than there are quotient bits, so it is compared with one
    // half.
    score_bits = {1'b0, exponent, significand[22:0]} +
        32'(rest > 10'd255 || (rest == 10'd255 && significand[0]));
    if (seq_len[7:0] == 8'd0) begin
      score_bits = '0;
    end
  endfunction

  // The length at which a DECODE ends: the limit or the next boundary, whichever is lower. The
  // boundary has 33 bits, because near 2^32 it does not fit in 32 [DEC-001..DEC-004].
  function automatic logic [31:0] decode_end(input logic [31:0] seq_len,
                                             input logic [31:0] max_tokens);
    logic [32:0] boundary;
    boundary = ({1'b0, seq_len} / 33'(REWARD_INTERVAL) + 33'd1) * 33'(REWARD_INTERVAL);
    if (seq_len >= max_tokens) begin
      decode_end = seq_len;
    end else if (boundary < {1'b0, max_tokens}) begin
      decode_end = boundary[31:0];
    end else begin
      decode_end = max_tokens;
    end
  endfunction

  // The longer length: where a PREFILL and a ROLLOUT end [OP-011] [DEC-006].
  function automatic logic [31:0] longer(input hw_desc_t line);
    longer = line.max_tokens > line.seq_len ? line.max_tokens : line.seq_len;
  endfunction

  // Tokens that the line makes.
  function automatic logic [31:0] tokens_of(input hw_desc_t line, input logic [7:0] error_code);
    tokens_of = 32'd0;
    if (error_code == 8'd0 && line.opcode == OPCODE_DECODE) begin
      tokens_of = decode_end(line.seq_len, line.max_tokens) - line.seq_len;
    end
    if (error_code == 8'd0 && line.opcode == OPCODE_ROLLOUT) begin
      tokens_of = longer(line) - line.seq_len;
    end
  endfunction

  // The length of the completion.
  function automatic logic [31:0] length_of(input hw_desc_t line, input logic [7:0] error_code);
    length_of = line.seq_len;
    if (error_code == 8'd0) begin
      case (line.opcode)
        OPCODE_DECODE: length_of = decode_end(line.seq_len, line.max_tokens);
        OPCODE_PREFILL, OPCODE_ROLLOUT: length_of = longer(line);
        default: ;
      endcase
    end
  endfunction

  // The flags that are kept: the host's and the reserved ones [FLAG-010], CHECKED where it is
  // required [DESC-025].
  function automatic logic [15:0] kept_flags(input hw_desc_t line, input logic require_checked);
    kept_flags = (line.flags & (FLAG_COW_PREFIX | FLAG_CHECKED | FLAG_RESERVED)) |
        (require_checked ? FLAG_CHECKED : 16'd0);
  endfunction

  // The one outcome, with its reason [FLAG-011].
  function automatic logic [15:0] outcome(input hw_desc_t line, input logic [7:0] error_code);
    if (error_code != 8'd0) begin
      outcome = {error_code, 8'd0} | FLAG_ERROR;
    end else if (line.opcode == OPCODE_STOP) begin
      outcome = FLAG_STOPPED;
    end else if (line.opcode == OPCODE_DECODE &&
                 decode_end(line.seq_len, line.max_tokens) < line.max_tokens) begin
      outcome = FLAG_NEEDS_REWARD;
    end else begin
      outcome = FLAG_DONE;
    end
  endfunction

  // The whole completion except tag and checksum, which are set when it is posted.
  function automatic hw_desc_t completion_of(input hw_desc_t line, input logic [7:0] error_code,
                                             input logic require_checked);
    completion_of = line;
    completion_of.flags = kept_flags(line, require_checked) | outcome(line, error_code);
    completion_of.seq_len = length_of(line, error_code);
    if (error_code == 8'd0 &&
        (line.opcode == OPCODE_ROLLOUT || line.opcode == OPCODE_REWARD)) begin
      completion_of.reserved0 = score_bits(length_of(line, error_code));
    end
  endfunction

endpackage

`default_nettype wire
