// SPDX-License-Identifier: Apache-2.0
//
// The completion writer never writes a slot that the host has not read, and posts each completion
// once, in order, after the good response to its write, whatever fails and however often the device
// restarts.
//
// The write engine is replaced by one that may do anything at its ports (axi_write_engine_free);
// what is assumed of it is proven in axi_write_engine_props.
//
// Lines are counted by position: a completion has the index of its descriptor. One position,
// watch_i, is followed from accepting the completion to posting it. On a restart the completions
// that are not posted arrive again, so every count returns to the head.
`default_nettype none
`include "hw_macros.svh"

module comp_writer_props
  import hw_desc_pkg::*;
#(
    parameter int Depth          = 4,
    parameter int MaxBurst       = 2,
    parameter int MaxOutstanding = 2
) (
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    input wire logic                 stopped_i,
    input wire logic                 abort_i,
    input wire logic                 publish_tails_i,
    input wire logic                 split_reward_i,
    input wire logic [         63:6] cmd_line_i,
    input wire logic [         63:6] done_line_i,
    input wire logic [         63:6] reward_line_i,
    input wire logic [          7:0] done_log2_i,
    input wire logic [          7:0] reward_log2_i,
    input wire logic [         31:0] done_head_i,
    input wire logic [         31:0] reward_head_i,
    input wire logic                 valid_i,
    input wire logic                 to_reward_i,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] tokens_i,
    input wire logic                 error_i,
    input wire logic [         31:0] watch_i
);

  localparam int PlaceBits = $clog2(Depth);
  localparam int Bursts = 4;
  // Lines, counted; wide enough for all sums of them.
  localparam int SumBits = $clog2((Bursts + MaxOutstanding + 1) * MaxBurst + 2 * Depth) + 1;

  logic ready, post, post_error, announce, stall, failed, fatal, repaired, drained, bus_idle;
  logic [31:0] done_index, reward_index, cmd_head, done_tail, reward_tail;
  logic [31:0] post_tokens;

  comp_writer #(
      .Depth         (Depth),
      .MaxBurst      (MaxBurst),
      .MaxOutstanding(MaxOutstanding)
  ) u_dut (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .first_index_i  (first_index_i),
      .stopped_i      (stopped_i),
      .abort_i        (abort_i),
      .publish_tails_i(publish_tails_i),
      .split_reward_i (split_reward_i),
      .cmd_line_i     (cmd_line_i),
      .done_line_i    (done_line_i),
      .reward_line_i  (reward_line_i),
      .done_log2_i    (done_log2_i),
      .reward_log2_i  (reward_log2_i),
      .done_head_i    (done_head_i),
      .reward_head_i  (reward_head_i),
      .done_index_o   (done_index),
      .reward_index_o (reward_index),
      .valid_i        (valid_i),
      .ready_o        (ready),
      .to_reward_i    (to_reward_i),
      .data_i         (data_i),
      .tokens_i       (tokens_i),
      .error_i        (error_i),
      .cmd_head_o     (cmd_head),
      .done_tail_o    (done_tail),
      .reward_tail_o  (reward_tail),
      .post_o         (post),
      .post_error_o   (post_error),
      .post_tokens_o  (post_tokens),
      .announce_o     (announce),
      .stall_o        (stall),
      .failed_o       (failed),
      .fatal_o        (fatal),
      .repaired_o     (repaired),
      .drained_o      (drained),
      .bus_idle_o     (bus_idle),
      .m_axi_awready  (1'b0),
      .m_axi_wready   (1'b0),
      .m_axi_bid      (4'd0),
      .m_axi_bresp    (2'd0),
      .m_axi_bvalid   (1'b0)
  );

  // ---------------------------------------------------------------- the port to the write engine

  logic req_valid, req_word, resp_valid;
  logic [63:6] req_line;
  logic [6:0] req_lines;
  logic [7:0] count;
  logic [15:0] in_flight, pending;
  logic single, publisher_idle;

  assign req_valid = u_dut.u_axi_write_engine.req_valid_i;
  assign req_word = u_dut.u_axi_write_engine.req_word_i;
  assign req_line = u_dut.u_axi_write_engine.req_line_i;
  assign req_lines = u_dut.u_axi_write_engine.req_lines_i;
  assign resp_valid = u_dut.u_axi_write_engine.resp_valid_o;
  assign publisher_idle = u_dut.u_index_publisher.state_q == 2'd0;

  comp_writer_words #(
      .MaxBurst      (MaxBurst),
      .MaxOutstanding(MaxOutstanding)
  ) u_words (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .publish_tails_i  (publish_tails_i),
      .abort_i          (abort_i),
      .cmd_line_i       (cmd_line_i),
      .done_line_i      (done_line_i),
      .reward_line_i    (reward_line_i),
      .req_valid_i      (req_valid),
      .req_ready_i      (u_dut.u_axi_write_engine.req_ready_o),
      .req_word_i       (req_word),
      .req_line_i       (req_line),
      .req_lines_i      (req_lines),
      .line_valid_i     (u_dut.u_axi_write_engine.line_valid_i),
      .line_ready_i     (u_dut.u_axi_write_engine.line_ready_o),
      .line_data_i      (u_dut.u_axi_write_engine.line_data_i),
      .word_i           (u_dut.u_axi_write_engine.word_i),
      .resp_valid_i     (resp_valid),
      .resp_word_i      (u_dut.u_axi_write_engine.resp_word_o),
      .resp_error_i     (u_dut.u_axi_write_engine.resp_error_o),
      .resp_lines_i     (u_dut.u_axi_write_engine.resp_lines_o),
      .idle_i           (u_dut.u_axi_write_engine.idle_o),
      .bus_idle_i       (bus_idle),
      .used_i           (u_rings.used_q),
      .post_i           (post),
      .announce_i       (announce),
      .publisher_waits_i(u_dut.u_index_publisher.state_q == 2'd2),
      .publisher_idle_i (publisher_idle),
      .unpublished_i    (u_dut.u_index_publisher.unpublished_q),
      .count_o          (count),
      .lines_o          (in_flight),
      .pending_o        (pending),
      .single_o         (single)
  );

  // ---------------------------------------------------------------- the writer's FIFOs

  logic [SumBits-1:0] waits, lines, infos, rewards, rewards_before, dones_before;
  logic [SumBits-1:0] wait_lines, open_lines;
  logic waits_single;
  logic [2:0] wait_read, wait_write;
  logic [PlaceBits:0] info_read, info_write, line_read, line_write;
  logic [33:0] info_watched;
  logic [DESC_BITS-1:0] line_watched;

  assign wait_read = u_dut.u_burst_gather.u_burst_fifo.read_q;
  assign wait_write = u_dut.u_burst_gather.u_burst_fifo.write_q;
  assign waits = SumBits'(3'(wait_write - wait_read));
  assign line_read = u_dut.u_line_fifo.read_q;
  assign line_write = u_dut.u_line_fifo.write_q;
  assign lines = SumBits'((PlaceBits + 1)'(line_write - line_read));
  assign info_read = u_dut.u_info_fifo.read_q;
  assign info_write = u_dut.u_info_fifo.write_q;
  assign infos = SumBits'((PlaceBits + 1)'(info_write - info_read));
  assign open_lines = SumBits'(u_dut.u_burst_gather.open_lines_q);
  assign info_watched = u_dut.u_info_fifo.mem[PlaceBits'(32'(info_read)+watch_i-u_rules.head_q)];
  assign line_watched = u_dut.u_line_fifo.mem[PlaceBits'(32'(line_read)+watch_i-u_rules.handed_q)];

  always_comb begin
    rewards = '0;
    rewards_before = '0;
    dones_before = '0;
    for (int i = 0; i < Depth; i++) begin
      if (SumBits'(i) < infos) begin
        rewards = rewards + SumBits'(for_reward(i));
        if (32'(i) < watch_i - u_rules.head_q) begin
          rewards_before = rewards_before + SumBits'(for_reward(i));
          dones_before = dones_before + SumBits'(!for_reward(i));
        end
      end
    end
  end

  function automatic logic for_reward(input int i);
    for_reward = u_dut.u_info_fifo.mem[PlaceBits'(32'(info_read)+32'(i))][33];
  endfunction

  comp_writer_gather #(
      .MaxBurst(MaxBurst),
      .Bursts  (Bursts),
      .SumBits (SumBits)
  ) u_gather (
      .clk_i         (clk_i),
      .rst_ni        (rst_ni),
      .abort_i       (abort_i),
      .mem_i         ({u_dut.u_burst_gather.u_burst_fifo.mem[3], u_dut.u_burst_gather.u_burst_fifo.mem[2],
                       u_dut.u_burst_gather.u_burst_fifo.mem[1], u_dut.u_burst_gather.u_burst_fifo.mem[0]}),
      .read_i        (wait_read),
      .waits_i       (waits),
      .open_line_i   (u_dut.u_burst_gather.open_line),
      .open_lines_i  (u_dut.u_burst_gather.open_lines_q),
      .open_full_i   (u_dut.u_burst_gather.open_full_q),
      .open_reward_i (u_dut.u_burst_gather.open_reward_q),
      .next_line_i   (next_line(u_dut.u_burst_gather.open_reward_q)),
      .req_valid_i   (req_valid && !req_word),
      .req_i         ({req_line, req_lines}),
      .watch_i       (watch_i),
      .watched_i     (u_rules.watched),
      .named_i       (u_rules.named_q),
      .watch_line_i  (u_rules.watch_line_q),
      .watch_reward_i(u_rules.watch_reward_q),
      .wait_lines_o  (wait_lines),
      .single_o      (waits_single)
  );

  // ---------------------------------------------------------------- the rules at the ports

  logic started_q = 1'b0;
  logic past2_started_q = 1'b0;
  logic [31:0] past_watch_q;
  logic [63:6] past_done_line_q, past_reward_line_q, past_cmd_line_q;

  always_ff @(posedge clk_i) begin
    past2_started_q     <= started_q;
    past_done_line_q    <= done_line_i;
    past_reward_line_q  <= reward_line_i;
    past_cmd_line_q     <= cmd_line_i;
    started_q    <= 1'b1;
    past_watch_q <= watch_i;
  end

  comp_writer_room u_done_room (
      .clk_i       (clk_i),
      .rst_ni      (rst_ni),
      .started_i   (past2_started_q),
      .settled_i   (u_dut.settled_q),
      .steady_i    (u_rings.steady),
      .past_log2_i (u_rings.past_config_q[15:8]),
      .past2_log2_i(u_rings.past2_config_q[15:8]),
      .past_head_i (u_rings.past_done_head_q),
      .past2_head_i(u_rings.past2_done_head_q),
      .log2_i      (done_log2_i),
      .base_i      (done_line_i[11:6]),
      .index_i     (done_index[16:0]),
      .mask_i      (u_dut.u_done_room.mask_q),
      .limit_i     (u_dut.u_done_room.limit_q),
      .full_i      (u_dut.u_done_room.full_q),
      .last_i      (u_dut.u_done_room.last_q)
  );

  comp_writer_room u_reward_room (
      .clk_i       (clk_i),
      .rst_ni      (rst_ni),
      .started_i   (past2_started_q),
      .settled_i   (u_dut.settled_q),
      .steady_i    (u_rings.steady),
      .past_log2_i (u_rings.past_config_q[7:0]),
      .past2_log2_i(u_rings.past2_config_q[7:0]),
      .past_head_i (u_rings.past_reward_head_q),
      .past2_head_i(u_rings.past2_reward_head_q),
      .log2_i      (reward_log2_i),
      .base_i      (reward_line_i[11:6]),
      .index_i     (reward_index[16:0]),
      .mask_i      (u_dut.u_reward_room.mask_q),
      .limit_i     (u_dut.u_reward_room.limit_q),
      .full_i      (u_dut.u_reward_room.full_q),
      .last_i      (u_dut.u_reward_room.last_q)
  );

  comp_writer_rings u_rings (
      .clk_i         (clk_i),
      .rst_ni        (rst_ni),
      .first_index_i (first_index_i),
      .stopped_i     (stopped_i),
      .abort_i       (abort_i),
      .config_i      ({done_line_i, reward_line_i, cmd_line_i, publish_tails_i, split_reward_i}),
      .done_log2_i   (done_log2_i),
      .reward_log2_i (reward_log2_i),
      .done_head_i   (done_head_i),
      .reward_head_i (reward_head_i),
      .valid_i       (valid_i),
      .ready_i       (ready),
      .to_reward_i   (to_reward_i),
      .done_index_i  (done_index),
      .reward_index_i(reward_index),
      .done_tail_i   (done_tail),
      .reward_tail_i (reward_tail),
      .stall_i       (stall),
      .failed_i      (failed),
      .drained_i     (drained),
      .empty_i       (infos == '0),
      .watched_i     (u_rules.watched),
      .watch_reward_i(u_rules.watch_reward_q),
      .watch_index_i (u_rules.watch_index_q)
  );

  comp_writer_rules #(
      .Depth(Depth)
  ) u_rules (
      .clk_i         (clk_i),
      .rst_ni        (rst_ni),
      .first_index_i (first_index_i),
      .stopped_i     (stopped_i),
      .abort_i       (abort_i),
      .watch_i       (watch_i),
      .accept_i      (valid_i && ready),
      .to_reward_i   (to_reward_i),
      .data_i        (data_i),
      .tokens_i      (tokens_i),
      .error_i       (error_i),
      .index_i       (to_reward_i ? reward_index : done_index),
      .slot_line_i   (next_line(to_reward_i)),
      .post_i        (post),
      .post_reward_i (u_dut.info_reward),
      .post_error_i  (post_error),
      .post_tokens_i (post_tokens),
      .cmd_head_i    (cmd_head),
      .done_tail_i   (done_tail),
      .reward_tail_i (reward_tail),
      .failed_i      (failed),
      .fatal_i       (fatal),
      .repaired_i    (repaired),
      .req_valid_i   (req_valid),
      .req_ready_i   (u_dut.u_axi_write_engine.req_ready_o),
      .req_word_i    (req_word),
      .req_line_i    (req_line),
      .req_lines_i   (req_lines),
      .line_valid_i  (u_dut.u_axi_write_engine.line_valid_i),
      .line_ready_i  (u_dut.u_axi_write_engine.line_ready_o),
      .line_data_i   (u_dut.u_axi_write_engine.line_data_i),
      .resp_valid_i  (resp_valid),
      .resp_word_i   (u_dut.u_axi_write_engine.resp_word_o),
      .resp_error_i  (u_dut.u_axi_write_engine.resp_error_o),
      .resp_lines_i  (u_dut.u_axi_write_engine.resp_lines_o)
  );

  // The slot of the next completion of a ring, as a line address.
  function automatic logic [63:6] next_line(input logic reward);
    next_line = reward ?
        reward_line_i + 58'(reward_index & ((32'd1 << reward_log2_i) - 32'd1)) :
        done_line_i + 58'(done_index & ((32'd1 << done_log2_i) - 32'd1));
  endfunction

  // ---------------------------------------------------------------- assumptions

  // the watched position is any value, and keeps it
  `HW_ASSUME(WatchStays_M, !started_q || watch_i == past_watch_q)

  // ---------------------------------------------------------------- rings

  // [RING-008] the next index of a ring is its tail plus the completions accepted for it and not
  // posted
  `HW_ASSERT_IF(IndicesCountAccepted_A, 1'b1, done_index - done_tail == 32'(infos - rewards) &&
                reward_index - reward_tail == 32'(rewards))
  // [RING-012] without a completion for the reward ring nothing is pending for it
  `HW_ASSERT_IF(UnusedReward_A, !u_rings.used_reward_q, rewards == '0)

  // [LIFE-005] it knows whether a burst or a word failed
  `HW_ASSERT_IF(FailuresKnown_A, 1'b1,
                u_dut.failed_q == u_rules.lines_failed_q &&
                u_dut.publish_failed == u_rules.word_failed_q)
  // [LIFE-007] a drained writer has posted all that it accepted, unless a write failed
  `HW_ASSERT_IF(DrainedIsPosted_A, drained, count == 8'd0 && u_rules.good_q == u_rules.head_q &&
                (failed || u_rules.accepted_q == u_rules.head_q))

  // ---------------------------------------------------------------- invariants

  // every line that is not sent belongs to a burst
  `HW_ASSERT_IF(LinesInBursts_A, 1'b1, lines == SumBits'(pending) + wait_lines + open_lines &&
                lines <= infos && infos <= SumBits'(Depth))
  // every completion that is not posted is written, in flight or waits, or a failed burst lost it
  `HW_ASSERT_IF(InfosInBursts_A, 1'b1, (u_rules.lines_failed_q ?
                SumBits'(u_dut.written_q) + SumBits'(in_flight) + wait_lines + open_lines <= infos :
                SumBits'(u_dut.written_q) + SumBits'(in_flight) + wait_lines + open_lines == infos))
  // positions at the ports and in the FIFOs agree
  `HW_ASSERT_IF(PositionsAgree_A, 1'b1, u_rules.accepted_q - u_rules.head_q == 32'(infos) &&
                u_rules.accepted_q - u_rules.named_q == 32'(wait_lines + open_lines) &&
                u_rules.accepted_q - u_rules.handed_q == 32'(lines) &&
                u_rules.good_q - u_rules.head_q == 32'(u_dut.written_q))
  // the info and the line of the watched completion stay until it is posted and sent
  `HW_ASSERT_IF(WatchedKept_A, u_rules.watched,
                info_watched == {u_rules.watch_reward_q, u_rules.watch_error_q,
                                 u_rules.watch_tokens_q} &&
                (watch_i - u_rules.handed_q >= 32'(lines) || line_watched == u_rules.watch_data_q))
  // its index is the tail of its ring plus the completions to be posted there before it
  `HW_ASSERT_IF(WatchedIndex_A, u_rules.watched, u_rules.watch_index_q == (u_rules.watch_reward_q ?
                reward_tail + 32'(rewards_before) : done_tail + 32'(dones_before)))
  // while lines are to be written alone, every burst has one line
  `HW_ASSERT_IF(AloneAgrees_A, 1'b1, u_dut.single_left_q == u_rules.alone_q &&
                (u_rules.alone_q == 7'd0 || u_rules.lines_failed_q || (single && waits_single &&
                 (open_lines == '0 || (open_lines == SumBits'(1) && u_dut.u_burst_gather.open_full_q)))))
  // what is derived from bases is that of the cycle before
  `HW_ASSERT_IF(DerivedAgrees_A, past2_started_q,
                u_dut.u_burst_gather.done_carried_q == past_done_line_q[63:22] + 42'd1 &&
                u_dut.u_burst_gather.reward_carried_q == past_reward_line_q[63:22] + 42'd1 &&
                u_dut.u_index_publisher.done_word_line_q == past_done_line_q - 58'd1 &&
                u_dut.u_index_publisher.reward_word_line_q == past_reward_line_q - 58'd1 &&
                u_dut.u_index_publisher.cmd_word_line_q == past_cmd_line_q - 58'd2 &&
                u_dut.limits_q == u_rings.past_rst_q &&
                (!u_dut.settled_q || (u_rings.past2_rst_q && !u_rings.past_stopped_q)))
  // a drained writer is at rest in the next cycle if no completion was valid
  `HW_ASSERT_IF(RestAfterDrained_A, u_rings.past_rests, count == 8'd0 &&
                u_dut.written_q == '0 && publisher_idle && (failed || infos == '0))
  // [LIFE-003] nothing is in flight where the device is stopped
  `HW_ASSERT_IF(StoppedAtRest_A, stopped_i, count == 8'd0 && u_dut.written_q == '0 &&
                publisher_idle && (failed || infos == '0))
  // [LIFE-001] reset leaves nothing in flight
  `HW_ASSERT_IF(AfterReset_A, !u_rings.past_rst_q,
                count == 8'd0 && infos == '0 && !req_valid && !failed)

  // ---------------------------------------------------------------- what can happen

  // a burst of several lines is requested
  `HW_COVER(LongBurst_C, req_valid && !req_word && req_lines != 7'd1)
  // [LIFE-005] a burst of two lines fails
  `HW_COVER(Fails_C, u_rules.fails && u_rules.resp_lines_i == 7'd2)
  // [LIFE-005] after an error the device restarts, and a line of the failed burst is posted
  `HW_COVER(WritesAgain_C, post && !u_rules.lines_failed_q && u_rules.alone_q != 7'd0)

endmodule

`default_nettype wire
