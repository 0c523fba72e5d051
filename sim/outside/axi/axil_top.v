// SPDX-License-Identifier: Apache-2.0
//
// The properties of faxil_slave (ZipCPU, wb2axip) around axil_dut. MAXWAIT and MAXDELAY bound how long
// the slave may keep a request and a response waiting, in cycles; 0 is no bound.
`default_nettype none

module axil_top (
    input wire         clk_i,
    input wire         rst_ni,
    input wire [ 11:0] awaddr,
    input wire [  2:0] awprot,
    input wire         awvalid,
    input wire [ 31:0] wdata,
    input wire [  3:0] wstrb,
    input wire         wvalid,
    input wire         bready,
    input wire [ 11:0] araddr,
    input wire [  2:0] arprot,
    input wire         arvalid,
    input wire         rready,
    input wire [319:0] core_i
);

  wire awready, wready, bvalid, arready, rvalid;
  wire [1:0] bresp, rresp;
  wire [31:0] rdata;
  wire aw_held_o, w_held_o, b_held_o, ar_held_o, reading_o, r_held_o;
  wire [3:0] reads, writes, addresses;

  axil_dut u_dut (
      .clk_i    (clk_i),
      .rst_ni   (rst_ni),
      .awaddr   (awaddr),
      .awprot   (awprot),
      .awvalid  (awvalid),
      .awready  (awready),
      .wdata    (wdata),
      .wstrb    (wstrb),
      .wvalid   (wvalid),
      .wready   (wready),
      .bresp    (bresp),
      .bvalid   (bvalid),
      .bready   (bready),
      .araddr   (araddr),
      .arprot   (arprot),
      .arvalid  (arvalid),
      .arready  (arready),
      .rdata    (rdata),
      .rresp    (rresp),
      .rvalid   (rvalid),
      .rready   (rready),
      .core_i   (core_i),
      .aw_held_o(aw_held_o),
      .w_held_o (w_held_o),
      .b_held_o (b_held_o),
      .ar_held_o(ar_held_o),
      .reading_o(reading_o),
      .r_held_o (r_held_o)
  );

  faxil_slave #(
      .C_AXI_DATA_WIDTH  (32),
      .C_AXI_ADDR_WIDTH  (12),
      .F_OPT_XILINX      (0),
      .F_OPT_BRESP       (0),
      .F_OPT_RRESP       (0),
      .F_OPT_ASSUME_RESET(1),
      .F_OPT_NO_RESET    (1),
      .F_LGDEPTH         (4),
      .F_AXI_MAXWAIT     (`MAXWAIT),
      .F_AXI_MAXRSTALL   (0),
      .F_AXI_MAXDELAY    (`MAXDELAY),
      .F_OPT_INITIAL     (0)
  ) u_properties (
      .i_clk                (clk_i),
      .i_axi_reset_n        (rst_ni),
      .i_axi_awvalid        (awvalid),
      .i_axi_awready        (awready),
      .i_axi_awaddr         (awaddr),
      .i_axi_awprot         (awprot),
      .i_axi_wvalid         (wvalid),
      .i_axi_wready         (wready),
      .i_axi_wdata          (wdata),
      .i_axi_wstrb          (wstrb),
      .i_axi_bvalid         (bvalid),
      .i_axi_bready         (bready),
      .i_axi_bresp          (bresp),
      .i_axi_arvalid        (arvalid),
      .i_axi_arready        (arready),
      .i_axi_araddr         (araddr),
      .i_axi_arprot         (arprot),
      .i_axi_rvalid         (rvalid),
      .i_axi_rready         (rready),
      .i_axi_rdata          (rdata),
      .i_axi_rresp          (rresp),
      .f_axi_rd_outstanding (reads),
      .f_axi_wr_outstanding (writes),
      .f_axi_awr_outstanding(addresses)
  );

`ifdef INVARIANTS
  // What the counters of the properties mean in the design: induction needs it, a bounded check does not.
  always @(posedge clk_i) begin
    if (rst_ni) begin
      assert (addresses == aw_held_o + b_held_o);
      assert (writes == w_held_o + b_held_o);
      assert (reads == ar_held_o + reading_o + r_held_o);
    end
  end
`endif

endmodule

`default_nettype wire
