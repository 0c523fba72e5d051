// SPDX-License-Identifier: Apache-2.0
//
// What a worker's result changes in the line: the fields of the completion that differ.
// Combinational.
//
// Rules: OP-010, DEC-003, DEC-007, FLAG-000, FLAG-001, FLAG-011.
//
// The score is that of the final length, for REWARD and ROLLOUT alike.
`default_nettype none

module line_finish
  import hw_desc_pkg::*;
(
    // What line_accept noted of the completion.
    input wire logic [15:0] flags_i,
    input wire logic        decodes_i,
    // Result of the worker: the lowest byte of the final length; decoding pauses.
    input wire logic [ 7:0] length_i,
    input wire logic        paused_i,
    // Flags of the completion; float32 bits of the score, where the line is scored.
    output logic     [15:0] flags_o,
    output logic     [31:0] score_o
);

  // The float32 bits of score / 255, rounded to nearest even [OP-010]. In binary, score / 255 is
  // the eight bits of score, repeated without end behind the point. Rotated so that its leading one
  // is first, the pattern fills the 24-bit significand three times, and the truncated rest starts
  // with a one again: more than half, so rounding is always up. For score 255, all ones, the carry
  // gives the exponent of 1.0. Computed at elaboration, for each of the 256 scores.
  function automatic logic [256*31-1:0] scores(input logic [7:0] largest_exponent);
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
      scores[31*score+:31] = bits;
    end
  endfunction

  // The exponent of 0.5 to just below 1, biased. No score has a sign.
  localparam logic [256*31-1:0] Scores = scores(8'd126);

  always_comb begin
    flags_o = flags_i;
    if (decodes_i) begin
      flags_o = flags_i | (paused_i ? FLAG_NEEDS_REWARD : FLAG_DONE);
    end
  end

  assign score_o = {1'b0, Scores[31*32'(length_i)+:31]};

endmodule

`default_nettype wire
