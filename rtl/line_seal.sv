// SPDX-License-Identifier: Apache-2.0
//
// Writes tag and checksum into a completion with flag CHECKED, and passes any other unchanged.
// Combinational.
//
// Rules: DESC-020, DESC-021, DESC-023.
`default_nettype none

module line_seal
  import hw_desc_pkg::*;
(
    // Completion; the index at which it is posted; sealed completion.
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] index_i,
    output logic     [DESC_BITS-1:0] data_o
);

  hw_desc_t desc, with_tag, sealed;
  logic [31:0] crc;

  assign desc = data_i;

  always_comb begin
    with_tag = desc;
    with_tag.checksum_or_cookie = {32'd0, index_i};
  end

  crc32c u_crc32c (
      .data_i(480'(with_tag)),
      .crc_o (crc)
  );

  always_comb begin
    sealed = with_tag;
    sealed.checksum_or_cookie = {crc, index_i};
  end

  assign data_o = |(desc.flags & FLAG_CHECKED) ? sealed : desc;

endmodule

`default_nettype wire
