// SPDX-License-Identifier: Apache-2.0
//
// The bursts of the completion writer before they are requested: those that wait in its FIFO, and
// the open one, which lines still join. An instance in comp_writer_props sees them as they are.
//
// A burst is {line address, lines}.
`default_nettype none
`include "hw_macros.svh"

module comp_writer_gather #(
    parameter int MaxBurst = 2,
    parameter int Bursts   = 4,
    parameter int SumBits  = 8
) (
    input wire logic                     clk_i,
    input wire logic                     rst_ni,
    input wire logic                     abort_i,
    // The FIFO: its memory, where it is read, how many wait.
    input wire logic [Bursts-1:0][64:0]  mem_i,
    input wire logic [2:0]               read_i,
    input wire logic [SumBits-1:0]       waits_i,
    // The open burst, and the slot behind it in its ring.
    input wire logic [63:6]              open_line_i,
    input wire logic [6:0]               open_lines_i,
    input wire logic                     open_full_i,
    input wire logic                     open_reward_i,
    input wire logic [63:6]              next_line_i,
    // A request for lines.
    input wire logic                     req_valid_i,
    input wire logic [64:0]              req_i,
    // The watched completion: its position, that of the first line that is not requested, its slot.
    input wire logic [31:0]              watch_i,
    input wire logic                     watched_i,
    input wire logic [31:0]              named_i,
    input wire logic [63:6]              watch_line_i,
    input wire logic                     watch_reward_i,
    // Lines of the waiting bursts; each of these has one line.
    output logic [SumBits-1:0]           wait_lines_o,
    output logic                         single_o
);

  logic legal, watched_address;
  logic [31:0] place;
  logic [64:0] burst;

  always_comb begin
    // Positions of the lines that are not requested: the waiting bursts, then the open one.
    place = named_i;
    watched_address = 1'b1;
    wait_lines_o = '0;
    single_o = 1'b1;
    legal = waits_i <= SumBits'(Bursts);
    burst = '0;
    for (int i = 0; i < Bursts; i++) begin
      if (SumBits'(i) < waits_i) begin
        burst = mem_i[2'(32'(read_i)+32'(i))];
        wait_lines_o = wait_lines_o + SumBits'(burst[6:0]);
        single_o = single_o && burst[6:0] == 7'd1;
        legal = legal && burst_legal(burst);
        watched_address = watched_address && (!(watch_i - place < 32'(burst[6:0])) ||
            burst[64:7] + 58'(lines_to_watched(place)) == watch_line_i);
        place = place + 32'(burst[6:0]);
      end
    end
    watched_address = watched_address && (!(watch_i - place < 32'(open_lines_i)) ||
        open_line_i + 58'(lines_to_watched(place)) == watch_line_i &&
        open_reward_i == watch_reward_i);
  end

  // From the line at position first on; 32 bits wide by itself, whatever width it is cast to.
  function automatic logic [31:0] lines_to_watched(input logic [31:0] first);
    lines_to_watched = watch_i - first;
  endfunction

  // A burst has from 1 to MaxBurst lines, all in one page of 64.
  function automatic logic burst_legal(input logic [64:0] lines_of);
    burst_legal = lines_of[6:0] != 7'd0 && 32'(lines_of[6:0]) <= 32'(MaxBurst) &&
        32'(lines_of[12:7]) + 32'(lines_of[6:0]) <= 32'd64;
  endfunction

  // a burst has 1 to MaxBurst lines in one page
  `HW_ASSERT_IF(RequestLegal_A, req_valid_i, burst_legal(req_i))
  // the address of the watched completion stays until its burst is requested
  `HW_ASSERT_IF(WatchedAddress_A, watched_i && !abort_i, watched_address)
  // waiting bursts are legal
  `HW_ASSERT_IF(WaitingLegal_A, 1'b1, legal)
  // the open burst is legal; it is full where its page ends
  `HW_ASSERT_IF(OpenLegal_A, open_lines_i != 7'd0,
                32'(open_lines_i) <= 32'(MaxBurst) &&
                (open_full_i || 32'(open_lines_i) < 32'(MaxBurst)) &&
                (abort_i || (burst_legal({open_line_i, open_lines_i}) &&
                 (open_full_i || 32'(open_line_i[11:6]) + 32'(open_lines_i) < 32'd64))))
  // [RING-001] behind an open burst in memory is the ring's next slot
  `HW_ASSERT_IF(Contiguous_A, open_lines_i != 7'd0 && !open_full_i && !abort_i,
                next_line_i == open_line_i + 58'(open_lines_i))

endmodule

`default_nettype wire
