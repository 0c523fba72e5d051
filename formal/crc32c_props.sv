// SPDX-License-Identifier: Apache-2.0
//
// The checksum of the design against its definition bit by bit, for all 2^480 inputs.
`default_nettype none
`include "hw_macros.svh"

module crc32c_props
  import hw_desc_pkg::*;
  import spec_pkg::*;
(
    input wire logic [CRC_BITS-1:0] data_i,
    output logic     [        31:0] difference_o
);

  logic [31:0] crc;

  crc32c u_dut (
      .data_i(data_i),
      .crc_o (crc)
  );

  // [DESC-020] the checksum is CRC-32C over bytes 0 to 59, for every line
  `HW_ASSERT_ZERO(Checksum_A, difference_o, crc ^ crc32c_bit_serial(data_i))

endmodule

`default_nettype wire
