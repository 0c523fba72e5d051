// SPDX-License-Identifier: Apache-2.0
//
// Tag and checksum of a completion, for every line and index. crc32c has a proof of its own; here
// the share of the tag is cut and may be anything.
`default_nettype none
`include "hw_macros.svh"

module line_seal_props
  import hw_desc_pkg::*;
  import spec_pkg::*;
(
    input wire logic                 rst_ni,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] crc_i,
    input wire logic [         31:0] index_i
);

  logic [DESC_BITS-1:0] data;
  hw_desc_t line;
  logic checked;
  logic [31:0] crc;

  line_seal u_dut (
      .data_i (data_i),
      .crc_i  (crc_i),
      .index_i(index_i),
      .data_o (data)
  );

  assign line = data_i;
  assign crc = crc_i ^ u_dut.tag_crc;
  assign checked = (line.flags & FLAG_CHECKED) != 16'd0;

  // [DESC-014] only the last field is written
  `HW_ASSERT_IF(RestKept_A, 1'b1, data[TAG_LSB-1:0] == data_i[TAG_LSB-1:0])
  // [DESC-021] the last field of a line without CHECKED is echoed
  `HW_ASSERT_IF(Opaque_A, !checked, data == data_i)
  // [DESC-022] [DESC-023] the tag is the index at which the completion is posted
  `HW_ASSERT_IF(Tag_A, checked, data[TAG_LSB+:32] == index_i)
  // [DESC-020] [DESC-023] the checksum is that of the other fields with the share of the tag, and is
  // written behind them
  `HW_ASSERT_IF(Checksum_A, checked,
                u_dut.u_tag_crc.data_i == data[TAG_LSB+:32] && data[CRC_LSB+:32] == crc)
  // [DESC-023] a sealed line passes the host's checks
  `HW_ASSERT_IF(HostAccepts_A, checked && is_opcode(line.opcode),
                verdict(data, crc, index_i, 1'b1) == 8'd0)

endmodule

`default_nettype wire
