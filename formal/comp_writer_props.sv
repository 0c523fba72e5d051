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
// that are not posted are offered again, so every count returns to the head.
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
    input wire logic [          5:0] tokens_i,
    input wire logic                 error_i,
    input wire logic [         31:0] watch_i
);

  localparam int PlaceBits = $clog2(Depth);
  localparam int Bursts = 4;
  // Lines, counted; wide enough for all sums of them.
  localparam int SumBits = $clog2((Bursts + MaxOutstanding + 1) * MaxBurst + 2 * Depth) + 1;

  logic ready, post, post_error, announce, stall, failed, fatal, repaired, drained, bus_idle;
  logic [31:0] done_index, reward_index, cmd_head, done_tail, reward_tail;
  logic [5:0] post_tokens;

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
      .m_axi_awid     (),
      .m_axi_awaddr   (),
      .m_axi_awlen    (),
      .m_axi_awsize   (),
      .m_axi_awburst  (),
      .m_axi_awlock   (),
      .m_axi_awcache  (),
      .m_axi_awprot   (),
      .m_axi_awvalid  (),
      .m_axi_awready  (1'b0),
      .m_axi_wdata    (),
      .m_axi_wstrb    (),
      .m_axi_wlast    (),
      .m_axi_wvalid   (),
      .m_axi_wready   (1'b0),
      .m_axi_bid      (4'd0),
      .m_axi_bresp    (2'd0),
      .m_axi_bvalid   (1'b0),
      .m_axi_bready   ()
  );

  // ---------------------------------------------------------------- the port to the write engine

  logic req_valid, req_ready, req_word, line_valid, line_ready;
  logic resp_valid, resp_word, resp_error, resp_legal, line_legal, ready_legal, burst, hand_over;
  logic [63:6] req_line;
  logic [6:0] req_lines, resp_lines;
  logic [DESC_BITS-1:0] line_data;
  logic [31:0] word;
  // Requests without a response; their words, their lines, those of the lines not handed over.
  logic [7:0] count, words;
  logic [15:0] in_flight, pending;
  logic single;

  assign req_valid = u_dut.u_axi_write_engine.req_valid_i;
  assign req_ready = u_dut.u_axi_write_engine.req_ready_o;
  assign req_word = u_dut.u_axi_write_engine.req_word_i;
  assign req_line = u_dut.u_axi_write_engine.req_line_i;
  assign req_lines = u_dut.u_axi_write_engine.req_lines_i;
  assign line_valid = u_dut.u_axi_write_engine.line_valid_i;
  assign line_ready = u_dut.u_axi_write_engine.line_ready_o;
  assign line_data = u_dut.u_axi_write_engine.line_data_i;
  assign word = u_dut.u_axi_write_engine.word_i;
  assign resp_valid = u_dut.u_axi_write_engine.resp_valid_o;
  assign resp_word = u_dut.u_axi_write_engine.resp_word_o;
  assign resp_error = u_dut.u_axi_write_engine.resp_error_o;
  assign resp_lines = u_dut.u_axi_write_engine.resp_lines_o;
  // A burst is accepted; a line is.
  assign burst = req_valid && req_ready && !req_word;
  assign hand_over = line_valid && line_ready;

  write_port_watch #(
      .MaxBurst      (MaxBurst),
      .MaxOutstanding(MaxOutstanding)
  ) u_watch (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .req_i        (req_valid && req_ready),
      .req_word_i   (req_word),
      .req_lines_i  (req_lines),
      .line_i       (hand_over),
      .resp_valid_i (resp_valid),
      .resp_word_i  (resp_word),
      .resp_lines_i (resp_lines),
      .count_o      (count),
      .lines_o      (),
      .word_o       (),
      .words_o      (words),
      .total_o      (in_flight),
      .pending_o       (pending),
      .single_o     (single),
      .resp_legal_o (resp_legal),
      .line_legal_o (line_legal),
      .ready_legal_o(ready_legal)
  );

  // ---------------------------------------------------------------- the cycle before

  logic started_q = 1'b0;
  logic past_rst_q, past_stopped_q, past_abort_q, past_drained_q, past_valid_q, past_failed_q;
  logic past_word_kept_q;
  // A completion was offered since reset; one for the reward ring.
  logic used_q, used_reward_q;
  logic [31:0] past_first_q, past_watch_q, past_done_head_q, past_done_tail_q, past_word_q;
  logic [31:0] past_reward_head_q, past_reward_tail_q;
  logic [191:0] past_config_q, config_now;
  logic accept;

  assign accept = valid_i && ready;
  assign config_now = {done_line_i, reward_line_i, cmd_line_i, done_log2_i, reward_log2_i,
                       publish_tails_i, split_reward_i};

  always_ff @(posedge clk_i) begin
    started_q          <= 1'b1;
    past_rst_q         <= rst_ni;
    past_stopped_q     <= stopped_i;
    past_abort_q       <= abort_i;
    past_drained_q     <= drained;
    past_valid_q       <= valid_i;
    past_failed_q      <= failed;
    past_word_kept_q   <= rst_ni && (req_valid && req_ready && req_word || words != 8'd0) &&
        !(resp_valid && resp_word);
    past_word_q        <= word;
    past_first_q       <= first_index_i;
    past_watch_q       <= watch_i;
    past_done_head_q   <= done_head_i;
    past_done_tail_q   <= done_tail;
    past_reward_head_q <= reward_head_i;
    past_reward_tail_q <= reward_tail;
    past_config_q      <= config_now;
    used_q             <= rst_ni && (used_q || valid_i);
    used_reward_q      <= rst_ni && (used_reward_q || (valid_i && to_reward_i));
  end

  // ---------------------------------------------------------------- positions at the ports

  logic [6:0] failed_lines_q;
  // Lines of a failed burst that are still to be written alone.
  logic [6:0] alone_q;
  logic lines_failed_q, word_failed_q, fails;
  // Positions: of the next completion to be accepted, the next line to be requested, handed over,
  // written, posted.
  logic [31:0] accepted_q, named_q, handed_q, good_q, head_q;

  assign fails = resp_valid && !resp_word && resp_error && !lines_failed_q;

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
      head_q <= head_q + 32'(post);
      if (fails) begin
        alone_q <= resp_lines == 7'd1 ? 7'd0 : resp_lines;
      end else if (post && !lines_failed_q && alone_q != 7'd0) begin
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
        accepted_q <= accepted_q + 32'(accept);
        named_q    <= named_q + (burst ? 32'(req_lines) : 32'd0);
        handed_q   <= handed_q + 32'(hand_over);
        if (resp_valid && !resp_word && !resp_error && !lines_failed_q) begin
          good_q <= good_q + 32'(resp_lines);
        end
        lines_failed_q <= lines_failed_q || fails;
        word_failed_q  <= word_failed_q || (resp_valid && resp_word && resp_error);
      end
    end
    if (fails) begin
      failed_lines_q <= resp_lines;
    end
  end

  // ---------------------------------------------------------------- the watched completion

  logic watch_reward_q, watch_error_q, watched;
  logic [5:0] watch_tokens_q;
  logic [31:0] watch_index_q;
  logic [63:6] watch_line_q;
  logic [DESC_BITS-1:0] watch_data_q;

  // It is accepted and not posted.
  assign watched = watch_i - head_q < accepted_q - head_q;

  always_ff @(posedge clk_i) begin
    if (accept && accepted_q == watch_i) begin
      watch_reward_q <= to_reward_i;
      watch_error_q  <= error_i;
      watch_tokens_q <= tokens_i;
      watch_index_q  <= to_reward_i ? reward_index : done_index;
      watch_line_q   <= next_line(to_reward_i);
      watch_data_q   <= data_i;
    end
  end

  // The slot of the next completion of a ring, as a line address.
  function automatic logic [63:6] next_line(input logic reward);
    next_line = reward ?
        reward_line_i + 58'(reward_index & ((32'd1 << reward_log2_i) - 32'd1)) :
        done_line_i + 58'(done_index & ((32'd1 << done_log2_i) - 32'd1));
  endfunction

  // ---------------------------------------------------------------- the writer's FIFOs

  logic [SumBits-1:0] waits, lines, infos, rewards, rewards_before, dones_before;
  logic [SumBits-1:0] wait_lines, open_lines;
  logic waits_legal, watched_address, waits_single;
  logic [2:0] wait_read, wait_write;
  logic [PlaceBits:0] info_read, info_write, line_read, line_write;
  logic [7:0] info_watched;
  logic [31:0] place;
  logic [DESC_BITS-1:0] line_watched;

  assign wait_read = u_dut.u_burst_fifo.read_q;
  assign wait_write = u_dut.u_burst_fifo.write_q;
  assign waits = SumBits'(3'(wait_write - wait_read));
  assign line_read = u_dut.u_line_fifo.read_q;
  assign line_write = u_dut.u_line_fifo.write_q;
  assign lines = SumBits'((PlaceBits + 1)'(line_write - line_read));
  assign info_read = u_dut.u_info_fifo.read_q;
  assign info_write = u_dut.u_info_fifo.write_q;
  assign infos = SumBits'((PlaceBits + 1)'(info_write - info_read));
  assign open_lines = SumBits'(u_dut.open_lines_q);
  assign info_watched = u_dut.u_info_fifo.mem[PlaceBits'(32'(info_read)+watch_i-head_q)];
  assign line_watched = u_dut.u_line_fifo.mem[PlaceBits'(32'(line_read)+watch_i-handed_q)];

  always_comb begin
    // Positions of the lines that are not requested: the waiting bursts, then the open one.
    place = named_q;
    watched_address = 1'b1;
    wait_lines = '0;
    waits_single = 1'b1;
    waits_legal = waits <= SumBits'(Bursts);
    for (int i = 0; i < Bursts; i++) begin
      if (SumBits'(i) < waits) begin
        wait_lines = wait_lines + SumBits'(waiting_burst(i)[6:0]);
        waits_single = waits_single && waiting_burst(i)[6:0] == 7'd1;
        waits_legal = waits_legal && burst_legal(waiting_burst(i));
        watched_address = watched_address && (
            !(watch_i - place < 32'(waiting_burst(i)[6:0])) ||
            waiting_burst(i)[64:7] + 58'(lines_to_watched(place)) == watch_line_q);
        place = place + 32'(waiting_burst(i)[6:0]);
      end
    end
    watched_address = watched_address && (!(watch_i - place < 32'(open_lines)) ||
        u_dut.open_line_q + 58'(lines_to_watched(place)) == watch_line_q &&
        u_dut.open_reward_q == watch_reward_q);
    rewards = '0;
    rewards_before = '0;
    dones_before = '0;
    for (int i = 0; i < Depth; i++) begin
      if (SumBits'(i) < infos) begin
        rewards = rewards + SumBits'(for_reward(i));
        if (32'(i) < watch_i - head_q) begin
          rewards_before = rewards_before + SumBits'(for_reward(i));
          dones_before = dones_before + SumBits'(!for_reward(i));
        end
      end
    end
  end

  function automatic logic [64:0] waiting_burst(input int i);
    waiting_burst = u_dut.u_burst_fifo.mem[2'(32'(wait_read)+32'(i))];
  endfunction

  // From the line at position first on; 32 bits wide by itself, whatever width it is cast to.
  function automatic logic [31:0] lines_to_watched(input logic [31:0] first);
    lines_to_watched = watch_i - first;
  endfunction

  function automatic logic for_reward(input int i);
    for_reward = u_dut.u_info_fifo.mem[PlaceBits'(32'(info_read)+32'(i))][7];
  endfunction

  // A burst has from 1 to MaxBurst lines, all in one page of 64.
  function automatic logic burst_legal(input logic [64:0] lines_of);
    burst_legal = lines_of[6:0] != 7'd0 && 32'(lines_of[6:0]) <= 32'(MaxBurst) &&
        32'(lines_of[12:7]) + 32'(lines_of[6:0]) <= 32'd64;
  endfunction

  // ---------------------------------------------------------------- assumptions

  // the first cycle is one of reset
  `HW_ASSUME(StartsInReset_M, started_q || !rst_ni)
  // the watched position is any value, and keeps it
  `HW_ASSUME(WatchStays_M, !started_q || watch_i == past_watch_q)
  // first_index is a strap: it does not change outside reset (RING-012)
  `HW_ASSUME(FirstIndexStays_M, !rst_ni || first_index_i == past_first_q)
  // run_control stops the writer only in the cycle after one in which it was drained and the
  // pipeline was empty or a write had failed; it may hold the stop, and stop right after reset
  `HW_ASSUME(StopsAtRest_M, !stopped_i || past_stopped_q || !past_rst_q ||
             (past_drained_q && (!past_valid_q || past_failed_q)))
  // mmio_regs ends a soft reset only by a reset of the writer
  `HW_ASSUME(AbortStays_M, !rst_ni || !past_rst_q || !past_abort_q || abort_i)
  // the host's heads move forward, at most up to the tails, until a soft reset begins
  // (mmio_regs_props, DoneHead_A, RewardHead_A)
  `HW_ASSUME(HeadsForward_M, !past_rst_q || abort_i ||
             (done_head_i - past_done_head_q <= past_done_tail_q - past_done_head_q &&
              reward_head_i - past_reward_head_q <= past_reward_tail_q - past_reward_head_q))
  // heads are reset together with the tails (mmio_regs_props, AfterReset_A)
  `HW_ASSUME(HeadsAfterReset_M, past_rst_q || (done_head_i == past_first_q &&
             reward_head_i == past_first_q))
  // mmio_regs enables no ring of another size (SizesInForce_A), and without SPLIT_REWARD nothing
  // goes to the reward ring, whose size is then not checked
  `HW_ASSUME(SizesLegal_M, abort_i || (
             (!(valid_i || used_q) ||
              (done_log2_i >= RING_LOG2_MIN && done_log2_i <= RING_LOG2_MAX)) &&
             (!((valid_i && to_reward_i) || used_reward_q) ||
              (reward_log2_i >= RING_LOG2_MIN && reward_log2_i <= RING_LOG2_MAX))))
  // mmio_regs locks sizes, bases and modes with the first ENABLE, until a soft reset
  // (ConfigLocked_A)
  `HW_ASSUME(ConfigLocked_M, abort_i || !used_q || config_now == past_config_q)
  // each response is that of the oldest request, all lines of which were handed over
  // (axi_write_engine_props, ResponseMatches_A)
  `HW_ASSUME(ResponseMatches_M, !resp_valid || resp_legal)
  // the engine takes lines only for requests (axi_write_engine_props, LinesPending_A)
  `HW_ASSUME(LinesPending_M, !line_ready || line_legal)
  // no more than MaxOutstanding requests are in flight (axi_write_engine_props,
  // OutstandingBounded_A)
  `HW_ASSUME(OutstandingBounded_M, !req_ready || ready_legal)
  // the engine is idle iff no request is without a response (axi_write_engine_props, Idle_A)
  `HW_ASSUME(EngineIdle_M, bus_idle == (count == 8'd0))

  // ---------------------------------------------------------------- rings

  // [RING-005] a completion is accepted only if its ring has a slot that the host has read
  `HW_ASSERT_IF(NeverOverUnread_A, accept, to_reward_i ?
                reward_index - reward_head_i < 32'd1 << reward_log2_i :
                done_index - done_head_i < 32'd1 << done_log2_i)
  // [RING-005] until a completion is posted, its slot is one that the host has read
  `HW_ASSERT_IF(SlotStaysFree_A, watched && !abort_i, watch_reward_q ?
                watch_index_q - reward_head_i < 32'd1 << reward_log2_i :
                watch_index_q - done_head_i < 32'd1 << done_log2_i)
  // [RING-002] accepted completions that the host has not read never exceed the slots
  `HW_ASSERT_IF(RingsBounded_A, !abort_i, used_q ?
                done_index - done_head_i <= 32'd1 << done_log2_i && (used_reward_q ?
                reward_index - reward_head_i <= 32'd1 << reward_log2_i :
                reward_index == reward_head_i) :
                done_index == done_head_i && reward_index == reward_head_i && infos == '0)
  // [RING-002] the tails lie between the host's heads and the next indices
  `HW_ASSERT_IF(TailsBetween_A, !abort_i,
                done_tail - done_head_i <= done_index - done_head_i &&
                reward_tail - reward_head_i <= reward_index - reward_head_i)
  // [RING-008] the next index of a ring is its tail plus the completions accepted for it and not
  // posted
  `HW_ASSERT_IF(IndicesCountAccepted_A, 1'b1, done_index - done_tail == 32'(infos - rewards) &&
                reward_index - reward_tail == 32'(rewards))
  // [RING-012] without a completion for the reward ring nothing is pending for it
  `HW_ASSERT_IF(UnusedReward_A, !used_reward_q, rewards == '0)

  // ---------------------------------------------------------------- order, data, posting

  // [RING-001] [RING-007] [RING-008] a burst names, for each line, the slot of the next index of
  // the ring that its completion goes to
  `HW_ASSERT_IF(AddressIsSlot_A, req_valid && !req_word && watch_i - named_q < 32'(req_lines),
                watched && req_line + 58'(lines_to_watched(named_q)) == watch_line_q)
  // [DESC-015] [RING-005] the line handed over for it is the completion, every bit of it
  `HW_ASSERT_IF(DataIsCompletion_A, line_ready && handed_q == watch_i,
                line_valid && watched && line_data == watch_data_q)
  // [RING-006] [RING-009] the command head moves by one with each posted completion, and not
  // otherwise
  `HW_ASSERT_IF(HeadCountsPosts_A, 1'b1, cmd_head == head_q)
  // [RING-003] [RING-006] a completion is posted only after a good response to its burst
  `HW_ASSERT_IF(PostedAfterResponse_A, post, good_q != head_q && good_q - head_q <= 32'(Depth))
  // [RING-006] [RING-007] the posted completion was accepted at its position, and its line was sent
  `HW_ASSERT_IF(PostedWasSent_A, post && head_q == watch_i,
                watched && handed_q != head_q && handed_q - head_q <= accepted_q - head_q)
  // [RING-008] posting moves the tail of the ring that the completion was accepted for, past its
  // index
  `HW_ASSERT_IF(PostsItsIndex_A, post && head_q == watch_i, watch_reward_q == u_dut.info_reward &&
                watch_index_q == (watch_reward_q ? reward_tail : done_tail))
  // [CNT-001] its tokens and its error are reported with the posting
  `HW_ASSERT_IF(PostsItsCounts_A, post && head_q == watch_i,
                post_tokens == watch_tokens_q && post_error == watch_error_q)
  // [CNT-001] nothing is reported without a posting
  `HW_ASSERT_IF(QuietCounts_A, !post, post_tokens == '0 && !post_error)
  // [LIFE-005] after an error response the writer has failed, until the device restarts
  `HW_ASSERT_IF(FailedAgrees_A, 1'b1, failed == (lines_failed_q || word_failed_q))
  // [LIFE-005] it knows whether a burst or a word failed
  `HW_ASSERT_IF(FailuresKnown_A, 1'b1,
                u_dut.failed_q == lines_failed_q && u_dut.publish_failed == word_failed_q)
  // [LIFE-005] an error is final iff the head names the line it concerns, or it was of an index
  // word
  `HW_ASSERT_IF(FatalIsNamed_A, failed,
                fatal == (word_failed_q || (lines_failed_q && failed_lines_q == 7'd1)))
  // [LIFE-005] the lines of a failed burst are written again with a response each
  `HW_ASSERT_IF(WrittenAlone_A, req_valid && !req_word && alone_q != 7'd0 && !lines_failed_q,
                req_lines == 7'd1)
  // [LIFE-005] if none of them fails, that is reported with the last
  `HW_ASSERT_IF(RepairReported_A, 1'b1, repaired == (post && !lines_failed_q && alone_q == 7'd1))
  // [RING-005] the writer stalls exactly in the cycles in which a completion waits for room in its
  // ring
  `HW_ASSERT_IF(StallReported_A, 1'b1,
                stall == (valid_i && !stopped_i && !abort_i && !failed && (to_reward_i ?
                reward_index - reward_head_i >= 32'd1 << reward_log2_i :
                done_index - done_head_i >= 32'd1 << done_log2_i)))
  // [RING-013] the host is told of a posting at once, or, where indices are stored, after the good
  // response to the last of them
  `HW_ASSERT_IF(Announced_A, announce,
                publish_tails_i ? resp_valid && resp_word && !resp_error : post)
  // [LIFE-004] [LIFE-005] a writer that is stopped, failed or aborted accepts no completion
  `HW_ASSERT_IF(StoppedAcceptsNothing_A, stopped_i || abort_i || failed, !ready)
  // an aborted writer starts no write, though LIFE-004 would allow those that wait: a soft reset
  // ends with the responses to the writes in flight
  `HW_ASSERT_IF(AbortStartsNothing_A, abort_i, !req_valid)
  // [LIFE-004] the bus is idle iff every request has its response
  `HW_ASSERT_IF(BusIdle_A, 1'b1, bus_idle == (count == 8'd0))
  // [LIFE-007] a drained writer has posted all that it accepted, unless a write failed
  `HW_ASSERT_IF(DrainedIsPosted_A, drained,
                count == 8'd0 && good_q == head_q && (failed || accepted_q == head_q))

  // ---------------------------------------------------------------- index words

  // [RING-013] without PUBLISH_TAILS no index is stored
  `HW_ASSERT_IF(NoWordUnasked_A, !publish_tails_i && !abort_i, !(req_valid && req_word))
  // [RING-004] [RING-013] a word is stored one or two lines before slot 0 of a ring
  `HW_ASSERT_IF(WordPlace_A, req_valid && req_word,
                req_line == done_line_i - 58'd1 || req_line == reward_line_i - 58'd1 ||
                req_line == cmd_line_i - 58'd2)
  // [RING-013] one word is in flight at a time, while the publisher waits for it
  `HW_ASSERT_IF(OneWord_A, 1'b1, words == 8'(u_dut.u_index_publisher.state_q == 2'd2) &&
                (!(req_valid && req_word) || words == 8'd0))
  // [RING-013] a word does not change from its request to its response
  `HW_ASSERT_IF(WordStays_A, past_word_kept_q, word == past_word_q)
  // [RING-013] nothing is published unless PUBLISH_TAILS is set and a completion was offered
  `HW_ASSERT_IF(PublisherRests_A, (!publish_tails_i || !used_q) && !abort_i,
                u_dut.u_index_publisher.state_q == 2'd0 && !u_dut.u_index_publisher.unpublished_q)

  // ---------------------------------------------------------------- invariants

  // a burst has 1 to MaxBurst lines in one page
  `HW_ASSERT_IF(RequestLegal_A, req_valid && !req_word, burst_legal({req_line, req_lines}))
  // every line that is not sent belongs to a burst
  `HW_ASSERT_IF(LinesInBursts_A, 1'b1, lines == SumBits'(pending) + wait_lines + open_lines &&
                lines <= infos && infos <= SumBits'(Depth))
  // every completion that is not posted is written, in flight or waits, or a failed burst lost it
  `HW_ASSERT_IF(InfosInBursts_A, 1'b1, (lines_failed_q ?
                SumBits'(u_dut.written_q) + SumBits'(in_flight) + wait_lines + open_lines <= infos :
                SumBits'(u_dut.written_q) + SumBits'(in_flight) + wait_lines + open_lines == infos))
  // positions at the ports and in the FIFOs agree
  `HW_ASSERT_IF(PositionsAgree_A, 1'b1, accepted_q - head_q == 32'(infos) &&
                accepted_q - named_q == 32'(wait_lines + open_lines) &&
                accepted_q - handed_q == 32'(lines) && good_q - head_q == 32'(u_dut.written_q))
  // the info and the line of the watched completion stay until it is posted and sent
  `HW_ASSERT_IF(WatchedKept_A, watched,
                info_watched == {watch_reward_q, watch_error_q, watch_tokens_q} &&
                (!(watch_i - handed_q < 32'(lines)) || line_watched == watch_data_q))
  // its address stays until its burst is requested
  `HW_ASSERT_IF(WatchedAddress_A, watched, watched_address)
  // its index is the tail of its ring plus the completions to be posted there before it
  `HW_ASSERT_IF(WatchedIndex_A, watched, watch_index_q == (watch_reward_q ?
                reward_tail + 32'(rewards_before) : done_tail + 32'(dones_before)))
  // while lines are to be written alone, every burst has one line
  `HW_ASSERT_IF(AloneAgrees_A, 1'b1, u_dut.single_left_q == alone_q &&
                (alone_q == 7'd0 || lines_failed_q || (single && waits_single &&
                 (open_lines == '0 || (open_lines == SumBits'(1) && u_dut.open_full_q)))))
  // waiting bursts are legal
  `HW_ASSERT_IF(WaitingLegal_A, 1'b1, waits_legal)
  // the open burst is legal; it is full where its page ends
  `HW_ASSERT_IF(OpenLegal_A, u_dut.open_lines_q != 7'd0,
                burst_legal({u_dut.open_line_q, u_dut.open_lines_q}) &&
                (u_dut.open_full_q || (32'(u_dut.open_lines_q) < 32'(MaxBurst) &&
                 32'(u_dut.open_line_q[11:6]) + 32'(u_dut.open_lines_q) < 32'd64)))
  // [RING-001] behind an open burst in memory is the ring's next slot
  `HW_ASSERT_IF(Contiguous_A, u_dut.open_lines_q != 7'd0 && !u_dut.open_full_q && !abort_i,
                next_line(u_dut.open_reward_q) == u_dut.open_line_q + 58'(u_dut.open_lines_q))
  // a drained writer is at rest in the next cycle if nothing was offered
  `HW_ASSERT_IF(RestAfterDrained_A,
                past_rst_q && past_drained_q && (!past_valid_q || past_failed_q || past_stopped_q),
                count == 8'd0 && u_dut.written_q == '0 &&
                u_dut.u_index_publisher.state_q == 2'd0 && (failed || infos == '0))
  // [LIFE-003] nothing is in flight where the device is stopped
  `HW_ASSERT_IF(StoppedAtRest_A, stopped_i, count == 8'd0 && u_dut.written_q == '0 &&
                u_dut.u_index_publisher.state_q == 2'd0 && (failed || infos == '0))
  // [LIFE-001] reset leaves nothing in flight
  `HW_ASSERT_IF(AfterReset_A, !past_rst_q, count == 8'd0 && infos == '0 && !req_valid && !failed)

  // ---------------------------------------------------------------- what can happen

  // a burst of several lines is requested
  `HW_COVER(LongBurst_C, req_valid && !req_word && req_lines != 7'd1)
  // [LIFE-005] a burst of two lines fails
  `HW_COVER(Fails_C, fails && resp_lines == 7'd2)
  // [RING-005] a completion waits for the host
  `HW_COVER(Waits_C, stall && used_q && done_index != done_head_i)
  // [RING-013] an index is stored
  `HW_COVER(StoresIndex_C, resp_valid && resp_word && !resp_error && word != '0)
  // [LIFE-005] after an error the device restarts, and a line of the failed burst is posted
  `HW_COVER(WritesAgain_C, post && !lines_failed_q && alone_q != 7'd0)

endmodule

`default_nettype wire
