// SPDX-License-Identifier: Apache-2.0
//
// FVIP's checkers around the write channels of a proof's harness, which includes this: the engine is
// the SOURCE that they verify. What is assumed of the memory: as in fvip_read.svh, B in the place of R.
// The strobes of a word are not all set, which OPTIONAL_WSTRB would forbid.
localparam amba_axi4_protocol_checker_pkg::axi4_checker_params_t FvipAw = '{
    ID_WIDTH: 4, ADDRESS_WIDTH: 64, DATA_WIDTH: DataWidth, AWUSER_WIDTH: 1, WUSER_WIDTH: 1,
    BUSER_WIDTH: 1, ARUSER_WIDTH: 1, RUSER_WIDTH: 1,
    MAX_WR_BURSTS: MaxOutstanding, MAX_WR_LENGTH: MaxBurst * Beats, MAXWAIT: 1,
    VERIFY_AGENT_TYPE: amba_axi4_protocol_checker_pkg::SOURCE,
    PROTOCOL_TYPE: amba_axi4_protocol_checker_pkg::AXI4FULL,
    INTERFACE_REQS: 1, CHECK_PARAMETERS: 1, OPTIONAL_RESET: 1, EXCLUSIVE_ACCESS: 1,
    ARM_RECOMMENDED: 0, default: 0};
localparam amba_axi4_protocol_checker_pkg::axi4_checker_params_t FvipB = '{
    ID_WIDTH: 4, ADDRESS_WIDTH: 64, DATA_WIDTH: DataWidth, AWUSER_WIDTH: 1, WUSER_WIDTH: 1,
    BUSER_WIDTH: 1, ARUSER_WIDTH: 1, RUSER_WIDTH: 1,
    MAX_WR_BURSTS: MaxOutstanding, MAX_WR_LENGTH: MaxBurst * Beats, MAXWAIT: 1,
    VERIFY_AGENT_TYPE: amba_axi4_protocol_checker_pkg::SOURCE,
    PROTOCOL_TYPE: amba_axi4_protocol_checker_pkg::AXI4FULL,
    INTERFACE_REQS: 1, CHECK_PARAMETERS: 1, OPTIONAL_RESET: 1, EXCLUSIVE_ACCESS: 1,
    ARM_RECOMMENDED: 1, default: 0};

amba_axi4_write_address_channel #(
    .cfg(FvipAw)
) u_fvip_aw (
    .ACLK    (clk_i),
    .ARESETn (rst_ni),
    .AWID    (awid),
    .AWADDR  (awaddr),
    .AWLEN   (awlen),
    .AWSIZE  (awsize),
    .AWBURST (awburst),
    .AWLOCK  (awlock),
    .AWCACHE (awcache),
    .AWPROT  (awprot),
    .AWQOS   (4'd0),
    .AWREGION(4'd0),
    .AWUSER  (1'b0),
    .AWVALID (awvalid),
    .AWREADY (awready_i)
);

amba_axi4_write_data_channel #(
    .cfg(FvipAw)
) u_fvip_w (
    .ACLK   (clk_i),
    .ARESETn(rst_ni),
    .WDATA  (wdata),
    .WSTRB  (wstrb),
    .WLAST  (wlast),
    .WUSER  (1'b0),
    .WVALID (wvalid),
    .WREADY (wready_i)
);

amba_axi4_write_response_channel #(
    .cfg(FvipB)
) u_fvip_b (
    .ACLK   (clk_i),
    .ARESETn(rst_ni),
    .BID    (bid_i),
    .BRESP  (bresp_i),
    .BUSER  (1'b0),
    .BVALID (bvalid_i),
    .BREADY (bready)
);
