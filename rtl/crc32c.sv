// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C over the first 60 bytes of a line, or the share that a part of them has in it, in one
// combinational step [DESC-020].
//
// The CRC is affine over GF(2), so it is the XOR of the shares of parts that make up the line; the part
// with bit 0 brings the constant. Here the parts are groups of four bits, each looked up in a table of
// sixteen shares: one table of four inputs a bit in an FPGA, one load in a simulator. The tables are
// computed from the polynomial at elaboration: bit i of the data enters the shift register in step i
// and is then shifted CRC_BITS - i times.
`default_nettype none

module crc32c
  import hw_desc_pkg::*;
#(
    // The part: its lowest bit in the line, its number of bits, a multiple of four.
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
  localparam int Groups = Width / 4;
  localparam int Levels = $clog2(Groups);

  function automatic logic [31:0] shift_once(input logic [31:0] state, input logic [31:0] poly);
    shift_once = (state >> 1) ^ (state[0] ? poly : 32'd0);
  endfunction

  // Word i is the share of data bit Lsb + i. Only the part's bits are written: simulators fold each
  // assignment, and a line has twelve parts.
  function automatic logic [32*Width-1:0] weights(input logic [31:0] poly);
    logic [31:0] weight;
    int i;
    weight = 32'd1;
    for (i = Bits - 1; i >= Lsb; i = i - 1) begin
      weight = shift_once(weight, poly);
      if (i < Lsb + Width) begin
        weights[32*(i-Lsb)+:32] = weight;
      end
    end
  endfunction

  // Word n is the share of the bits that are set in n.
  function automatic logic [511:0] shares(input logic [127:0] weight);
    int n, i;
    shares = 512'd0;
    for (n = 1; n < 16; n = n + 1) begin
      for (i = 0; i < 4; i = i + 1) begin
        if (n[i]) begin
          shares[32*n+:32] = shares[32*n+:32] ^ weight[32*i+:32];
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

  localparam logic [32*Width-1:0] Weights = weights(CRC32C_POLY_REFLECTED);
  localparam logic [31:0] ZeroResult =
      Lsb == 0 ? shift_all(CRC32C_INIT, CRC32C_POLY_REFLECTED) ^ CRC32C_XOR_OUT : 32'd0;

  // Level 0 has the shares of the groups, each further level the sums of two of the level before. Each
  // is a net of its own: in one vector, a change of any would wake the readers of all.
  for (genvar level = 0; level <= Levels; level = level + 1) begin : gen_level
    localparam int Count = (Groups + (1 << level) - 1) >> level;
    for (genvar g = 0; g < Count; g = g + 1) begin : gen_sum
      logic [31:0] sum;
      if (level == 0) begin : gen_share
        localparam logic [511:0] Table = shares(Weights[128*g+:128]);
        assign sum = Table[{data_i[4*g+:4], 5'd0}+:32];
      end else if ((2 * g + 1) << level < 2 * Groups) begin : gen_two
        assign sum = gen_level[level-1].gen_sum[2*g].sum ^ gen_level[level-1].gen_sum[2*g+1].sum;
      end else begin : gen_one
        assign sum = gen_level[level-1].gen_sum[2*g].sum;
      end
    end
  end

  assign crc_o = ZeroResult ^ gen_level[Levels].gen_sum[0].sum;

endmodule

`default_nettype wire
