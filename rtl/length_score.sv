// SPDX-License-Identifier: Apache-2.0
//
// The score of a length as float32, from a table. Combinational.
//
// Rules: OP-010, DEC-007.
`default_nettype none

module length_score (
    // Lowest byte of the length; float32 bits of that byte divided by 255.
    input wire logic [ 7:0] length_i,
    output logic     [31:0] score_o
);

  // The float32 bits of score / 255, rounded to nearest even [OP-010]. In binary, score / 255 is
  // the eight bits of score, repeated without end behind the point. Rotated so that its leading one
  // is first, the pattern fills the 24-bit significand three times, and the truncated rest starts
  // with a one again: more than half, so rounding is always up. For score 255, all ones, the carry
  // gives the exponent of 1.0. Computed at elaboration, for each of the 256 scores, of which each has
  // room for 32 bits: by a multiple of 31 a synthesis tool shifts the whole table instead of reading it.
  function automatic logic [256*32-2:0] scores(input logic [7:0] largest_exponent);
    logic [7:0] pattern, exponent;
    logic [30:0] bits;
    int score, i;
    scores = '0;
    for (score = 1; score < 256; score = score + 1) begin
      pattern  = score[7:0];
      exponent = largest_exponent;
      for (i = 0; i < 7; i = i + 1) begin
        if (!pattern[7]) begin
          pattern  = {pattern[6:0], pattern[7]};
          exponent = exponent - 8'd1;
        end
      end
      bits = {exponent, pattern[6:0], pattern, pattern} + 31'd1;
      scores[32*score+:31] = bits;
    end
  endfunction

  // The exponent of 0.5 to just below 1, biased. No score has a sign.
  localparam logic [256*32-2:0] Scores = scores(8'd126);

  assign score_o = {1'b0, Scores[32*32'(length_i)+:31]};

endmodule

`default_nettype wire
