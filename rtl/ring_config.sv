// SPDX-License-Identifier: Apache-2.0
//
// Decides whether a ring may be enabled: its size is in range, its base is aligned, and it lies
// wholly inside the memory window.
//
// Rules: LIFE-002, RING-001, RING-004 (with words_i the 128 bytes before slot 0 belong to the
// ring).
//
// With rings in memory size and base count two cycles after they change: a subtraction in the
// first, a comparison in the second. With OnChip only the size is checked, in the same cycle.
// words_i counts at once.
`default_nettype none
`include "hw_macros.svh"

module ring_config
  import hw_desc_pkg::*;
#(
    // Greatest legal size, as log2 of the slots; 1: the ring is on chip, 0: in memory.
    parameter int MaxLog2 = 16,
    parameter bit OnChip  = 1'b0
) (
    // Clock and synchronous active-low reset, in which no configuration is legal.
    input wire logic        clk_i,
    input wire logic        rst_ni,
    // log2 of the slots; address of slot 0; last byte that rings may touch, a constant.
    input wire logic [ 7:0] log2_i,
    input wire logic [63:0] base_i,
    input wire logic [63:0] window_last_i,
    // Head and tail words are before slot 0 (CTRL.PUBLISH_TAILS).
    input wire logic        words_i,
    // The ring may be enabled.
    output logic            ok_o
);

  logic size_ok;
  assign size_ok = 32'(log2_i) >= 32'(RING_LOG2_MIN) && 32'(log2_i) <= MaxLog2;

  if (OnChip) begin : gen_on_chip
    /* verilator lint_off UNUSEDSIGNAL */
    logic unused_inputs;
    /* verilator lint_on UNUSEDSIGNAL */
    assign unused_inputs = ^{clk_i, rst_ni, base_i, window_last_i, words_i};
    assign ok_o          = size_ok;
  end else begin : gen_in_memory
    localparam int LineBits = $clog2(DESC_BYTES);
    localparam int WordsBits = $clog2(RING_SLOTS_OFFSET);

    // Whole lines from the base to the end of the window, less one; negative where there is none.
    // The bit below is the carry of one into a difference less one, for a window of whole lines.
    /* verilator lint_off UNUSEDSIGNAL */
    logic [64:LineBits-1] room_q;
    /* verilator lint_on UNUSEDSIGNAL */
    logic [63:LineBits] room;
    // The bits of a number of lines that count 2^k or more, for k in range.
    localparam int SizeBits = 17;
    logic [SizeBits-1:0] whole_q, room_low;
    logic ok_q, words_ok_q, has_room;

    // 2^k lines fit: there are 2^k or more behind the first, or exactly 2^k - 1.
    assign room     = room_q[63:LineBits];
    assign room_low = room[LineBits+SizeBits-1:LineBits];
    assign has_room = !room_q[64] &&
        (|room[63:LineBits+SizeBits] || |(room_low & whole_q) || &(room_low | whole_q));

    always_ff @(posedge clk_i) begin
      room_q <= {1'b0, window_last_i[63:LineBits], 1'b1} +
          {1'b1, ~base_i[63:LineBits], &window_last_i[LineBits-1:0]};
      for (int i = 0; i < SizeBits; i++) begin
        whole_q[i] <= i >= 32'(log2_i);
      end
      words_ok_q <= |base_i[63:WordsBits];
    end

    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        ok_q <= 1'b0;
      end else begin
        ok_q <= size_ok && base_i[LineBits-1:0] == '0 && has_room;
      end
    end

    assign ok_o = ok_q && (words_ok_q || !words_i);
  end

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(SizeLegal_A, MaxLog2 >= 1 && MaxLog2 <= 16,
                  "ring sizes are from 2^1 to 2^16 slots (RING-001)")
`endif

endmodule

`default_nettype wire
