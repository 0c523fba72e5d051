// SPDX-License-Identifier: Apache-2.0
//
// FVIP's checkers around the read channels of a proof's harness, which includes this: the unit is the
// SOURCE that they verify.
//
// Nothing is assumed of the memory but that what it offers stays until it is taken. So the advice that
// READY rises within MAXWAIT cycles (ARM_RECOMMENDED) is in force for R alone, where the unit gives
// READY, and with the least wait that there is; EXOKAY is allowed, which needs EXCLUSIVE_ACCESS.
localparam amba_axi4_protocol_checker_pkg::axi4_checker_params_t FvipAr = '{
    ID_WIDTH: 4, ADDRESS_WIDTH: 64, DATA_WIDTH: DataWidth, ARUSER_WIDTH: 1, RUSER_WIDTH: 1,
    AWUSER_WIDTH: 1, WUSER_WIDTH: 1, BUSER_WIDTH: 1,
    MAX_RD_BURSTS: MaxOutstanding, MAX_RD_LENGTH: MaxBurst * Beats, MAXWAIT: 1,
    VERIFY_AGENT_TYPE: amba_axi4_protocol_checker_pkg::SOURCE,
    PROTOCOL_TYPE: amba_axi4_protocol_checker_pkg::AXI4FULL,
    INTERFACE_REQS: 1, CHECK_PARAMETERS: 1, OPTIONAL_RESET: 1, EXCLUSIVE_ACCESS: 1,
    ARM_RECOMMENDED: 0, default: 0};
localparam amba_axi4_protocol_checker_pkg::axi4_checker_params_t FvipR = '{
    ID_WIDTH: 4, ADDRESS_WIDTH: 64, DATA_WIDTH: DataWidth, ARUSER_WIDTH: 1, RUSER_WIDTH: 1,
    AWUSER_WIDTH: 1, WUSER_WIDTH: 1, BUSER_WIDTH: 1,
    MAX_RD_BURSTS: MaxOutstanding, MAX_RD_LENGTH: MaxBurst * Beats, MAXWAIT: 1,
    VERIFY_AGENT_TYPE: amba_axi4_protocol_checker_pkg::SOURCE,
    PROTOCOL_TYPE: amba_axi4_protocol_checker_pkg::AXI4FULL,
    INTERFACE_REQS: 1, CHECK_PARAMETERS: 1, OPTIONAL_RESET: 1, EXCLUSIVE_ACCESS: 1,
    ARM_RECOMMENDED: 1, default: 0};

amba_axi4_read_address_channel #(
    .cfg(FvipAr)
) u_fvip_ar (
    .ACLK    (clk_i),
    .ARESETn (rst_ni),
    .ARID    (arid),
    .ARADDR  (araddr),
    .ARLEN   (arlen),
    .ARSIZE  (arsize),
    .ARBURST (arburst),
    .ARLOCK  (arlock),
    .ARCACHE (arcache),
    .ARPROT  (arprot),
    .ARQOS   (4'd0),
    .ARREGION(4'd0),
    .ARUSER  (1'b0),
    .ARVALID (arvalid),
    .ARREADY (arready_i)
);

amba_axi4_read_data_channel #(
    .cfg(FvipR)
) u_fvip_r (
    .ACLK   (clk_i),
    .ARESETn(rst_ni),
    .RID    (rid_i),
    .RDATA  (rdata_i),
    .RRESP  (rresp_i),
    .RLAST  (rlast_i),
    .RUSER  (1'b0),
    .RVALID (rvalid_i),
    .RREADY (rready)
);
