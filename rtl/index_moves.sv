// SPDX-License-Identifier: Apache-2.0
//
// Judges the writes that move an index: a doorbell by the command ring, a head by the tail of its
// ring.
//
// Rules: DB-002, DB-003, DB-006, RING-002, RING-010.
//
// With OnChip 0 the judgement, by the indices of the write's own cycle, is there two cycles later: a
// difference in the first, a comparison in the second. With OnChip 1 it is there at once.
`default_nettype none

module index_moves #(
    // 1: the rings are on chip. 0: they are in memory.
    parameter bit OnChip = 1'b0
) (
    // Clock and synchronous active-low reset.
    input wire logic        clk_i,
    input wire logic        rst_ni,
    // A write of CMD_TAIL by the doorbell in bit 0, of DONE_HEAD, of REWARD_HEAD; the index.
    input wire logic [ 2:0] moves_i,
    input wire logic [31:0] index_i,
    // The device is enabled; log2 of the command ring's slots; indices as they are.
    input wire logic        enable_i,
    input wire logic [ 7:0] cmd_log2_i,
    input wire logic [31:0] cmd_head_i,
    input wire logic [31:0] cmd_tail_i,
    input wire logic [31:0] done_head_i,
    input wire logic [31:0] done_tail_i,
    input wire logic [31:0] reward_head_i,
    input wire logic [31:0] reward_tail_i,
    // The write that is judged, as above; its index; as a doorbell, and as a head, it is legal.
    output logic     [ 2:0] move_o,
    output logic     [31:0] index_o,
    output logic            doorbell_legal_o,
    output logic            head_legal_o
);

  /* verilator lint_off UNUSEDSIGNAL */
  // What is under judgement; with the rings on chip nothing is.
  logic [2:0] moves_q, move_q;
  /* verilator lint_on UNUSEDSIGNAL */
  // How far the new value and the bound are ahead of the index that it may not pass. The bound of a
  // doorbell is the present tail, that of a head [RING-010] the tail of its ring.
  logic [31:0] origin, bound, new_ahead, bound_ahead, cmd_slots;
  logic repeats;

  assign origin = moves_i[0] ? cmd_head_i : (moves_i[1] ? done_head_i : reward_head_i);
  assign bound  = moves_i[0] ? cmd_tail_i : (moves_i[1] ? done_tail_i : reward_tail_i);

  if (OnChip) begin : gen_move_now
    /* verilator lint_off UNUSEDSIGNAL */
    logic unused_inputs;
    assign unused_inputs = clk_i ^ rst_ni;
    /* verilator lint_on UNUSEDSIGNAL */
    assign moves_q     = '0;
    assign move_q      = '0;
    assign move_o      = moves_i;
    assign index_o     = index_i;
    assign new_ahead   = index_i - origin;
    assign bound_ahead = bound - origin;
    assign repeats     = index_i == cmd_tail_i;
    assign cmd_slots   = 32'd1 << cmd_log2_i;
  end else begin : gen_move_staged
    logic [31:0] index_q, origin_q, bound_q, new_index_q, new_ahead_q, bound_ahead_q, cmd_slots_q;
    logic repeats_q;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        moves_q <= '0;
        move_q  <= '0;
      end else begin
        moves_q <= moves_i;
        move_q  <= moves_q;
      end
    end
    always_ff @(posedge clk_i) begin
      index_q        <= index_i;
      origin_q       <= origin;
      bound_q        <= bound;
      new_index_q    <= index_q;
      new_ahead_q    <= index_q - origin_q;
      bound_ahead_q  <= bound_q - origin_q;
      repeats_q      <= index_q == cmd_tail_i;
      cmd_slots_q    <= 32'd1 << cmd_log2_i;
    end
    assign move_o      = move_q;
    assign index_o     = new_index_q;
    assign new_ahead   = new_ahead_q;
    assign bound_ahead = bound_ahead_q;
    assign repeats     = repeats_q;
    assign cmd_slots   = cmd_slots_q;
  end

  assign doorbell_legal_o = repeats ||
      (enable_i && new_ahead >= bound_ahead && new_ahead <= cmd_slots);
  // A consumer index may move up to the tail, never back.
  assign head_legal_o     = new_ahead <= bound_ahead;

endmodule

`default_nettype wire
