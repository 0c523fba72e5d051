// SPDX-License-Identifier: Apache-2.0
//
// Writes tag and checksum into a completion with flag CHECKED, and passes any other unchanged.
// Combinational.
//
// Rules: DESC-020, DESC-021, DESC-023.
//
// The checksum comes without the share of the tag, which is not known before.
`default_nettype none

module line_seal
  import hw_desc_pkg::*;
(
    // Completion; its checksum without the share of the tag; the index at which it is posted;
    // sealed completion.
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] crc_i,
    input wire logic [         31:0] index_i,
    output logic     [DESC_BITS-1:0] data_o
);

  hw_desc_t desc, sealed;
  logic [31:0] tag_crc;

  assign desc = data_i;

  crc32c #(
      .Lsb  (TAG_LSB),
      .Width(32)
  ) u_tag_crc (
      .data_i(index_i),
      .crc_o (tag_crc)
  );

  always_comb begin
    sealed = desc;
    sealed.checksum_or_cookie = {crc_i ^ tag_crc, index_i};
  end

  assign data_o = |(desc.flags & FLAG_CHECKED) ? sealed : desc;

endmodule

`default_nettype wire
