// SPDX-License-Identifier: Apache-2.0
//
// With publish_i, stores the device's indices in memory after each posting, one word at a time, and
// then announces the posting.
//
// Rules: RING-013 (done tail, reward tail with split_i, command head, in this order; the completion
// event is last), RING-004 (addresses of the words), LIFE-005 for these stores.
//
// StIdle:    a completion was posted since the last round -> StRequest with the done tail
// StRequest: the writer accepts the store -> StWait
// StWait:    stored -> StRequest with the next word, or StIdle after the last; error -> StIdle
// StError:   never; an assertion forbids it
//
// A round stores the indices sampled at its start; completions posted meanwhile get another round.
// After an error nothing is stored until restart_i, and then all words again. Without publish_i a
// posting is announced at once.
`default_nettype none
`include "hw_macros.svh"

module index_publisher
  import hw_desc_pkg::*;
(
    // Clock and synchronous active-low reset.
    input wire logic        clk_i,
    input wire logic        rst_ni,
    // Modes: store indices (CTRL.PUBLISH_TAILS), the reward tail too (CTRL.SPLIT_REWARD).
    input wire logic        publish_i,
    input wire logic        split_i,
    // A completion is posted; the indices include it from the next cycle on.
    input wire logic        post_i,
    input wire logic [31:0] done_tail_i,
    input wire logic [31:0] reward_tail_i,
    input wire logic [31:0] cmd_head_i,
    // Line addresses of slot 0 of each ring; from the cycle before publishing on they stay.
    input wire logic [63:6] done_line_i,
    input wire logic [63:6] reward_line_i,
    input wire logic [63:6] cmd_line_i,
    // Start no round; clear an error.
    input wire logic        restart_i,
    // One store: accepted with ready_i, complete with done_i.
    output logic            valid_o,
    input wire logic        ready_i,
    output logic     [63:6] line_o,
    output logic     [31:0] word_o,
    input wire logic        done_i,
    input wire logic        error_i,
    // The host may be told of what is posted.
    output logic            announce_o,
    // No store is in flight and no word is stale, except after an error.
    output logic            settled_o,
    // A store failed.
    output logic            failed_o
);

  // Lines from a word to slot 0.
  localparam int HeadLines = (RING_SLOTS_OFFSET - RING_HEAD_OFFSET) / DESC_BYTES;
  localparam int TailLines = (RING_SLOTS_OFFSET - RING_TAIL_OFFSET) / DESC_BYTES;

  typedef enum logic [1:0] {
    StIdle    = 2'd0,
    StRequest = 2'd1,
    StWait    = 2'd2,
    StError   = 2'd3
  } state_e;

  typedef enum logic [1:0] {
    WordDone    = 2'd0,
    WordReward  = 2'd1,
    WordHead    = 2'd2,
    WordUnknown = 2'd3
  } word_e;

  state_e state_d, state_q;
  word_e which_d, which_q;
  logic unpublished_q, failed_q;
  logic [31:0] done_tail_q, reward_tail_q, cmd_head_q;
  logic begins, fails;
  logic [63:6] done_word_line_q, reward_word_line_q, cmd_word_line_q;

  assign begins = state_q == StIdle && unpublished_q && !failed_q && !restart_i;
  assign fails  = state_q == StWait && done_i && error_i;

  always_comb begin
    state_d = state_q;
    which_d = which_q;
    case (state_q)
      StIdle: begin
        if (begins) begin
          state_d = StRequest;
          which_d = WordDone;
        end
      end
      StRequest: begin
        if (ready_i) begin
          state_d = StWait;
        end
      end
      StWait: begin
        if (done_i) begin
          state_d = StRequest;
          if (error_i || which_q == WordHead) begin
            state_d = StIdle;
          end else if (which_q == WordDone && split_i) begin
            which_d = WordReward;
          end else begin
            which_d = WordHead;
          end
        end
      end
      default: state_d = StError;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q       <= StIdle;
      which_q       <= WordDone;
      unpublished_q <= 1'b0;
      failed_q      <= 1'b0;
    end else begin
      state_q       <= state_d;
      which_q       <= which_d;
      unpublished_q <= (post_i && publish_i) || fails || (unpublished_q && !begins);
      failed_q      <= fails || (failed_q && !restart_i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (begins) begin
      done_tail_q   <= done_tail_i;
      reward_tail_q <= reward_tail_i;
      cmd_head_q    <= cmd_head_i;
    end
  end

  // The rings stay where they are while the device runs.
  always_ff @(posedge clk_i) begin
    done_word_line_q   <= done_line_i - 58'(TailLines);
    reward_word_line_q <= reward_line_i - 58'(TailLines);
    cmd_word_line_q    <= cmd_line_i - 58'(HeadLines);
  end

  always_comb begin
    case (which_q)
      WordDone: begin
        line_o = done_word_line_q;
        word_o = done_tail_q;
      end
      WordReward: begin
        line_o = reward_word_line_q;
        word_o = reward_tail_q;
      end
      default: begin
        line_o = cmd_word_line_q;
        word_o = cmd_head_q;
      end
    endcase
  end

  assign valid_o    = state_q == StRequest;
  assign announce_o = publish_i ?
      (state_q == StWait && done_i && !error_i && which_q == WordHead) : post_i;
  assign settled_o  = state_q == StIdle && (!unpublished_q || failed_q);
  assign failed_o   = failed_q;

`ifndef SYNTHESIS
  logic past_stalled_q;
  logic [31:0] past_word_q;
  always_ff @(posedge clk_i) begin
    past_stalled_q <= rst_ni && valid_o && !ready_i;
    past_word_q    <= word_o;
  end
  `HW_ASSERT(StateLegal_A, state_q != StError && which_q != WordUnknown,
             "the publisher never reaches its error state")
  `HW_ASSERT(StableUnderStall_A, !past_stalled_q || (valid_o && word_o === past_word_q),
             "a stalled store is held unchanged")
`endif

endmodule

`default_nettype wire
