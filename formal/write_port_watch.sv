// SPDX-License-Identifier: Apache-2.0
//
// Counts what passes the port between completion writer and write engine: the requests without a
// response, and the lines of requests that were not handed over.
//
// The proofs of both modules use it, so that what one assumes is what the other proves: the engine
// proves the outputs ..._legal_o, the writer assumes them; the writer proves that its requests are
// legal, the engine assumes it. Every output that the writer assumes depends on registers and on
// the memory only, not on the writer's outputs of the same cycle, so the argument is not circular.
`default_nettype none
`include "hw_macros.svh"

module write_port_watch
  import hw_desc_pkg::*;
#(
    parameter int MaxBurst       = 2,
    parameter int MaxOutstanding = 2
) (
    input wire logic                           clk_i,
    input wire logic                           rst_ni,
    // A request is accepted; its kind and its lines.
    input wire logic                           req_i,
    input wire logic                           req_word_i,
    input wire logic [                    6:0] req_lines_i,
    // A line waits to be handed over; it is.
    input wire logic                           line_valid_i,
    input wire logic [          DESC_BITS-1:0] line_data_i,
    input wire logic                           line_i,
    // The response that the engine gives.
    input wire logic                           resp_valid_i,
    input wire logic                           resp_word_i,
    input wire logic [                    6:0] resp_lines_i,
    // Requests without a response, the oldest at 0: how many, their lines (1 for a word), their
    // kind.
    output logic     [                    7:0] count_o,
    output logic     [MaxOutstanding-1:0][6:0] lines_o,
    output logic     [     MaxOutstanding-1:0] word_o,
    // Their words; their lines; those of these lines that are not handed over.
    output logic     [                    7:0] words_o,
    output logic     [                   15:0] total_o,
    output logic     [                   15:0] pending_o,
    // None of them has several lines.
    output logic                               single_o,
    // The response is that of the oldest request, whose lines were all handed over.
    output logic                               resp_legal_o,
    // Lines are taken only for requests.
    output logic                               line_legal_o,
    // A line of a request waits since the cycle before; it is still there, unchanged.
    output logic                               waits_o,
    output logic                               line_stays_o,
    // A request is accepted only if one more may be in flight.
    output logic                               ready_legal_o
);

  logic [MaxOutstanding-1:0][6:0] lines_q;
  logic [MaxOutstanding-1:0] word_q;
  logic [7:0] count_q;
  logic [15:0] pending_q;
  logic entries_legal, waits_q;
  logic [DESC_BITS-1:0] waiting_q;

  assign count_o = count_q;
  assign lines_o = lines_q;
  assign word_o = word_q;
  assign pending_o = pending_q;

  always_comb begin
    words_o = '0;
    total_o = '0;
    single_o = 1'b1;
    entries_legal = 1'b1;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (8'(i) < count_q) begin
        words_o = words_o + 8'(word_q[i]);
        total_o = total_o + (word_q[i] ? 16'd0 : 16'(lines_q[i]));
        single_o = single_o && lines_q[i] == 7'd1;
        entries_legal = entries_legal && lines_q[i] != 7'd0 &&
            32'(lines_q[i]) <= 32'(MaxBurst) && (!word_q[i] || lines_q[i] == 7'd1);
      end
    end
  end

  assign resp_legal_o = count_q != 8'd0 && resp_word_i == word_q[0] && resp_lines_i == lines_q[0] &&
      pending_q + (word_q[0] ? 16'd0 : 16'(lines_q[0])) <= total_o;
  assign line_legal_o = pending_q != 16'd0;
  assign line_stays_o = !waits_q || (line_valid_i && line_data_i == waiting_q);
  assign waits_o = waits_q;
  assign ready_legal_o = 32'(count_q) < 32'(MaxOutstanding);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      count_q <= '0;
      pending_q  <= '0;
    end else begin
      count_q <= count_q + 8'(req_i) - 8'(resp_valid_i);
      pending_q  <= pending_q + (req_i && !req_word_i ? 16'(req_lines_i) : 16'd0) - 16'(line_i);
    end
    waits_q   <= rst_ni && line_valid_i && !line_i && pending_q != 16'd0;
    waiting_q <= line_data_i;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (req_i && 8'(i) == count_q - 8'(resp_valid_i)) begin
        lines_q[i] <= req_word_i ? 7'd1 : req_lines_i;
        word_q[i]  <= req_word_i;
      end else if (resp_valid_i && i + 1 < MaxOutstanding) begin
        lines_q[i] <= lines_q[(i+1)%MaxOutstanding];
        word_q[i]  <= word_q[(i+1)%MaxOutstanding];
      end
    end
  end

  // at most MaxOutstanding requests are in flight, each of 1 to MaxBurst lines or of one word
  `HW_ASSERT_IF(RequestsLegal_A, 1'b1,
                32'(count_q) <= 32'(MaxOutstanding) && entries_legal && pending_q <= total_o)

endmodule

`default_nettype wire
