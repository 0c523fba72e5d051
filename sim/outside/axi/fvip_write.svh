// SPDX-License-Identifier: Apache-2.0
//
// FVIP's checkers around the write channels of a proof's harness, which includes this.
`include "fvip_config.svh"

amba_axi4_write_address_channel #(
    .cfg(fvip_config(1'b0))
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
    .cfg(fvip_config(1'b0))
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
    .cfg(fvip_config(1'b1))
) u_fvip_b (
    .ACLK   (clk_i),
    .ARESETn(rst_ni),
    .BID    (bid_i),
    .BRESP  (bresp_i),
    .BUSER  (1'b0),
    .BVALID (bvalid_i),
    .BREADY (bready)
);
