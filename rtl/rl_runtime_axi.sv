// SPDX-License-Identifier: Apache-2.0
//
// The device with its rings in memory: AXI4-Lite registers, AXI4 reads of descriptors and writes of
// completions, an interrupt.
//
// Rules: sections 1 to 7 of the contract for a host that shares its rings with the device in
// memory. CTRL.RESET waits for the bus to be idle and then resets everything but axil_slave
// [LIFE-004].
//
// axil_slave -> mmio_regs -> rl_core_axi, which has the AXI channels. AXI ports keep the standard's
// names, without a suffix for the direction.
//
// In reset every valid and every ready is low, from the moment rst_ni falls. Behind it, reset_fence
// drops what the memory still returns for requests from before.
`default_nettype none
`include "hw_macros.svh"

module rl_runtime_axi #(
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
    parameter int DataWidth        = 512,
    // Cycles that CTRL.RESET waits for the bus before STATUS.RESET_TIMEOUT, as log2.
    parameter int ResetTimeoutLog2 = 16
) (
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // Test only [RING-012]: tie to 0 in a product.
    input wire logic [         31:0] first_index_i,
    // Address of the last byte that rings may touch [LIFE-002].
    input wire logic [         63:0] window_last_i,
    // AXI4-Lite: registers.
    input wire logic [         11:0] s_axil_awaddr,
    input wire logic [          2:0] s_axil_awprot,
    input wire logic                 s_axil_awvalid,
    output logic                     s_axil_awready,
    input wire logic [         31:0] s_axil_wdata,
    input wire logic [          3:0] s_axil_wstrb,
    input wire logic                 s_axil_wvalid,
    output logic                     s_axil_wready,
    output logic     [          1:0] s_axil_bresp,
    output logic                     s_axil_bvalid,
    input wire logic                 s_axil_bready,
    input wire logic [         11:0] s_axil_araddr,
    input wire logic [          2:0] s_axil_arprot,
    input wire logic                 s_axil_arvalid,
    output logic                     s_axil_arready,
    output logic     [         31:0] s_axil_rdata,
    output logic     [          1:0] s_axil_rresp,
    output logic                     s_axil_rvalid,
    input wire logic                 s_axil_rready,
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
    output logic                     m_axi_rready,
    // Interrupt, level.
    output logic                     irq_o
);

  logic reg_valid, reg_write, reg_rvalid;
  logic [11:0] reg_addr;
  logic [31:0] reg_wdata, reg_rdata;

  logic soft_reset, reset_late, bus_idle, core_rst_n;
  logic enable, resume, require_checked, split_reward, publish_tails;
  logic [31:0] cmd_tail, cmd_head;
  logic [31:0] done_tail, done_head, reward_tail, reward_head;
  logic [7:0] cmd_log2, done_log2, reward_log2;
  /* verilator lint_off UNUSEDSIGNAL */
  // Bases of an enabled device are aligned to lines [LIFE-002].
  logic [63:0] cmd_base, done_base, reward_base;
  /* verilator lint_on UNUSEDSIGNAL */

  logic halted, busy, bus_error, post, post_error, stall, announce;
  logic [31:0] post_tokens;

  // Valids and readys as the blocks drive them, in reset too.
  logic ar_valid, aw_valid, w_valid, r_valid, b_valid, r_ready, b_ready;
  logic s_aw_ready, s_w_ready, s_ar_ready, s_b_valid, s_r_valid;
  /* verilator lint_off UNUSEDSIGNAL */
  // The IDs of the blocks are constant; reset_fence has those of the bus.
  logic [IdWidth-1:0] ar_id, aw_id;
  /* verilator lint_on UNUSEDSIGNAL */
  logic [IdWidth-1:0] bus_id;

  assign m_axi_arvalid  = ar_valid && rst_ni;
  assign m_axi_awvalid  = aw_valid && rst_ni;
  assign m_axi_wvalid   = w_valid && rst_ni;
  assign m_axi_arid     = bus_id;
  assign m_axi_awid     = bus_id;
  assign s_axil_awready = s_aw_ready && rst_ni;
  assign s_axil_wready  = s_w_ready && rst_ni;
  assign s_axil_arready = s_ar_ready && rst_ni;
  assign s_axil_bvalid  = s_b_valid && rst_ni;
  assign s_axil_rvalid  = s_r_valid && rst_ni;

  reset_fence #(
      .IdWidth(IdWidth)
  ) u_reset_fence (
      .clk_i       (clk_i),
      .rst_ni      (rst_ni),
      .id_o        (bus_id),
      .m_axi_rvalid(m_axi_rvalid),
      .m_axi_rid   (m_axi_rid),
      .m_axi_rready(m_axi_rready),
      .rvalid_o    (r_valid),
      .rready_i    (r_ready),
      .m_axi_bvalid(m_axi_bvalid),
      .m_axi_bid   (m_axi_bid),
      .m_axi_bready(m_axi_bready),
      .bvalid_o    (b_valid),
      .bready_i    (b_ready)
  );

  assign core_rst_n = rst_ni && !(soft_reset && bus_idle);

  reset_timer #(
      .TimeoutLog2(ResetTimeoutLog2)
  ) u_reset_timer (
      .clk_i    (clk_i),
      .rst_ni   (rst_ni),
      .waiting_i(soft_reset),
      .late_o   (reset_late)
  );

  axil_slave u_axil_slave (
      .clk_i         (clk_i),
      .rst_ni        (rst_ni),
      .s_axil_awaddr (s_axil_awaddr),
      .s_axil_awprot (s_axil_awprot),
      .s_axil_awvalid(s_axil_awvalid),
      .s_axil_awready(s_aw_ready),
      .s_axil_wdata  (s_axil_wdata),
      .s_axil_wstrb  (s_axil_wstrb),
      .s_axil_wvalid (s_axil_wvalid),
      .s_axil_wready (s_w_ready),
      .s_axil_bresp  (s_axil_bresp),
      .s_axil_bvalid (s_b_valid),
      .s_axil_bready (s_axil_bready),
      .s_axil_araddr (s_axil_araddr),
      .s_axil_arprot (s_axil_arprot),
      .s_axil_arvalid(s_axil_arvalid),
      .s_axil_arready(s_ar_ready),
      .s_axil_rdata  (s_axil_rdata),
      .s_axil_rresp  (s_axil_rresp),
      .s_axil_rvalid (s_r_valid),
      .s_axil_rready (s_axil_rready),
      .reg_valid_o   (reg_valid),
      .reg_write_o   (reg_write),
      .reg_addr_o    (reg_addr),
      .reg_wdata_o   (reg_wdata),
      .reg_rvalid_i  (reg_rvalid),
      .reg_rdata_i   (reg_rdata)
  );

  mmio_regs #(
      .MaxCmdLog2   (16),
      .MaxDoneLog2  (16),
      .MaxRewardLog2(16),
      .OnChip       (1'b0)
  ) u_mmio_regs (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .first_index_i    (first_index_i),
      .reg_valid_i      (reg_valid),
      .reg_write_i      (reg_write),
      .reg_addr_i       (reg_addr),
      .reg_wdata_i      (reg_wdata),
      .reg_rvalid_o     (reg_rvalid),
      .reg_rdata_o      (reg_rdata),
      .cmd_head_i       (cmd_head),
      .done_tail_i      (done_tail),
      .done_head_i      (done_head),
      .reward_tail_i    (reward_tail),
      .reward_head_i    (reward_head),
      .halted_i         (halted),
      .busy_i           (busy),
      .post_i           (post),
      .post_error_i     (post_error),
      .post_tokens_i    (post_tokens),
      .stall_i          (stall),
      .announce_i       (announce),
      .bus_error_i      (bus_error),
      .bus_idle_i       (bus_idle),
      .reset_late_i     (reset_late),
      .window_last_i    (window_last_i),
      .soft_reset_o     (soft_reset),
      .enable_o         (enable),
      .resume_o         (resume),
      .require_checked_o(require_checked),
      .split_reward_o   (split_reward),
      .publish_tails_o  (publish_tails),
      .cmd_tail_o       (cmd_tail),
      .done_head_o      (done_head),
      .reward_head_o    (reward_head),
      .cmd_log2_o       (cmd_log2),
      .done_log2_o      (done_log2),
      .reward_log2_o    (reward_log2),
      .cmd_base_o       (cmd_base),
      .done_base_o      (done_base),
      .reward_base_o    (reward_base),
      .irq_o            (irq_o)
  );

  rl_core_axi #(
      .WorkerCount     (WorkerCount),
      .PrefetchDepth   (PrefetchDepth),
      .ReadBurst       (ReadBurst),
      .ReadOutstanding (ReadOutstanding),
      .WriteDepth      (WriteDepth),
      .WriteBurst      (WriteBurst),
      .WriteOutstanding(WriteOutstanding),
      .IdWidth         (IdWidth),
      .DataWidth       (DataWidth)
  ) u_core (
      .clk_i            (clk_i),
      .rst_ni           (core_rst_n),
      .first_index_i    (first_index_i),
      .enable_i         (enable),
      .resume_i         (resume),
      .soft_reset_i     (soft_reset),
      .require_checked_i(require_checked),
      .split_reward_i   (split_reward),
      .publish_tails_i  (publish_tails),
      .cmd_tail_i       (cmd_tail),
      .done_head_i      (done_head),
      .reward_head_i    (reward_head),
      .cmd_log2_i       (cmd_log2),
      .done_log2_i      (done_log2),
      .reward_log2_i    (reward_log2),
      .cmd_line_i       (cmd_base[63:6]),
      .done_line_i      (done_base[63:6]),
      .reward_line_i    (reward_base[63:6]),
      .cmd_head_o       (cmd_head),
      .done_tail_o      (done_tail),
      .reward_tail_o    (reward_tail),
      .halted_o         (halted),
      .busy_o           (busy),
      .post_o           (post),
      .post_error_o     (post_error),
      .post_tokens_o    (post_tokens),
      .stall_o          (stall),
      .announce_o       (announce),
      .bus_error_o      (bus_error),
      .bus_idle_o       (bus_idle),
      .m_axi_awid       (aw_id),
      .m_axi_awaddr     (m_axi_awaddr),
      .m_axi_awlen      (m_axi_awlen),
      .m_axi_awsize     (m_axi_awsize),
      .m_axi_awburst    (m_axi_awburst),
      .m_axi_awlock     (m_axi_awlock),
      .m_axi_awcache    (m_axi_awcache),
      .m_axi_awprot     (m_axi_awprot),
      .m_axi_awvalid    (aw_valid),
      .m_axi_awready    (m_axi_awready),
      .m_axi_wdata      (m_axi_wdata),
      .m_axi_wstrb      (m_axi_wstrb),
      .m_axi_wlast      (m_axi_wlast),
      .m_axi_wvalid     (w_valid),
      .m_axi_wready     (m_axi_wready),
      .m_axi_bid        (m_axi_bid),
      .m_axi_bresp      (m_axi_bresp),
      .m_axi_bvalid     (b_valid),
      .m_axi_bready     (b_ready),
      .m_axi_arid       (ar_id),
      .m_axi_araddr     (m_axi_araddr),
      .m_axi_arlen      (m_axi_arlen),
      .m_axi_arsize     (m_axi_arsize),
      .m_axi_arburst    (m_axi_arburst),
      .m_axi_arlock     (m_axi_arlock),
      .m_axi_arcache    (m_axi_arcache),
      .m_axi_arprot     (m_axi_arprot),
      .m_axi_arvalid    (ar_valid),
      .m_axi_arready    (m_axi_arready),
      .m_axi_rid        (m_axi_rid),
      .m_axi_rdata      (m_axi_rdata),
      .m_axi_rresp      (m_axi_rresp),
      .m_axi_rlast      (m_axi_rlast),
      .m_axi_rvalid     (r_valid),
      .m_axi_rready     (r_ready)
  );

`ifndef SYNTHESIS
  integration_watch #(
      .IdWidth(IdWidth)
  ) u_integration_watch (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .id_i         (bus_id),
      .m_axi_awvalid(m_axi_awvalid),
      .m_axi_awready(m_axi_awready),
      .m_axi_wvalid (m_axi_wvalid),
      .m_axi_wready (m_axi_wready),
      .m_axi_wlast  (m_axi_wlast),
      .m_axi_bvalid (m_axi_bvalid),
      .m_axi_bready (m_axi_bready),
      .m_axi_bid    (m_axi_bid),
      .m_axi_arvalid(m_axi_arvalid),
      .m_axi_arready(m_axi_arready),
      .m_axi_rvalid (m_axi_rvalid),
      .m_axi_rready (m_axi_rready),
      .m_axi_rlast  (m_axi_rlast),
      .m_axi_rid    (m_axi_rid)
  );

  `HW_ASSERT_KNOWN(IrqKnown_A, irq_o, "the interrupt is never X")
`endif

endmodule

`default_nettype wire
