// SPDX-License-Identifier: Apache-2.0
//
// Checks a submitted line: checksum, then tag, then opcode; the first that fails names the error.
// Combinational.
//
// Rules: DESC-020, DESC-022, DESC-025, OP-ERR, ERR-001, ERR-002, ERR-003, ERR-011.
//
// error_code_o is 0 for an accepted line. stop_o marks an accepted STOP.
`default_nettype none

module line_check
  import hw_desc_pkg::*;
(
    // Line; index of its slot; mode CTRL.REQUIRE_CHECKED.
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] index_i,
    input wire logic                 require_checked_i,
    // Result.
    output logic     [          7:0] error_code_o,
    output logic                     stop_o
);

  /* verilator lint_off UNUSEDSIGNAL */
  // Only opcode, flags and the last field are read; the struct names them.
  hw_desc_t desc;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [31:0] crc;
  logic [31:0] line_crc, line_tag;
  logic checked, checksum_ok, tag_ok, opcode_ok;

  assign desc = data_i;
  assign line_crc = desc.checksum_or_cookie[63:32];
  assign line_tag = desc.checksum_or_cookie[31:0];

  crc32c u_crc32c (
      .data_i(480'(data_i)),
      .crc_o (crc)
  );

  assign checked     = |(desc.flags & FLAG_CHECKED);
  assign checksum_ok = checked ? crc == line_crc : !require_checked_i;
  assign tag_ok      = !checked || line_tag == index_i;

  always_comb begin
    case (desc.opcode)
      OPCODE_NOP, OPCODE_DECODE, OPCODE_REWARD, OPCODE_PREFILL, OPCODE_ROLLOUT, OPCODE_STOP:
      opcode_ok = 1'b1;
      default: opcode_ok = 1'b0;
    endcase
  end

  always_comb begin
    if (!checksum_ok) begin
      error_code_o = ERROR_CODE_BAD_CHECKSUM;
    end else if (!tag_ok) begin
      error_code_o = ERROR_CODE_BAD_TAG;
    end else if (!opcode_ok) begin
      error_code_o = ERROR_CODE_BAD_OPCODE;
    end else begin
      error_code_o = 8'd0;
    end
  end

  assign stop_o = error_code_o == 8'd0 && desc.opcode == OPCODE_STOP;

endmodule

`default_nettype wire
