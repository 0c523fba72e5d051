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
// Sizing a burst takes three cycles, one sum or comparison each, so a line a cycle needs bursts of
// three lines or more. A line published while nothing is in the way is requested two cycles later.
//   measure: from the next index, where its line is, how much of the ring and of the page is behind
//            it, how much is published, how much space there is
//   start:   the least of these is the length; the request goes out
//   advance: the next index moves behind the burst
//
// A line with an error response is never delivered: error_o rises once it is the oldest in the
// buffer, and the lines behind it wait. flush_i, only while idle_o, empties the buffer and returns
// to cmd_head_i.
//
// A line takes a beat on a bus of 512 bits, and two or four on a narrower one; all counts above are
// of lines. An error in any beat of a line is one of the line.
`default_nettype none
`include "hw_macros.svh"

module desc_fetch
  import hw_desc_pkg::*;
#(
    // Lines in the buffer, a power of two; lines in a burst; bursts in flight.
    parameter int Depth          = 64,
    parameter int MaxBurst       = 8,
    parameter int MaxOutstanding = 8,
    parameter int IdWidth        = 4,
    // Bits of the data bus: 128, 256 or 512.
    parameter int DataWidth      = 512
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
    // Lines, each with the index of its slot, undefined while valid_o is low; with error_o the index
    // of one that could not be read.
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
    input wire logic [DataWidth-1:0] m_axi_rdata,
    input wire logic [          1:0] m_axi_rresp,
    input wire logic                 m_axi_rlast,
    input wire logic                 m_axi_rvalid,
    output logic                     m_axi_rready
);

  localparam int LineBits = $clog2(DESC_BYTES);
  localparam int OutstandingBits = $clog2(MaxOutstanding + 1);
  // Beats of a line; bits that count a beat's bytes, and a line's beats.
  localparam int Beats = DESC_BITS / DataWidth;
  localparam int SizeBits = $clog2(DataWidth / 8);
  localparam int BeatBits = LineBits - SizeBits;

  // Index of the next line to request, and of the line at the head of the buffer.
  logic [31:0] ask_index_q, head_index_q;
  logic [OutstandingBits-1:0] outstanding_q;
  logic ar_valid_q;
  logic [63:LineBits] ar_line_q;
  logic [7:0] ar_len_q;

  // ---------------------------------------------------------------- the next burst

  // A ring has at most 2^16 slots, so only so many bits of an index choose one.
  localparam int SlotBits = 16;
  localparam int HighLsb = LineBits + SlotBits;
  // Lines of a burst less one, or of what bounds it; more than 63 count as 63.
  localparam int LastBits = 6;
  localparam int RoomBits = $clog2(Depth) + 1;

  // Constant while the device runs: which bits of an index choose the slot, and the upper part of a
  // line's address where the lower part carries.
  logic [SlotBits-1:0] slot_mask_q;
  logic [63:HighLsb] carried_high_q;

  always_ff @(posedge clk_i) begin
    for (int i = 0; i < SlotBits; i++) begin
      slot_mask_q[i] <= 32'(cmd_log2_i) > i;
    end
    carried_high_q <= cmd_line_i[63:HighLsb] + 1'b1;
  end

  // Measured from ask_index_q as it was in the cycle before; in force with measured_q.
  logic measured_q, advance_q;
  logic [63:LineBits] line_q;
  logic [LastBits-1:0] limit_q, last_q;
  logic [RoomBits-1:0] room_q;
  logic [31:0] published_q;

  function automatic logic [LastBits-1:0] least(input logic [LastBits-1:0] a,
                                                input logic [LastBits-1:0] b);
    least = a < b ? a : b;
  endfunction

  logic [SlotBits-1:0] slot, to_ring_end;
  logic [HighLsb:LineBits] line_low;
  logic [LastBits-1:0] to_page_end, ring_limit;

  // Lines behind the next one, in the ring and in the page.
  assign slot        = ask_index_q[SlotBits-1:0] & slot_mask_q;
  assign to_ring_end = ~ask_index_q[SlotBits-1:0] & slot_mask_q;
  assign to_page_end = ~(cmd_line_i[11:LineBits] + slot[5:0]);
  assign ring_limit  = |to_ring_end[SlotBits-1:LastBits] ? '1 : to_ring_end[LastBits-1:0];
  assign line_low    = {1'b0, cmd_line_i[HighLsb-1:LineBits]} + {1'b0, slot};

  always_ff @(posedge clk_i) begin
    line_q      <= {line_low[HighLsb] ? carried_high_q : cmd_line_i[63:HighLsb],
                    line_low[HighLsb-1:LineBits]};
    limit_q     <= least(least(6'(MaxBurst - 1), ring_limit), to_page_end);
    // Depth less what is asked for and not delivered; Depth is a power of two.
    room_q      <= {~head_index_q[RoomBits-1], head_index_q[RoomBits-2:0]} -
        ask_index_q[RoomBits-1:0];
    published_q <= cmd_tail_i - ask_index_q;
  end

  logic start;
  logic [LastBits-1:0] last;

  assign last  = |published_q[31:LastBits] || published_q[LastBits-1:0] > limit_q ?
      limit_q : published_q[LastBits-1:0] - 1'b1;
  assign start = run_i && measured_q && published_q != 32'd0 && 32'(limit_q) < 32'(room_q) &&
      outstanding_q != OutstandingBits'(MaxOutstanding) && !ar_valid_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      measured_q <= 1'b0;
      advance_q  <= 1'b0;
    end else begin
      measured_q <= !start && !advance_q;
      advance_q  <= start;
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      ar_valid_q <= 1'b0;
    end else if (!ar_valid_q || m_axi_arready) begin
      ar_valid_q <= start;
    end
  end

  always_ff @(posedge clk_i) begin
    if (start) begin
      last_q    <= last;
      ar_line_q <= line_q;
      ar_len_q  <= (8'(last) << BeatBits) + 8'(Beats - 1);
    end
  end

  assign m_axi_arid    = '0;
  assign m_axi_araddr  = {ar_line_q, LineBits'(0)};
  assign m_axi_arlen   = ar_len_q;
  assign m_axi_arsize  = 3'(SizeBits);
  assign m_axi_arburst = 2'b01;
  assign m_axi_arlock  = 1'b0;
  // Normal, non-cacheable, non-bufferable: data and responses come from the memory itself.
  assign m_axi_arcache = 4'b0010;
  assign m_axi_arprot  = 3'b010;
  assign m_axi_arvalid = ar_valid_q;

  // ---------------------------------------------------------------- the buffer

  logic arrive, take, buffer_valid, buffer_error;
  logic [DESC_BITS-1:0] buffer_line;
  logic [Beats-1:0] buffer_errors;
  /* verilator lint_off UNUSEDSIGNAL */
  // One ID for all reads; the upper bit of RRESP tells an error; there is always space.
  logic unused_r, unused_ready, unused_error_ready, unused_error_valid;
  /* verilator lint_on UNUSEDSIGNAL */
  assign unused_r = ^{m_axi_rid, m_axi_rresp[0]};

  assign arrive       = m_axi_rvalid && m_axi_rready;
  assign take         = valid_o && ready_i;
  assign m_axi_rready = outstanding_q != '0;

  // Lines read and not delivered.
  sync_fifo #(
      .Width        (DESC_BITS),
      .Depth        (Depth),
      .Parts        (Beats),
      .ZeroWhenEmpty(1'b0)
  ) u_line_fifo (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !flush_i),
      .push_i (arrive),
      .ready_o(unused_ready),
      .data_i (m_axi_rdata),
      .pop_i  (take),
      .valid_o(buffer_valid),
      .data_o (buffer_line)
  );

  // Whether a beat has an error, apart: the handshake depends on it, and block RAM is slow to read.
  sync_fifo #(
      .Width        (Beats),
      .Depth        (Depth),
      .Parts        (Beats),
      .ZeroWhenEmpty(1'b0)
  ) u_error_fifo (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !flush_i),
      .push_i (arrive),
      .ready_o(unused_error_ready),
      .data_i (m_axi_rresp[1]),
      .pop_i  (take),
      .valid_o(unused_error_valid),
      .data_o (buffer_errors)
  );

  assign buffer_error = |buffer_errors;

  assign valid_o = buffer_valid && !buffer_error;
  assign error_o = buffer_valid && buffer_error;
  // Not 0 where there is none: a gate for every bit would hang on the error bits of the memory.
  assign data_o  = buffer_line;
  assign index_o = buffer_valid ? head_index_q : '0;
  assign idle_o  = outstanding_q == '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || flush_i) begin
      ask_index_q  <= cmd_head_i;
      head_index_q <= cmd_head_i;
    end else begin
      if (advance_q) begin
        ask_index_q <= ask_index_q + 32'(last_q) + 32'd1;
      end
      if (take) begin
        head_index_q <= head_index_q + 32'd1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      outstanding_q <= '0;
    end else if (start && !(arrive && m_axi_rlast)) begin
      outstanding_q <= outstanding_q + 1'b1;
    end else if (!start && arrive && m_axi_rlast) begin
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
  `HW_ASSERT_INIT(WidthLegal_A, DataWidth == 128 || DataWidth == 256 || DataWidth == DESC_BITS,
                  "DataWidth must be 128, 256 or 512")
  `HW_ASSERT_INIT(OutstandingLegal_A, MaxOutstanding >= 1, "MaxOutstanding must be 1 or more")
  `HW_ASSERT(BehindTail_A, !run_i || cmd_tail_i - ask_index_q <= 32'd1 << RING_LOG2_MAX,
             "no unpublished line is requested (DB-001)")
  `HW_ASSERT(SpaceReserved_A, flush_i || ask_index_q - head_index_q <= 32'(Depth),
             "no more lines are requested than the buffer has space for")
  `HW_ASSERT(InPage_A,
             !m_axi_arvalid ||
             32'(m_axi_araddr[11:SizeBits]) + 32'(m_axi_arlen) < 32'd4096 >> SizeBits,
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
