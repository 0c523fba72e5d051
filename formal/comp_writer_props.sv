// SPDX-License-Identifier: Apache-2.0
//
// The completion writer obeys AXI on the write channels, never writes a slot that the host has not
// read, and posts nothing before its write was answered: each completion once, in order, whatever
// fails and however often the device starts over.
//
// Lines are counted by position: a completion has the index of its descriptor. One position,
// watch_i, is followed from the completion's coming in to its posting. Where the device starts
// over, what is not posted comes again, so every count goes back to the head.
`default_nettype none
`include "formal_macros.svh"

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
    input wire logic                 awready_i,
    input wire logic                 wready_i,
    input wire logic [          3:0] bid_i,
    input wire logic [          1:0] bresp_i,
    input wire logic                 bvalid_i,
    input wire logic [         31:0] watch_i
);

  localparam int PlaceBits = $clog2(Depth);
  localparam int AnswerBits = $clog2(MaxOutstanding);
  localparam int Bursts = 4;
  // Lines, counted; wide enough for all sums of them.
  localparam int SumBits = $clog2((Bursts + MaxOutstanding + 1) * MaxBurst + 2 * Depth) + 1;

  logic ready, post, post_error, announce, stall, failed, fatal, repaired, drained, bus_idle;
  logic [31:0] done_index, reward_index, cmd_head, done_tail, reward_tail;
  logic [5:0] post_tokens;
  logic [3:0] awid, awcache;
  logic [63:0] awaddr, wstrb;
  logic [7:0] awlen;
  logic [2:0] awsize, awprot;
  logic [1:0] awburst;
  logic awlock, awvalid, wlast, wvalid, bready;
  logic [DESC_BITS-1:0] wdata;

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
      .m_axi_awid     (awid),
      .m_axi_awaddr   (awaddr),
      .m_axi_awlen    (awlen),
      .m_axi_awsize   (awsize),
      .m_axi_awburst  (awburst),
      .m_axi_awlock   (awlock),
      .m_axi_awcache  (awcache),
      .m_axi_awprot   (awprot),
      .m_axi_awvalid  (awvalid),
      .m_axi_awready  (awready_i),
      .m_axi_wdata    (wdata),
      .m_axi_wstrb    (wstrb),
      .m_axi_wlast    (wlast),
      .m_axi_wvalid   (wvalid),
      .m_axi_wready   (wready_i),
      .m_axi_bid      (bid_i),
      .m_axi_bresp    (bresp_i),
      .m_axi_bvalid   (bvalid_i),
      .m_axi_bready   (bready)
  );

  // ---------------------------------------------------------------- the cycle before

  logic started_q = 1'b0;
  logic past_rst_q, past_stopped_q, past_abort_q, past_aw_waits_q, past_w_waits_q;
  logic past_drained_q, past_valid_q, past_failed_q;
  // A completion came in since reset; one for the reward ring.
  logic used_q, used_reward_q;
  logic [63:0] past_awaddr_q;
  logic [7:0] past_awlen_q;
  logic [DESC_BITS+64:0] past_w_q;
  logic [31:0] past_first_q, past_watch_q, past_done_head_q, past_done_tail_q;
  logic [31:0] past_reward_head_q, past_reward_tail_q;
  logic [191:0] past_config_q, config_now;
  logic take, answer;

  assign take = valid_i && ready;
  assign answer = bvalid_i && bready;
  assign config_now = {done_line_i, reward_line_i, cmd_line_i, done_log2_i, reward_log2_i,
                       publish_tails_i, split_reward_i};

  always_ff @(posedge clk_i) begin
    started_q          <= 1'b1;
    past_rst_q         <= rst_ni;
    past_stopped_q     <= stopped_i;
    past_abort_q       <= abort_i;
    past_aw_waits_q    <= rst_ni && awvalid && !awready_i;
    past_w_waits_q     <= rst_ni && wvalid && !wready_i;
    past_drained_q     <= drained;
    past_valid_q       <= valid_i;
    past_failed_q      <= failed;
    past_awaddr_q      <= awaddr;
    past_awlen_q       <= awlen;
    past_w_q           <= {wlast, wstrb, wdata};
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

  // ---------------------------------------------------------------- what the ports have shown

  // Requests that were accepted and not answered, the oldest at 0: lines of it, 0 for an index
  // word.
  logic [MaxOutstanding-1:0][6:0] asked_q;
  logic [MaxOutstanding-1:0] asked_word_q;
  logic [3:0] accepted_q, sent_q;
  logic [6:0] beats_q, failed_lines_q;
  // Lines of a failed burst that are still to be written alone.
  logic [6:0] alone_q;
  // The request on offer stores an index word.
  logic aw_word_q;
  logic lines_failed_q, word_failed_q;
  // Positions: of the next completion to come in, the next line that a request will name, the next
  // line to be sent, the next to be answered well, the next to be posted.
  logic [31:0] taken_q, named_q, written_q, good_q, head_q;
  logic beat, bad;

  assign beat = wvalid && wready_i;
  assign bad = bresp_i[1];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      accepted_q     <= '0;
      sent_q         <= '0;
      beats_q        <= '0;
      alone_q        <= '0;
      lines_failed_q <= 1'b0;
      word_failed_q  <= 1'b0;
      taken_q        <= first_index_i;
      named_q        <= first_index_i;
      written_q      <= first_index_i;
      good_q         <= first_index_i;
      head_q         <= first_index_i;
    end else begin
      accepted_q <= accepted_q + 4'(awvalid && awready_i) - 4'(answer);
      sent_q     <= sent_q + 4'(beat && wlast) - 4'(answer);
      if (beat) begin
        beats_q <= wlast ? 7'd0 : beats_q + 7'd1;
      end
      head_q <= head_q + 32'(post);
      if (answer && !asked_word_q[0] && bad && !lines_failed_q) begin
        alone_q <= asked_q[0] == 7'd1 ? 7'd0 : asked_q[0];
      end else if (post && !lines_failed_q && alone_q != 7'd0) begin
        alone_q <= alone_q - 7'd1;
      end
      if (stopped_i) begin
        taken_q        <= head_q;
        named_q        <= head_q;
        written_q      <= head_q;
        good_q         <= head_q;
        lines_failed_q <= 1'b0;
        word_failed_q  <= 1'b0;
      end else begin
        taken_q <= taken_q + 32'(take);
        if (awvalid && awready_i && !aw_word_q) begin
          named_q <= named_q + 32'(awlen) + 32'd1;
        end
        if (beat && !word_at(32'(sent_q))) begin
          written_q <= written_q + 32'd1;
        end
        if (answer && !asked_word_q[0] && !bad && !lines_failed_q) begin
          good_q <= good_q + 32'(asked_q[0]);
        end
        lines_failed_q <= lines_failed_q || (answer && !asked_word_q[0] && bad);
        word_failed_q  <= word_failed_q || (answer && asked_word_q[0] && bad);
      end
    end
    if (answer && !asked_word_q[0] && bad && !lines_failed_q) begin
      failed_lines_q <= asked_q[0];
    end
    if (u_dut.send) begin
      aw_word_q <= u_dut.send_word;
    end
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (awvalid && awready_i && 32'(i) == 32'(accepted_q) - 32'(answer)) begin
        asked_q[i]      <= 7'(awlen) + 7'd1;
        asked_word_q[i] <= aw_word_q;
      end else if (answer && i + 1 < MaxOutstanding) begin
        asked_q[i]      <= asked_q[(i+1)%MaxOutstanding];
        asked_word_q[i] <= asked_word_q[(i+1)%MaxOutstanding];
      end
    end
  end

  // Lines of the n-th oldest request that is not answered, the one on offer counted too.
  function automatic logic [6:0] lines_at(input logic [31:0] n);
    lines_at = 7'(awlen) + 7'd1;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (32'(i) == n && n < 32'(accepted_q)) begin
        lines_at = asked_q[i];
      end
    end
  endfunction

  // It stores an index word.
  function automatic logic word_at(input logic [31:0] n);
    word_at = aw_word_q;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (32'(i) == n && n < 32'(accepted_q)) begin
        word_at = asked_word_q[i];
      end
    end
  endfunction

  // ---------------------------------------------------------------- the watched completion

  logic watch_reward_q, watch_error_q, watched;
  logic [5:0] watch_tokens_q;
  logic [31:0] watch_index_q;
  logic [63:6] watch_line_q;
  logic [DESC_BITS-1:0] watch_data_q;

  // It came in and is not posted.
  assign watched = watch_i - head_q < taken_q - head_q;

  always_ff @(posedge clk_i) begin
    if (take && taken_q == watch_i) begin
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

  // ---------------------------------------------------------------- the writer's own queues

  logic [SumBits-1:0] answers, jobs, waits, lines, metas, rewards, rewards_before, dones_before;
  logic [SumBits-1:0] answer_lines, job_lines, wait_lines, open_lines, answer_words;
  logic mirrored, jobs_agree, waits_legal, watched_address, all_single;
  logic [AnswerBits:0] answer_read, answer_write, job_read, job_write;
  logic [2:0] wait_read, wait_write;
  logic [PlaceBits:0] meta_read, meta_write, line_read, line_write;
  logic [7:0] meta_watched;
  logic [31:0] place;
  logic [DESC_BITS-1:0] line_watched;
  logic [31:0] line_first;

  assign answer_read = u_dut.u_answers.read_q;
  assign answer_write = u_dut.u_answers.write_q;
  assign answers = SumBits'((AnswerBits + 1)'(answer_write - answer_read));
  assign job_read = u_dut.u_jobs.read_q;
  assign job_write = u_dut.u_jobs.write_q;
  assign jobs = SumBits'((AnswerBits + 1)'(job_write - job_read));
  assign wait_read = u_dut.u_bursts.read_q;
  assign wait_write = u_dut.u_bursts.write_q;
  assign waits = SumBits'(3'(wait_write - wait_read));
  assign line_read = u_dut.u_lines.read_q;
  assign line_write = u_dut.u_lines.write_q;
  assign lines = SumBits'((PlaceBits + 1)'(line_write - line_read));
  assign meta_read = u_dut.u_metas.read_q;
  assign meta_write = u_dut.u_metas.write_q;
  assign metas = SumBits'((PlaceBits + 1)'(meta_write - meta_read));
  assign open_lines = SumBits'(u_dut.open_lines_q);
  assign meta_watched = u_dut.u_metas.mem[PlaceBits'(32'(meta_read)+watch_i-head_q)];
  // Position of the oldest line in the buffer.
  assign line_first = taken_q - 32'(lines);
  assign line_watched = u_dut.u_lines.mem[PlaceBits'(32'(line_read)+watch_i-line_first)];

  always_comb begin
    answer_lines = '0;
    answer_words = '0;
    mirrored = 1'b1;
    all_single = 1'b1;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (SumBits'(i) < answers) begin
        mirrored = mirrored && u_dut.u_answers.mem[AnswerBits'(32'(answer_read)+32'(i))] ==
            {word_at(32'(i)), lines_at(32'(i))} &&
            lines_at(32'(i)) != 7'd0 && 32'(lines_at(32'(i))) <= 32'(MaxBurst) &&
            (!word_at(32'(i)) || lines_at(32'(i)) == 7'd1);
        all_single = all_single && lines_at(32'(i)) == 7'd1;
        answer_lines = answer_lines + (word_at(32'(i)) ? '0 : SumBits'(lines_at(32'(i))));
        answer_words = answer_words + SumBits'(word_at(32'(i)));
      end
    end
    job_lines = '0;
    jobs_agree = jobs <= answers;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (SumBits'(i) < answers && SumBits'(i) >= answers - jobs) begin
        job_lines = job_lines + (word_at(32'(i)) ? '0 : SumBits'(lines_at(32'(i))));
        jobs_agree = jobs_agree &&
            u_dut.u_jobs.mem[AnswerBits'(32'(job_read)+32'(i)-32'(answers-jobs))] ==
            {word_at(32'(i)), lines_at(32'(i))};
      end
    end
    // Positions of the lines that are not sent yet: the request on offer, the waiting bursts, the
    // open one.
    place = named_q;
    watched_address = 1'b1;
    if (awvalid && !aw_word_q) begin
      watched_address = !(watch_i - place <= 32'(awlen)) ||
          awaddr[63:6] + 58'(lines_to_watched(place)) == watch_line_q;
      place = place + 32'(awlen) + 32'd1;
    end
    wait_lines = '0;
    waits_legal = waits <= SumBits'(Bursts);
    for (int i = 0; i < Bursts; i++) begin
      if (SumBits'(i) < waits) begin
        wait_lines = wait_lines + SumBits'(waiting_burst(i)[6:0]);
        all_single = all_single && waiting_burst(i)[6:0] == 7'd1;
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
      if (SumBits'(i) < metas) begin
        rewards = rewards + SumBits'(for_reward(i));
        if (32'(i) < watch_i - head_q) begin
          rewards_before = rewards_before + SumBits'(for_reward(i));
          dones_before = dones_before + SumBits'(!for_reward(i));
        end
      end
    end
  end

  function automatic logic [64:0] waiting_burst(input int i);
    waiting_burst = u_dut.u_bursts.mem[2'(32'(wait_read)+32'(i))];
  endfunction

  // From the line at position first on; 32 bits wide by itself, whatever width it is cast to.
  function automatic logic [31:0] lines_to_watched(input logic [31:0] first);
    lines_to_watched = watch_i - first;
  endfunction

  function automatic logic for_reward(input int i);
    for_reward = u_dut.u_metas.mem[PlaceBits'(32'(meta_read)+32'(i))][7];
  endfunction

  // A burst has from 1 to MaxBurst lines, all in one page of 64.
  function automatic logic burst_legal(input logic [64:0] burst);
    burst_legal = burst[6:0] != 7'd0 && 32'(burst[6:0]) <= 32'(MaxBurst) &&
        32'(burst[12:7]) + 32'(burst[6:0]) <= 32'd64;
  endfunction

  // ---------------------------------------------------------------- what the surroundings promise

  // the first cycle is one of reset
  `SUPPOSE(StartsInReset_M, started_q || !rst_ni)
  // the watched position is any value, and stays what it is
  `SUPPOSE(WatchStays_M, !started_q || watch_i == past_watch_q)
  // first_index is a strap: it does not change outside reset (RING-012)
  `SUPPOSE(FirstIndexStays_M, !rst_ni || first_index_i == past_first_q)
  // run_control stops the writer only in the cycle after one in which it was drained and the
  // pipeline was empty or a write had failed; what stops already may stay so, and so may what was
  // just reset
  `SUPPOSE(StopsAtRest_M, !stopped_i || past_stopped_q || !past_rst_q ||
           (past_drained_q && (!past_valid_q || past_failed_q)))
  // mmio_regs ends a soft reset only by a reset of the writer
  `SUPPOSE(AbortStays_M, !rst_ni || !past_rst_q || !past_abort_q || abort_i)
  // a memory answers a write only after it took the request and the last of its data (AXI, A3.3.1)
  `SUPPOSE(ResponseAfterData_M, !bvalid_i || (sent_q != '0 && accepted_q != '0))
  // the host's heads move forward, at most up to the tails, until a soft reset begins
  // (mmio_regs_props, DoneHead_A, RewardHead_A)
  `SUPPOSE(HeadsForward_M, !past_rst_q || abort_i ||
           (done_head_i - past_done_head_q <= past_done_tail_q - past_done_head_q &&
            reward_head_i - past_reward_head_q <= past_reward_tail_q - past_reward_head_q))
  // heads are reset together with the tails (mmio_regs_props, AfterReset_A)
  `SUPPOSE(HeadsAfterReset_M, past_rst_q || (done_head_i == past_first_q &&
           reward_head_i == past_first_q))
  // mmio_regs enables no ring of another size (SizesInForce_A), and without SPLIT_REWARD nothing
  // goes to the reward ring, whose size is then not checked
  `SUPPOSE(SizesLegal_M, abort_i || (
           (!(valid_i || used_q) ||
            (done_log2_i >= RING_LOG2_MIN && done_log2_i <= RING_LOG2_MAX)) &&
           (!((valid_i && to_reward_i) || used_reward_q) ||
            (reward_log2_i >= RING_LOG2_MIN && reward_log2_i <= RING_LOG2_MAX))))
  // mmio_regs locks sizes, bases and modes with the first ENABLE, until a soft reset
  // (ConfigLocked_A)
  `SUPPOSE(ConfigLocked_M, abort_i || !used_q || config_now == past_config_q)

  // ---------------------------------------------------------------- rings

  // [RING-005] a completion is taken only if its ring has a slot that the host has read
  `PROVE(NeverOverUnread_A, take, to_reward_i ?
         reward_index - reward_head_i < 32'd1 << reward_log2_i :
         done_index - done_head_i < 32'd1 << done_log2_i)
  // [RING-005] until it is posted, the slot of a completion is one that the host has given back
  `PROVE(SlotStaysFree_A, watched && !abort_i, watch_reward_q ?
         watch_index_q - reward_head_i < 32'd1 << reward_log2_i :
         watch_index_q - done_head_i < 32'd1 << done_log2_i)
  // [RING-002] what is taken and not yet read by the host never is more than the slots
  `PROVE(RingsBounded_A, !abort_i, used_q ?
         done_index - done_head_i <= 32'd1 << done_log2_i && (used_reward_q ?
         reward_index - reward_head_i <= 32'd1 << reward_log2_i : reward_index == reward_head_i) :
         done_index == done_head_i && reward_index == reward_head_i && metas == '0)
  // [RING-002] the tails lie between the host's heads and the next indices
  `PROVE(TailsBetween_A, !abort_i,
         done_tail - done_head_i <= done_index - done_head_i &&
         reward_tail - reward_head_i <= reward_index - reward_head_i)
  // [RING-008] the next index of a ring is its tail and what was taken for it and is not posted
  `PROVE(IndicesCountTaken_A, 1'b1, done_index - done_tail == 32'(metas - rewards) &&
         reward_index - reward_tail == 32'(rewards))
  // [RING-012] a writer that took nothing for the reward ring has nothing for it
  `PROVE(UnusedReward_A, !used_reward_q, rewards == '0)

  // ---------------------------------------------------------------- order, data, posting

  // [RING-001] [RING-007] [RING-008] a request names, for each line, the slot of the next index of
  // the ring that its completion goes to
  `PROVE(AddressIsSlot_A, awvalid && !aw_word_q && watch_i - named_q <= 32'(awlen),
         watched && awaddr[63:6] + 58'(lines_to_watched(named_q)) == watch_line_q)
  // [DESC-015] [RING-005] the data sent for it are the completion, every bit of it
  `PROVE(DataIsCompletion_A, wvalid && !word_at(32'(sent_q)) && written_q == watch_i,
         watched && wdata == watch_data_q)
  // [RING-006] [RING-009] the command head moves by one with each completion that is posted, and
  // not otherwise
  `PROVE(HeadCountsPosts_A, 1'b1, cmd_head == head_q)
  // [RING-003] [RING-006] a completion is posted only after a good response to the write of its
  // burst
  `PROVE(PostedAfterResponse_A, post, good_q != head_q && good_q - head_q <= 32'(Depth))
  // [RING-006] [RING-007] the completion that is posted was taken at its position, and its data
  // were sent
  `PROVE(PostedWasSent_A, post && head_q == watch_i,
         watched && written_q != head_q && written_q - head_q <= taken_q - head_q)
  // [RING-008] posting moves the tail of the ring that the completion was taken for, past its index
  `PROVE(PostsItsIndex_A, post && head_q == watch_i, watch_reward_q == u_dut.meta_reward &&
         watch_index_q == (watch_reward_q ? reward_tail : done_tail))
  // [CNT-001] its tokens and its being an error are told with the posting
  `PROVE(PostsItsCounts_A, post && head_q == watch_i,
         post_tokens == watch_tokens_q && post_error == watch_error_q)
  // [CNT-001] nothing is told without a posting
  `PROVE(QuietCounts_A, !post, post_tokens == '0 && !post_error)
  // [LIFE-005] after an error response the writer has failed, until the device starts over
  `PROVE(FailedAgrees_A, 1'b1, failed == (lines_failed_q || word_failed_q))
  // [LIFE-005] which of the two failed is known
  `PROVE(FailuresTold_A, 1'b1,
         u_dut.failed_q == lines_failed_q && u_dut.word_failed == word_failed_q)
  // [LIFE-005] an error is final iff the head names the line it concerns, or it was of an index
  `PROVE(FatalIsNamed_A, failed,
         fatal == (word_failed_q || (lines_failed_q && failed_lines_q == 7'd1)))
  // [LIFE-005] the lines of a burst that failed are written again with a response each
  `PROVE(WrittenAlone_A, awvalid && !aw_word_q && alone_q != 7'd0 && !lines_failed_q, awlen == 8'd0)
  // [LIFE-005] if none of them fails, that is told with the last
  `PROVE(RepairTold_A, 1'b1, repaired == (post && !lines_failed_q && alone_q == 7'd1))
  // [RING-005] the cycles are told in which a completion waits for room in its ring, and no others
  `PROVE(StallTold_A, 1'b1, stall == (valid_i && !stopped_i && !abort_i && !failed &&
         (to_reward_i ? reward_index - reward_head_i >= 32'd1 << reward_log2_i :
          done_index - done_head_i >= 32'd1 << done_log2_i)))
  // [RING-013] the host is told of a posting at once, or where indices are stored, after the good
  // response to the last of them
  `PROVE(Announced_A, announce, publish_tails_i ? answer && asked_word_q[0] && !bad : post)
  // [LIFE-004] [LIFE-005] a writer that stops, fails or is aborted takes no completion
  `PROVE(StoppedTakesNothing_A, stopped_i || abort_i || failed, !ready)
  // an aborted writer starts no write, though LIFE-004 would allow those that wait: a soft reset
  // ends as soon as what is under way is answered
  `PROVE(AbortStartsNothing_A, past_rst_q && past_abort_q, !awvalid || past_aw_waits_q)
  // [LIFE-004] the bus is idle iff every request was answered
  `PROVE(BusIdle_A, 1'b1, bus_idle == (accepted_q == '0 && !awvalid))
  // [LIFE-007] what is drained has posted all that it took, unless a write failed
  `PROVE(DrainedIsPosted_A, drained, accepted_q == '0 && !awvalid && !wvalid && good_q == head_q &&
         (failed || taken_q == head_q))

  // ---------------------------------------------------------------- AXI

  // bursts are INCR, of 1 to MaxBurst whole lines, with one ID, and cross no 4 KiB boundary (AXI,
  // A3.4.1)
  `PROVE(BurstLegal_A, awvalid, 32'(awlen) < 32'(MaxBurst) && awsize == 3'd6 &&
         awburst == 2'b01 && awid == '0 && !awlock && awaddr[5:0] == '0 &&
         32'(awaddr[11:6]) + 32'(awlen) < 32'd64)
  // a request stays, unchanged, until it is taken (AXI, A3.2.1)
  `PROVE(RequestStays_A, past_aw_waits_q,
         awvalid && awaddr == past_awaddr_q && awlen == past_awlen_q)
  // so do data
  `PROVE(DataStay_A, past_w_waits_q, wvalid && {wlast, wstrb, wdata} == past_w_q)
  // data belong to the oldest request that has not got all of them, which has been on offer
  `PROVE(DataOfRequest_A, wvalid, 32'(sent_q) < 32'(accepted_q) + 32'(awvalid))
  // as many beats are sent as AWLEN says, the last of them with WLAST (AXI, A3.4.1)
  `PROVE(LastIsLast_A, wvalid, wlast == (beats_q + 7'd1 == lines_at(32'(sent_q))))
  // [DESC-015] [LIFE-004] a line is written whole, an index as one word of four bytes
  `PROVE(Strobes_A, wvalid, wstrb == (word_at(32'(sent_q)) ? 64'hF : '1))
  // a response is taken when it comes
  `PROVE(ResponseTaken_A, bvalid_i, bready)
  // no more requests are under way than may be
  `PROVE(OutstandingBounded_A, 1'b1, 32'(accepted_q) + 32'(awvalid) <= 32'(MaxOutstanding))

  // ---------------------------------------------------------------- index words

  // [RING-013] without PUBLISH_TAILS no index is stored
  `PROVE(NoWordUnasked_A, !publish_tails_i && !abort_i, !(awvalid && aw_word_q))
  // [RING-004] [RING-013] a word is stored one or two lines before slot 0 of a ring
  `PROVE(WordPlace_A, awvalid && aw_word_q && !abort_i, awlen == 8'd0 &&
         (awaddr[63:6] == done_line_i - 58'd1 || awaddr[63:6] == reward_line_i - 58'd1 ||
          awaddr[63:6] == cmd_line_i - 58'd2))
  // [RING-013] one word is under way at a time, while the publisher waits for it
  `PROVE(OneWord_A, 1'b1, answer_words == SumBits'(u_dut.u_index_publisher.state_q == 2'd2))
  // [RING-013] nothing is published that was not asked for
  `PROVE(PublisherRests_A, (!publish_tails_i || !used_q) && !abort_i,
         u_dut.u_index_publisher.state_q == 2'd0 && !u_dut.u_index_publisher.unpublished_q)

  // ---------------------------------------------------------------- what the above needs

  // what is not answered is what the ports have shown, in order
  `PROVE(AnswersMirrored_A, 1'b1, mirrored && answers <= SumBits'(MaxOutstanding) &&
         answers == SumBits'(accepted_q) + SumBits'(awvalid) &&
         32'(accepted_q) <= 32'(MaxOutstanding) && 32'(sent_q) <= 32'(MaxOutstanding))
  // data are still to be sent for the youngest of them
  `PROVE(JobsAgree_A, 1'b1, jobs_agree &&
         answers - jobs == SumBits'(sent_q) + SumBits'(wvalid && wlast))
  // beats are counted as the port shows them
  `PROVE(BeatsAgree_A, 1'b1, wvalid ?
         u_dut.w_word_q == word_at(32'(sent_q)) &&
         (wlast ? u_dut.beats_q == 7'd0 : u_dut.beats_q == beats_q + 7'd1) :
         u_dut.beats_q == beats_q)
  // a burst under way has more beats to come
  `PROVE(BeatsLegal_A, 1'b1, 32'(beats_q) < 32'(MaxBurst))
  // no more beats are sent than the burst has lines
  `PROVE(BeatsBounded_A, 1'b1, jobs == '0 ? u_dut.beats_q == 7'd0 :
         u_dut.beats_q < u_dut.u_jobs.mem[AnswerBits'(job_read)][6:0])
  // every line that waits to be sent belongs to a burst
  `PROVE(LinesInBursts_A, 1'b1, lines + SumBits'(u_dut.beats_q) ==
         job_lines + wait_lines + open_lines && lines <= metas && metas <= SumBits'(Depth))
  // a line is sent before its burst is answered
  `PROVE(SentBeforeAnswer_A, 1'b1, SumBits'(u_dut.written_q) + lines +
         SumBits'(wvalid && !word_at(32'(sent_q))) <= metas)
  // every completion that is not posted is answered, sent, waits or was lost by a failed burst
  `PROVE(MetasInBursts_A, 1'b1,
         (lines_failed_q ?
          SumBits'(u_dut.written_q) + answer_lines + wait_lines + open_lines <= metas :
          SumBits'(u_dut.written_q) + answer_lines + wait_lines + open_lines == metas))
  // positions of the ports and of the queues agree
  `PROVE(PositionsAgree_A, 1'b1, taken_q - head_q == 32'(metas) &&
         taken_q - named_q == 32'(wait_lines + open_lines) +
         (awvalid && !aw_word_q ? 32'(awlen) + 32'd1 : 32'd0) &&
         taken_q - written_q == 32'(lines) + 32'(wvalid && !word_at(32'(sent_q))) &&
         good_q - head_q == 32'(u_dut.written_q))
  // the watched completion's facts and data are where they belong until they are posted and sent
  `PROVE(WatchedKept_A, watched,
         meta_watched == {watch_reward_q, watch_error_q, watch_tokens_q} &&
         (!(watch_i - line_first < 32'(lines)) || line_watched == watch_data_q))
  // so is its address
  `PROVE(WatchedAddress_A, watched, watched_address)
  // its index is its ring's tail and what is to be posted there before it
  `PROVE(WatchedIndex_A, watched, watch_index_q == (watch_reward_q ?
         reward_tail + 32'(rewards_before) : done_tail + 32'(dones_before)))
  // while lines are to be written alone, every burst on its way has one
  `PROVE(AloneAgrees_A, 1'b1, u_dut.single_left_q == alone_q &&
         (alone_q == 7'd0 || lines_failed_q || (all_single &&
          (open_lines == '0 || (open_lines == SumBits'(1) && u_dut.open_full_q)))))
  // bursts that wait to be sent are legal
  `PROVE(WaitingLegal_A, 1'b1, waits_legal)
  // so is the one that is being gathered; it is full where its page ends
  `PROVE(OpenLegal_A, u_dut.open_lines_q != 7'd0,
         burst_legal({u_dut.open_line_q, u_dut.open_lines_q}) &&
         (u_dut.open_full_q || (32'(u_dut.open_lines_q) < 32'(MaxBurst) &&
          32'(u_dut.open_line_q[11:6]) + 32'(u_dut.open_lines_q) < 32'd64)))
  // [RING-001] a burst that is being gathered is followed in memory by the ring's next slot
  `PROVE(Contiguous_A, u_dut.open_lines_q != 7'd0 && !u_dut.open_full_q && !abort_i,
         next_line(u_dut.open_reward_q) == u_dut.open_line_q + 58'(u_dut.open_lines_q))
  // what was drained is at rest in the next cycle, where nothing can come in
  `PROVE(RestAfterDrained_A,
         past_rst_q && past_drained_q && (!past_valid_q || past_failed_q || past_stopped_q),
         answers == '0 && !wvalid && u_dut.written_q == '0 &&
         u_dut.u_index_publisher.state_q == 2'd0 && (failed || metas == '0))
  // [LIFE-003] nothing is under way where the device has stopped
  `PROVE(StoppedAtRest_A, stopped_i, answers == '0 && !wvalid && u_dut.written_q == '0 &&
         u_dut.u_index_publisher.state_q == 2'd0 && (failed || metas == '0))
  // [LIFE-001] reset leaves nothing under way
  `PROVE(AfterReset_A, !past_rst_q, answers == '0 && metas == '0 && !awvalid && !wvalid && !failed)

  // ---------------------------------------------------------------- what can happen

  // a burst of several lines is sent
  `REACH(LongBurst_C, awvalid && awlen != 8'd0)
  // [LIFE-005] a burst is answered with an error
  `REACH(Fails_C, answer && bad && !asked_word_q[0] && asked_q[0] == 7'd2)
  // [RING-005] a completion waits for the host
  `REACH(Waits_C, stall && used_q && done_index != done_head_i)
  // [RING-013] an index is stored
  `REACH(StoresIndex_C, wvalid && word_at(32'(sent_q)) && wdata != '0)
  // [LIFE-005] after an error the device starts over, and a line of the failed burst is posted
  `REACH(WritesAgain_C, post && !lines_failed_q && alone_q != 7'd0)
  // two requests are under way, and data of the first are still to be sent
  `REACH(Overlaps_C, accepted_q == 4'd2 && sent_q == '0)

endmodule

`default_nettype wire
