// SPDX-License-Identifier: Apache-2.0
//
// The write engine as the proof of comp_writer sees it: it may do anything at its ports. What it
// does not do is assumed in comp_writer_props and proven in axi_write_engine_props.
`default_nettype none

module axi_write_engine
  import hw_desc_pkg::*;
#(
    parameter int MaxOutstanding = 16,
    parameter int IdWidth        = 4,
    parameter int DataWidth      = 512
) (
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic                 req_valid_i,
    output logic                     req_ready_o,
    input wire logic                 req_word_i,
    input wire logic [         63:6] req_line_i,
    input wire logic [          6:0] req_lines_i,
    input wire logic                 line_valid_i,
    output logic                     line_ready_o,
    input wire logic [DESC_BITS-1:0] line_data_i,
    input wire logic [         31:0] word_i,
    output logic                     resp_valid_o,
    output logic                     resp_word_o,
    output logic                     resp_error_o,
    output logic [              6:0] resp_lines_o,
    output logic                     idle_o,
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

endmodule

`default_nettype wire
