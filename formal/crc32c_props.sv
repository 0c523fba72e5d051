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
    output logic     [ 32*(11+1)-1:0] difference_o
);

  // The parts that the design sums, from their lowest bits: opcode, flags, rollout_id, kv_arena_id
  // with prefix_id, kv_offset, delta_offset, seq_len, max_tokens with reward_model_id, reserved0,
  // user_data and the tag.
  localparam int Parts = 11;
  localparam logic [0:Parts][15:0] Lsb = {
    16'd0,
    16'd16,
    16'd32,
    16'd64,
    16'd128,
    16'd192,
    16'd256,
    16'd288,
    16'd352,
    16'd384,
    16'd448,
    16'd480
  };

  logic [31:0] crc;
  logic [32*Parts-1:0] shares, expected;

  crc32c u_dut (
      .data_i(data_i),
      .crc_o (crc)
  );

  for (genvar p = 0; p < Parts; p++) begin : gen_part
    localparam int Width = 32'(Lsb[p+1]) - 32'(Lsb[p]);
    logic [CRC_BITS-1:0] alone;

    crc32c #(
        .Lsb  (32'(Lsb[p])),
        .Width(Width)
    ) u_part (
        .data_i(data_i[Lsb[p]+:Width]),
        .crc_o (shares[32*p+:32])
    );

    // The line with this part alone; the constant is in the share of the first.
    assign alone = CRC_BITS'(data_i[Lsb[p]+:Width]) << Lsb[p];
    assign expected[32*p+:32] =
        crc32c_bit_serial(alone) ^ (p == 0 ? 32'd0 : crc32c_bit_serial('0));
  end

  // [DESC-020] the checksum is CRC-32C over bytes 0 to 59, for every line, and each of its parts has
  // the share of its bits
  `HW_ASSERT_ZERO(Checksum_A, difference_o, {shares ^ expected, crc ^ crc32c_bit_serial(data_i)})

endmodule

`default_nettype wire
