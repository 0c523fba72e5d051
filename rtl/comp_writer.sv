// SPDX-License-Identifier: Apache-2.0
//
// Writes completions to the done ring and the reward ring in memory, and posts each one after the
// good response to its write.
//
// Rules: RING-001, RING-002, RING-003, RING-005 and RING-008 (a completion without room in its ring
// waits, and all later ones with it), RING-009, CNT-001 (post_o), RING-013 with index_publisher,
// LIFE-004 (what was started is finished, nothing is started with abort_i), LIFE-005 for writes.
//
// Consecutive completions of a ring are gathered into bursts of up to MaxBurst whole lines, which
// cross neither a 4 KiB boundary nor the end of the ring; a burst is closed as soon as no
// completion arrives and no other burst waits for the bus. axi_write_engine writes the bursts in
// order; a good response lets the lines of its burst be posted, one a cycle.
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
    parameter int IdWidth        = 4
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

  localparam int CountBits = $clog2(Depth + 1);
  localparam int BurstDepth = 4;

  logic failed_q, fatal_q, publish_failed, publisher_settled, stop;
  // Lines of a failed burst that are still to be posted one by one.
  logic [6:0] single_left_q;

  assign stop = failed_o || abort_i;

  // ---------------------------------------------------------------- accepting completions

  // A ring has at most 2^16 slots: so many bits of an index choose one, and one more tells a full
  // ring from an empty one.
  localparam int SlotBits = 16;

  logic [31:0] done_index_q, reward_index_q;
  // For each ring: which bits of an index choose the slot; the index at which it is full, by what
  // the host had read in the cycle before.
  logic [SlotBits-1:0] done_mask_q, reward_mask_q;
  logic [SlotBits:0] done_limit_q, reward_limit_q;
  // The ring is full for its next index; in force with settled_q.
  logic done_full_q, reward_full_q;
  logic room, accept, info_ready, burst_ready, last_of_run;

  // An index never passes its limit, so that no comparison by size is needed: for this index in bit
  // 0, for the next one in bit 1.
  function automatic logic [1:0] is_full(input logic [SlotBits:0] index,
                                         input logic [SlotBits:0] limit);
    logic [SlotBits:0] left;
    left = limit - index;
    is_full = {left == 17'd1, left == 17'd0};
  endfunction

  logic [1:0] done_fulls, reward_fulls;
  assign done_fulls   = is_full(done_index_q[SlotBits:0], done_limit_q);
  assign reward_fulls = is_full(reward_index_q[SlotBits:0], reward_limit_q);
  assign room         = !(to_reward_i ? reward_full_q : done_full_q);

  // The slot behind that of an index is not the next line of memory, or is in another page: for
  // this index in bit 0, for the next one in bit 1.
  function automatic logic [1:0] ends_run(input logic [SlotBits-1:0] index,
                                          input logic [SlotBits-1:0] mask,
                                          input logic [11:6] base);
    logic [SlotBits-1:0] to_ring_end;
    logic [11:6] page_line;
    to_ring_end = ~index & mask;
    page_line = base + (index[5:0] & mask[5:0]);
    ends_run[0] = to_ring_end == '0 || page_line == 6'd63;
    ends_run[1] = to_ring_end == 16'd1 ||
        (to_ring_end == '0 ? base == 6'd63 : page_line == 6'd62);
  endfunction

  // Those of the next index of each ring, in force with settled_q.
  logic [1:0] done_ends, reward_ends;
  logic done_last_q, reward_last_q, limits_q, settled_q;

  assign done_ends   = ends_run(done_index_q[SlotBits-1:0], done_mask_q, done_line_i[11:6]);
  assign reward_ends = ends_run(reward_index_q[SlotBits-1:0], reward_mask_q, reward_line_i[11:6]);
  assign last_of_run = to_reward_i ? reward_last_q : done_last_q;

  always_ff @(posedge clk_i) begin
    done_full_q   <= done_fulls[accept&&!to_reward_i];
    reward_full_q <= reward_fulls[accept&&to_reward_i];
    done_last_q   <= accept && !to_reward_i ? done_ends[1] : done_ends[0];
    reward_last_q <= accept && to_reward_i ? reward_ends[1] : reward_ends[0];
    settled_q     <= rst_ni && limits_q && !stopped_i;
  end

  always_ff @(posedge clk_i) begin
    for (int i = 0; i < SlotBits; i++) begin
      done_mask_q[i]   <= 32'(done_log2_i) > i;
      reward_mask_q[i] <= 32'(reward_log2_i) > i;
    end
  end

  always_ff @(posedge clk_i) begin
    limits_q       <= rst_ni;
    done_limit_q   <= done_head_i[SlotBits:0] + (17'd1 << done_log2_i);
    reward_limit_q <= reward_head_i[SlotBits:0] + (17'd1 << reward_log2_i);
  end

  assign ready_o = room && settled_q && info_ready && burst_ready && !stop && !stopped_i;
  assign accept  = valid_i && ready_o;
  assign stall_o = valid_i && !room && settled_q && !stop && !stopped_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      done_index_q   <= first_index_i;
      reward_index_q <= first_index_i;
    end else if (stopped_i) begin
      done_index_q   <= done_tail_o;
      reward_index_q <= reward_tail_o;
    end else if (accept) begin
      if (to_reward_i) begin
        reward_index_q <= reward_index_q + 32'd1;
      end else begin
        done_index_q <= done_index_q + 32'd1;
      end
    end
  end

  // ---------------------------------------------------------------- gathering bursts

  // The first slot of the open burst, of which the line is computed when it closes; the upper part
  // of the address where the lower part carries.
  logic [SlotBits-1:0] open_index_q;
  logic [63:6+SlotBits] done_carried_q, reward_carried_q;
  logic [63:6] open_base, open_line, burst_line;
  logic [6+SlotBits:6] open_low;
  logic [6:0] open_lines_q, burst_limit, lines_with_this, burst_lines;
  logic open_reward_q, open_full_q, append, close, burst_valid, burst_sent;

  assign burst_limit     = single_left_q != 7'd0 ? 7'd1 : 7'(MaxBurst);
  assign append          = accept && open_lines_q != 7'd0 && !open_full_q &&
      open_reward_q == to_reward_i;
  assign lines_with_this = append ? open_lines_q + 7'd1 : 7'd1;
  assign close           = open_lines_q != 7'd0 && burst_ready && !stop &&
      (accept ? !append : open_full_q || !burst_valid);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stopped_i) begin
      open_lines_q <= 7'd0;
      open_full_q  <= 1'b0;
    end else if (accept) begin
      open_lines_q <= lines_with_this;
      open_full_q  <= last_of_run || lines_with_this >= burst_limit;
    end else if (close) begin
      open_lines_q <= 7'd0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (accept && !append) begin
      open_index_q  <= to_reward_i ? reward_index_q[SlotBits-1:0] : done_index_q[SlotBits-1:0];
      open_reward_q <= to_reward_i;
    end
  end

  always_ff @(posedge clk_i) begin
    done_carried_q   <= done_line_i[63:6+SlotBits] + 1'b1;
    reward_carried_q <= reward_line_i[63:6+SlotBits] + 1'b1;
  end

  assign open_base = open_reward_q ? reward_line_i : done_line_i;
  assign open_low  = {1'b0, open_base[5+SlotBits:6]} +
      {1'b0, open_index_q & (open_reward_q ? reward_mask_q : done_mask_q)};
  assign open_line = {
    !open_low[6+SlotBits] ? open_base[63:6+SlotBits] :
        (open_reward_q ? reward_carried_q : done_carried_q),
    open_low[5+SlotBits:6]
  };

  // Closed bursts that wait for the bus.
  sync_fifo #(
      .Width(58 + 7),
      .Depth(BurstDepth)
  ) u_burst_fifo (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !stopped_i),
      .push_i (close),
      .ready_o(burst_ready),
      .data_i ({open_line, open_lines_q}),
      .pop_i  (burst_sent),
      .valid_o(burst_valid),
      .data_o ({burst_line, burst_lines})
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
      .Width(DESC_BITS),
      .Depth(Depth)
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
      .IdWidth       (IdWidth)
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
  assign done_index_o   = done_index_q;
  assign reward_index_o = reward_index_q;

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
             abort_i || (done_index_q - done_head_i <= 32'd1 << RING_LOG2_MAX &&
                         reward_index_q - reward_head_i <= 32'd1 << RING_LOG2_MAX),
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
