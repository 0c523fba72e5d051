// SPDX-License-Identifier: Apache-2.0
//
// The fetch unit obeys AXI at its ports, reads only published lines, and delivers what the memory
// returned, line by line, for every memory that obeys AXI. On a bus of fewer than 512 bits a line
// takes several beats.
`default_nettype none
`include "hw_macros.svh"

module desc_fetch_props
  import hw_desc_pkg::*;
#(
    parameter int Depth          = 64,
    parameter int MaxBurst       = 8,
    parameter int MaxOutstanding = 8,
    parameter int DataWidth      = 512
) (
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic                 run_i,
    input wire logic                 flush_i,
    input wire logic [         31:0] cmd_head_i,
    input wire logic [         31:0] cmd_tail_i,
    input wire logic [          7:0] cmd_log2_i,
    input wire logic [         63:6] cmd_line_i,
    input wire logic                 ready_i,
    input wire logic                 arready_i,
    input wire logic [          3:0] rid_i,
    input wire logic [DataWidth-1:0] rdata_i,
    input wire logic [          1:0] rresp_i,
    input wire logic                 rlast_i,
    input wire logic                 rvalid_i,
    input wire logic [         31:0] watch_i
);

  localparam int PlaceBits = $clog2(Depth);
  localparam int BusBytes = DataWidth / 8;
  localparam int Beats = DESC_BITS / DataWidth;
  localparam logic [31:0] MaxSlots = 32'd1 << RING_LOG2_MAX;

  logic idle, valid, error, arlock, arvalid, rready;
  logic [DESC_BITS-1:0] data;
  logic [31:0] index;
  logic [3:0] arid, arcache;
  logic [63:0] araddr;
  logic [7:0] arlen;
  logic [2:0] arsize, arprot;
  logic [1:0] arburst;

  desc_fetch #(
      .Depth         (Depth),
      .MaxBurst      (MaxBurst),
      .MaxOutstanding(MaxOutstanding),
      .DataWidth     (DataWidth)
  ) u_dut (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .run_i        (run_i),
      .flush_i      (flush_i),
      .idle_o       (idle),
      .cmd_head_i   (cmd_head_i),
      .cmd_tail_i   (cmd_tail_i),
      .cmd_log2_i   (cmd_log2_i),
      .cmd_line_i   (cmd_line_i),
      .valid_o      (valid),
      .ready_i      (ready_i),
      .data_o       (data),
      .index_o      (index),
      .error_o      (error),
      .m_axi_arid   (arid),
      .m_axi_araddr (araddr),
      .m_axi_arlen  (arlen),
      .m_axi_arsize (arsize),
      .m_axi_arburst(arburst),
      .m_axi_arlock (arlock),
      .m_axi_arcache(arcache),
      .m_axi_arprot (arprot),
      .m_axi_arvalid(arvalid),
      .m_axi_arready(arready_i),
      .m_axi_rid    (rid_i),
      .m_axi_rdata  (rdata_i),
      .m_axi_rresp  (rresp_i),
      .m_axi_rlast  (rlast_i),
      .m_axi_rvalid (rvalid_i),
      .m_axi_rready (rready)
  );

  // ---------------------------------------------------------------- reads in flight

  // Index of the next line to be requested; the bursts in flight, the oldest at 0, by their number
  // of beats less one; beats of the oldest that have arrived, and of its line that is not whole.
  logic [31:0] asked_q, arrived, taken, due, queued, ask_lines, part;
  logic [MaxOutstanding-1:0][7:0] burst_q;
  logic [31:0] bursts_q;
  logic [7:0] beats_q;
  logic request, beat, arrive, last, working;
  logic [31:0] slots, advances;

  assign working = rst_ni && !flush_i;
  assign request = arvalid && arready_i;
  assign ask_lines = (32'(arlen) + 32'd1) / Beats;
  assign part = 32'(beats_q) % Beats;
  assign beat = rvalid_i && rready;
  // The last beat of a line.
  assign arrive = beat && part == Beats - 1;
  assign last = beat && rlast_i;
  assign due = asked_q - arrived;
  assign slots = 32'd1 << cmd_log2_i;
  assign advances = u_dut.advance_q ? 32'(u_dut.last_q) + 32'd1 : 32'd0;

  always_comb begin
    queued = 32'd0;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (32'(i) < bursts_q) begin
        queued = queued + 32'(burst_q[i]) + 32'd1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!working) begin
      asked_q  <= cmd_head_i;
      bursts_q <= '0;
      beats_q  <= '0;
    end else begin
      asked_q  <= asked_q + (request ? ask_lines : 32'd0);
      bursts_q <= bursts_q + 32'(request) - 32'(last);
      if (beat) begin
        beats_q <= rlast_i ? 8'd0 : beats_q + 8'd1;
      end
    end
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (request && 32'(i) == bursts_q - 32'(last)) begin
        burst_q[i] <= arlen;
      end else if (last && i + 1 < MaxOutstanding) begin
        burst_q[i] <= burst_q[(i+1)%MaxOutstanding];
      end
    end
  end

  // ---------------------------------------------------------------- order of the lines

  logic watched_error_q, watched_inside, error_q, fails;
  logic [PlaceBits-1:0] watched_place, arriving_place;
  logic [DESC_BITS-1:0] watched_line, arriving_line;
  logic [Beats-1:0] watched_errors, arriving_errors;
  logic [DESC_BITS-1:0] parts_q, parts, arriving_mask;
  assign watched_inside = watch_i - taken < arrived - taken;
  assign watched_place = PlaceBits'(32'(u_dut.u_line_fifo.read_q) + watch_i - taken);
  assign watched_line = u_dut.u_line_fifo.mem[watched_place];
  assign watched_errors = u_dut.u_error_fifo.mem[watched_place];

  assign arriving_place = PlaceBits'(u_dut.u_line_fifo.write_q);
  assign arriving_line = u_dut.u_line_fifo.mem[arriving_place];
  assign arriving_errors = u_dut.u_error_fifo.mem[arriving_place];

  // The line that arrives with the present beat; whether any of its beats has an error.
  always_comb begin
    parts = parts_q;
    parts[part*DataWidth+:DataWidth] = rdata_i;
    arriving_mask = '0;
    for (int i = 0; i < Beats; i++) begin
      if (32'(i) < part) begin
        arriving_mask[i*DataWidth+:DataWidth] = '1;
      end
    end
  end
  assign fails = (part != 32'd0 && error_q) || rresp_i[1];

  always_ff @(posedge clk_i) begin
    if (beat) begin
      parts_q <= parts;
      error_q <= fails;
    end
    if (arrive && arrived == watch_i) begin
      watched_error_q <= fails;
    end
  end

  // Whether one of so many first beats has an error.
  function automatic logic error_of(input logic [Beats-1:0] errors, input logic [31:0] beats);
    error_of = 1'b0;
    for (int i = 0; i < Beats; i++) begin
      error_of = error_of || (32'(i) < beats && errors[i]);
    end
  endfunction

  line_order u_order (
      .clk_i        (clk_i),
      .rst_ni       (working),
      .first_index_i(cmd_head_i),
      .watch_i      (watch_i),
      .slots_i      (32'(Depth)),
      .push_valid_i (arrive),
      .push_ready_i (1'b1),
      .push_data_i  (parts),
      .pop_valid_i  (valid || error),
      .pop_ready_i  (valid && ready_i),
      .pop_data_i   (u_dut.buffer_line),
      .slot_data_i  (watched_line),
      .pushed_o     (arrived),
      .popped_o     (taken)
  );

  // ---------------------------------------------------------------- the cycle before

  logic started_q = 1'b0;
  logic settled_q = 1'b0;
  logic past_working_q = 1'b0;
  logic past_waits_q, past_run_q, past_valid_q, used_q, starves, steady;
  logic [1:0] starved_q;
  logic [63:0] past_araddr_q;
  logic [7:0] past_arlen_q, past_log2_q, past2_log2_q;
  logic [63:6] past_line_q, past2_line_q;
  logic [31:0] past_tail_q, past_taken_q;
  // A published line that nothing keeps from being requested; for how many cycles, up to 2.
  assign starves = working && run_i && bursts_q == 32'd0 && !arvalid && arrived == taken &&
      cmd_tail_i != asked_q;
  // Size and base are those of the last two cycles too.
  assign steady = cmd_log2_i == past_log2_q && past_log2_q == past2_log2_q &&
      cmd_line_i == past_line_q && past_line_q == past2_line_q;
  always_ff @(posedge clk_i) begin
    started_q      <= 1'b1;
    settled_q      <= started_q;
    past_working_q <= working;
    past_waits_q   <= working && arvalid && !arready_i;
    past_valid_q   <= working && arvalid;
    past_run_q     <= run_i;
    starved_q      <= !starves ? 2'd0 : (starved_q == 2'd2 ? 2'd2 : starved_q + 2'd1);
    past_araddr_q  <= araddr;
    past_arlen_q   <= arlen;
    past_log2_q    <= cmd_log2_i;
    past_line_q    <= cmd_line_i;
    past2_log2_q   <= past_log2_q;
    past2_line_q   <= past_line_q;
    past_tail_q    <= cmd_tail_i;
    past_taken_q   <= taken;
    used_q         <= rst_ni && (used_q || run_i);
  end

  // the first cycle is one of reset
  `HW_ASSUME(BeginsInReset_M, started_q || !rst_ni)
  // a memory returns only requested bursts, in order, with as many beats as requested and LAST with
  // the last of them (AXI, A3.4.1 and A3.4.2)
  `HW_ASSUME(ReturnsRequested_M, !rvalid_i || bursts_q != 32'd0)
  // LAST marks the last beat of a burst, and no other
  `HW_ASSUME(LastIsLast_M, !rvalid_i || rlast_i == (beats_q == burst_q[0]))
  // run_control flushes only when no read is in flight, and starts none then
  `HW_ASSUME(FlushWhenIdle_M, !flush_i || (idle && !run_i))
  // the head is behind the tail by at most the slots of the ring (mmio_regs_props, TailBounded_A)
  `HW_ASSUME(HeadBehindTail_M, working || cmd_tail_i - cmd_head_i <= MaxSlots)
  // reset and flush keep the tail
  `HW_ASSUME(TailStays_M, past_working_q || cmd_tail_i == past_tail_q)
  // mmio_regs moves the tail only forward, at most 2^16 beyond the completed lines (TailForward_A)
  `HW_ASSUME(TailForward_M, !past_working_q ||
             (cmd_tail_i - past_taken_q >= past_tail_q - past_taken_q &&
              cmd_tail_i - past_taken_q <= MaxSlots))
  // mmio_regs enables no ring of another size (SizesInForce_A)
  `HW_ASSUME(SizeLegal_M, !(run_i || used_q) ||
             (cmd_log2_i >= RING_LOG2_MIN && cmd_log2_i <= RING_LOG2_MAX))
  // mmio_regs locks size and base with the first ENABLE (ConfigLocked_A)
  `HW_ASSUME(ConfigLocked_M, !used_q || (cmd_log2_i == past_log2_q && cmd_line_i == past_line_q))

  // mmio_regs enables only what has settled: no access follows a write for two cycles
  // (EnabledSettled_A)
  `HW_ASSUME(ConfigSettled_M, !run_i || steady)

  // [DB-001] no unpublished line is requested
  `HW_ASSERT_IF(NeverPastTail_A, arvalid,
                ask_lines <= cmd_tail_i - asked_q && cmd_tail_i - asked_q <= MaxSlots)
  // [DB-001] the unit never passes the published tail
  `HW_ASSERT_IF(AskedBehindTail_A, 1'b1, cmd_tail_i - u_dut.ask_index_q <= MaxSlots)
  // [RING-001] [RING-004] a request names the slot of the next index, from slot 0 at the base on
  `HW_ASSERT_IF(AddressIsSlot_A, arvalid,
                araddr == {cmd_line_i + 58'(asked_q & (slots - 32'd1)), 6'd0})
  // [RING-001] no burst crosses the end of the ring
  `HW_ASSERT_IF(WithinRing_A, arvalid, (asked_q & (slots - 32'd1)) + ask_lines <= slots)
  // no burst crosses a 4 KiB boundary (AXI, A3.4.1)
  `HW_ASSERT_IF(WithinPage_A, arvalid,
                32'(araddr[11:0]) + (32'(arlen) + 32'd1) * BusBytes <= 32'd4096)
  // bursts are INCR, of whole lines, of at most MaxBurst of them, and all with one ID
  `HW_ASSERT_IF(BurstLegal_A, arvalid, (32'(arlen) + 32'd1) % Beats == 0 &&
                ask_lines <= 32'(MaxBurst) && 32'd1 << arsize == 32'(BusBytes) &&
                arburst == 2'b01 && arid == '0 && !arlock)
  // a stalled request is held unchanged (AXI, A3.2.1)
  `HW_ASSERT_IF(RequestStable_A, past_waits_q,
                arvalid && araddr == past_araddr_q && arlen == past_arlen_q)
  // [LIFE-007] [LIFE-003] no read starts unless the device runs
  `HW_ASSERT_IF(StartsOnlyRunning_A, past_working_q && !past_run_q,
                !arvalid || past_waits_q)
  // no more than MaxOutstanding reads are in flight
  `HW_ASSERT_IF(OutstandingBounded_A, 1'b1,
                bursts_q + 32'(arvalid) <= 32'(MaxOutstanding) &&
                32'(u_dut.outstanding_q) == bursts_q + 32'(arvalid))
  // data are accepted as soon as they arrive: their space is reserved
  `HW_ASSERT_IF(NeverStalls_A, rvalid_i, rready && arrived - taken < 32'(Depth))
  // the unit is idle iff no read is in flight
  `HW_ASSERT_IF(Idle_A, 1'b1, idle == (bursts_q == 32'd0 && !arvalid))

  // [RING-011] a line is delivered with the index of its slot
  `HW_ASSERT_IF(IndexIsPosition_A, (valid || error), index == taken)
  // the valid line is the oldest in the buffer
  `HW_ASSERT_IF(OffersOldest_A, valid, data == u_dut.buffer_line && !error)
  // [LIFE-005] a line with an error response is never valid, and is reported as the one that failed
  `HW_ASSERT_IF(ErrorShown_A, (valid || error) && taken == watch_i, error == watched_error_q)
  // the error stays with its line
  `HW_ASSERT_IF(ErrorKept_A, watched_inside,
                error_of(watched_errors, 32'(Beats)) == watched_error_q)

  // [DB-001] [RING-001] progress: with nothing in flight and nothing in the buffer, a published
  // line is requested after two cycles, also if all of the greatest ring is published at once
  `HW_ASSERT_IF(RequestsPublished_A, starved_q == 2'd2, arvalid)
  // progress: what has arrived is valid, or shown as failed, until it is taken
  `HW_ASSERT_IF(OffersArrived_A, arrived != taken, valid || error)

  // the unit's counters agree with the handshakes
  `HW_ASSERT_IF(CountersAgree_A, 1'b1, u_dut.head_index_q == taken &&
                u_dut.ask_index_q + advances == asked_q + (arvalid ? ask_lines : 32'd0) &&
                u_dut.ask_index_q + advances - taken <= 32'(Depth))
  // a burst moves the next index in the cycle in which it first shows
  `HW_ASSERT_IF(AdvancesOnce_A, u_dut.advance_q,
                arvalid && 32'(u_dut.last_q) + 32'd1 == ask_lines && !past_waits_q &&
                !u_dut.measured_q)
  // the mask and the carried part of the address are those of the size and the base
  `HW_ASSERT_IF(MaskIsSize_A, settled_q,
                32'(u_dut.slot_mask_q) == ((32'd1 << past_log2_q) - 32'd1 & 32'h0000_FFFF) &&
                u_dut.carried_high_q == past_line_q[63:22] + 42'd1)
  // [RING-001] [RING-004] what is measured is the line of the next index, and a burst that ends
  // with the ring and with the page
  `HW_ASSERT_IF(MeasuredLine_A, u_dut.measured_q && settled_q && steady &&
                cmd_log2_i <= RING_LOG2_MAX,
                u_dut.line_q == cmd_line_i + 58'(u_dut.ask_index_q & (slots - 32'd1)) &&
                (u_dut.ask_index_q & (slots - 32'd1)) + 32'(u_dut.limit_q) < slots &&
                32'(u_dut.line_q[11:6]) + 32'(u_dut.limit_q) < 32'd64 &&
                32'(u_dut.limit_q) < 32'(MaxBurst))
  // [DB-001] no more is measured than is published, and than there is space for
  `HW_ASSERT_IF(MeasuredBounds_A, u_dut.measured_q,
                u_dut.published_q <= cmd_tail_i - u_dut.ask_index_q &&
                32'(u_dut.room_q) + u_dut.ask_index_q - taken <= 32'(Depth))
  // the buffer holds the lines that arrived and are not delivered
  `HW_ASSERT_IF(BufferAgrees_A, 1'b1, arrived - taken <= due + arrived - taken &&
                (PlaceBits + 1)'(u_dut.u_line_fifo.write_q - u_dut.u_line_fifo.read_q) ==
                (PlaceBits + 1)'(arrived - taken) && arrived - taken <= 32'(Depth))
  // the error bits are where their line is
  `HW_ASSERT_IF(ErrorsBeside_A, 1'b1,
                u_dut.u_error_fifo.write_q == u_dut.u_line_fifo.write_q &&
                u_dut.u_error_fifo.read_q == u_dut.u_line_fifo.read_q &&
                u_dut.u_error_fifo.part == u_dut.u_line_fifo.part)
  // the beats that have arrived of a line are in the buffer, behind all others
  `HW_ASSERT_IF(PartsKept_A, 1'b1, 32'(u_dut.u_line_fifo.part) == part &&
                (arriving_line & arriving_mask) == (parts_q & arriving_mask) &&
                (part == 32'd0 || error_of(arriving_errors, part) == error_q))
  // the lines due are the rest of the bursts in flight
  `HW_ASSERT_IF(DueIsQueued_A, 1'b1, due * Beats == queued - 32'(beats_q) + part &&
                due <= 32'(Depth) &&
                bursts_q <= 32'(MaxOutstanding) &&
                (bursts_q == 32'd0 ? beats_q == 8'd0 : beats_q <= burst_q[0]))
  // a unit that never ran has requested nothing
  `HW_ASSERT_IF(UnusedIsEmpty_A, !used_q,
                !arvalid && due == 32'd0 && bursts_q == 32'd0 && arrived == taken)
  for (genvar i = 0; i < MaxOutstanding; i++) begin : gen_burst
    // no burst in flight is longer than MaxBurst
    `HW_ASSERT_IF(QueuedLegal_A, 32'(i) < bursts_q, 32'(burst_q[i]) < 32'(MaxBurst * Beats) &&
                  (32'(burst_q[i]) + 32'd1) % Beats == 0)
  end

  // [RING-001] a burst ends at the end of the ring although more is published
  `HW_COVER(RingEndSplits_C, arvalid && ask_lines < 32'(MaxBurst) &&
            ((asked_q + ask_lines) & (slots - 32'd1)) == 32'd0 &&
            cmd_tail_i - asked_q > 32'(MaxBurst))
  // the buffer is full of stalled lines
  `HW_COVER(BufferFull_C, arrived - taken == 32'd4 && !ready_i && valid)
  // [LIFE-005] an error waits behind a good line
  `HW_COVER(ErrorBehind_C, error && taken == watch_i && taken != 32'd0)
  // a request stalls while the data of another arrive
  `HW_COVER(Overlaps_C, past_waits_q && beat)

endmodule

`default_nettype wire
