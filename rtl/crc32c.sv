// SPDX-License-Identifier: Apache-2.0
//
// CRC-32C over the first 60 bytes of a line, in one combinational step [DESC-020].
//
// The CRC is affine over GF(2): every result bit is a constant XOR the parity of a fixed selection
// of the data bits. The selections are computed from the polynomial at elaboration: bit i of the
// data enters the shift register in step i and is then shifted CrcBits - i times.
`default_nettype none

module crc32c
  import hw_desc_pkg::*;
(
    input  wire logic [479:0] data_i,
    output logic      [ 31:0] crc_o
);

  localparam int CrcBits = 480;

  function automatic logic [31:0] shift_once(input logic [31:0] state);
    shift_once = (state >> 1) ^ (state[0] ? CRC32C_POLY_REFLECTED : 32'd0);
  endfunction

  // Bit CrcBits*b + i is set iff data bit i takes part in CRC bit b.
  function automatic logic [32*CrcBits-1:0] selections();
    logic [31:0] weight;
    selections = '0;
    weight = 32'd1;
    for (int i = CrcBits - 1; i >= 0; i--) begin
      weight = shift_once(weight);
      for (int b = 0; b < 32; b++) begin
        selections[CrcBits*b+i] = weight[b];
      end
    end
  endfunction

  // The result for all-zero data: the initial value shifted through, and the final inversion.
  function automatic logic [31:0] zero_result();
    zero_result = CRC32C_INIT;
    for (int i = 0; i < CrcBits; i++) begin
      zero_result = shift_once(zero_result);
    end
    zero_result = zero_result ^ CRC32C_XOR_OUT;
  endfunction

  localparam logic [32*CrcBits-1:0] Selections = selections();
  localparam logic [31:0] ZeroResult = zero_result();

  for (genvar b = 0; b < 32; b++) begin : gen_bit
    assign crc_o[b] = ZeroResult[b] ^ (^(data_i & Selections[CrcBits*b+:CrcBits]));
  end

endmodule

`default_nettype wire
