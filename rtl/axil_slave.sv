// SPDX-License-Identifier: Apache-2.0
//
// AXI4-Lite in front of the register file: one access a cycle out, every response OKAY.
//
// Rules: DB-004 (OKAY for every address; the register file knows which exist), DB-007 (a write that
// does not carry all four bytes reaches no register).
//
// Address and data of a write may come in any order and are kept until both are there. The write's
// response is offered in the cycle after the register file took it, so what follows the response
// sees its effect. A write goes before a read that waits in the same cycle; neither starves the
// other, because each has to give its response away before the next of its kind. No ready depends on
// a valid, and no valid on a ready. CTRL.RESET does not reset this block: the response to the very
// write that asked for it must come.
//
// The ports have the names of the standard, without a suffix for the direction.
`default_nettype none
`include "hw_macros.svh"

module axil_slave (
    input wire logic        clk_i,
    input wire logic        rst_ni,
    // AXI4-Lite.
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
    // Register accesses; a read is answered in the next cycle.
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
  logic b_valid_q, r_valid_q, reading_q;
  logic write, read;
  /* verilator lint_off UNUSEDSIGNAL */
  // The registers make no difference between privileged, secure or instruction accesses.
  logic unused_prot;
  /* verilator lint_on UNUSEDSIGNAL */
  assign unused_prot = ^{s_axil_awprot, s_axil_arprot};

  assign write = aw_held_q && w_held_q && !b_valid_q;
  assign read  = ar_held_q && !write && !reading_q && !r_valid_q;

  assign reg_valid_o = (write && wholly_q) || read;
  assign reg_write_o = write;
  assign reg_addr_o  = write ? awaddr_q : (read ? araddr_q : '0);
  assign reg_wdata_o = write ? wdata_q : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_held_q <= 1'b0;
      w_held_q  <= 1'b0;
      b_valid_q <= 1'b0;
    end else begin
      aw_held_q <= aw_held_q ? !write : s_axil_awvalid;
      w_held_q  <= w_held_q ? !write : s_axil_wvalid;
      b_valid_q <= b_valid_q ? !s_axil_bready : write;
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
  assign s_axil_rdata   = r_valid_q ? rdata_q : '0;
  assign s_axil_rresp   = 2'b00;

`ifndef SYNTHESIS
  logic past_b_waits_q, past_r_waits_q;
  logic [31:0] past_rdata_q;
  always_ff @(posedge clk_i) begin
    past_b_waits_q <= rst_ni && s_axil_bvalid && !s_axil_bready;
    past_r_waits_q <= rst_ni && s_axil_rvalid && !s_axil_rready;
    past_rdata_q   <= s_axil_rdata;
  end
  `HW_ASSERT(ResponseStays_A, !past_b_waits_q || s_axil_bvalid,
             "a write response stays on offer until it is taken")
  `HW_ASSERT(AnswerStays_A,
             !past_r_waits_q || (s_axil_rvalid && s_axil_rdata === past_rdata_q),
             "read data stay on offer, unchanged, until they are taken")
  `HW_ASSERT(Answered_A, !reading_q || reg_rvalid_i,
             "the register file answers a read in the next cycle")
  `HW_ASSERT_KNOWN(ReadyKnown_A, {s_axil_awready, s_axil_wready, s_axil_arready},
             "the ready signals are never X")
`endif

endmodule

`default_nettype wire
