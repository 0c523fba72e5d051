// SPDX-License-Identifier: Apache-2.0
//
// Writes completions to done ring and reward ring in memory, and posts each once its write has been
// answered.
//
// Rules: RING-001, RING-002, RING-003, RING-005 and RING-008 (a completion without room in its ring
// waits, and all later ones with it), RING-009, CNT-001 (post_o), RING-013 with index_publisher,
// LIFE-004 (what was started is finished, nothing is started with abort_i), LIFE-005 for writes.
//
// Completions that follow each other in a ring are gathered into INCR bursts of up to MaxBurst whole
// lines, which cross neither a 4 KiB boundary nor the end of the ring; a burst is closed as soon as
// none comes in and none waits to be sent. Up to MaxOutstanding bursts are under way, all with one
// ID, so responses come in order; each lets the lines of its burst be posted, one a cycle.
//
// An error response stops everything (failed_o): what is under way is finished, lines of it that are
// not known to be good are not posted, and the rest is dropped, to be fetched and executed again.
// If the burst had one line the error is final (fatal_o); else its lines are written again in bursts
// of one, and repaired_o says if none of them fails. stopped_i brings the writer back to its tails.
`default_nettype none
`include "hw_macros.svh"

module comp_writer
  import hw_desc_pkg::*;
#(
    // Lines not yet posted, a power of two; lines in a burst; bursts under way, a power of two.
    parameter int Depth          = 64,
    parameter int MaxBurst       = 8,
    parameter int MaxOutstanding = 16,
    parameter int IdWidth        = 4
) (
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    // Nothing is under way and nothing may come in; go back to the tails.
    input wire logic                 stopped_i,
    // Start nothing any more.
    input wire logic                 abort_i,
    input wire logic                 publish_tails_i,
    input wire logic                 split_reward_i,
    // Addresses of the rings' slots 0, in lines.
    input wire logic [         63:6] cmd_line_i,
    input wire logic [         63:6] done_line_i,
    input wire logic [         63:6] reward_line_i,
    input wire logic [          7:0] done_log2_i,
    input wire logic [          7:0] reward_log2_i,
    input wire logic [         31:0] done_head_i,
    input wire logic [         31:0] reward_head_i,
    // Completions, each sealed for the next index of its ring.
    output logic     [         31:0] done_index_o,
    output logic     [         31:0] reward_index_o,
    input wire logic                 valid_i,
    output logic                     ready_o,
    input wire logic                 to_reward_i,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [          5:0] tokens_i,
    input wire logic                 error_i,
    // What is posted.
    output logic     [         31:0] cmd_head_o,
    output logic     [         31:0] done_tail_o,
    output logic     [         31:0] reward_tail_o,
    output logic                     post_o,
    output logic                     post_error_o,
    output logic     [          5:0] post_tokens_o,
    output logic                     announce_o,
    output logic                     stall_o,
    // Errors.
    output logic                     failed_o,
    output logic                     fatal_o,
    output logic                     repaired_o,
    // Everything taken is posted and published, or dropped after an error; the bus is at rest.
    output logic                     drained_o,
    output logic                     bus_idle_o,
    // AXI4, write channels.
    output logic     [  IdWidth-1:0] m_axi_awid,
    output logic     [         63:0] m_axi_awaddr,
    output logic     [          7:0] m_axi_awlen,
    output logic     [          2:0] m_axi_awsize,
    output logic     [          1:0] m_axi_awburst,
    output logic                     m_axi_awlock,
    output logic     [          3:0] m_axi_awcache,
    output logic     [          2:0] m_axi_awprot,
    output logic                     m_axi_awvalid,
    input wire logic                 m_axi_awready,
    output logic     [DESC_BITS-1:0] m_axi_wdata,
    output logic     [         63:0] m_axi_wstrb,
    output logic                     m_axi_wlast,
    output logic                     m_axi_wvalid,
    input wire logic                 m_axi_wready,
    input wire logic [  IdWidth-1:0] m_axi_bid,
    input wire logic [          1:0] m_axi_bresp,
    input wire logic                 m_axi_bvalid,
    output logic                     m_axi_bready
);

  localparam int LineBits = $clog2(DESC_BYTES);
  localparam int AckBits = $clog2(Depth + 1);
  localparam int BurstDepth = 4;
  localparam int WordBytes = 4;

  logic failed_q, fatal_q, word_failed, stop;
  // Lines of a burst with an error that are still to be posted one by one.
  logic [6:0] single_left_q;

  assign stop = failed_o || abort_i;

  // ---------------------------------------------------------------- taking completions

  logic [31:0] done_index_q, reward_index_q;
  logic [31:0] index, head, ring_size, slot;
  logic [63:LineBits] line;
  logic room, take, meta_ready, burst_ready, last_of_run;

  assign index     = to_reward_i ? reward_index_q : done_index_q;
  assign head      = to_reward_i ? reward_head_i : done_head_i;
  assign ring_size = 32'd1 << (to_reward_i ? reward_log2_i : done_log2_i);
  assign slot      = index & (ring_size - 32'd1);
  assign line      = (to_reward_i ? reward_line_i : done_line_i) + 58'(slot);
  assign room      = index - head < ring_size;
  // The next line of the ring does not lie behind this one in memory, or in another page.
  assign last_of_run = slot == ring_size - 32'd1 || &line[11:LineBits];

  assign ready_o = room && meta_ready && burst_ready && !stop && !stopped_i;
  assign take    = valid_i && ready_o;
  assign stall_o = valid_i && !room && !stop && !stopped_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      done_index_q   <= first_index_i;
      reward_index_q <= first_index_i;
    end else if (stopped_i) begin
      done_index_q   <= done_tail_o;
      reward_index_q <= reward_tail_o;
    end else if (take) begin
      if (to_reward_i) begin
        reward_index_q <= reward_index_q + 32'd1;
      end else begin
        done_index_q <= done_index_q + 32'd1;
      end
    end
  end

  // ---------------------------------------------------------------- gathering bursts

  logic [63:LineBits] open_line_q;
  logic [6:0] open_lines_q, burst_limit, lines_with_this;
  logic open_reward_q, open_full_q;
  logic append, close, burst_valid, send_burst;
  logic [63:LineBits] burst_line;
  logic [6:0] burst_lines;
  logic [58+7-1:0] burst_head;

  assign burst_limit     = single_left_q != 7'd0 ? 7'd1 : 7'(MaxBurst);
  assign append          = take && open_lines_q != 7'd0 && !open_full_q &&
      open_reward_q == to_reward_i;
  assign lines_with_this = append ? open_lines_q + 7'd1 : 7'd1;
  assign close           = open_lines_q != 7'd0 && burst_ready && !stop &&
      (take ? !append : open_full_q || !burst_valid);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stopped_i) begin
      open_lines_q <= 7'd0;
      open_full_q  <= 1'b0;
    end else if (take) begin
      open_lines_q <= lines_with_this;
      open_full_q  <= last_of_run || lines_with_this >= burst_limit;
    end else if (close) begin
      open_lines_q <= 7'd0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (take && !append) begin
      open_line_q   <= line;
      open_reward_q <= to_reward_i;
    end
  end

  sync_fifo #(
      .Width(58 + 7),
      .Depth(BurstDepth)
  ) u_bursts (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !stopped_i),
      .push_i (close),
      .ready_o(burst_ready),
      .data_i ({open_line_q, open_lines_q}),
      .pop_i  (send_burst),
      .valid_o(burst_valid),
      .data_o (burst_head)
  );

  assign burst_line  = burst_head[58+7-1:7];
  assign burst_lines = burst_head[6:0];

  // ---------------------------------------------------------------- requests

  logic word_valid, send_word, send, job_ready, answer_ready;
  logic [63:LineBits] word_line;
  logic [31:0] word;
  logic aw_valid_q;
  logic [63:LineBits] aw_line_q;
  logic [7:0] aw_len_q;
  logic may_send;

  assign may_send   = (!aw_valid_q || m_axi_awready) && job_ready && answer_ready && !abort_i;
  assign send_word  = may_send && word_valid;
  assign send_burst = may_send && !word_valid && burst_valid && !failed_o;
  assign send       = send_word || send_burst;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_valid_q <= 1'b0;
    end else if (!aw_valid_q || m_axi_awready) begin
      aw_valid_q <= send;
    end
  end

  always_ff @(posedge clk_i) begin
    if (send) begin
      aw_line_q <= send_word ? word_line : burst_line;
      aw_len_q  <= send_word ? 8'd0 : 8'(burst_lines) - 8'd1;
    end
  end

  assign m_axi_awid    = '0;
  assign m_axi_awaddr  = aw_valid_q ? {aw_line_q, LineBits'(0)} : '0;
  assign m_axi_awlen   = aw_valid_q ? aw_len_q : '0;
  assign m_axi_awsize  = 3'(LineBits);
  assign m_axi_awburst = 2'b01;
  assign m_axi_awlock  = 1'b0;
  // Normal, non-cacheable, non-bufferable: the response comes from the memory itself.
  assign m_axi_awcache = 4'b0010;
  assign m_axi_awprot  = 3'b010;
  assign m_axi_awvalid = aw_valid_q;

  // ---------------------------------------------------------------- data

  logic job_valid, job_word, job_last, beat, line_valid, line_ready;
  logic [6:0] job_lines, beats_q;
  logic [7:0] job_head;
  logic [DESC_BITS-1:0] line_data;
  logic w_valid_q, w_last_q, w_word_q;
  logic [DESC_BITS-1:0] w_data_q;

  sync_fifo #(
      .Width(1 + 7),
      .Depth(MaxOutstanding)
  ) u_jobs (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .push_i (send),
      .ready_o(job_ready),
      .data_i ({send_word, send_word ? 7'd1 : burst_lines}),
      .pop_i  (beat && job_last),
      .valid_o(job_valid),
      .data_o (job_head)
  );

  sync_fifo #(
      .Width(DESC_BITS),
      .Depth(Depth)
  ) u_lines (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !stopped_i),
      .push_i (take),
      .ready_o(line_ready),
      .data_i (data_i),
      .pop_i  (beat && !job_word),
      .valid_o(line_valid),
      .data_o (line_data)
  );

  assign job_word  = job_head[7];
  assign job_lines = job_head[6:0];
  assign job_last  = beats_q + 7'd1 == job_lines;
  assign beat      = job_valid && (!w_valid_q || m_axi_wready);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      w_valid_q <= 1'b0;
      beats_q   <= '0;
    end else begin
      if (!w_valid_q || m_axi_wready) begin
        w_valid_q <= beat;
      end
      if (beat) begin
        beats_q <= job_last ? '0 : beats_q + 7'd1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (beat) begin
      w_data_q <= job_word ? DESC_BITS'(word) : line_data;
      w_last_q <= job_last;
      w_word_q <= job_word;
    end
  end

  assign m_axi_wvalid = w_valid_q;
  assign m_axi_wdata  = w_valid_q ? w_data_q : '0;
  assign m_axi_wstrb  = !w_valid_q ? '0 : (w_word_q ? 64'(2 ** WordBytes - 1) : '1);
  assign m_axi_wlast  = w_valid_q && w_last_q;

  // ---------------------------------------------------------------- responses

  logic answer, answer_valid, answer_word, answer_error, lines_written, lines_failed;
  logic [6:0] answer_lines;
  logic [7:0] answer_head;
  /* verilator lint_off UNUSEDSIGNAL */
  // One ID for all writes; that BRESP is no error is its upper bit.
  logic unused_b;
  /* verilator lint_on UNUSEDSIGNAL */
  assign unused_b = ^{m_axi_bid, m_axi_bresp[0]};

  sync_fifo #(
      .Width(1 + 7),
      .Depth(MaxOutstanding)
  ) u_answers (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .push_i (send),
      .ready_o(answer_ready),
      .data_i ({send_word, send_word ? 7'd1 : burst_lines}),
      .pop_i  (answer),
      .valid_o(answer_valid),
      .data_o (answer_head)
  );

  assign m_axi_bready  = answer_valid;
  assign answer        = m_axi_bvalid && m_axi_bready;
  assign answer_word   = answer_head[7];
  assign answer_lines  = answer_head[6:0];
  assign answer_error  = m_axi_bresp[1];
  assign lines_written = answer && !answer_word && !answer_error && !failed_q;
  assign lines_failed  = answer && !answer_word && answer_error && !failed_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stopped_i) begin
      failed_q <= 1'b0;
      fatal_q  <= 1'b0;
    end else if (lines_failed) begin
      failed_q <= 1'b1;
      fatal_q  <= answer_lines == 7'd1;
    end
  end

  assign failed_o = failed_q || word_failed;
  assign fatal_o  = fatal_q || word_failed;

  // ---------------------------------------------------------------- posting

  logic [AckBits-1:0] written_q;
  logic meta_valid, meta_reward, meta_error;
  logic [5:0] meta_tokens;
  logic [7:0] meta_head;
  logic [31:0] cmd_head_q, done_tail_q, reward_tail_q;

  sync_fifo #(
      .Width(1 + 1 + 6),
      .Depth(Depth)
  ) u_metas (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !stopped_i),
      .push_i (take),
      .ready_o(meta_ready),
      .data_i ({to_reward_i, error_i, tokens_i}),
      .pop_i  (post_o),
      .valid_o(meta_valid),
      .data_o (meta_head)
  );

  assign {meta_reward, meta_error, meta_tokens} = meta_head;
  assign post_o        = written_q != '0;
  assign post_error_o  = post_o && meta_error;
  assign post_tokens_o = post_o ? meta_tokens : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      written_q <= '0;
    end else begin
      written_q <= written_q + (lines_written ? AckBits'(answer_lines) : '0) - AckBits'(post_o);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      cmd_head_q    <= first_index_i;
      done_tail_q   <= first_index_i;
      reward_tail_q <= first_index_i;
    end else if (post_o) begin
      cmd_head_q <= cmd_head_q + 32'd1;
      if (meta_reward) begin
        reward_tail_q <= reward_tail_q + 32'd1;
      end else begin
        done_tail_q <= done_tail_q + 32'd1;
      end
    end
  end

  // The lines that were answered well before the error are posted after it, and do not count.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      single_left_q <= '0;
    end else if (lines_failed) begin
      single_left_q <= answer_lines == 7'd1 ? 7'd0 : answer_lines;
    end else if (post_o && !failed_q && single_left_q != 7'd0) begin
      single_left_q <= single_left_q - 7'd1;
    end
  end

  assign repaired_o     = post_o && !failed_q && single_left_q == 7'd1;
  assign cmd_head_o     = cmd_head_q;
  assign done_tail_o    = done_tail_q;
  assign reward_tail_o  = reward_tail_q;
  assign done_index_o   = done_index_q;
  assign reward_index_o = reward_index_q;

  // ---------------------------------------------------------------- indices in memory

  logic publisher_settled;

  index_publisher u_index_publisher (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .publish_i    (publish_tails_i),
      .split_i      (split_reward_i),
      .post_i       (post_o),
      .done_tail_i  (done_tail_q),
      .reward_tail_i(reward_tail_q),
      .cmd_head_i   (cmd_head_q),
      .done_line_i  (done_line_i),
      .reward_line_i(reward_line_i),
      .cmd_line_i   (cmd_line_i),
      .restart_i    (stopped_i),
      .valid_o      (word_valid),
      .ready_i      (send_word),
      .line_o       (word_line),
      .word_o       (word),
      .done_i       (answer && answer_word),
      .error_i      (answer_error),
      .announce_o   (announce_o),
      .settled_o    (publisher_settled),
      .failed_o     (word_failed)
  );

  assign bus_idle_o = !answer_valid && !aw_valid_q && !w_valid_q;
  assign drained_o  = bus_idle_o && written_q == '0 && publisher_settled &&
      (!meta_valid || failed_o);

`ifndef SYNTHESIS
  logic past_aw_waits_q, past_w_waits_q;
  logic [63:0] past_awaddr_q;
  logic [7:0] past_awlen_q;
  logic [DESC_BITS-1:0] past_wdata_q;
  logic past_wlast_q;
  always_ff @(posedge clk_i) begin
    past_aw_waits_q <= rst_ni && m_axi_awvalid && !m_axi_awready;
    past_awaddr_q   <= m_axi_awaddr;
    past_awlen_q    <= m_axi_awlen;
    past_w_waits_q  <= rst_ni && m_axi_wvalid && !m_axi_wready;
    past_wdata_q    <= m_axi_wdata;
    past_wlast_q    <= m_axi_wlast;
  end
  `HW_ASSERT_INIT(BurstLegal_A, MaxBurst >= 1 && MaxBurst <= 64 && MaxBurst <= Depth,
                  "MaxBurst must be from 1 to 64 lines, and no more than are kept")
  `HW_ASSERT(RingLegal_A,
             abort_i || (done_index_q - done_head_i <= 32'd1 << RING_LOG2_MAX &&
                         reward_index_q - reward_head_i <= 32'd1 << RING_LOG2_MAX),
             "no completion is written where the host has not made room (RING-005)")
  `HW_ASSERT(TailsAgree_A,
             cmd_head_q - reward_tail_q == done_tail_q - first_index_i,
             "as many descriptors are answered as completions are posted (RING-006)")
  `HW_ASSERT(PostTaken_A, !post_o || meta_valid, "nothing is posted that was not taken")
  `HW_ASSERT(LinesKept_A, line_ready || !meta_ready, "there is a place for each line taken")
  `HW_ASSERT(DataThere_A, !beat || job_word || line_valid, "a burst is sent with all its lines")
  `HW_ASSERT(StoppedIdle_A, !stopped_i || (bus_idle_o && written_q == '0),
             "the writer only starts over with nothing under way")
  `HW_ASSERT(InPage_A,
             !m_axi_awvalid ||
             {1'b0, m_axi_awaddr[11:LineBits]} + m_axi_awlen[6:0] < 7'd64,
             "no burst crosses a 4 KiB boundary")
  `HW_ASSERT(RequestStays_A,
             !past_aw_waits_q || (m_axi_awvalid && m_axi_awaddr === past_awaddr_q &&
                                  m_axi_awlen === past_awlen_q),
             "a write request stays, unchanged, until it is taken")
  `HW_ASSERT(DataStay_A,
             !past_w_waits_q || (m_axi_wvalid && m_axi_wdata === past_wdata_q &&
                                 m_axi_wlast === past_wlast_q),
             "write data stay, unchanged, until they are taken")
`endif

endmodule

`default_nettype wire
