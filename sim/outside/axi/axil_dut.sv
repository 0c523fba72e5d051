// SPDX-License-Identifier: Apache-2.0
//
// axil_slave with its register file behind it, as a foreign set of properties of AXI4-Lite sees it: the
// protocol's names, and the six registers that its induction has to know of.
`default_nettype none

module axil_dut
  import hw_desc_pkg::*;
(
    input wire logic         clk_i,
    input wire logic         rst_ni,
    // AXI4-Lite.
    input wire logic  [11:0] awaddr,
    input wire logic  [ 2:0] awprot,
    input wire logic         awvalid,
    output logic             awready,
    input wire logic  [31:0] wdata,
    input wire logic  [ 3:0] wstrb,
    input wire logic         wvalid,
    output logic             wready,
    output logic      [ 1:0] bresp,
    output logic             bvalid,
    input wire logic         bready,
    input wire logic  [11:0] araddr,
    input wire logic  [ 2:0] arprot,
    input wire logic         arvalid,
    output logic             arready,
    output logic      [31:0] rdata,
    output logic      [ 1:0] rresp,
    output logic             rvalid,
    input wire logic         rready,
    // The core behind the registers, free.
    input wire logic [319:0] core_i,
    // Accesses inside: address, data, response of a write; address, data phase, response of a read.
    output logic             aw_held_o,
    output logic             w_held_o,
    output logic             b_held_o,
    output logic             ar_held_o,
    output logic             reading_o,
    output logic             r_held_o
);

  logic reg_valid, reg_write, reg_rvalid;
  logic [11:0] reg_addr;
  logic [31:0] reg_wdata, reg_rdata;

  assign aw_held_o = u_axil_slave.aw_held_q;
  assign w_held_o  = u_axil_slave.w_held_q;
  assign b_held_o  = u_axil_slave.b_valid_q;
  assign ar_held_o = u_axil_slave.ar_held_q;
  assign reading_o = u_axil_slave.reading_q;
  assign r_held_o  = u_axil_slave.r_valid_q;

  axil_slave u_axil_slave (
      .clk_i         (clk_i),
      .rst_ni        (rst_ni),
      .s_axil_awaddr (awaddr),
      .s_axil_awprot (awprot),
      .s_axil_awvalid(awvalid),
      .s_axil_awready(awready),
      .s_axil_wdata  (wdata),
      .s_axil_wstrb  (wstrb),
      .s_axil_wvalid (wvalid),
      .s_axil_wready (wready),
      .s_axil_bresp  (bresp),
      .s_axil_bvalid (bvalid),
      .s_axil_bready (bready),
      .s_axil_araddr (araddr),
      .s_axil_arprot (arprot),
      .s_axil_arvalid(arvalid),
      .s_axil_arready(arready),
      .s_axil_rdata  (rdata),
      .s_axil_rresp  (rresp),
      .s_axil_rvalid (rvalid),
      .s_axil_rready (rready),
      .reg_valid_o   (reg_valid),
      .reg_write_o   (reg_write),
      .reg_addr_o    (reg_addr),
      .reg_wdata_o   (reg_wdata),
      .reg_rvalid_i  (reg_rvalid),
      .reg_rdata_i   (reg_rdata)
  );

  mmio_regs u_mmio_regs (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .first_index_i(core_i[0+:32]),
      .reg_valid_i  (reg_valid),
      .reg_write_i  (reg_write),
      .reg_addr_i   (reg_addr),
      .reg_wdata_i  (reg_wdata),
      .reg_rvalid_o (reg_rvalid),
      .reg_rdata_o  (reg_rdata),
      .cmd_head_i   (core_i[32+:32]),
      .done_tail_i  (core_i[64+:32]),
      .done_head_i  (32'd0),
      .reward_tail_i(core_i[96+:32]),
      .reward_head_i(32'd0),
      .halted_i     (core_i[128]),
      .busy_i       (core_i[129]),
      .post_i       (core_i[130]),
      .post_error_i (core_i[131]),
      .post_tokens_i(core_i[160+:32]),
      .stall_i      (core_i[132]),
      .announce_i   (core_i[133]),
      .bus_error_i  (core_i[134]),
      .bus_idle_i   (core_i[135]),
      .reset_late_i (core_i[136]),
      .window_last_i(core_i[192+:64])
  );

endmodule

`default_nettype wire
