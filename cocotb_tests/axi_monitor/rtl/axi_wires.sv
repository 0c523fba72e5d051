// SPDX-License-Identifier: Apache-2.0
//
// The wires of an AXI4 and of an AXI4-Lite bus, and nothing at their ends: both sides are driven by
// the testbench, which so can break every rule.

`default_nettype none

module axi_wires #(
  parameter DataWidth = 64
) (
  input wire                   clk_i,
  input wire                   rst_ni,

  input wire [3:0]             m_axi_awid,
  input wire [31:0]            m_axi_awaddr,
  input wire [7:0]             m_axi_awlen,
  input wire [2:0]             m_axi_awsize,
  input wire [1:0]             m_axi_awburst,
  input wire                   m_axi_awlock,
  input wire [3:0]             m_axi_awcache,
  input wire [2:0]             m_axi_awprot,
  input wire [3:0]             m_axi_awqos,
  input wire [3:0]             m_axi_awregion,
  input wire                   m_axi_awvalid,
  input wire                   m_axi_awready,
  input wire [DataWidth-1:0]   m_axi_wdata,
  input wire [DataWidth/8-1:0] m_axi_wstrb,
  input wire                   m_axi_wlast,
  input wire                   m_axi_wvalid,
  input wire                   m_axi_wready,
  input wire [3:0]             m_axi_bid,
  input wire [1:0]             m_axi_bresp,
  input wire                   m_axi_bvalid,
  input wire                   m_axi_bready,
  input wire [3:0]             m_axi_arid,
  input wire [31:0]            m_axi_araddr,
  input wire [7:0]             m_axi_arlen,
  input wire [2:0]             m_axi_arsize,
  input wire [1:0]             m_axi_arburst,
  input wire                   m_axi_arlock,
  input wire [3:0]             m_axi_arcache,
  input wire [2:0]             m_axi_arprot,
  input wire [3:0]             m_axi_arqos,
  input wire [3:0]             m_axi_arregion,
  input wire                   m_axi_arvalid,
  input wire                   m_axi_arready,
  input wire [3:0]             m_axi_rid,
  input wire [DataWidth-1:0]   m_axi_rdata,
  input wire [1:0]             m_axi_rresp,
  input wire                   m_axi_rlast,
  input wire                   m_axi_rvalid,
  input wire                   m_axi_rready,

  input wire [11:0]            s_axil_awaddr,
  input wire [2:0]             s_axil_awprot,
  input wire                   s_axil_awvalid,
  input wire                   s_axil_awready,
  input wire [31:0]            s_axil_wdata,
  input wire [3:0]             s_axil_wstrb,
  input wire                   s_axil_wvalid,
  input wire                   s_axil_wready,
  input wire [1:0]             s_axil_bresp,
  input wire                   s_axil_bvalid,
  input wire                   s_axil_bready,
  input wire [11:0]            s_axil_araddr,
  input wire [2:0]             s_axil_arprot,
  input wire                   s_axil_arvalid,
  input wire                   s_axil_arready,
  input wire [31:0]            s_axil_rdata,
  input wire [1:0]             s_axil_rresp,
  input wire                   s_axil_rvalid,
  input wire                   s_axil_rready
);
endmodule

`default_nettype wire
