// SPDX-License-Identifier: Apache-2.0
//
// Copies count_i beats of 128 bits from src_i to dst_i, one at a time: a design that has nothing to
// do with descriptor rings, for the worked example of docs/vip.md.
//
//   Idle: start_i -> Ask      Ask: arready -> Read       Read: rvalid -> Write (error -> Idle)
//   Write: aw and w taken -> Response    Response: bvalid -> Ask, or Idle after the last

`default_nettype none

module axi_copy (
  input wire logic          aclk,
  input wire logic          aresetn,

  input wire logic          start_i,
  input wire logic [ 31:0]  src_i,
  input wire logic [ 31:0]  dst_i,
  input wire logic [ 15:0]  count_i,
  output logic              busy_o,
  output logic              error_o,

  output logic     [ 31:0]  m_axi_araddr,
  output logic              m_axi_arvalid,
  input wire logic          m_axi_arready,
  input wire logic [127:0]  m_axi_rdata,
  input wire logic [  1:0]  m_axi_rresp,
  input wire logic          m_axi_rlast,
  input wire logic          m_axi_rvalid,
  output logic              m_axi_rready,

  output logic     [ 31:0]  m_axi_awaddr,
  output logic              m_axi_awvalid,
  input wire logic          m_axi_awready,
  output logic     [127:0]  m_axi_wdata,
  output logic     [ 15:0]  m_axi_wstrb,
  output logic              m_axi_wlast,
  output logic              m_axi_wvalid,
  input wire logic          m_axi_wready,
  input wire logic [  1:0]  m_axi_bresp,
  input wire logic          m_axi_bvalid,
  output logic              m_axi_bready
);

  typedef enum logic [2:0] {
    StIdle,
    StAsk,
    StRead,
    StWrite,
    StResponse
  } state_e;

  state_e state_q;
  logic [31:0] src_q, dst_q;
  logic [15:0] left_q;
  logic [127:0] data_q;
  logic aw_done_q, w_done_q, error_q;

  assign busy_o  = state_q != StIdle;
  assign error_o = error_q;

  assign m_axi_araddr  = src_q;
  assign m_axi_arvalid = state_q == StAsk;
  assign m_axi_rready  = state_q == StRead;
  assign m_axi_awaddr  = dst_q;
  assign m_axi_awvalid = state_q == StWrite && !aw_done_q;
  assign m_axi_wdata   = data_q;
  assign m_axi_wstrb   = '1;
  assign m_axi_wlast   = 1'b1;
  assign m_axi_wvalid  = state_q == StWrite && !w_done_q;
  assign m_axi_bready  = state_q == StResponse;

  always_ff @(posedge aclk) begin
    if (!aresetn) begin
      state_q   <= StIdle;
      aw_done_q <= 1'b0;
      w_done_q  <= 1'b0;
      error_q   <= 1'b0;
      src_q     <= '0;
      dst_q     <= '0;
      left_q    <= '0;
      data_q    <= '0;
    end else begin
      case (state_q)
        StIdle: begin
          if (start_i && count_i != 16'd0) begin
            src_q   <= src_i;
            dst_q   <= dst_i;
            left_q  <= count_i;
            error_q <= 1'b0;
            state_q <= StAsk;
          end
        end
        StAsk: begin
          if (m_axi_arready) begin
            state_q <= StRead;
          end
        end
        StRead: begin
          if (m_axi_rvalid) begin
            data_q    <= m_axi_rdata;
            error_q   <= m_axi_rresp != 2'b00;
            aw_done_q <= 1'b0;
            w_done_q  <= 1'b0;
            state_q   <= m_axi_rresp == 2'b00 ? StWrite : StIdle;
          end
        end
        StWrite: begin
          aw_done_q <= aw_done_q || m_axi_awready;
          w_done_q  <= w_done_q || m_axi_wready;
          if ((aw_done_q || m_axi_awready) && (w_done_q || m_axi_wready)) begin
            state_q <= StResponse;
          end
        end
        StResponse: begin
          if (m_axi_bvalid) begin
            src_q   <= src_q + 32'd16;
            dst_q   <= dst_q + 32'd16;
            left_q  <= left_q - 16'd1;
            error_q <= m_axi_bresp != 2'b00;
            state_q <= left_q == 16'd1 || m_axi_bresp != 2'b00 ? StIdle : StAsk;
          end
        end
        default: state_q <= StIdle;
      endcase
    end
  end

endmodule

`default_nettype wire
