// SPDX-License-Identifier: Apache-2.0
//
// AXI4-Lite slave in front of the register file: at most one access a cycle, none for two cycles
// after a write, every response OKAY.
//
// Rules: DB-004 (OKAY for every address; the register file knows which exist), DB-007 (a write
// without all four bytes reaches no register).
//
// Address and data of a write may arrive in any order; each is held until both are present. BVALID
// rises in the cycle after the register file accepted the write; the register file is given two
// cycles more before the next access, which so sees its effect. Of a write and a read that are both
// ready the write goes first, unless the last access was a write; so neither starves the other. No
// ready depends on a valid, and no valid on a ready. CTRL.RESET does not reset this block: the
// write that requests the reset must get its response.
//
// AXI ports keep the standard's names, without a suffix for the direction.
`default_nettype none
`include "hw_macros.svh"

module axil_slave (
    // Clock and synchronous active-low reset.
    input wire logic        clk_i,
    input wire logic        rst_ni,
    // AXI4-Lite, 12 address and 32 data bits.
    input wire logic [11:0] s_axil_awaddr,
    input wire logic [ 2:0] s_axil_awprot,
    input wire logic        s_axil_awvalid,
    output logic            s_axil_awready,
    input wire logic [31:0] s_axil_wdata,
    input wire logic [ 3:0] s_axil_wstrb,
    input wire logic        s_axil_wvalid,
    output logic            s_axil_wready,
    output logic     [ 1:0] s_axil_bresp,
    output logic            s_axil_bvalid,
    input wire logic        s_axil_bready,
    input wire logic [11:0] s_axil_araddr,
    input wire logic [ 2:0] s_axil_arprot,
    input wire logic        s_axil_arvalid,
    output logic            s_axil_arready,
    output logic     [31:0] s_axil_rdata,
    output logic     [ 1:0] s_axil_rresp,
    output logic            s_axil_rvalid,
    input wire logic        s_axil_rready,
    // Register accesses; read data return in the next cycle.
    output logic            reg_valid_o,
    output logic            reg_write_o,
    output logic     [11:0] reg_addr_o,
    output logic     [31:0] reg_wdata_o,
    input wire logic        reg_rvalid_i,
    input wire logic [31:0] reg_rdata_i
);

  logic aw_held_q, w_held_q, ar_held_q;
  logic [11:0] awaddr_q, araddr_q;
  logic [31:0] wdata_q, rdata_q;
  logic wholly_q;
  logic b_valid_q, r_valid_q, reading_q, last_wrote_q, rests;
  // One bit for each of the two cycles after a write.
  logic [1:0] resting_q;
  logic write_ready, read_ready;
  logic write, read;
  /* verilator lint_off UNUSEDSIGNAL */
  // The registers do not distinguish privileged, secure and instruction accesses.
  logic unused_prot;
  /* verilator lint_on UNUSEDSIGNAL */
  assign unused_prot = ^{s_axil_awprot, s_axil_arprot};

  assign rests       = resting_q != 2'd0;
  assign write_ready = aw_held_q && w_held_q && !b_valid_q && !rests;
  assign read_ready  = ar_held_q && !reading_q && !r_valid_q && !rests;
  assign write       = write_ready && !(read_ready && last_wrote_q);
  assign read        = read_ready && !write;

  assign reg_valid_o = (write && wholly_q) || read;
  assign reg_write_o = write;
  assign reg_addr_o  = write ? awaddr_q : (read ? araddr_q : '0);
  assign reg_wdata_o = write ? wdata_q : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_held_q    <= 1'b0;
      w_held_q     <= 1'b0;
      b_valid_q    <= 1'b0;
      resting_q    <= '0;
      last_wrote_q <= 1'b0;
    end else begin
      aw_held_q    <= aw_held_q ? !write : s_axil_awvalid;
      w_held_q     <= w_held_q ? !write : s_axil_wvalid;
      b_valid_q    <= b_valid_q ? !s_axil_bready : write;
      resting_q    <= {resting_q[0], write};
      last_wrote_q <= write || (last_wrote_q && !read);
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      ar_held_q <= 1'b0;
      reading_q <= 1'b0;
      r_valid_q <= 1'b0;
    end else begin
      ar_held_q <= ar_held_q ? !read : s_axil_arvalid;
      reading_q <= read;
      r_valid_q <= r_valid_q ? !s_axil_rready : reg_rvalid_i;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!aw_held_q) begin
      awaddr_q <= s_axil_awaddr;
    end
    if (!w_held_q) begin
      wdata_q  <= s_axil_wdata;
      wholly_q <= &s_axil_wstrb;
    end
    if (!ar_held_q) begin
      araddr_q <= s_axil_araddr;
    end
    if (!r_valid_q) begin
      rdata_q <= reg_rdata_i;
    end
  end

  assign s_axil_awready = !aw_held_q;
  assign s_axil_wready  = !w_held_q;
  assign s_axil_bvalid  = b_valid_q;
  assign s_axil_bresp   = 2'b00;
  assign s_axil_arready = !ar_held_q;
  assign s_axil_rvalid  = r_valid_q;
  assign s_axil_rdata   = rdata_q;
  assign s_axil_rresp   = 2'b00;

`ifndef SYNTHESIS
  logic past_b_stalled_q, past_r_stalled_q;
  logic [31:0] past_rdata_q;
  always_ff @(posedge clk_i) begin
    past_b_stalled_q <= rst_ni && s_axil_bvalid && !s_axil_bready;
    past_r_stalled_q <= rst_ni && s_axil_rvalid && !s_axil_rready;
    past_rdata_q     <= s_axil_rdata;
  end
  `HW_ASSERT(WriteResponseStable_A, !past_b_stalled_q || s_axil_bvalid,
             "a stalled write response is held")
  `HW_ASSERT(ReadDataStable_A,
             !past_r_stalled_q || (s_axil_rvalid && s_axil_rdata === past_rdata_q),
             "stalled read data are held unchanged")
  `HW_ASSERT(ReadReturns_A, !reading_q || reg_rvalid_i,
             "the register file returns read data in the next cycle")
  `HW_ASSERT_KNOWN(ReadyKnown_A, {s_axil_awready, s_axil_wready, s_axil_arready},
             "the ready signals are never X")
`endif

endmodule

`default_nettype wire
