// SPDX-License-Identifier: Apache-2.0
//
// Prefetches published lines of the command ring from memory and delivers them in order.
//
// Rules: RING-001, RING-002, DB-001 (nothing beyond cmd_tail_i is read), RING-009 (prefetched lines
// do not count), LIFE-005 for reads.
//
// A read is an INCR burst of up to MaxBurst whole lines that crosses neither a 4 KiB boundary nor
// the end of the ring; up to MaxOutstanding reads are in flight. Buffer space for all its lines is
// reserved before it starts, so R never stalls. All reads carry one ID, so lines arrive in order. A
// read waits until there is space for its longest possible burst: many short ones would cost more.
//
// A line with an error response is never delivered: error_o rises once it is the oldest in the
// buffer, and the lines behind it wait. flush_i, only while idle_o, empties the buffer and returns
// to cmd_head_i.
`default_nettype none
`include "hw_macros.svh"

module desc_fetch
  import hw_desc_pkg::*;
#(
    // Lines in the buffer, a power of two; lines in a burst; bursts in flight.
    parameter int Depth          = 64,
    parameter int MaxBurst       = 8,
    parameter int MaxOutstanding = 8,
    parameter int IdWidth        = 4
) (
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // New reads may start; drop the buffered lines and return to cmd_head_i.
    input wire logic                 run_i,
    input wire logic                 flush_i,
    // No read is in flight.
    output logic                     idle_o,
    // Index of the oldest descriptor without a completion; published tail; log2 of the slots.
    input wire logic [         31:0] cmd_head_i,
    input wire logic [         31:0] cmd_tail_i,
    input wire logic [          7:0] cmd_log2_i,
    // Line address of slot 0.
    input wire logic [         63:6] cmd_line_i,
    // Lines, each with the index of its slot; with error_o the index of one that could not be read.
    output logic                     valid_o,
    input wire logic                 ready_i,
    output logic     [DESC_BITS-1:0] data_o,
    output logic     [         31:0] index_o,
    output logic                     error_o,
    // AXI4, read channels.
    output logic     [  IdWidth-1:0] m_axi_arid,
    output logic     [         63:0] m_axi_araddr,
    output logic     [          7:0] m_axi_arlen,
    output logic     [          2:0] m_axi_arsize,
    output logic     [          1:0] m_axi_arburst,
    output logic                     m_axi_arlock,
    output logic     [          3:0] m_axi_arcache,
    output logic     [          2:0] m_axi_arprot,
    output logic                     m_axi_arvalid,
    input wire logic                 m_axi_arready,
    input wire logic [  IdWidth-1:0] m_axi_rid,
    input wire logic [DESC_BITS-1:0] m_axi_rdata,
    input wire logic [          1:0] m_axi_rresp,
    input wire logic                 m_axi_rlast,
    input wire logic                 m_axi_rvalid,
    output logic                     m_axi_rready
);

  localparam int LineBits = $clog2(DESC_BYTES);
  localparam int OutstandingBits = $clog2(MaxOutstanding + 1);

  // Index of the next line to request, and of the line at the head of the buffer.
  logic [31:0] ask_index_q, head_index_q;
  logic [OutstandingBits-1:0] outstanding_q;
  logic ar_valid_q;
  logic [63:LineBits] ar_line_q;
  logic [7:0] ar_len_q;

  // ---------------------------------------------------------------- the next burst

  logic [31:0] slot_mask, slot, published, to_ring_end, to_page_end, lines, room;
  logic [63:LineBits] line;
  logic ask;

  function automatic logic [31:0] least(input logic [31:0] a, input logic [31:0] b);
    least = a < b ? a : b;
  endfunction

  assign slot_mask   = (32'd1 << cmd_log2_i) - 32'd1;
  assign slot        = ask_index_q & slot_mask;
  assign line        = cmd_line_i + 58'(slot);
  assign published   = cmd_tail_i - ask_index_q;
  assign to_ring_end = slot_mask - slot + 32'd1;
  assign to_page_end = 32'd64 - {26'd0, line[11:LineBits]};
  assign lines       = least(least(32'(MaxBurst), published), least(to_ring_end, to_page_end));
  assign room        = 32'(Depth) - (ask_index_q - head_index_q);

  assign ask = run_i && lines != 32'd0 && lines <= room &&
      outstanding_q != OutstandingBits'(MaxOutstanding) && (!ar_valid_q || m_axi_arready);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      ar_valid_q <= 1'b0;
    end else if (!ar_valid_q || m_axi_arready) begin
      ar_valid_q <= ask;
    end
  end

  always_ff @(posedge clk_i) begin
    if (ask) begin
      ar_line_q <= line;
      ar_len_q  <= 8'(lines - 32'd1);
    end
  end

  assign m_axi_arid    = '0;
  assign m_axi_araddr  = ar_valid_q ? {ar_line_q, LineBits'(0)} : '0;
  assign m_axi_arlen   = ar_valid_q ? ar_len_q : '0;
  assign m_axi_arsize  = 3'(LineBits);
  assign m_axi_arburst = 2'b01;
  assign m_axi_arlock  = 1'b0;
  // Normal, non-cacheable, non-bufferable: data and responses come from the memory itself.
  assign m_axi_arcache = 4'b0010;
  assign m_axi_arprot  = 3'b010;
  assign m_axi_arvalid = ar_valid_q;

  // ---------------------------------------------------------------- the buffer

  logic arrive, take, buffer_valid, buffer_error;
  logic [DESC_BITS-1:0] buffer_line;
  logic [DESC_BITS:0] buffer_head;
  /* verilator lint_off UNUSEDSIGNAL */
  // One ID for all reads; the upper bit of RRESP tells an error; there is always space.
  logic unused_r, unused_ready;
  /* verilator lint_on UNUSEDSIGNAL */
  assign unused_r = ^{m_axi_rid, m_axi_rresp[0]};

  assign arrive       = m_axi_rvalid && m_axi_rready;
  assign take         = valid_o && ready_i;
  assign m_axi_rready = outstanding_q != '0;

  // Lines read and not delivered, each with its error bit.
  sync_fifo #(
      .Width(DESC_BITS + 1),
      .Depth(Depth)
  ) u_line_fifo (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !flush_i),
      .push_i (arrive),
      .ready_o(unused_ready),
      .data_i ({m_axi_rresp[1], m_axi_rdata}),
      .pop_i  (take),
      .valid_o(buffer_valid),
      .data_o (buffer_head)
  );

  assign buffer_error = buffer_head[DESC_BITS];
  assign buffer_line  = buffer_head[DESC_BITS-1:0];

  assign valid_o = buffer_valid && !buffer_error;
  assign error_o = buffer_valid && buffer_error;
  assign data_o  = valid_o ? buffer_line : '0;
  assign index_o = buffer_valid ? head_index_q : '0;
  assign idle_o  = outstanding_q == '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      ask_index_q  <= cmd_head_i;
      head_index_q <= cmd_head_i;
    end else begin
      if (ask) begin
        ask_index_q <= ask_index_q + lines;
      end
      if (take) begin
        head_index_q <= head_index_q + 32'd1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      outstanding_q <= '0;
    end else if (ask && !(arrive && m_axi_rlast)) begin
      outstanding_q <= outstanding_q + 1'b1;
    end else if (!ask && arrive && m_axi_rlast) begin
      outstanding_q <= outstanding_q - 1'b1;
    end
  end

`ifndef SYNTHESIS
  logic past_ar_stalled_q, past_stalled_q;
  logic [63:0] past_araddr_q;
  logic [7:0] past_arlen_q;
  logic [DESC_BITS-1:0] past_data_q;
  always_ff @(posedge clk_i) begin
    past_ar_stalled_q <= rst_ni && m_axi_arvalid && !m_axi_arready;
    past_araddr_q     <= m_axi_araddr;
    past_arlen_q      <= m_axi_arlen;
    past_stalled_q    <= rst_ni && !flush_i && valid_o && !ready_i;
    past_data_q       <= data_o;
  end
  `HW_ASSERT_INIT(BurstLegal_A, MaxBurst >= 1 && MaxBurst <= 64 && MaxBurst <= Depth,
                  "MaxBurst must be 1 to 64 lines, and at most Depth")
  `HW_ASSERT_INIT(OutstandingLegal_A, MaxOutstanding >= 1, "MaxOutstanding must be 1 or more")
  `HW_ASSERT(BehindTail_A, !run_i || published <= 32'd1 << RING_LOG2_MAX,
             "no unpublished line is requested (DB-001)")
  `HW_ASSERT(SpaceReserved_A, flush_i || ask_index_q - head_index_q <= 32'(Depth),
             "no more lines are requested than the buffer has space for")
  `HW_ASSERT(InPage_A,
             !m_axi_arvalid ||
             {1'b0, m_axi_araddr[11:LineBits]} + m_axi_arlen[6:0] < 7'd64,
             "no burst crosses a 4 KiB boundary")
  `HW_ASSERT(FlushIdle_A, !flush_i || idle_o, "the buffer is flushed only with no read in flight")
  `HW_ASSERT(RequestStable_A,
             !past_ar_stalled_q || (m_axi_arvalid && m_axi_araddr === past_araddr_q &&
                                    m_axi_arlen === past_arlen_q),
             "a stalled read request is held unchanged")
  `HW_ASSERT(StableUnderStall_A, !past_stalled_q || (valid_o && data_o === past_data_q),
             "a stalled line is held unchanged")
`endif

endmodule

`default_nettype wire
