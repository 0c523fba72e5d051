// SPDX-License-Identifier: Apache-2.0
//
// The write engine obeys AXI on the write channels, writes each request once, in order, with its
// own data, and returns one response for each, for every memory that obeys AXI.
//
// Requests are counted at the user's port by write_port_watch, bursts at the AXI ports here. On a bus
// of fewer than 512 bits a line takes several beats.
`default_nettype none
`include "hw_macros.svh"

module axi_write_engine_props
  import hw_desc_pkg::*;
#(
    parameter int MaxBurst       = 2,
    parameter int MaxOutstanding = 2,
    parameter int DataWidth      = 512
) (
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic                 req_valid_i,
    input wire logic                 req_word_i,
    input wire logic [         63:6] req_line_i,
    input wire logic [          6:0] req_lines_i,
    input wire logic                 line_valid_i,
    input wire logic [DESC_BITS-1:0] line_data_i,
    input wire logic [         31:0] word_i,
    input wire logic                 awready_i,
    input wire logic                 wready_i,
    input wire logic [          3:0] bid_i,
    input wire logic [          1:0] bresp_i,
    input wire logic                 bvalid_i
);

  localparam int FifoBits = $clog2(MaxOutstanding);
  localparam int BusBytes = DataWidth / 8;
  localparam int Beats = DESC_BITS / DataWidth;

  logic req_ready, line_ready, resp_valid, resp_word, resp_error, idle;
  logic [6:0] resp_lines;
  logic [3:0] awid, awcache;
  logic [63:0] awaddr;
  logic [BusBytes-1:0] wstrb;
  logic [7:0] awlen;
  logic [2:0] awsize, awprot;
  logic [1:0] awburst;
  logic awlock, awvalid, wlast, wvalid, bready;
  logic [DataWidth-1:0] wdata;

  axi_write_engine #(
      .MaxOutstanding(MaxOutstanding),
      .DataWidth     (DataWidth)
  ) u_dut (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .req_valid_i  (req_valid_i),
      .req_ready_o  (req_ready),
      .req_word_i   (req_word_i),
      .req_line_i   (req_line_i),
      .req_lines_i  (req_lines_i),
      .line_valid_i (line_valid_i),
      .line_ready_o (line_ready),
      .line_data_i  (line_data_i),
      .word_i       (word_i),
      .resp_valid_o (resp_valid),
      .resp_word_o  (resp_word),
      .resp_error_o (resp_error),
      .resp_lines_o (resp_lines),
      .idle_o       (idle),
      .m_axi_awid   (awid),
      .m_axi_awaddr (awaddr),
      .m_axi_awlen  (awlen),
      .m_axi_awsize (awsize),
      .m_axi_awburst(awburst),
      .m_axi_awlock (awlock),
      .m_axi_awcache(awcache),
      .m_axi_awprot (awprot),
      .m_axi_awvalid(awvalid),
      .m_axi_awready(awready_i),
      .m_axi_wdata  (wdata),
      .m_axi_wstrb  (wstrb),
      .m_axi_wlast  (wlast),
      .m_axi_wvalid (wvalid),
      .m_axi_wready (wready_i),
      .m_axi_bid    (bid_i),
      .m_axi_bresp  (bresp_i),
      .m_axi_bvalid (bvalid_i),
      .m_axi_bready (bready)
  );

  // ---------------------------------------------------------------- the user's port

  logic accept, hand_over, resp_legal, line_legal, line_stays, line_waits, ready_legal;
  logic [7:0] count, words;
  logic [MaxOutstanding-1:0][6:0] lines;
  logic [MaxOutstanding-1:0] word;
  logic [15:0] pending;

  assign accept = req_valid_i && req_ready;
  assign hand_over = line_valid_i && line_ready;

  write_port_watch #(
      .MaxBurst      (MaxBurst),
      .MaxOutstanding(MaxOutstanding)
  ) u_watch (
      .clk_i        (clk_i),
      .rst_ni       (rst_ni),
      .req_i        (accept),
      .req_word_i   (req_word_i),
      .req_lines_i  (req_lines_i),
      .line_valid_i (line_valid_i),
      .line_data_i  (line_data_i),
      .line_i       (hand_over),
      .resp_valid_i (resp_valid),
      .resp_word_i  (resp_word),
      .resp_lines_i (resp_lines),
      .count_o      (count),
      .lines_o      (lines),
      .word_o       (word),
      .words_o      (words),
      .total_o      (),
      .pending_o       (pending),
      .single_o     (),
      .resp_legal_o (resp_legal),
      .line_legal_o (line_legal),
      .waits_o      (line_waits),
      .line_stays_o (line_stays),
      .ready_legal_o(ready_legal)
  );

  // ---------------------------------------------------------------- the AXI ports

  logic started_q = 1'b0;
  logic past_rst_q, past_accept_q, past_aw_stalled_q, past_w_stalled_q, past_word_kept_q;
  logic feeds;
  logic [63:0] past_awaddr_q;
  logic [7:0] past_awlen_q;
  logic [DataWidth+BusBytes:0] past_w_q;
  logic [31:0] past_word_q;
  // The request that was accepted last, and its beats.
  logic [63:6] last_line_q;
  logic [8:0] last_beats_q;
  // Requests that the memory has accepted, and those that it has all data of, without a response;
  // beats of the next, and the one of its line that is at the port.
  logic [7:0] accepted_q, sent_q;
  logic [8:0] beats_q;
  logic [1:0] part;
  logic beat, response;

  assign beat = wvalid && wready_i;
  assign response = bvalid_i && bready;
  assign part = 2'(32'(beats_q) % Beats);
  // The next beat is one of a line.
  assign feeds = sent_q < count && !word_at(sent_q);

  always_ff @(posedge clk_i) begin
    started_q         <= 1'b1;
    past_rst_q        <= rst_ni;
    past_accept_q     <= rst_ni && accept;
    past_aw_stalled_q <= rst_ni && awvalid && !awready_i;
    past_w_stalled_q  <= rst_ni && wvalid && !wready_i;
    past_word_kept_q  <= rst_ni && (accept && req_word_i || words != 8'd0) &&
        !(resp_valid && resp_word);
    past_awaddr_q     <= awaddr;
    past_awlen_q      <= awlen;
    past_w_q          <= {wlast, wstrb, wdata};
    past_word_q       <= word_i;
    if (accept) begin
      last_line_q  <= req_line_i;
      last_beats_q <= req_word_i ? 9'd1 : 9'(32'(req_lines_i) * Beats);
    end
    if (!rst_ni) begin
      accepted_q <= '0;
      sent_q     <= '0;
      beats_q    <= '0;
    end else begin
      accepted_q <= accepted_q + 8'(awvalid && awready_i) - 8'(response);
      sent_q     <= sent_q + 8'(beat && wlast) - 8'(response);
      if (beat) begin
        beats_q <= wlast ? 9'd0 : beats_q + 9'd1;
      end
    end
  end

  // Lines of the n-th oldest request without a response.
  function automatic logic [6:0] lines_at(input logic [7:0] n);
    lines_at = 7'd0;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (8'(i) == n) begin
        lines_at = lines[i];
      end
    end
  endfunction

  // Its beats.
  function automatic logic [8:0] beats_at(input logic [7:0] n);
    beats_at = word_at(n) ? 9'd1 : 9'(32'(lines_at(n)) * Beats);
  endfunction

  // Whether it is a word.
  function automatic logic word_at(input logic [7:0] n);
    word_at = 1'b0;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (8'(i) == n) begin
        word_at = word[i];
      end
    end
  endfunction

  // ---------------------------------------------------------------- the engine's FIFOs

  logic [FifoBits:0] resp_read, resp_write, data_read, data_write;
  logic [7:0] resp_count, data_count, unsent;
  logic [15:0] data_lines;
  logic resp_agree, data_agree;

  assign resp_read = u_dut.u_resp_fifo.read_q;
  assign resp_write = u_dut.u_resp_fifo.write_q;
  assign resp_count = 8'((FifoBits + 1)'(resp_write - resp_read));
  assign data_read = u_dut.u_data_fifo.read_q;
  assign data_write = u_dut.u_data_fifo.write_q;
  assign data_count = 8'((FifoBits + 1)'(data_write - data_read));
  // The oldest request that has beats to be sent.
  assign unsent = count - data_count;

  always_comb begin
    resp_agree = resp_count == count;
    data_agree = data_count <= count;
    data_lines = '0;
    for (int i = 0; i < MaxOutstanding; i++) begin
      if (8'(i) < count) begin
        resp_agree = resp_agree &&
            u_dut.u_resp_fifo.mem[FifoBits'(32'(resp_read)+32'(i))] == {word[i], lines[i]};
        if (8'(i) >= unsent) begin
          data_agree = data_agree &&
              u_dut.u_data_fifo.mem[FifoBits'(32'(data_read)+32'(i)-32'(unsent))] ==
              {word[i], lines[i]};
          data_lines = data_lines + (word[i] ? 16'd0 : 16'(lines[i]));
        end
      end
    end
  end

  // ---------------------------------------------------------------- assumptions

  // the first cycle is one of reset
  `HW_ASSUME(StartsInReset_M, started_q || !rst_ni)
  // a burst has 1 to MaxBurst lines in one page (comp_writer_props, RequestLegal_A)
  `HW_ASSUME(RequestLegal_M, !req_valid_i || req_word_i || (req_lines_i != 7'd0 &&
             32'(req_lines_i) <= 32'(MaxBurst) &&
             32'(req_line_i[11:6]) + 32'(req_lines_i) <= 32'd64))
  // one word is in flight at a time (comp_writer_props, OneWord_A)
  `HW_ASSUME(OneWord_M, !(req_valid_i && req_word_i) || words == 8'd0)
  // a line stays until it is handed over (comp_writer_words, LineStays_A)
  `HW_ASSUME(LineStays_M, line_stays)
  // a word does not change from its request to its response (comp_writer_props, WordStays_A)
  `HW_ASSUME(WordStays_M, !past_word_kept_q || word_i == past_word_q)
  // a memory responds to a write only after it accepted the request and the last of its data (AXI,
  // A3.3.1)
  `HW_ASSUME(ResponseAfterData_M, !bvalid_i || (sent_q != '0 && accepted_q != '0))

  // ---------------------------------------------------------------- the user's port

  // [LIFE-005] each response is that of the oldest request, all lines of which were handed over
  `HW_ASSERT_IF(ResponseMatches_A, resp_valid, resp_legal)
  // [LIFE-005] a response is returned in the cycle in which the memory gives it, with its error
  `HW_ASSERT_IF(ResponseTold_A, 1'b1,
                resp_valid == bvalid_i && (!resp_valid || resp_error == bresp_i[1]))
  // lines are taken only for requests
  `HW_ASSERT_IF(LinesPending_A, line_ready, line_legal)
  // a line is taken when the memory accepts its last beat, and only then: each that is handed over
  // is sent, and each that is sent is handed over
  `HW_ASSERT_IF(LineTaken_A, 1'b1,
                line_ready == (feeds && beat && 32'(part) == Beats - 1) && hand_over == line_ready)
  // a beat is presented in the cycle in which its line or its word is there, and only then
  `HW_ASSERT_IF(BeatAtOnce_A, 1'b1, wvalid == (sent_q < count && (line_valid_i || !feeds)))
  // no more than MaxOutstanding requests are in flight
  `HW_ASSERT_IF(OutstandingBounded_A, req_ready, ready_legal)
  // a request is refused only with MaxOutstanding in flight or with a stalled write request
  `HW_ASSERT_IF(AcceptsWhenFree_A, ready_legal && !(awvalid && !awready_i), req_ready)
  // [LIFE-004] the engine is idle iff no request is without a response
  `HW_ASSERT_IF(Idle_A, 1'b1, idle == (count == 8'd0) &&
                idle == (accepted_q == '0 && !awvalid))
  // [LIFE-001] reset leaves nothing in flight
  `HW_ASSERT_IF(AfterReset_A, !past_rst_q, count == 8'd0 && !awvalid && !wvalid && idle)

  // ---------------------------------------------------------------- AXI

  // a write request is one that the user made, or waits since
  `HW_ASSERT_IF(RequestIsAccepted_A, awvalid, past_accept_q || past_aw_stalled_q)
  // an accepted request is at the AXI port in the next cycle
  `HW_ASSERT_IF(RequestFollows_A, past_accept_q, awvalid)
  // [RING-004] its address and its length are those of the request
  `HW_ASSERT_IF(AddressIsRequest_A, awvalid,
                awaddr == {last_line_q, 6'd0} && 9'(awlen) + 9'd1 == last_beats_q)
  // bursts are INCR, of 1 to MaxBurst whole lines, with one ID, and cross no 4 KiB boundary (AXI,
  // A3.4.1)
  `HW_ASSERT_IF(BurstLegal_A, awvalid, 32'(awlen) < 32'(MaxBurst * Beats) &&
                32'd1 << awsize == 32'(BusBytes) &&
                awburst == 2'b01 && awid == '0 && !awlock && awaddr[5:0] == '0 &&
                32'(awaddr[11:0]) + (32'(awlen) + 32'd1) * BusBytes <= 32'd4096)
  // a stalled write request is held unchanged (AXI, A3.2.1)
  `HW_ASSERT_IF(RequestStable_A, past_aw_stalled_q,
                awvalid && awaddr == past_awaddr_q && awlen == past_awlen_q)
  // stalled write data are held unchanged (AXI, A3.2.1)
  `HW_ASSERT_IF(DataStable_A, past_w_stalled_q, wvalid && {wlast, wstrb, wdata} == past_w_q)
  // data belong to the oldest request without all of its data
  `HW_ASSERT_IF(DataOfRequest_A, wvalid, sent_q < count)
  // [DESC-015] [RING-005] each line is sent once, in order, every bit of it
  `HW_ASSERT_IF(DataIsLine_A, wvalid && feeds,
                wdata == line_data_i[32'(part)*DataWidth+:DataWidth])
  // [RING-013] the data of a word are the word, and zeros
  `HW_ASSERT_IF(DataIsWord_A, wvalid && word_at(sent_q), wdata == DataWidth'(word_i))
  // the last beat of a request, and no other, has WLAST (AXI, A3.4.1)
  `HW_ASSERT_IF(LastIsLast_A, wvalid, wlast == (beats_q + 9'd1 == beats_at(sent_q)))
  // [DESC-015] [LIFE-004] a line is written whole, a word as 4 bytes
  `HW_ASSERT_IF(Strobes_A, wvalid, wstrb == (word_at(sent_q) ? BusBytes'(15) : '1))
  // a response is accepted in the cycle in which the memory gives it
  `HW_ASSERT_IF(ResponseTaken_A, bvalid_i, bready)

  // ---------------------------------------------------------------- invariants

  // one word is in flight at most
  `HW_ASSERT_IF(OneWord_A, 1'b1, words <= 8'd1)
  // requests without a response are those of the AXI ports, and the one that waits there
  `HW_ASSERT_IF(CountsAgree_A, 1'b1, count == accepted_q + 8'(awvalid) && sent_q <= count &&
                32'(accepted_q) <= 32'(MaxOutstanding))
  // the FIFO of pending responses holds the requests without a response, in order
  `HW_ASSERT_IF(RespFifoAgrees_A, 1'b1, resp_agree)
  // the FIFO of pending data holds the youngest of them
  `HW_ASSERT_IF(DataFifoAgrees_A, 1'b1, data_agree && unsent == sent_q)
  // beats are counted as at the AXI port
  `HW_ASSERT_IF(BeatsAgree_A, 1'b1, 9'(u_dut.beats_q) == beats_q)
  // no more beats are sent than the request has
  `HW_ASSERT_IF(BeatsBounded_A, 1'b1, 32'(beats_q) < 32'(MaxBurst * Beats) &&
                (data_count == 8'd0 ?
                 u_dut.beats_q == '0 : 9'(u_dut.beats_q) < beats_at(unsent)))
  // lines that are not handed over are those of the pending data
  `HW_ASSERT_IF(PendingAgrees_A, 1'b1, pending == data_lines - 16'(32'(u_dut.beats_q) / Beats))
  // a line of which a beat was sent, and not the last, is the one that waits
  `HW_ASSERT_IF(PartOfWaiting_A, 1'b1, 32'(u_dut.beats_q) % Beats == 0 || line_waits)

  // ---------------------------------------------------------------- what can happen

  // a burst of several lines is sent
  `HW_COVER(LongBurst_C, awvalid && awlen != 8'd0)
  // a line is waited for while a request is in flight
  `HW_COVER(WaitsForLine_C, feeds && !line_valid_i && accepted_q != '0)
  // a word is sent
  `HW_COVER(SendsWord_C, wvalid && word_at(sent_q) && wdata != '0)
  // [LIFE-005] a burst of two lines fails
  `HW_COVER(Fails_C, resp_valid && resp_error && !resp_word && resp_lines == 7'd2)
  // two requests are in flight, and data of the first are still to be sent
  `HW_COVER(Overlaps_C, accepted_q == 8'd2 && sent_q == '0)
  // the data of a request are sent before the memory accepts it
  `HW_COVER(DataFirst_C, awvalid && past_aw_stalled_q && sent_q != '0 && accepted_q == '0)

endmodule

`default_nettype wire
