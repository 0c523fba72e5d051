// SPDX-License-Identifier: Apache-2.0
//
// FVIP's checkers around the read channels of a proof's harness, which includes this.
`include "fvip_config.svh"

amba_axi4_read_address_channel #(
    .cfg(fvip_config(1'b0))
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
    .cfg(fvip_config(1'b1))
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
