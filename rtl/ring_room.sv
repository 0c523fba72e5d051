// SPDX-License-Identifier: Apache-2.0
//
// Where the next completion of one ring goes: its index, whether the host has made room for it, and
// whether the line behind it in memory belongs to another burst.
//
// Rules: RING-001, RING-002, RING-005, RING-008.
//
// Every sum and every comparison has a cycle of its own: full_o and last_o hold for the present
// index from the third cycle on after a reset or a restart. Room that the host makes counts two
// cycles later.
`default_nettype none
`include "hw_macros.svh"

module ring_room
  import hw_desc_pkg::*;
#(
    // Bits of an index that choose a slot of the greatest ring.
    parameter int SlotBits = 32'(RING_LOG2_MAX)
) (
    // Clock and synchronous active-low reset; index of the first completion.
    input wire logic                clk_i,
    input wire logic                rst_ni,
    input wire logic [        31:0] first_index_i,
    // Return to the tail.
    input wire logic                restart_i,
    input wire logic [        31:0] tail_i,
    // log2 of the slots; index up to which the host has read, as far as it tells a full ring from an
    // empty one; line of slot 0 within its page.
    input wire logic [         7:0] log2_i,
    input wire logic [  SlotBits:0] head_i,
    input wire logic [        11:6] base_i,
    // A completion takes the index.
    input wire logic                take_i,
    output logic     [        31:0] index_o,
    // The bits of an index that choose a slot.
    output logic     [SlotBits-1:0] mask_o,
    // The ring has no room for the index; the slot behind it is not the next line of memory, or is
    // in another page.
    output logic                    full_o,
    output logic                    last_o
);

  logic [31:0] index_q;
  logic [SlotBits-1:0] mask_q;
  // The index at which the ring is full, by what the host had read in the cycle before: one bit more
  // than chooses a slot tells a full ring from an empty one.
  logic [SlotBits:0] limit_q;
  logic full_q, last_q;

  always_ff @(posedge clk_i) begin
    for (int i = 0; i < SlotBits; i++) begin
      mask_q[i] <= 32'(log2_i) > i;
    end
    limit_q <= head_i + ((SlotBits + 1)'(1) << log2_i);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      index_q <= first_index_i;
    end else if (restart_i) begin
      index_q <= tail_i;
    end else if (take_i) begin
      index_q <= index_q + 32'd1;
    end
  end

  // Each for this index in bit 0, for the next one in bit 1. An index never passes its limit, so that
  // no comparison by size is needed.
  logic [SlotBits:0] left;
  logic [SlotBits-1:0] to_ring_end;
  logic [5:0] line;
  logic [1:0] fulls, lasts;

  assign left        = limit_q - index_q[SlotBits:0];
  assign fulls       = {left == (SlotBits + 1)'(1), left == '0};
  assign to_ring_end = ~index_q[SlotBits-1:0] & mask_q;
  // The line's place in its page is base_i + line. A sum of -1 needs no adder: its terms are
  // complements.
  assign line        = index_q[5:0] & mask_q[5:0];
  assign lasts[0]    = to_ring_end == '0 || line == ~base_i;
  assign lasts[1]    = to_ring_end == SlotBits'(1) ||
      (to_ring_end == '0 ? base_i == 6'd63 : line == ~(base_i + 6'd1));

  always_ff @(posedge clk_i) begin
    full_q <= fulls[take_i];
    last_q <= lasts[take_i];
  end

  assign index_o = index_q;
  assign mask_o  = mask_q;
  assign full_o  = full_q;
  assign last_o  = last_q;

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(BitsLegal_A, SlotBits >= 6 && SlotBits <= 31,
                  "SlotBits must be 6 to 31: a page has 64 lines")
`endif

endmodule

`default_nettype wire
