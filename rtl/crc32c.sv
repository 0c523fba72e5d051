// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C over the first 60 bytes of a line, or the share that a part of them has in it, in one
// combinational step [DESC-020].
//
// The CRC is affine over GF(2): every result bit is a constant XOR the parity of a fixed selection
// of the data bits. So it is the XOR of the shares of parts that make up the line; the part with bit
// 0 brings the constant. The selections are computed from the polynomial at elaboration: bit i of
// the data enters the shift register in step i and is then shifted CRC_BITS - i times.
`default_nettype none

module crc32c
  import hw_desc_pkg::*;
#(
    // The part: its lowest bit in the line, its number of bits.
    parameter int Lsb   = 0,
    parameter int Width = CRC_BITS
) (
    // The part of bytes 0 to 59 of the line, and its share of their checksum.
    input  wire logic [Width-1:0] data_i,
    output logic      [     31:0] crc_o
);

  // Icarus 11 accepts a constant function only if it declares its loop variables at the top and
  // names no package item.
  localparam int Bits = CRC_BITS;

  function automatic logic [31:0] shift_once(input logic [31:0] state, input logic [31:0] poly);
    shift_once = (state >> 1) ^ (state[0] ? poly : 32'd0);
  endfunction

  // Bit Width*b + i is set iff data bit Lsb + i contributes to CRC bit b. Only the part's bits are
  // written: simulators fold each assignment, and a line has twelve parts.
  function automatic logic [32*Width-1:0] selections(input logic [31:0] poly);
    logic [31:0] weight;
    int i, b;
    weight = 32'd1;
    for (i = Bits - 1; i >= Lsb; i = i - 1) begin
      weight = shift_once(weight, poly);
      if (i < Lsb + Width) begin
        for (b = 0; b < 32; b = b + 1) begin
          selections[Width*b+i-Lsb] = weight[b];
        end
      end
    end
  endfunction

  // The initial value after the shifts of all-zero data.
  function automatic logic [31:0] shift_all(input logic [31:0] init, input logic [31:0] poly);
    int i;
    shift_all = init;
    for (i = 0; i < Bits; i = i + 1) begin
      shift_all = shift_once(shift_all, poly);
    end
  endfunction

  localparam logic [32*Width-1:0] Selections = selections(CRC32C_POLY_REFLECTED);
  localparam logic [31:0] ZeroResult =
      Lsb == 0 ? shift_all(CRC32C_INIT, CRC32C_POLY_REFLECTED) ^ CRC32C_XOR_OUT : 32'd0;

  for (genvar b = 0; b < 32; b = b + 1) begin : gen_bit
    assign crc_o[b] = ZeroResult[b] ^ (^(data_i & Selections[Width*b+:Width]));
  end

endmodule

`default_nettype wire
