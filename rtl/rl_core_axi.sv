// SPDX-License-Identifier: Apache-2.0
//
// What runs the rings in memory, under the registers: fetches descriptors, executes them, writes
// completions.
//
// Rules: LIFE-003 to LIFE-005 and LIFE-007 with run_control, CNT-001 (post_o and its counts).
//
// run_control; desc_fetch -> desc_pipeline -> comp_writer. The read channels belong to desc_fetch,
// the write channels to comp_writer.
`default_nettype none
`include "hw_macros.svh"

module rl_core_axi
  import hw_desc_pkg::*;
#(
    // Workers, 1 to 16.
    parameter int WorkerCount      = 8,
    // Lines prefetched, a power of two; lines in a read burst; read bursts in flight.
    parameter int PrefetchDepth    = 64,
    parameter int ReadBurst        = 8,
    parameter int ReadOutstanding  = 8,
    // Completions not yet posted, a power of two; lines in a write burst; write bursts in flight, a
    // power of two.
    parameter int WriteDepth       = 64,
    parameter int WriteBurst       = 8,
    parameter int WriteOutstanding = 16,
    parameter int IdWidth          = 4,
    // Bits of the data bus: 128, 256 or 512.
    parameter int DataWidth        = 512
) (
    // Clock and synchronous active-low reset, also for a soft reset once the bus is idle; index of the
    // first descriptor and completion.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic [         31:0] first_index_i,
    // From the registers: CTRL, a soft reset that waits for the bus; the published tail, heads, log2
    // of the slots, lines of slot 0.
    input wire logic                 enable_i,
    input wire logic                 resume_i,
    input wire logic                 soft_reset_i,
    input wire logic                 require_checked_i,
    input wire logic                 split_reward_i,
    input wire logic                 publish_tails_i,
    input wire logic [         31:0] cmd_tail_i,
    input wire logic [         31:0] done_head_i,
    input wire logic [         31:0] reward_head_i,
    input wire logic [          7:0] cmd_log2_i,
    input wire logic [          7:0] done_log2_i,
    input wire logic [          7:0] reward_log2_i,
    input wire logic [         63:6] cmd_line_i,
    input wire logic [         63:6] done_line_i,
    input wire logic [         63:6] reward_line_i,
    // To the registers: indices; halted; something is in flight; a posting with its error and tokens,
    // and a completion that waits, each a cycle late; the host may be told; an error on the bus.
    output logic     [         31:0] cmd_head_o,
    output logic     [         31:0] done_tail_o,
    output logic     [         31:0] reward_tail_o,
    output logic                     halted_o,
    output logic                     busy_o,
    output logic                     post_o,
    output logic                     post_error_o,
    output logic     [         31:0] post_tokens_o,
    output logic                     stall_o,
    output logic                     announce_o,
    output logic                     bus_error_o,
    // No request is in flight.
    output logic                     bus_idle_o,
    // AXI4: rings in memory.
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
    output logic                     m_axi_bready,
    output logic     [  IdWidth-1:0] m_axi_arid,
    output logic     [         63:0] m_axi_araddr,
    output logic     [          7:0] m_axi_arlen,
    output logic     [          2:0] m_axi_arsize,
    output logic     [          1:0] m_axi_arburst,
    output logic                     m_axi_arlock,
    output logic     [          3:0] m_axi_arcache,
    output logic     [          2:0] m_axi_arprot,
    output logic                     m_axi_arvalid,
    input wire logic                 m_axi_arready,
    input wire logic [  IdWidth-1:0] m_axi_rid,
    input wire logic [DataWidth-1:0] m_axi_rdata,
    input wire logic [          1:0] m_axi_rresp,
    input wire logic                 m_axi_rlast,
    input wire logic                 m_axi_rvalid,
    output logic                     m_axi_rready
);

  logic fetch, accept, stopped;
  logic fetch_idle, fetch_valid, fetch_ready, fetch_error;
  logic [DESC_BITS-1:0] fetch_data;
  logic [31:0] fetch_index;

  logic pipe_valid, pipe_ready, pipe_error, pipe_to_reward, pipe_pending, pipe_busy, stop_done;
  logic [DESC_BITS-1:0] pipe_data;
  logic [31:0] pipe_tokens;
  logic [31:0] done_index, reward_index;

  logic write_failed, write_fatal, write_repaired, write_drained, write_idle;
  logic post, post_error, stall;
  logic [31:0] post_tokens;

  assign bus_idle_o = fetch_idle && write_idle;

  // The counters add in a cycle of their own, the one after the tail has moved or a completion has
  // stalled. What a soft reset meets here finds them in reset.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      post_o        <= 1'b0;
      post_error_o  <= 1'b0;
      post_tokens_o <= '0;
      stall_o       <= 1'b0;
    end else begin
      post_o        <= post;
      post_error_o  <= post_error;
      post_tokens_o <= post_tokens;
      stall_o       <= stall;
    end
  end

  run_control u_run_control (
      .clk_i           (clk_i),
      .rst_ni          (rst_ni),
      .enable_i        (enable_i),
      .resume_i        (resume_i),
      .soft_reset_i    (soft_reset_i),
      .fetch_idle_i    (fetch_idle),
      .fetch_error_i   (fetch_error),
      .pending_i       (pipe_pending),
      .busy_i          (pipe_busy),
      .stop_done_i     (stop_done),
      .write_failed_i  (write_failed),
      .write_fatal_i   (write_fatal),
      .write_repaired_i(write_repaired),
      .write_drained_i (write_drained),
      .fetch_o         (fetch),
      .accept_o        (accept),
      .stopped_o       (stopped),
      .halted_o        (halted_o),
      .busy_o          (busy_o),
      .bus_error_o     (bus_error_o)
  );

  desc_fetch #(
      .Depth         (PrefetchDepth),
      .MaxBurst      (ReadBurst),
      .MaxOutstanding(ReadOutstanding),
      .IdWidth       (IdWidth),
      .DataWidth     (DataWidth)
  ) u_desc_fetch (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .run_i        (fetch),
      .flush_i      (stopped),
      .idle_o       (fetch_idle),
      .cmd_head_i   (cmd_head_o),
      .cmd_tail_i   (cmd_tail_i),
      .cmd_log2_i   (cmd_log2_i),
      .cmd_line_i   (cmd_line_i),
      .valid_o      (fetch_valid),
      .ready_i      (fetch_ready),
      .data_o       (fetch_data),
      .index_o      (fetch_index),
      .error_o      (fetch_error),
      .m_axi_arid   (m_axi_arid),
      .m_axi_araddr (m_axi_araddr),
      .m_axi_arlen  (m_axi_arlen),
      .m_axi_arsize (m_axi_arsize),
      .m_axi_arburst(m_axi_arburst),
      .m_axi_arlock (m_axi_arlock),
      .m_axi_arcache(m_axi_arcache),
      .m_axi_arprot (m_axi_arprot),
      .m_axi_arvalid(m_axi_arvalid),
      .m_axi_arready(m_axi_arready),
      .m_axi_rid    (m_axi_rid),
      .m_axi_rdata  (m_axi_rdata),
      .m_axi_rresp  (m_axi_rresp),
      .m_axi_rlast  (m_axi_rlast),
      .m_axi_rvalid (m_axi_rvalid),
      .m_axi_rready (m_axi_rready)
  );

  desc_pipeline #(
      .WorkerCount(WorkerCount)
  ) u_desc_pipeline (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni && !stopped),
      .enable_i         (accept),
      // A halt empties the pipeline, so nothing in it waits for RESUME.
      .resume_i         (1'b0),
      .require_checked_i(require_checked_i),
      .split_reward_i   (split_reward_i),
      .valid_i          (fetch_valid),
      .ready_o          (fetch_ready),
      .data_i           (fetch_data),
      .index_i          (fetch_index),
      .done_index_i     (done_index),
      .reward_index_i   (reward_index),
      .valid_o          (pipe_valid),
      .ready_i          (pipe_ready),
      .to_reward_o      (pipe_to_reward),
      .data_o           (pipe_data),
      .tokens_o         (pipe_tokens),
      .error_o          (pipe_error),
      .halted_o         (stop_done),
      .pending_o        (pipe_pending),
      .busy_o           (pipe_busy)
  );

  comp_writer #(
      .Depth         (WriteDepth),
      .MaxBurst      (WriteBurst),
      .MaxOutstanding(WriteOutstanding),
      .IdWidth       (IdWidth),
      .DataWidth     (DataWidth)
  ) u_comp_writer (
      .clk_i          (clk_i),
      .rst_ni         (rst_ni),
      .first_index_i  (first_index_i),
      .stopped_i      (stopped),
      .abort_i        (soft_reset_i),
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
      .valid_i        (pipe_valid),
      .ready_o        (pipe_ready),
      .to_reward_i    (pipe_to_reward),
      .data_i         (pipe_data),
      .tokens_i       (pipe_tokens),
      .error_i        (pipe_error),
      .cmd_head_o     (cmd_head_o),
      .done_tail_o    (done_tail_o),
      .reward_tail_o  (reward_tail_o),
      .post_o         (post),
      .post_error_o   (post_error),
      .post_tokens_o  (post_tokens),
      .announce_o     (announce_o),
      .stall_o        (stall),
      .failed_o       (write_failed),
      .fatal_o        (write_fatal),
      .repaired_o     (write_repaired),
      .drained_o      (write_drained),
      .bus_idle_o     (write_idle),
      .m_axi_awid     (m_axi_awid),
      .m_axi_awaddr   (m_axi_awaddr),
      .m_axi_awlen    (m_axi_awlen),
      .m_axi_awsize   (m_axi_awsize),
      .m_axi_awburst  (m_axi_awburst),
      .m_axi_awlock   (m_axi_awlock),
      .m_axi_awcache  (m_axi_awcache),
      .m_axi_awprot   (m_axi_awprot),
      .m_axi_awvalid  (m_axi_awvalid),
      .m_axi_awready  (m_axi_awready),
      .m_axi_wdata    (m_axi_wdata),
      .m_axi_wstrb    (m_axi_wstrb),
      .m_axi_wlast    (m_axi_wlast),
      .m_axi_wvalid   (m_axi_wvalid),
      .m_axi_wready   (m_axi_wready),
      .m_axi_bid      (m_axi_bid),
      .m_axi_bresp    (m_axi_bresp),
      .m_axi_bvalid   (m_axi_bvalid),
      .m_axi_bready   (m_axi_bready)
  );

`ifndef SYNTHESIS
  `HW_ASSERT(ReadErrorNamed_A,
             !(bus_error_o && fetch_error && !write_failed && !write_repaired) ||
             fetch_index == cmd_head_o,
             "CMD_HEAD names the descriptor that could not be read (LIFE-005)")
  `HW_ASSERT(BehindTail_A, soft_reset_i || cmd_tail_i - cmd_head_o <= 32'd1 << RING_LOG2_MAX,
             "only published descriptors complete (DB-001)")
`endif

endmodule

`default_nettype wire
