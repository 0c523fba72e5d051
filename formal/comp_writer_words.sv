// SPDX-License-Identifier: Apache-2.0
//
// The port between completion writer and write engine, as the writer sees it: what it assumes of
// the engine, and when it stores the words of RING-013.
`default_nettype none
`include "hw_macros.svh"

module comp_writer_words
  import hw_desc_pkg::*;
#(
    parameter int MaxBurst       = 2,
    parameter int MaxOutstanding = 2
) (
    input wire logic         clk_i,
    input wire logic         rst_ni,
    input wire logic         publish_tails_i,
    input wire logic         abort_i,
    input wire logic [ 63:6] cmd_line_i,
    input wire logic [ 63:6] done_line_i,
    input wire logic [ 63:6] reward_line_i,
    // The port, and the output that the writer derives from its idle.
    input wire logic         req_valid_i,
    input wire logic         req_ready_i,
    input wire logic         req_word_i,
    input wire logic [ 63:6] req_line_i,
    input wire logic [  6:0] req_lines_i,
    input wire logic         line_valid_i,
    input wire logic         line_ready_i,
    input wire logic [DESC_BITS-1:0] line_data_i,
    input wire logic [ 31:0] word_i,
    input wire logic         resp_valid_i,
    input wire logic         resp_word_i,
    input wire logic         resp_error_i,
    input wire logic [  6:0] resp_lines_i,
    input wire logic         idle_i,
    input wire logic         bus_idle_i,
    // A completion was valid since reset; one is posted; the host is told.
    input wire logic         used_i,
    input wire logic         post_i,
    input wire logic         announce_i,
    // The publisher waits for a response, is idle, has an index to store.
    input wire logic         publisher_waits_i,
    input wire logic         publisher_idle_i,
    input wire logic         unpublished_i,
    // Requests without a response; their lines, those not handed over; none has several.
    output logic     [  7:0] count_o,
    output logic     [ 15:0] lines_o,
    output logic     [ 15:0] pending_o,
    output logic             single_o
);

  logic [7:0] words;
  logic resp_legal, line_legal, line_stays, ready_legal;
  logic past_word_kept_q;
  logic [31:0] past_word_q;

  write_port_watch #(
      .MaxBurst      (MaxBurst),
      .MaxOutstanding(MaxOutstanding)
  ) u_watch (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .req_i        (req_valid_i && req_ready_i),
      .req_word_i   (req_word_i),
      .req_lines_i  (req_lines_i),
      .line_valid_i (line_valid_i),
      .line_data_i  (line_data_i),
      .line_i       (line_valid_i && line_ready_i),
      .resp_valid_i (resp_valid_i),
      .resp_word_i  (resp_word_i),
      .resp_lines_i (resp_lines_i),
      .count_o      (count_o),
      .lines_o      (),
      .word_o       (),
      .words_o      (words),
      .total_o      (lines_o),
      .pending_o    (pending_o),
      .single_o     (single_o),
      .resp_legal_o (resp_legal),
      .line_legal_o (line_legal),
      .waits_o      (),
      .line_stays_o (line_stays),
      .ready_legal_o(ready_legal)
  );

  always_ff @(posedge clk_i) begin
    past_word_q      <= word_i;
    past_word_kept_q <= rst_ni && (req_valid_i && req_ready_i && req_word_i || words != 8'd0) &&
        !(resp_valid_i && resp_word_i);
  end

  // each response is that of the oldest request, all lines of which were handed over
  // (axi_write_engine_props, ResponseMatches_A)
  `HW_ASSUME(ResponseMatches_M, !resp_valid_i || resp_legal)
  // the engine takes lines only for requests (axi_write_engine_props, LinesPending_A)
  `HW_ASSUME(LinesPending_M, !line_ready_i || line_legal)
  // no more than MaxOutstanding requests are in flight (axi_write_engine_props,
  // OutstandingBounded_A)
  `HW_ASSUME(OutstandingBounded_M, !req_ready_i || ready_legal)
  // the engine is idle iff no request is without a response (axi_write_engine_props, Idle_A)
  `HW_ASSUME(EngineIdle_M, idle_i == (count_o == 8'd0))

  // a line stays until it is handed over whole: the engine sends it in parts
  `HW_ASSERT_IF(LineStays_A, 1'b1, line_stays)
  // [LIFE-004] the bus is idle iff every request has its response
  `HW_ASSERT_IF(BusIdle_A, 1'b1, bus_idle_i == (count_o == 8'd0))
  // [RING-013] the host is told of a posting at once, or, where indices are stored, after the good
  // response to the last of them
  `HW_ASSERT_IF(Announced_A, announce_i,
                publish_tails_i ? resp_valid_i && resp_word_i && !resp_error_i : post_i)
  // [RING-013] without PUBLISH_TAILS no index is stored
  `HW_ASSERT_IF(NoWordUnasked_A, !publish_tails_i && !abort_i, !(req_valid_i && req_word_i))
  // [RING-004] [RING-013] a word is stored one or two lines before slot 0 of a ring
  `HW_ASSERT_IF(WordPlace_A, req_valid_i && req_word_i,
                req_line_i == done_line_i - 58'd1 || req_line_i == reward_line_i - 58'd1 ||
                req_line_i == cmd_line_i - 58'd2)
  // [RING-013] one word is in flight at a time, while the publisher waits for it
  `HW_ASSERT_IF(OneWord_A, 1'b1, words == 8'(publisher_waits_i) &&
                (!(req_valid_i && req_word_i) || words == 8'd0))
  // [RING-013] a word does not change from its request to its response
  `HW_ASSERT_IF(WordStays_A, past_word_kept_q, word_i == past_word_q)
  // [RING-013] nothing is published unless PUBLISH_TAILS is set and a completion was valid
  `HW_ASSERT_IF(PublisherRests_A, (!publish_tails_i || !used_i) && !abort_i,
                publisher_idle_i && !unpublished_i)
  // [RING-013] an index is stored
  `HW_COVER(StoresIndex_C, resp_valid_i && resp_word_i && !resp_error_i && word_i != '0)

endmodule

`default_nettype wire
