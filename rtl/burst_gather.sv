// SPDX-License-Identifier: Apache-2.0
//
// Gathers consecutive completions of a ring into bursts of whole lines, which cross neither a 4 KiB
// boundary nor the end of the ring. A burst is closed as soon as no completion arrives and no other
// burst waits for the bus.
//
// Rules: RING-001.
`default_nettype none

module burst_gather
  import hw_desc_pkg::*;
#(
    // Bits of an index that choose a slot of the greatest ring; closed bursts that can wait, a power
    // of two.
    parameter int SlotBits = 32'(RING_LOG2_MAX),
    parameter int Depth    = 4
) (
    // Clock and synchronous active-low reset.
    input wire logic                clk_i,
    input wire logic                rst_ni,
    // Forget all bursts; close none.
    input wire logic                restart_i,
    input wire logic                stop_i,
    // Line addresses of slot 0 of each ring; for each the next index's bits and those that choose
    // the slot.
    input wire logic [        63:6] done_line_i,
    input wire logic [        63:6] reward_line_i,
    input wire logic [SlotBits-1:0] done_index_i,
    input wire logic [SlotBits-1:0] reward_index_i,
    input wire logic [SlotBits-1:0] done_mask_i,
    input wire logic [SlotBits-1:0] reward_mask_i,
    // A completion takes that index; only with ready_o. It is the last of its ring or page.
    input wire logic                accept_i,
    input wire logic                to_reward_i,
    input wire logic                last_i,
    // Most lines of a burst.
    input wire logic [         6:0] limit_i,
    output logic                    ready_o,
    // The burst that was closed first, until it is sent.
    output logic                    valid_o,
    input wire logic                sent_i,
    output logic     [        63:6] line_o,
    output logic     [         6:0] lines_o
);

  // The first slot of the open burst, of which the line is computed when it closes; the upper part
  // of the address where the lower part carries.
  logic [SlotBits-1:0] open_index_q;
  logic [63:6+SlotBits] done_carried_q, reward_carried_q;
  logic [63:6] open_base, open_line;
  logic [6+SlotBits:6] open_low;
  logic [6:0] open_lines_q, lines_with_this;
  logic open_reward_q, open_full_q, append, close;

  assign append          = accept_i && open_lines_q != 7'd0 && !open_full_q &&
      open_reward_q == to_reward_i;
  assign lines_with_this = append ? open_lines_q + 7'd1 : 7'd1;
  assign close           = open_lines_q != 7'd0 && ready_o && !stop_i &&
      (accept_i ? !append : open_full_q || !valid_o);

  always_ff @(posedge clk_i) begin
    if (!rst_ni || restart_i) begin
      open_lines_q <= 7'd0;
      open_full_q  <= 1'b0;
    end else if (accept_i) begin
      open_lines_q <= lines_with_this;
      open_full_q  <= last_i || lines_with_this >= limit_i;
    end else if (close) begin
      open_lines_q <= 7'd0;
    end
  end

  always_ff @(posedge clk_i) begin
    if (accept_i && !append) begin
      open_index_q  <= to_reward_i ? reward_index_i : done_index_i;
      open_reward_q <= to_reward_i;
    end
  end

  always_ff @(posedge clk_i) begin
    done_carried_q   <= done_line_i[63:6+SlotBits] + 1'b1;
    reward_carried_q <= reward_line_i[63:6+SlotBits] + 1'b1;
  end

  assign open_base = open_reward_q ? reward_line_i : done_line_i;
  assign open_low  = {1'b0, open_base[5+SlotBits:6]} +
      {1'b0, open_index_q & (open_reward_q ? reward_mask_i : done_mask_i)};
  assign open_line = {
    !open_low[6+SlotBits] ? open_base[63:6+SlotBits] :
        (open_reward_q ? reward_carried_q : done_carried_q),
    open_low[5+SlotBits:6]
  };

  // Closed bursts that wait for the bus.
  sync_fifo #(
      .Width(58 + 7),
      .Depth(Depth)
  ) u_burst_fifo (
      .clk_i  (clk_i),
      .rst_ni (rst_ni && !restart_i),
      .push_i (close),
      .ready_o(ready_o),
      .data_i ({open_line, open_lines_q}),
      .pop_i  (sent_i),
      .valid_o(valid_o),
      .data_o ({line_o, lines_o})
  );

endmodule

`default_nettype wire
