// SPDX-License-Identifier: Apache-2.0
//
// Writes completions to the done ring and the reward ring in memory, and posts each one after the
// good response to its write.
//
// Rules: RING-002, RING-003, RING-005 and RING-008 (a completion without room in its ring waits,
// and all later ones with it), RING-009, CNT-001 (post_o), RING-013 with index_publisher,
// LIFE-004 (what was started is finished, nothing is started with abort_i), LIFE-005 for writes.
//
// ring_room has the next index of each ring and its room; burst_gather makes bursts of up to MaxBurst
// lines; axi_write_engine writes them in order; a good response has their lines posted, one a cycle.
//
// An error response stops everything (failed_o): bursts in flight are finished, lines that are not
// known to be written are not posted, and the rest is dropped, to be fetched and executed again. If
// the burst had one line the error is final (fatal_o); otherwise its lines are written again in
// bursts of one, and repaired_o pulses if none of them fails.
`default_nettype none
`include "hw_macros.svh"

module comp_writer
  import hw_desc_pkg::*;
#(
    // Lines not yet posted, a power of two; lines in a burst; bursts in flight, a power of two.
    parameter int Depth          = 64,
    parameter int MaxBurst       = 8,
    parameter int MaxOutstanding = 16,
    parameter int IdWidth        = 4,
    // Bits of the data bus: 128, 256 or 512.
    parameter int DataWidth      = 512
) (
    // Clock and synchronous active-low reset; index of the first completion of both rings.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    // Return to the tails and accept nothing; only with nothing in flight.
    input wire logic                 stopped_i,
    // Start no further write.
    input wire logic                 abort_i,
    // Modes: store indices in memory (CTRL.PUBLISH_TAILS), use the reward ring (CTRL.SPLIT_REWARD).
    input wire logic                 publish_tails_i,
    input wire logic                 split_reward_i,
    // Line addresses of slot 0 of each ring; log2 of the slots; indices that the host has read.
    input wire logic [         63:6] cmd_line_i,
    input wire logic [         63:6] done_line_i,
    input wire logic [         63:6] reward_line_i,
    input wire logic [          7:0] done_log2_i,
    input wire logic [          7:0] reward_log2_i,
    input wire logic [         31:0] done_head_i,
    input wire logic [         31:0] reward_head_i,
    // Next index of each ring.
    output logic     [         31:0] done_index_o,
    output logic     [         31:0] reward_index_o,
    // Completions, each sealed for the next index of its ring, with its counts of tokens and
    // errors.
    input wire logic                 valid_i,
    output logic                     ready_o,
    input wire logic                 to_reward_i,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [         31:0] tokens_i,
    input wire logic                 error_i,
    // Posted completions: the indices; a pulse for each, with its error and its tokens.
    output logic     [         31:0] cmd_head_o,
    output logic     [         31:0] done_tail_o,
    output logic     [         31:0] reward_tail_o,
    output logic                     post_o,
    output logic                     post_error_o,
    output logic     [         31:0] post_tokens_o,
    // The host may be told of what is posted.
    output logic                     announce_o,
    // A completion waits for room in its ring.
    output logic                     stall_o,
    // A write failed; the error is final; a failed burst was written again without an error.
    output logic                     failed_o,
    output logic                     fatal_o,
    output logic                     repaired_o,
    // Every accepted completion is posted and published, or dropped after an error; bus idle.
    output logic                     drained_o,
    // No write is in flight.
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
    output logic     [DataWidth-1:0] m_axi_wdata,
    output logic   [DataWidth/8-1:0] m_axi_wstrb,
    output logic                     m_axi_wlast,
    output logic                     m_axi_wvalid,
    input wire logic                 m_axi_wready,
    input wire logic [  IdWidth-1:0] m_axi_bid,
    input wire logic [          1:0] m_axi_bresp,
    input wire logic                 m_axi_bvalid,
    output logic                     m_axi_bready
);

  localparam int CountBits = $clog2(Depth + 1);

  logic failed_q, fatal_q, publish_failed, publisher_settled, stop;
  // Lines of a failed burst that are still to be posted one by one.
  logic [6:0] single_left_q;

  assign stop = failed_o || abort_i;

  // ---------------------------------------------------------------- accepting completions

  localparam int SlotBits = 32'(RING_LOG2_MAX);

  // Of the next index of each ring, in force with settled_q.
  logic [31:0] done_index, reward_index;
  logic [SlotBits-1:0] done_mask, reward_mask;
  logic done_full, reward_full, done_last, reward_last;
  logic limits_q, settled_q, room, accept, info_ready, burst_ready, last_of_run;

  ring_room u_done_room (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(first_index_i),
      .restart_i    (stopped_i),
      .tail_i       (done_tail_o),
      .log2_i       (done_log2_i),
      .head_i       (done_head_i[SlotBits:0]),
      .base_i       (done_line_i[11:6]),
      .take_i       (accept && !to_reward_i),
      .index_o      (done_index),
      .mask_o       (done_mask),
      .full_o       (done_full),
      .last_o       (done_last)
  );

  ring_room u_reward_room (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(first_index_i),
      .restart_i    (stopped_i),
      .tail_i       (reward_tail_o),
      .log2_i       (reward_log2_i),
      .head_i       (reward_head_i[SlotBits:0]),
      .base_i       (reward_line_i[11:6]),
      .take_i       (accept && to_reward_i),
      .index_o      (reward_index),
      .mask_o       (reward_mask),
      .full_o       (reward_full),
      .last_o       (reward_last)
  );

  always_ff @(posedge clk_i) begin
    limits_q  <= rst_ni;
    settled_q <= rst_ni && limits_q && !stopped_i;
  end

  assign room        = !(to_reward_i ? reward_full : done_full);
  assign last_of_run = to_reward_i ? reward_last : done_last;
  assign ready_o     = room && settled_q && info_ready && burst_ready && !stop && !stopped_i;
  assign accept      = valid_i && ready_o;
  assign stall_o     = valid_i && !room && settled_q && !stop && !stopped_i;

  // ---------------------------------------------------------------- gathering bursts

  logic [63:6] burst_line;
  logic [6:0] burst_limit, burst_lines;
  logic burst_valid, burst_sent;

  assign burst_limit = single_left_q != 7'd0 ? 7'd1 : 7'(MaxBurst);

  burst_gather u_burst_gather (
      .clk_i         (clk_i),
      .rst_ni        (rst_ni),
      .restart_i     (stopped_i),
      .stop_i        (stop),
      .done_line_i   (done_line_i),
      .reward_line_i (reward_line_i),
      .done_index_i  (done_index[SlotBits-1:0]),
      .reward_index_i(reward_index[SlotBits-1:0]),
      .done_mask_i   (done_mask),
      .reward_mask_i (reward_mask),
      .accept_i      (accept),
      .to_reward_i   (to_reward_i),
      .last_i        (last_of_run),
      .limit_i       (burst_limit),
      .ready_o       (burst_ready),
      .valid_o       (burst_valid),
      .sent_i        (burst_sent),
      .line_o        (burst_line),
      .lines_o       (burst_lines)
  );

  // ---------------------------------------------------------------- writing

  logic word_valid, req_valid, req_ready, sent, line_space, line_valid, line_ready;
  logic [63:6] word_line;
  logic [31:0] word;
  logic [DESC_BITS-1:0] line_data;
  logic resp_valid, resp_word, resp_error, lines_written, lines_failed;
  logic [6:0] resp_lines;

  // Lines of accepted completions that are not sent.
  sync_fifo #(
      .Width        (DESC_BITS),
      .Depth        (Depth),
      .ZeroWhenEmpty(1'b0)
  ) u_line_fifo (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !stopped_i),
      .push_i (accept),
      .ready_o(line_space),
      .data_i (data_i),
      .pop_i  (line_ready),
      .valid_o(line_valid),
      .data_o (line_data)
  );

  // Index words go first: the host waits for them.
  assign req_valid  = (word_valid || (burst_valid && !failed_o)) && !abort_i;
  assign sent       = req_valid && req_ready;
  assign burst_sent = sent && !word_valid;

  axi_write_engine #(
      .MaxOutstanding(MaxOutstanding),
      .IdWidth       (IdWidth),
      .DataWidth     (DataWidth)
  ) u_axi_write_engine (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .req_valid_i  (req_valid),
      .req_ready_o  (req_ready),
      .req_word_i   (word_valid),
      .req_line_i   (word_valid ? word_line : burst_line),
      .req_lines_i  (burst_lines),
      .line_valid_i (line_valid),
      .line_ready_o (line_ready),
      .line_data_i  (line_data),
      .word_i       (word),
      .resp_valid_o (resp_valid),
      .resp_word_o  (resp_word),
      .resp_error_o (resp_error),
      .resp_lines_o (resp_lines),
      .idle_o       (bus_idle_o),
      .m_axi_awid   (m_axi_awid),
      .m_axi_awaddr (m_axi_awaddr),
      .m_axi_awlen  (m_axi_awlen),
      .m_axi_awsize (m_axi_awsize),
      .m_axi_awburst(m_axi_awburst),
      .m_axi_awlock (m_axi_awlock),
      .m_axi_awcache(m_axi_awcache),
      .m_axi_awprot (m_axi_awprot),
      .m_axi_awvalid(m_axi_awvalid),
      .m_axi_awready(m_axi_awready),
      .m_axi_wdata  (m_axi_wdata),
      .m_axi_wstrb  (m_axi_wstrb),
      .m_axi_wlast  (m_axi_wlast),
      .m_axi_wvalid (m_axi_wvalid),
      .m_axi_wready (m_axi_wready),
      .m_axi_bid    (m_axi_bid),
      .m_axi_bresp  (m_axi_bresp),
      .m_axi_bvalid (m_axi_bvalid),
      .m_axi_bready (m_axi_bready)
  );

  // ---------------------------------------------------------------- responses

  assign lines_written = resp_valid && !resp_word && !resp_error && !failed_q;
  assign lines_failed  = resp_valid && !resp_word && resp_error && !failed_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stopped_i) begin
      failed_q <= 1'b0;
      fatal_q  <= 1'b0;
    end else if (lines_failed) begin
      failed_q <= 1'b1;
      fatal_q  <= resp_lines == 7'd1;
    end
  end

  assign failed_o = failed_q || publish_failed;
  assign fatal_o  = fatal_q || publish_failed;

  // ---------------------------------------------------------------- posting

  // Lines that are written and not posted.
  logic [CountBits-1:0] written_q;
  logic info_valid, info_reward, info_error;
  logic [31:0] info_tokens;
  logic [31:0] cmd_head_q, done_tail_q, reward_tail_q;

  // Ring, error and tokens of the completions that are not posted.
  sync_fifo #(
      .Width(1 + 1 + 32),
      .Depth(Depth)
  ) u_info_fifo (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !stopped_i),
      .push_i (accept),
      .ready_o(info_ready),
      .data_i ({to_reward_i, error_i, tokens_i}),
      .pop_i  (post_o),
      .valid_o(info_valid),
      .data_o ({info_reward, info_error, info_tokens})
  );

  assign post_o        = written_q != '0;
  assign post_error_o  = post_o && info_error;
  assign post_tokens_o = post_o ? info_tokens : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      written_q <= '0;
    end else begin
      written_q <= written_q + (lines_written ? CountBits'(resp_lines) : '0) - CountBits'(post_o);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      cmd_head_q    <= first_index_i;
      done_tail_q   <= first_index_i;
      reward_tail_q <= first_index_i;
    end else if (post_o) begin
      cmd_head_q <= cmd_head_q + 32'd1;
      if (info_reward) begin
        reward_tail_q <= reward_tail_q + 32'd1;
      end else begin
        done_tail_q <= done_tail_q + 32'd1;
      end
    end
  end

  // Lines written before the failed burst may be posted after the error; they do not count here.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      single_left_q <= '0;
    end else if (lines_failed) begin
      single_left_q <= resp_lines == 7'd1 ? 7'd0 : resp_lines;
    end else if (post_o && !failed_q && single_left_q != 7'd0) begin
      single_left_q <= single_left_q - 7'd1;
    end
  end

  assign repaired_o     = post_o && !failed_q && single_left_q == 7'd1;
  assign cmd_head_o     = cmd_head_q;
  assign done_tail_o    = done_tail_q;
  assign reward_tail_o  = reward_tail_q;
  assign done_index_o   = done_index;
  assign reward_index_o = reward_index;

  // ---------------------------------------------------------------- indices in memory

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
      .ready_i      (sent && word_valid),
      .line_o       (word_line),
      .word_o       (word),
      .done_i       (resp_valid && resp_word),
      .error_i      (resp_error),
      .announce_o   (announce_o),
      .settled_o    (publisher_settled),
      .failed_o     (publish_failed)
  );

  assign drained_o = bus_idle_o && written_q == '0 && publisher_settled &&
      (!info_valid || failed_o);

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(BurstLegal_A, MaxBurst >= 1 && MaxBurst <= 64 && MaxBurst <= Depth,
                  "MaxBurst must be 1 to 64 lines, and at most Depth")
  `HW_ASSERT(RingLegal_A,
             abort_i || (done_index - done_head_i <= 32'd1 << RING_LOG2_MAX &&
                         reward_index - reward_head_i <= 32'd1 << RING_LOG2_MAX),
             "no completion is written where the host has not made room (RING-005)")
  `HW_ASSERT(TailsAgree_A,
             cmd_head_q - reward_tail_q == done_tail_q - first_index_i,
             "as many descriptors are complete as completions are posted (RING-006)")
  `HW_ASSERT(PostAccepted_A, !post_o || info_valid,
             "only an accepted completion is posted")
  `HW_ASSERT(LinesKept_A, line_space || !info_ready, "there is a place for each accepted line")
  `HW_ASSERT(DataThere_A, !line_ready || line_valid, "a burst is sent with all its lines")
  `HW_ASSERT(StoppedIdle_A, !stopped_i || (bus_idle_o && written_q == '0),
             "the writer restarts only with nothing in flight")
`endif

endmodule

`default_nettype wire
