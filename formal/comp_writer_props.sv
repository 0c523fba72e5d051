// SPDX-License-Identifier: Apache-2.0
//
// The completion writer obeys AXI on the write channels, never writes a slot that the host has not
// read, and posts nothing before its write was answered. For a device without PUBLISH_TAILS.
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
    input wire logic                 split_reward_i,
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
    input wire logic                 bvalid_i
);

  localparam int PlaceBits = $clog2(Depth);
  localparam int AnswerBits = $clog2(MaxOutstanding);
  localparam int Bursts = 4;

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
      .publish_tails_i(1'b0),
      .split_reward_i (split_reward_i),
      .cmd_line_i     ('0),
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
  logic past_rst_q, past_stopped_q, past_abort_q, past_aw_waits_q, past_w_waits_q, used_q;
  logic [63:0] past_awaddr_q;
  logic [7:0] past_awlen_q, past_done_log2_q, past_reward_log2_q;
  logic [DESC_BITS:0] past_w_q;
  logic [31:0] past_first_q, past_done_head_q, past_done_tail_q, past_reward_head_q;
  logic [31:0] past_reward_tail_q;
  logic [63:6] past_done_line_q, past_reward_line_q;
  logic take, answer, fresh;

  assign take = valid_i && ready;
  assign answer = bvalid_i && bready;
  // A request is shown for the first time.
  assign fresh = awvalid && !past_aw_waits_q;

  always_ff @(posedge clk_i) begin
    started_q          <= 1'b1;
    past_rst_q         <= rst_ni;
    past_stopped_q     <= stopped_i;
    past_abort_q       <= abort_i;
    past_aw_waits_q    <= rst_ni && awvalid && !awready_i;
    past_w_waits_q     <= rst_ni && wvalid && !wready_i;
    past_awaddr_q      <= awaddr;
    past_awlen_q       <= awlen;
    past_w_q           <= {wlast, wdata};
    past_first_q       <= first_index_i;
    past_done_log2_q   <= done_log2_i;
    past_reward_log2_q <= reward_log2_i;
    past_done_line_q   <= done_line_i;
    past_reward_line_q <= reward_line_i;
    past_done_head_q   <= done_head_i;
    past_done_tail_q   <= done_tail;
    past_reward_head_q <= reward_head_i;
    past_reward_tail_q <= reward_tail;
    used_q             <= rst_ni && (used_q || valid_i);
  end

  // ---------------------------------------------------------------- what was written and answered

  // Lines of the bursts that were shown and not answered, the oldest at 0; lines taken, answered
  // well before an error, and posted; bursts whose last data were taken and that are not answered.
  logic [MaxOutstanding-1:0][6:0] burst_q;
  logic [31:0] bursts_q, taken_q, good_q, posted_q, written_q;
  logic [6:0] oldest;
  logic failed_q;
  // The value that the indices had after reset.
  logic [31:0] first_q;

  assign oldest = bursts_q == 32'd0 ? 7'(awlen) + 7'd1 : burst_q[0];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      bursts_q  <= '0;
      taken_q   <= '0;
      good_q    <= '0;
      posted_q  <= '0;
      written_q <= '0;
      failed_q  <= 1'b0;
      first_q   <= first_index_i;
    end else begin
      bursts_q  <= bursts_q + 32'(fresh) - 32'(answer);
      taken_q   <= stopped_i ? posted_q : taken_q + 32'(take);
      posted_q  <= posted_q + 32'(post);
      written_q <= written_q + 32'(wvalid && wready_i && wlast) - 32'(answer);
      if (answer && !bresp_i[1] && !failed_q) begin
        good_q <= good_q + 32'(oldest);
      end
      failed_q <= !stopped_i && (failed_q || (answer && bresp_i[1]));
    end
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (fresh && 32'(i) == bursts_q - 32'(answer)) begin
        burst_q[i] <= 7'(awlen) + 7'd1;
      end else if (answer && i + 1 < MaxOutstanding) begin
        burst_q[i] <= burst_q[(i+1)%MaxOutstanding];
      end
    end
  end

  // Sums over the writer's own queues: lines shown, lines waiting to be shown.
  logic [31:0] shown, waiting, rewards, metas;
  logic mirrored, waiting_legal;
  logic [AnswerBits:0] answer_read, answer_write, job_read, job_write;
  logic jobs_agree;
  // Bursts whose data are under way or still to be sent, their lines, and those in the buffer.
  logic [31:0] jobs, job_lines, lines;
  logic [2:0] wait_read, wait_write;
  logic [PlaceBits:0] meta_read, meta_write;
  assign answer_read = u_dut.u_answers.read_q;
  assign answer_write = u_dut.u_answers.write_q;
  assign job_read = u_dut.u_jobs.read_q;
  assign job_write = u_dut.u_jobs.write_q;
  assign jobs = 32'((AnswerBits + 1)'(job_write - job_read));
  assign lines = 32'((PlaceBits + 1)'(u_dut.u_lines.write_q - u_dut.u_lines.read_q));
  assign wait_read = u_dut.u_bursts.read_q;
  assign wait_write = u_dut.u_bursts.write_q;
  assign meta_read = u_dut.u_metas.read_q;
  assign meta_write = u_dut.u_metas.write_q;
  assign metas = 32'((PlaceBits + 1)'(meta_write - meta_read));

  always_comb begin
    shown = fresh ? 32'(awlen) + 32'd1 : 32'd0;
    mirrored = !fresh || u_dut.u_answers.mem[AnswerBits'(32'(answer_read) + bursts_q)] ==
        {1'b0, 7'(awlen) + 7'd1};
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (32'(i) < bursts_q) begin
        shown = shown + 32'(burst_q[i]);
        mirrored = mirrored &&
            u_dut.u_answers.mem[AnswerBits'(32'(answer_read) + 32'(i))] == {1'b0, burst_q[i]} &&
            burst_q[i] != 7'd0 && 32'(burst_q[i]) <= 32'(MaxBurst);
      end
    end
    jobs_agree = !u_dut.w_word_q || !wvalid;
    job_lines = 32'd0;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (32'(i) < jobs) begin
        job_lines = job_lines + 32'(u_dut.u_jobs.mem[AnswerBits'(32'(job_read)+32'(i))][6:0]);
        jobs_agree = jobs_agree && u_dut.u_jobs.mem[AnswerBits'(32'(job_read)+32'(i))] ==
            u_dut.u_answers.mem[AnswerBits'(32'(answer_write)-jobs+32'(i))];
      end
    end
    waiting = 32'd0;
    waiting_legal = 1'b1;
    for (int i = 0; i < Bursts; i++) begin
      if (3'(i) < 3'(wait_write - wait_read)) begin
        waiting = waiting + 32'(u_dut.u_bursts.mem[2'(32'(wait_read)+32'(i))][6:0]);
        waiting_legal = waiting_legal &&
            burst_legal(u_dut.u_bursts.mem[2'(32'(wait_read)+32'(i))]);
      end
    end
    rewards = 32'd0;
    for (int i = 0; i < Depth; i++) begin
      if (32'(i) < metas) begin
        rewards = rewards +
            32'(u_dut.u_metas.mem[PlaceBits'(32'(meta_read)+32'(i))][7]);
      end
    end
  end

  // A burst has from 1 to MaxBurst lines, all in one page of 64.
  function automatic logic burst_legal(input logic [64:0] burst);
    burst_legal = burst[6:0] != 7'd0 && 32'(burst[6:0]) <= 32'(MaxBurst) &&
        32'(burst[12:7]) + 32'(burst[6:0]) <= 32'd64;
  endfunction

  // The slot of the next completion of a ring, as a line address.
  function automatic logic [63:6] next_line(input logic reward);
    next_line = reward ?
        reward_line_i + 58'(reward_index & ((32'd1 << reward_log2_i) - 32'd1)) :
        done_line_i + 58'(done_index & ((32'd1 << done_log2_i) - 32'd1));
  endfunction

  // the first cycle is one of reset
  `SUPPOSE(StartsInReset_M, started_q || !rst_ni)
  // first_index is a strap: it does not change outside reset (RING-012)
  `SUPPOSE(FirstIndexStays_M, !rst_ni || first_index_i == past_first_q)
  // the device starts over only with nothing under way and nothing left to post (run_control)
  `SUPPOSE(StoppedAtRest_M, !stopped_i || (bus_idle && good_q == posted_q))
  // a memory answers a write only after it took the last of its data (AXI, A3.3.1)
  `SUPPOSE(ResponseAfterData_M, !bvalid_i || written_q != 32'd0)
  // the host's heads move forward, at most up to the tails (mmio_regs_props, DoneHead_A, RewardHead_A)
  `SUPPOSE(HeadsForward_M, !past_rst_q ||
           (done_head_i - past_done_head_q <= past_done_tail_q - past_done_head_q &&
            reward_head_i - past_reward_head_q <= past_reward_tail_q - past_reward_head_q))
  // heads are reset together with the tails (mmio_regs_props, AfterReset_A)
  `SUPPOSE(HeadsAfterReset_M, past_rst_q || (done_head_i == past_first_q &&
           reward_head_i == past_first_q))
  // mmio_regs enables no ring of another size (SizesInForce_A); without SPLIT_REWARD nothing goes to
  // the reward ring, whose size is then not checked
  `SUPPOSE(SizesLegal_M, !(valid_i || used_q) ||
           (done_log2_i >= RING_LOG2_MIN && done_log2_i <= RING_LOG2_MAX &&
            reward_log2_i >= RING_LOG2_MIN && reward_log2_i <= RING_LOG2_MAX))
  // mmio_regs locks sizes and bases with the first ENABLE (ConfigLocked_A)
  `SUPPOSE(ConfigLocked_M, !used_q ||
           (done_log2_i == past_done_log2_q && reward_log2_i == past_reward_log2_q &&
            done_line_i == past_done_line_q && reward_line_i == past_reward_line_q))

  // [RING-005] a completion is taken only if its ring has a slot that the host has read
  `PROVE(NeverOverUnread_A, take, to_reward_i ?
         reward_index - reward_head_i < 32'd1 << reward_log2_i :
         done_index - done_head_i < 32'd1 << done_log2_i)
  // [RING-002] [RING-005] what is taken and not yet read by the host never is more than the slots
  `PROVE(RingsBounded_A, used_q,
         done_index - done_head_i <= 32'd1 << done_log2_i &&
         reward_index - reward_head_i <= 32'd1 << reward_log2_i)
  // before the first completion the rings are empty
  `PROVE(UnusedIsEmpty_A, !used_q, done_index == done_head_i && reward_index == reward_head_i &&
         taken_q == posted_q)
  // [RING-002] the tails lie between the host's heads and the next indices
  `PROVE(TailsBetween_A, 1'b1, done_index - done_tail == metas - rewards &&
         reward_index - reward_tail == rewards && done_tail - done_head_i <= done_index - done_head_i
         && reward_tail - reward_head_i <= reward_index - reward_head_i)
  // [RING-003] [CNT-001] a completion is posted only after a good response to the write of its burst
  `PROVE(PostedAfterResponse_A, post,
         good_q != posted_q && good_q - posted_q <= 32'(Depth))
  // [RING-006] the lines that may be posted are those answered well and not posted yet
  `PROVE(AnsweredAgrees_A, 1'b1, 32'(u_dut.written_q) == good_q - posted_q)
  // [RING-009] the tails and the head move by one with each posting, and not otherwise
  `PROVE(TailsCountPosts_A, 1'b1, posted_q == cmd_head - first_q)
  // [RING-006] what is answered, shown or waiting was taken: nothing is written that did not come in
  `PROVE(WrittenWasTaken_A, 1'b1,
         (good_q - posted_q) + shown + waiting + 32'(u_dut.open_lines_q) <= taken_q - posted_q &&
         taken_q - posted_q == metas && metas <= 32'(Depth))
  // responses are taken for the oldest burst shown, with its number of lines
  `PROVE(AnswersInOrder_A, 1'b1, mirrored && bursts_q <= 32'(MaxOutstanding) &&
         bursts_q + 32'(fresh) <= 32'(MaxOutstanding) &&
         32'((AnswerBits + 1)'(answer_write - answer_read)) == bursts_q + 32'(fresh))
  // [LIFE-005] after an error response nothing more counts as written until the device starts over
  `PROVE(FailedAgrees_A, 1'b1, failed == failed_q)

  // [RING-013] without PUBLISH_TAILS no index is stored: the publisher rests
  `PROVE(PublisherRests_A, 1'b1, u_dut.u_index_publisher.state_q == 2'd0 &&
         !u_dut.u_index_publisher.unpublished_q && !u_dut.u_index_publisher.failed_q)

  // the data that are still to be sent belong to the youngest bursts that are not answered, and those
  // that were sent before are as many as wait for their response
  `PROVE(DataBeforeResponse_A, 1'b1, jobs_agree && jobs <= bursts_q + 32'(fresh) &&
         bursts_q + 32'(fresh) - jobs == written_q + 32'(wvalid && wlast) &&
         written_q <= 32'(MaxOutstanding))
  // every line of a burst that is shown or waits is in the buffer until it was sent
  `PROVE(LinesThere_A, 1'b1, lines + 32'(u_dut.beats_q) ==
         job_lines + waiting + 32'(u_dut.open_lines_q) && lines <= metas &&
         (jobs == 32'd0 ? u_dut.beats_q == 7'd0 :
          u_dut.beats_q < u_dut.u_jobs.mem[AnswerBits'(job_read)][6:0]))

  // bursts are INCR, of 1 to MaxBurst whole lines, with one ID, and cross no 4 KiB boundary (AXI,
  // A3.4.1)
  `PROVE(BurstLegal_A, awvalid, 32'(awlen) < 32'(MaxBurst) && awsize == 3'd6 &&
         awburst == 2'b01 && awid == '0 && !awlock && awaddr[5:0] == '0 &&
         32'(awaddr[11:6]) + 32'(awlen) < 32'd64)
  // so are those that wait to be sent
  `PROVE(WaitingLegal_A, 1'b1, waiting_legal && 3'(wait_write - wait_read) <= 3'd4)
  // and the one that is being gathered; it is full where its page ends
  `PROVE(OpenLegal_A, u_dut.open_lines_q != 7'd0,
         burst_legal({u_dut.open_line_q, u_dut.open_lines_q}) &&
         (u_dut.open_full_q || (32'(u_dut.open_lines_q) < 32'(MaxBurst) &&
          32'(u_dut.open_line_q[11:6]) + 32'(u_dut.open_lines_q) < 32'd64)))
  // [RING-001] a burst that is being gathered is followed in memory by the ring's next slot
  `PROVE(Contiguous_A, u_dut.open_lines_q != 7'd0 && !u_dut.open_full_q,
         next_line(u_dut.open_reward_q) == u_dut.open_line_q + 58'(u_dut.open_lines_q))
  // a request stays, unchanged, until it is taken (AXI, A3.2.1)
  `PROVE(RequestStays_A, past_aw_waits_q,
         awvalid && awaddr == past_awaddr_q && awlen == past_awlen_q)
  // so do data
  `PROVE(DataStay_A, past_w_waits_q, wvalid && {wlast, wdata} == past_w_q)
  // [DESC-015] [LIFE-004] a line is written whole: every byte of it is enabled
  `PROVE(WholeLines_A, wvalid, wstrb == '1)
  // [LIFE-004] an aborted writer starts no write
  `PROVE(AbortStartsNothing_A, past_rst_q && past_abort_q, !fresh)
  // [LIFE-004] [LIFE-005] a writer that stops, fails or is aborted takes no completion
  `PROVE(StoppedTakesNothing_A, stopped_i || abort_i || failed, !ready)

  // a burst of several lines is sent
  `REACH(LongBurst_C, awvalid && awlen != 8'd0)
  // [LIFE-005] a burst is answered with an error
  `REACH(Fails_C, answer && bresp_i[1] && oldest == 7'd2)
  // [RING-005] a completion waits for the host
  `REACH(Waits_C, stall && used_q && done_index != done_head_i)

endmodule

`default_nettype wire
