// SPDX-License-Identifier: Apache-2.0
//
// Order, data, posting and errors of the completion writer, stated at its ports. Each port is
// counted by itself, in positions: a completion has the index of its descriptor.
`default_nettype none
`include "hw_macros.svh"

module comp_writer_rules
  import hw_desc_pkg::*;
#(
    parameter int Depth = 4
) (
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    input wire logic                 stopped_i,
    input wire logic                 abort_i,
    // The watched position.
    input wire logic [         31:0] watch_i,
    // A completion is accepted, with the next index and the next slot of its ring.
    input wire logic                 accept_i,
    input wire logic                 to_reward_i,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] tokens_i,
    input wire logic                 error_i,
    input wire logic [         31:0] index_i,
    input wire logic [         63:6] slot_line_i,
    // Posting.
    input wire logic                 post_i,
    input wire logic                 post_reward_i,
    input wire logic                 post_error_i,
    input wire logic [         31:0] post_tokens_i,
    input wire logic [         31:0] cmd_head_i,
    input wire logic [         31:0] done_tail_i,
    input wire logic [         31:0] reward_tail_i,
    input wire logic                 failed_i,
    input wire logic                 fatal_i,
    input wire logic                 repaired_i,
    // The port to the write engine.
    input wire logic                 req_valid_i,
    input wire logic                 req_ready_i,
    input wire logic                 req_word_i,
    input wire logic [         63:6] req_line_i,
    input wire logic [          6:0] req_lines_i,
    input wire logic                 line_valid_i,
    input wire logic                 line_ready_i,
    input wire logic [DESC_BITS-1:0] line_data_i,
    input wire logic                 resp_valid_i,
    input wire logic                 resp_word_i,
    input wire logic                 resp_error_i,
    input wire logic [          6:0] resp_lines_i
);

  // ---------------------------------------------------------------- positions at the ports

  logic [6:0] failed_lines_q;
  // Lines of a failed burst that are still to be written alone.
  logic [6:0] alone_q;
  // A burst failed, a word.
  logic lines_failed_q, word_failed_q, fails;
  // Positions: of the next completion to be accepted, the next line to be requested, handed over,
  // written, posted.
  logic [31:0] accepted_q, named_q, handed_q, good_q, head_q;

  assign fails = resp_valid_i && !resp_word_i && resp_error_i && !lines_failed_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      alone_q        <= '0;
      lines_failed_q <= 1'b0;
      word_failed_q  <= 1'b0;
      accepted_q     <= first_index_i;
      named_q        <= first_index_i;
      handed_q       <= first_index_i;
      good_q         <= first_index_i;
      head_q         <= first_index_i;
    end else begin
      head_q <= head_q + 32'(post_i);
      if (fails) begin
        alone_q <= resp_lines_i == 7'd1 ? 7'd0 : resp_lines_i;
      end else if (post_i && !lines_failed_q && alone_q != 7'd0) begin
        alone_q <= alone_q - 7'd1;
      end
      if (stopped_i) begin
        accepted_q     <= head_q;
        named_q        <= head_q;
        handed_q       <= head_q;
        good_q         <= head_q;
        lines_failed_q <= 1'b0;
        word_failed_q  <= 1'b0;
      end else begin
        accepted_q <= accepted_q + 32'(accept_i);
        if (req_valid_i && req_ready_i && !req_word_i) begin
          named_q <= named_q + 32'(req_lines_i);
        end
        handed_q   <= handed_q + 32'(line_valid_i && line_ready_i);
        if (resp_valid_i && !resp_word_i && !resp_error_i && !lines_failed_q) begin
          good_q <= good_q + 32'(resp_lines_i);
        end
        lines_failed_q <= lines_failed_q || fails;
        word_failed_q  <= word_failed_q || (resp_valid_i && resp_word_i && resp_error_i);
      end
    end
    if (fails) begin
      failed_lines_q <= resp_lines_i;
    end
  end

  // ---------------------------------------------------------------- the watched completion

  logic watch_reward_q, watch_error_q, watched;
  logic [31:0] watch_tokens_q;
  logic [31:0] watch_index_q;
  logic [63:6] watch_line_q;
  logic [DESC_BITS-1:0] watch_data_q;

  // It is accepted and not posted.
  assign watched = watch_i - head_q < accepted_q - head_q;

  always_ff @(posedge clk_i) begin
    if (accept_i && accepted_q == watch_i) begin
      watch_reward_q <= to_reward_i;
      watch_error_q  <= error_i;
      watch_tokens_q <= tokens_i;
      watch_index_q  <= index_i;
      watch_line_q   <= slot_line_i;
      watch_data_q   <= data_i;
    end
  end

  // ---------------------------------------------------------------- order, data, posting

  // [RING-001] [RING-007] [RING-008] a burst names, for each line, the slot of the next index of
  // the ring that its completion goes to
  `HW_ASSERT_IF(AddressIsSlot_A, req_valid_i && !req_word_i && watch_i - named_q < 32'(req_lines_i),
                watched && req_line_i + 58'(32'(watch_i - named_q)) == watch_line_q)
  // [DESC-015] [RING-005] the line handed over for it is the completion, every bit of it
  `HW_ASSERT_IF(DataIsCompletion_A, line_ready_i && handed_q == watch_i,
                line_valid_i && watched && line_data_i == watch_data_q)
  // [RING-006] [RING-009] the command head moves by one with each posted completion, and not
  // otherwise
  `HW_ASSERT_IF(HeadCountsPosts_A, 1'b1, cmd_head_i == head_q)
  // [RING-003] [RING-006] a completion is posted only after a good response to its burst
  `HW_ASSERT_IF(PostedAfterResponse_A, post_i, good_q != head_q && good_q - head_q <= 32'(Depth))
  // [RING-006] [RING-007] the posted completion was accepted at its position, and its line was sent
  `HW_ASSERT_IF(PostedWasSent_A, post_i && head_q == watch_i,
                watched && handed_q != head_q && handed_q - head_q <= accepted_q - head_q)
  // [RING-008] posting moves the tail of the ring that the completion was accepted for, past its
  // index
  `HW_ASSERT_IF(PostsItsIndex_A, post_i && head_q == watch_i, watch_reward_q == post_reward_i &&
                watch_index_q == (watch_reward_q ? reward_tail_i : done_tail_i))
  // [CNT-001] its tokens and its error are reported with the posting
  `HW_ASSERT_IF(PostsItsCounts_A, post_i && head_q == watch_i,
                post_tokens_i == watch_tokens_q && post_error_i == watch_error_q)
  // [CNT-001] nothing is reported without a posting
  `HW_ASSERT_IF(QuietCounts_A, !post_i, post_tokens_i == '0 && !post_error_i)
  // [LIFE-005] after an error response the writer has failed, until the device restarts
  `HW_ASSERT_IF(FailedAgrees_A, 1'b1, failed_i == (lines_failed_q || word_failed_q))
  // [LIFE-005] an error is final iff the head names the line it concerns, or it was of an index
  // word
  `HW_ASSERT_IF(FatalIsNamed_A, failed_i,
                fatal_i == (word_failed_q || (lines_failed_q && failed_lines_q == 7'd1)))
  // [LIFE-005] the lines of a failed burst are written again with a response each
  `HW_ASSERT_IF(WrittenAlone_A, req_valid_i && !req_word_i && alone_q != 7'd0 && !lines_failed_q,
                req_lines_i == 7'd1)
  // an aborted writer starts no write, though LIFE-004 would allow those that wait: a soft reset
  // ends with the responses to the writes in flight
  `HW_ASSERT_IF(AbortStartsNothing_A, abort_i, !req_valid_i)
  // [LIFE-005] if none of them fails, that is reported with the last
  `HW_ASSERT_IF(RepairReported_A, 1'b1,
                repaired_i == (post_i && !lines_failed_q && alone_q == 7'd1))

endmodule

`default_nettype wire
