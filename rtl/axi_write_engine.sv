// SPDX-License-Identifier: Apache-2.0
//
// Writes bursts of whole lines, and single words, over the AXI4 write channels, in the order of the
// requests.
//
// Rules: RING-004 (a word is 4 bytes at the start of its line), DESC-015 (every byte of a line is
// written), LIFE-004 (idle_o: every request has its response).
//
// Up to MaxOutstanding requests are in flight, all with one ID, so responses arrive in order; each
// is passed on in the cycle in which the memory gives it. Requests are registered once; data are
// not, for the user has them in a memory. AWVALID does not wait for data, and data do not wait for
// AWREADY. The user requests no burst that crosses a 4 KiB boundary. It may withdraw or replace a
// request until req_ready_o. A line takes a beat on a bus of 512 bits, and two or four on a narrower
// one, and is taken when the memory accepts the last; from the first it stays. A word takes one.
`default_nettype none
`include "hw_macros.svh"

module axi_write_engine
  import hw_desc_pkg::*;
#(
    // Requests in flight, a power of two.
    parameter int MaxOutstanding = 16,
    parameter int IdWidth        = 4,
    // Bits of the data bus: 128, 256 or 512.
    parameter int DataWidth      = 512
) (
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // Request: req_lines_i whole lines from line address req_line_i up, or, with req_word_i, one
    // word at the start of that line.
    input wire logic                 req_valid_i,
    output logic                     req_ready_o,
    input wire logic                 req_word_i,
    input wire logic [         63:6] req_line_i,
    input wire logic [          6:0] req_lines_i,
    // Data of the requested lines, in the order of the requests.
    input wire logic                 line_valid_i,
    output logic                     line_ready_o,
    input wire logic [DESC_BITS-1:0] line_data_i,
    // Data of a requested word, stable from the request to its response.
    input wire logic [         31:0] word_i,
    // Response to the oldest request, for one cycle: its kind, whether it failed, how many lines.
    output logic                     resp_valid_o,
    output logic                     resp_word_o,
    output logic                     resp_error_o,
    output logic [              6:0] resp_lines_o,
    // No request is in flight.
    output logic                     idle_o,
    // AXI4, write channels.
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

  localparam int LineBits = $clog2(DESC_BYTES);
  localparam int WordBytes = 4;
  // Beats of a line; bits that count a beat's bytes, a line's beats, and a burst's.
  localparam int Beats = DESC_BITS / DataWidth;
  localparam int SizeBits = $clog2(DataWidth / 8);
  localparam int BeatBits = LineBits - SizeBits;
  localparam int CountBits = 7 + BeatBits;

  // ---------------------------------------------------------------- requests

  logic send, data_fifo_ready, resp_fifo_ready;
  logic [6:0] send_lines;
  logic aw_valid_q;
  logic [63:LineBits] aw_line_q;
  logic [7:0] aw_len_q;

  assign req_ready_o = (!aw_valid_q || m_axi_awready) && data_fifo_ready && resp_fifo_ready;
  assign send        = req_valid_i && req_ready_o;
  assign send_lines  = req_word_i ? 7'd1 : req_lines_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      aw_valid_q <= 1'b0;
    end else if (!aw_valid_q || m_axi_awready) begin
      aw_valid_q <= send;
    end
  end

  always_ff @(posedge clk_i) begin
    if (send) begin
      aw_line_q <= req_line_i;
      aw_len_q  <= req_word_i ? 8'd0 : ((8'(req_lines_i) - 8'd1) << BeatBits) + 8'(Beats - 1);
    end
  end

  assign m_axi_awid    = '0;
  assign m_axi_awaddr  = {aw_line_q, LineBits'(0)};
  assign m_axi_awlen   = aw_len_q;
  assign m_axi_awsize  = 3'(SizeBits);
  assign m_axi_awburst = 2'b01;
  assign m_axi_awlock  = 1'b0;
  // Normal, non-cacheable, non-bufferable: the response comes from the memory itself.
  assign m_axi_awcache = 4'b0010;
  assign m_axi_awprot  = 3'b010;
  assign m_axi_awvalid = aw_valid_q;

  // ---------------------------------------------------------------- data

  logic data_valid, data_word, beat, beat_last, line_last;
  logic [6:0] data_lines;
  logic [CountBits-1:0] beats_q, data_beats;
  logic [DataWidth-1:0] line_part;

  // Requests whose data are not all sent.
  sync_fifo #(
      .Width(1 + 7),
      .Depth(MaxOutstanding)
  ) u_data_fifo (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .push_i (send),
      .ready_o(data_fifo_ready),
      .data_i ({req_word_i, send_lines}),
      .pop_i  (beat && beat_last),
      .valid_o(data_valid),
      .data_o ({data_word, data_lines})
  );

  if (Beats == 1) begin : gen_whole
    assign line_last = 1'b1;
    assign line_part = line_data_i;
  end else begin : gen_parts
    // A burst begins with a line.
    assign line_last = &beats_q[BeatBits-1:0];
    assign line_part = line_data_i[32'(beats_q[BeatBits-1:0])*DataWidth+:DataWidth];
  end

  assign m_axi_wvalid = data_valid && (data_word || line_valid_i);
  assign beat         = m_axi_wvalid && m_axi_wready;
  assign line_ready_o = beat && !data_word && line_last;
  assign data_beats   = data_word ? CountBits'(1) : CountBits'(data_lines) << BeatBits;
  assign beat_last    = beats_q + CountBits'(1) == data_beats;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      beats_q <= '0;
    end else if (beat) begin
      beats_q <= beat_last ? '0 : beats_q + CountBits'(1);
    end
  end

  // While nothing is presented the data are of no account, and cost no gates.
  assign m_axi_wdata = data_word ? DataWidth'(word_i) : line_part;
  assign m_axi_wstrb = data_word ? (DataWidth / 8)'(2 ** WordBytes - 1) : '1;
  assign m_axi_wlast = beat_last;

  // ---------------------------------------------------------------- responses

  logic resp_pending;
  /* verilator lint_off UNUSEDSIGNAL */
  // One ID for all writes; the upper bit of BRESP tells an error from OKAY and EXOKAY.
  logic unused_b;
  /* verilator lint_on UNUSEDSIGNAL */
  assign unused_b = ^{m_axi_bid, m_axi_bresp[0]};

  // Requests without a response.
  sync_fifo #(
      .Width(1 + 7),
      .Depth(MaxOutstanding)
  ) u_resp_fifo (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .push_i (send),
      .ready_o(resp_fifo_ready),
      .data_i ({req_word_i, send_lines}),
      .pop_i  (resp_valid_o),
      .valid_o(resp_pending),
      .data_o ({resp_word_o, resp_lines_o})
  );

  assign m_axi_bready = resp_pending;
  assign resp_valid_o = m_axi_bvalid && m_axi_bready;
  assign resp_error_o = m_axi_bresp[1];
  assign idle_o       = !resp_pending && !aw_valid_q;

`ifndef SYNTHESIS
  logic past_aw_stalled_q, past_w_stalled_q;
  logic [63:0] past_awaddr_q;
  logic [7:0] past_awlen_q;
  logic [DataWidth-1:0] past_wdata_q;
  logic past_wlast_q;
  always_ff @(posedge clk_i) begin
    past_aw_stalled_q <= rst_ni && m_axi_awvalid && !m_axi_awready;
    past_awaddr_q     <= m_axi_awaddr;
    past_awlen_q      <= m_axi_awlen;
    past_w_stalled_q  <= rst_ni && m_axi_wvalid && !m_axi_wready;
    past_wdata_q      <= m_axi_wdata;
    past_wlast_q      <= m_axi_wlast;
  end
  `HW_ASSERT_INIT(WidthLegal_A, DataWidth == 128 || DataWidth == 256 || DataWidth == DESC_BITS,
                  "DataWidth must be 128, 256 or 512")
  `HW_ASSERT(RequestHasLines_A,
             !req_valid_i || req_word_i || (req_lines_i >= 7'd1 && req_lines_i <= 7'd64),
             "a burst has 1 to 64 lines")
  `HW_ASSERT(InPage_A,
             !m_axi_awvalid ||
             32'(m_axi_awaddr[11:SizeBits]) + 32'(m_axi_awlen) < 32'd4096 >> SizeBits,
             "no burst crosses a 4 KiB boundary")
  `HW_ASSERT(RequestStable_A,
             !past_aw_stalled_q || (m_axi_awvalid && m_axi_awaddr === past_awaddr_q &&
                                    m_axi_awlen === past_awlen_q),
             "a stalled write request is held unchanged")
  `HW_ASSERT(DataStable_A,
             !past_w_stalled_q || (m_axi_wvalid && m_axi_wdata === past_wdata_q &&
                                   m_axi_wlast === past_wlast_q),
             "stalled write data are held unchanged")
`endif

endmodule

`default_nettype wire
