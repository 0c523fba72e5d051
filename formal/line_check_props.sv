// SPDX-License-Identifier: Apache-2.0
//
// The check of a line, for every line, index and mode. crc32c has a proof of its own; here its
// output is cut and may be anything.
`default_nettype none
`include "hw_macros.svh"

module line_check_props
  import hw_desc_pkg::*;
  import spec_pkg::*;
(
    input wire logic                 rst_ni,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] index_i,
    input wire logic                 require_checked_i
);

  logic [7:0] error_code;
  logic stop;
  hw_desc_t line;
  logic [31:0] crc;
  logic checked, intact;

  line_check u_dut (
      .data_i           (data_i),
      .index_i          (index_i),
      .require_checked_i(require_checked_i),
      .error_code_o     (error_code),
      .stop_o           (stop)
  );

  assign line = data_i;
  assign crc = u_dut.u_crc32c.crc_o;
  assign checked = (line.flags & FLAG_CHECKED) != 16'd0;
  assign intact = checked && data_i[CRC_LSB+:32] == crc;

  // [DESC-020] the checksum covers bytes 0 to 59
  `HW_ASSERT_IF(Covered_A, 1'b1, u_dut.u_crc32c.data_i == data_i[CRC_BITS-1:0])
  // [ERR-011] [DESC-020] [DESC-022] the error code is that of the contract's checks in their order
  `HW_ASSERT_IF(Verdict_A, 1'b1, error_code == verdict(line, crc, index_i, require_checked_i))
  // [OP-255] [ERR-011] a STOP is marked iff it passes every check
  `HW_ASSERT_IF(Stop_A, 1'b1, stop == (error_code == 8'd0 && line.opcode == OPCODE_STOP))
  // [ERR-001] [DESC-020] a checked line with a wrong checksum is refused for that, whatever its
  // other fields
  `HW_ASSERT_IF(WrongChecksum_A, checked && data_i[CRC_LSB+:32] != crc,
                error_code == ERROR_CODE_BAD_CHECKSUM && !stop)
  // [DESC-025] a line without a required checksum is refused
  `HW_ASSERT_IF(MissingChecksum_A, !checked && require_checked_i,
                error_code == ERROR_CODE_BAD_CHECKSUM && !stop)
  // [ERR-003] [DESC-022] an intact line for another index is refused for its tag
  `HW_ASSERT_IF(WrongTag_A, intact && data_i[TAG_LSB+:32] != index_i,
                error_code == ERROR_CODE_BAD_TAG && !stop)
  // [ERR-002] [OP-ERR] [OP-000..OP-004] all 16 bits of the opcode count
  `HW_ASSERT_IF(UnknownOpcode_A, intact && data_i[TAG_LSB+:32] == index_i &&
         !(line.opcode <= 16'd4 || line.opcode == 16'd255), error_code == ERROR_CODE_BAD_OPCODE)
  // [DESC-021] without CHECKED the last field is opaque: only the opcode can be refused
  `HW_ASSERT_IF(Opaque_A, !checked && !require_checked_i,
                error_code == (is_opcode(line.opcode) ? 8'd0 : ERROR_CODE_BAD_OPCODE))

  // [ERR-011] a line passes every check
  `HW_COVER(Accepted_C, intact && error_code == 8'd0 && stop)

endmodule

`default_nettype wire
