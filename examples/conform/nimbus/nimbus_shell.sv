// SPDX-License-Identifier: Apache-2.0
//
// A device behind AXI that shares no port name with rtl/: upper-case register port in a window of
// its own, 40-bit addresses, no IDs, no protection or cache hints, an active-high reset and an
// active-low interrupt. What is inside is the project's own device, since this is here for its
// ports: to be connected to the conformance kit by nimbus.toml alone.
`default_nettype none

module nimbus_shell #(
    parameter int LANES = 4
) (
    input  wire          core_clk,
    input  wire          rst,
    input  wire  [ 31:0] dbg_first,
    input  wire  [ 39:0] dram_top,
    input  wire          scan_enable,
    // Registers, at 0x8000 of the window.
    input  wire  [ 15:0] CSR_AWADDR,
    input  wire          CSR_AWVALID,
    output logic         CSR_AWREADY,
    input  wire  [ 31:0] CSR_WDATA,
    input  wire  [  3:0] CSR_WSTRB,
    input  wire          CSR_WVALID,
    output logic         CSR_WREADY,
    output logic [  1:0] CSR_BRESP,
    output logic         CSR_BVALID,
    input  wire          CSR_BREADY,
    input  wire  [ 15:0] CSR_ARADDR,
    input  wire          CSR_ARVALID,
    output logic         CSR_ARREADY,
    output logic [ 31:0] CSR_RDATA,
    output logic [  1:0] CSR_RRESP,
    output logic         CSR_RVALID,
    input  wire          CSR_RREADY,
    // Rings in memory.
    output logic [ 39:0] dram_awaddr_o,
    output logic [  7:0] dram_awlen_o,
    output logic [  2:0] dram_awsize_o,
    output logic [  1:0] dram_awburst_o,
    output logic         dram_awvalid_o,
    input  wire          dram_awready_i,
    output logic [511:0] dram_wdata_o,
    output logic [ 63:0] dram_wstrb_o,
    output logic         dram_wend_o,
    output logic         dram_wvalid_o,
    input  wire          dram_wready_i,
    input  wire  [  1:0] dram_bresp_i,
    input  wire          dram_bvalid_i,
    output logic         dram_bready_o,
    output logic [ 39:0] dram_araddr_o,
    output logic [  7:0] dram_arlen_o,
    output logic [  2:0] dram_arsize_o,
    output logic [  1:0] dram_arburst_o,
    output logic         dram_arvalid_o,
    input  wire          dram_arready_i,
    input  wire  [511:0] dram_rdata_i,
    input  wire  [  1:0] dram_rresp_i,
    input  wire          dram_rend_i,
    input  wire          dram_rvalid_i,
    output logic         dram_rready_o,
    output logic         alarm_n,
    output logic [  7:0] debug
);

  logic irq, rst_n;
  logic [63:0] awaddr, araddr;
  // This memory has no IDs: its responses have that of the requests, which all carry one.
  logic [3:0] awid, arid;
  logic [15:0] csr_awaddr, csr_araddr;
  logic [31:0] rdata;
`ifdef NIMBUS_CSR_BASE
  assign csr_awaddr = CSR_AWADDR - `NIMBUS_CSR_BASE;
  assign csr_araddr = CSR_ARADDR - `NIMBUS_CSR_BASE;
`endif

  assign dram_awaddr_o = awaddr[39:0];
  assign dram_araddr_o = araddr[39:0];
  assign alarm_n       = !irq;
  assign rst_n         = !rst && !scan_enable;
  assign CSR_RDATA     = rdata;
  assign debug         = '0;

  rl_runtime_axi #(
      .WorkerCount(LANES)
  ) u_device (
      .clk_i         (core_clk),
      .rst_ni        (rst_n),
      .first_index_i (dbg_first),
      .window_last_i ({24'd0, dram_top}),
      .s_axil_awaddr (csr_awaddr[11:0]),
      .s_axil_awprot (3'd0),
      .s_axil_awvalid(CSR_AWVALID),
      .s_axil_awready(CSR_AWREADY),
      .s_axil_wdata  (CSR_WDATA),
      .s_axil_wstrb  (CSR_WSTRB),
      .s_axil_wvalid (CSR_WVALID),
      .s_axil_wready (CSR_WREADY),
      .s_axil_bresp  (CSR_BRESP),
      .s_axil_bvalid (CSR_BVALID),
      .s_axil_bready (CSR_BREADY),
      .s_axil_araddr (csr_araddr[11:0]),
      .s_axil_arprot (3'd0),
      .s_axil_arvalid(CSR_ARVALID),
      .s_axil_arready(CSR_ARREADY),
      .s_axil_rdata  (rdata),
      .s_axil_rresp  (CSR_RRESP),
      .s_axil_rvalid (CSR_RVALID),
      .s_axil_rready (CSR_RREADY),
      .m_axi_awid    (awid),
      .m_axi_awaddr  (awaddr),
      .m_axi_awlen   (dram_awlen_o),
      .m_axi_awsize  (dram_awsize_o),
      .m_axi_awburst (dram_awburst_o),
      .m_axi_awlock  (),
      .m_axi_awcache (),
      .m_axi_awprot  (),
      .m_axi_awvalid (dram_awvalid_o),
      .m_axi_awready (dram_awready_i),
      .m_axi_wdata   (dram_wdata_o),
      .m_axi_wstrb   (dram_wstrb_o),
      .m_axi_wlast   (dram_wend_o),
      .m_axi_wvalid  (dram_wvalid_o),
      .m_axi_wready  (dram_wready_i),
      .m_axi_bid     (awid),
      .m_axi_bresp   (dram_bresp_i),
      .m_axi_bvalid  (dram_bvalid_i),
      .m_axi_bready  (dram_bready_o),
      .m_axi_arid    (arid),
      .m_axi_araddr  (araddr),
      .m_axi_arlen   (dram_arlen_o),
      .m_axi_arsize  (dram_arsize_o),
      .m_axi_arburst (dram_arburst_o),
      .m_axi_arlock  (),
      .m_axi_arcache (),
      .m_axi_arprot  (),
      .m_axi_arvalid (dram_arvalid_o),
      .m_axi_arready (dram_arready_i),
      .m_axi_rid     (arid),
      .m_axi_rdata   (dram_rdata_i),
      .m_axi_rresp   (dram_rresp_i),
      .m_axi_rlast   (dram_rend_i),
      .m_axi_rvalid  (dram_rvalid_i),
      .m_axi_rready  (dram_rready_o),
      .irq_o         (irq)
  );

endmodule

`default_nettype wire
