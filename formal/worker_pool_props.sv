// SPDX-License-Identifier: Apache-2.0
//
// The pool completes every descriptor that it accepts, once, in order, with the right 512 bits;
// STOP drains and halts it. Stated for one descriptor, the one with number watch_i, which the
// solver chooses, and therefore true of every one. The workers are the real ones.
`default_nettype none
`include "hw_macros.svh"

module worker_pool_props
  import hw_desc_pkg::*;
  import spec_pkg::*;
#(
    parameter int WorkerCount = 8
) (
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    input wire logic                 enable_i,
    input wire logic                 resume_i,
    input wire logic                 require_checked_i,
    input wire logic                 valid_i,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [          7:0] error_code_i,
    input wire logic                 stop_i,
    input wire logic                 below_limit_i,
    input wire logic                 at_limit_i,
    input wire logic [         31:0] kept_crc_i,
    input wire logic                 ready_i,
    input wire logic [         31:0] watch_i
);

  localparam int SlotBits = $clog2(WorkerCount + 6);
  localparam int TurnBits = WorkerCount > 1 ? $clog2(WorkerCount) : 1;
  localparam logic [1:0] Idle = 2'd0;
  localparam logic [1:0] Decode = 2'd1;
  localparam logic [1:0] Complete = 2'd2;
  // Bits of the pool's counts of starts and of results.
  localparam int StartCount = 2;
  localparam int ResultCount = 3;
  // Most descriptors in the pool: two before the workers, one in each, four behind them.
  localparam logic [31:0] Capacity = 32'(WorkerCount) + 32'd6;

  logic ready, valid, error, halted, busy;
  logic [DESC_BITS-1:0] data;
  logic [31:0] tokens, crc;

  worker_pool #(
      .WorkerCount(WorkerCount)
  ) u_dut (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .enable_i         (enable_i),
      .resume_i         (resume_i),
      .require_checked_i(require_checked_i),
      .valid_i          (valid_i),
      .ready_o          (ready),
      .data_i           (data_i),
      .error_code_i     (error_code_i),
      .stop_i           (stop_i),
      .below_limit_i    (below_limit_i),
      .at_limit_i       (at_limit_i),
      .kept_crc_i       (kept_crc_i),
      .valid_o          (valid),
      .ready_i          (ready_i),
      .data_o           (data),
      .crc_o            (crc),
      .tokens_o         (tokens),
      .error_o          (error),
      .halted_o         (halted),
      .busy_o           (busy)
  );

  // Numbers of the next descriptor to be accepted and of the next completion to retire, and, by the
  // pool's own registers, of the next to go to a worker, to leave it and to become a result.
  logic [31:0] accepted_q, retired_q, loaded, finished, resulted;
  logic [31:0] in_flight, starts, held, results, watch_ahead, watch_in_workers, age_q;
  logic accept, retire, watched_inside, watched_held;
  logic watched_required_q;
  logic [DESC_BITS-1:0] watched_line_q;
  logic [7:0] watched_error_q;
  logic [31:0] watched_worker_q;
  // Its share of the checksum as it was accepted, and with the fields of its result.
  logic [31:0] watched_crc_q, result_crc_q;
  logic become_result;
  // A STOP is accepted and not resumed from; its completion has retired.
  logic blocked_q, halted_q;
  hw_desc_t incoming, completion, watched;
  logic stops;

  logic started_q = 1'b0;
  logic past_reset_q, past_stalled_q, past_required_q;
  logic [31:0] past_watch_q;
  logic [DESC_BITS-1:0] past_data_q;
  logic [31:0] past_tokens_q;

  assign incoming = data_i;
  assign completion = data;
  assign watched = watched_line_q;
  assign stops = error_code_i == 8'd0 && incoming.opcode == OPCODE_STOP;
  assign accept = valid_i && ready;
  assign retire = valid && ready_i;
  assign results = 32'(ResultCount'(u_dut.u_results.write_q - u_dut.u_results.read_q));
  assign resulted = retired_q + results;
  assign finished = resulted + 32'(u_dut.end_valid_q);
  assign starts = 32'(StartCount'(u_dut.u_starts.write_q - u_dut.u_starts.read_q));
  assign loaded = accepted_q - starts;
  assign held = loaded - finished;
  assign in_flight = accepted_q - retired_q;
  assign watch_ahead = watch_i - retired_q;
  assign become_result = u_dut.end_valid_q && resulted == watch_i;
  assign watched_inside = watch_ahead < in_flight;
  assign watch_in_workers = watch_i - finished;
  assign watched_held = watched_inside && watch_in_workers < held;

  always_ff @(posedge clk_i) begin
    started_q       <= 1'b1;
    past_reset_q    <= !rst_ni;
    past_stalled_q  <= rst_ni && valid && !ready_i;
    past_watch_q    <= watch_i;
    past_required_q <= require_checked_i;
    past_data_q     <= data;
    past_tokens_q   <= tokens;
    if (!rst_ni) begin
      accepted_q <= '0;
      retired_q  <= '0;
      blocked_q  <= 1'b0;
      halted_q   <= 1'b0;
    end else begin
      accepted_q <= accepted_q + 32'(accept);
      retired_q  <= retired_q + 32'(retire);
      if (accept && stops) begin
        blocked_q <= 1'b1;
      end else if (resume_i && halted_q) begin
        blocked_q <= 1'b0;
      end
      if (retire && blocked_q && in_flight == 32'd1) begin
        halted_q <= 1'b1;
      end else if (resume_i) begin
        halted_q <= 1'b0;
      end
    end
    if (accept && accepted_q == watch_i) begin
      watched_line_q     <= data_i;
      watched_error_q    <= error_code_i;
      watched_required_q <= require_checked_i;
      watched_crc_q      <= kept_crc_i ^ (is_scored(incoming, error_code_i) ? 32'd0 :
          u_dut.reserved0_crc);
    end
    if (become_result) begin
      result_crc_q <= watched_crc_q ^ u_dut.flags_crc ^ u_dut.seq_len_crc ^
          (is_scored(watched, watched_error_q) ? u_dut.score_crc : 32'd0);
    end
    if (u_dut.load && loaded == watch_i) begin
      watched_worker_q <= 32'(u_dut.load_turn_q);
    end
  end

  // The worker that is so many turns behind the next to be done.
  function automatic logic [31:0] worker_at(input logic [31:0] ahead);
    logic [31:0] turn;
    turn = 32'(u_dut.retire_turn_q) + ahead;
    worker_at = turn >= 32'(WorkerCount) ? turn - 32'(WorkerCount) : turn;
  endfunction

  // The completion has a score [OP-010] [DEC-007].
  function automatic logic is_scored(input hw_desc_t line, input logic [7:0] error_code);
    is_scored = error_code == 8'd0 &&
        (line.opcode == OPCODE_REWARD || line.opcode == OPCODE_ROLLOUT);
  endfunction

  // What the pool notes of a line as it is accepted: it is scored, it makes tokens, its flags but
  // for the end of a decode.
  function automatic logic [17:0] note_of(input hw_desc_t line, input logic [7:0] error_code,
                                          input logic require_checked);
    logic decodes;
    decodes = tokens_of(line, error_code) != 32'd0;
    note_of = {is_scored(line, error_code), decodes,
               kept_flags(line, require_checked) | (decodes ? 16'd0 : outcome(line, error_code))};
  endfunction

  // A worker's note is that of the watched line.
  function automatic logic is_noted(input logic [81:0] note);
    is_noted = note[49:0] == {watched_crc_q,
        note_of(watched, watched_error_q, watched_required_q)} &&
        (!is_scored(watched, watched_error_q) ||
         note[81:50] == score_bits(length_of(watched, watched_error_q)));
  endfunction

  function automatic logic is_stop(input logic [15:0] flags);
    is_stop = (flags & FLAG_STOPPED) != 16'd0;
  endfunction

  // The workers' registers, and whether by the count of handshakes they hold a descriptor.
  logic [WorkerCount-1:0] holds, done;
  logic [WorkerCount-1:0][1:0] state;

  for (genvar w = 0; w < WorkerCount; w++) begin : gen_worker
    logic [31:0] ahead;
    assign ahead = 32'(w) >= 32'(u_dut.retire_turn_q) ? 32'(w) - 32'(u_dut.retire_turn_q) :
        32'(w) + 32'(WorkerCount) - 32'(u_dut.retire_turn_q);
    assign state[w] = u_dut.gen_worker[w].u_worker.state_q;
    assign holds[w] = ahead < held;
    assign done[w] = state[w] == Complete;

    worker_watch u_watch (
        .clk_i       (clk_i),
        .rst_ni      (rst_ni),
        .holds_i     (watched_held && watched_worker_q == 32'(w)),
        .submitted_i (watched_line_q),
        .error_code_i(watched_error_q),
        .age_i       (age_q),
        .state_i     (state[w]),
        .seq_len_i   (u_dut.gen_worker[w].u_worker.seq_len_q),
        .last_from_i (u_dut.gen_worker[w].u_worker.last_from_q),
        .rollout_i   (u_dut.gen_worker[w].u_worker.rollout_q),
        .paused_i    (u_dut.gen_worker[w].u_worker.paused_q)
    );

    // [RING-006] a worker holds a descriptor iff one of those with the workers is its own by turn
    `HW_ASSERT_IF(HoldsItsOwn_A, 1'b1, holds[w] ? state[w] == Decode || state[w] == Complete :
                  state[w] == Idle)
    // [LIFE-003] of those in flight only the last can be a STOP
    `HW_ASSERT_IF(StopIsLast_A, holds[w], is_stop(u_dut.notes[w][15:0]) ==
                  (blocked_q && starts == 32'd0 && ahead == held - 32'd1))
  end

  // Starts that wait, by their place behind the oldest.
  for (genvar r = 0; r < 2; r++) begin : gen_start
    logic [124:0] start;
    logic [31:0] seq_len, last_from;
    logic rollout, ended, paused;
    logic [7:0] scored_length;
    logic [49:0] note;
    assign start = u_dut.u_starts.mem[1'(u_dut.u_starts.read_q+r)];
    assign {note, scored_length, paused, ended, rollout, last_from, seq_len} = start;

    // [DEC-002] [FLAG-010] a start has the first token of its line, its limit and its notes
    `HW_ASSERT_IF(StartHeld_A, 32'(r) < starts && loaded + 32'(r) == watch_i,
                  last_from + 32'd1 == watched.max_tokens &&
                  rollout == (watched.opcode == OPCODE_ROLLOUT) &&
                  ended == (tokens_of(watched, watched_error_q) <= 32'd1) &&
                  paused == (tokens_of(watched, watched_error_q) == 32'd1 &&
                  outcome(watched, watched_error_q) == FLAG_NEEDS_REWARD) &&
                  seq_len == (tokens_of(watched, watched_error_q) == 32'd0 ?
                  length_of(watched, watched_error_q) : watched.seq_len + 32'd1) &&
                  (!is_scored(watched, watched_error_q) ||
                  scored_length == 8'(length_of(watched, watched_error_q))) &&
                  note == {watched_crc_q,
                  note_of(watched, watched_error_q, watched_required_q)})
    // [DEC-002] a line whose first token is its last pauses only at a reward boundary
    `HW_ASSERT_IF(StartPauses_A, 32'(r) < starts && paused,
                  seq_len % REWARD_INTERVAL == 32'd0 && ended)
    // [LIFE-003] of those in flight only the last can be a STOP
    `HW_ASSERT_IF(StopIsLastStart_A, 32'(r) < starts,
                  is_stop(note[15:0]) == (blocked_q && 32'(r) == starts - 32'd1))
  end

  // Results that wait, by their place behind the oldest.
  for (genvar r = 0; r < 4; r++) begin : gen_result
    logic [113:0] result;
    assign result = u_dut.u_results.mem[2'(u_dut.u_results.read_q+r)];

    // [LIFE-003] of those in flight only the last can be a STOP
    `HW_ASSERT_IF(StopIsLastResult_A, 32'(r) < results,
                  is_stop(result[79:64]) == (blocked_q && 32'(r) == in_flight - 32'd1))
    // [DESC-014] [OP-010] [FLAG-011] a result has the length, the flags and, where there is one, the
    // score of its completion
    `HW_ASSERT_IF(ResultHeld_A, 32'(r) < results && watch_ahead == 32'(r),
                  result[31:0] == length_of(watched, watched_error_q) &&
                  (!result[81] ||
                  result[63:32] == score_bits(length_of(watched, watched_error_q))) &&
                  result[113:82] == result_crc_q &&
                  result[79:64] == (kept_flags(watched, watched_required_q) |
                  outcome(watched, watched_error_q)) &&
                  result[81:80] == 2'(note_of(watched, watched_error_q, watched_required_q) >> 16))
  end

  // Cycles that the watched descriptor spends in its worker, until it is complete.
  always_ff @(posedge clk_i) begin
    if (u_dut.load && loaded == watch_i) begin
      age_q <= 32'd1;
    end else if ((state >> (2 * watched_worker_q)) % 4 != 32'(Complete)) begin
      age_q <= age_q + 32'd1;
    end
  end

  // the first cycle is one of reset
  `HW_ASSUME(StartsInReset_M, started_q || !rst_ni)
  // the watched number is any value, and keeps it
  `HW_ASSUME(WatchStays_M, !started_q || watch_i == past_watch_q)
  // line_check gives one of four error codes, and BAD_OPCODE only to an unknown opcode (its
  // properties Verdict_A and UnknownOpcode_A)
  `HW_ASSUME(VerdictLegal_M, !valid_i || error_code_i == ERROR_CODE_BAD_CHECKSUM ||
             error_code_i == ERROR_CODE_BAD_TAG ||
             error_code_i == (is_opcode(incoming.opcode) ? 8'd0 : ERROR_CODE_BAD_OPCODE))
  // line_check compares the length with the limit (its properties BelowLimit_A and AtLimit_A)
  `HW_ASSUME(LimitCompared_M, !valid_i ||
             (below_limit_i == (incoming.seq_len < incoming.max_tokens) &&
             at_limit_i == (incoming.seq_len + 32'd1 == incoming.max_tokens)))
  // line_check marks an accepted STOP and nothing else (its property Stop_A)
  `HW_ASSUME(StopMarked_M, !valid_i || stop_i == stops)

  // [RING-006] [RING-007] [DESC-014] the n-th completion is that of the n-th accepted descriptor,
  // all 512 bits of it, with its count of tokens: none is lost, duplicated or reordered
  `HW_ASSERT_IF(InOrder_A, valid && retired_q == watch_i,
                data == completion_of(watched_line_q, watched_error_q, watched_required_q) &&
                tokens == tokens_of(watched_line_q, watched_error_q))
  // [RING-006] valid is high only for an accepted descriptor that is not retired
  `HW_ASSERT_IF(NothingInvented_A, valid, in_flight != 32'd0)
  // [RING-006] no more descriptors are in flight than there are places
  `HW_ASSERT_IF(InFlightBounded_A, 1'b1,
                in_flight <= Capacity && 32'(u_dut.in_flight_q) == in_flight &&
                starts <= 32'd2 && held <= 32'(WorkerCount) &&
                results + 32'(u_dut.end_valid_q) <= 32'd4)
  // [RING-006] the places behind the workers are counted
  `HW_ASSERT_IF(ResultsCounted_A, 1'b1, 32'(u_dut.ended_q) == finished - retired_q)
  // [LIFE-007] busy is high iff a descriptor is accepted and not retired
  `HW_ASSERT_IF(Busy_A, 1'b1, busy == (in_flight != 32'd0))
  // [RING-007] descriptors go to the workers round robin
  `HW_ASSERT_IF(WatchedTurn_A, watched_held, watched_worker_q == worker_at(watch_in_workers))
  // [RING-007] the next descriptor goes to the worker behind the last one that holds one
  `HW_ASSERT_IF(LoadTurn_A, 1'b1, 32'(u_dut.retire_turn_q) < 32'(WorkerCount) &&
                32'(u_dut.load_turn_q) == worker_at(held == 32'(WorkerCount) ? 32'd0 : held))
  // [RING-007] a line is stored by its number, and read by that of its completion
  `HW_ASSERT_IF(SlotsAgree_A, 1'b1, u_dut.accept_slot_q == SlotBits'(accepted_q) &&
                u_dut.retire_slot_q == SlotBits'(retired_q))
  // [DESC-014] a line is not overwritten before its completion retires
  `HW_ASSERT_IF(LineKept_A, watched_inside, u_dut.lines[SlotBits'(watch_i)] == watched_line_q)
  // [FLAG-010] a worker's note is kept while it works
  `HW_ASSERT_IF(NoteKept_A, watched_held,
                is_noted(u_dut.notes[TurnBits'(watched_worker_q)]))
  // [DEC-002] [FLAG-010] the register behind the workers has length, end and note of its line
  `HW_ASSERT_IF(EndHeld_A, u_dut.end_valid_q && resulted == watch_i,
                u_dut.end_seq_len_q == length_of(watched, watched_error_q) &&
                u_dut.end_paused_q == (outcome(watched, watched_error_q) == FLAG_NEEDS_REWARD) &&
                is_noted(u_dut.end_note_q))
  // [DESC-020] [DESC-023] the shares of the checksum that are added are those of reserved0 as
  // submitted, and of flags, length and score of the completion
  `HW_ASSERT_IF(SharesAreOfFields_A, 1'b1, u_dut.u_reserved0_crc.data_i == incoming.reserved0 &&
                u_dut.u_flags_crc.data_i == u_dut.end_flags &&
                u_dut.u_seq_len_crc.data_i == u_dut.end_seq_len_q &&
                u_dut.u_score_crc.data_i == u_dut.end_score)
  // [DESC-023] beside a completion are the shares of all its fields but the tag
  `HW_ASSERT_IF(Shares_A, valid && retired_q == watch_i, crc == result_crc_q)
  // [LIFE-003] of those in flight only the last can be a STOP
  `HW_ASSERT_IF(StopIsLastEnd_A, u_dut.end_valid_q, is_stop(u_dut.end_note_q[15:0]) ==
                (blocked_q && results + 32'd1 == in_flight))
  // [RING-006] [LIFE-007] termination: with or without ENABLE, the oldest descriptor of the workers
  // is complete at most as many cycles after it went to its worker as it makes tokens, or one
  `HW_ASSERT_IF(OldestEnds_A, watched_held && finished == watch_i,
                done[TurnBits'(watched_worker_q)] || age_q < tokens_of(watched, watched_error_q))
  // [RING-006] the oldest descriptor before the workers goes to one at once if one is free
  `HW_ASSERT_IF(LoadsAtOnce_A, starts != 32'd0 && held < 32'(WorkerCount), u_dut.load)
  // [RING-006] two descriptors wait before the workers only while each of these has one
  `HW_ASSERT_IF(StartsWait_A, starts == 32'd2, held == 32'(WorkerCount))
  // [RING-006] a complete worker whose turn it is gives its result away unless four others wait
  `HW_ASSERT_IF(FinishesAtOnce_A, done[u_dut.retire_turn_q] && finished - retired_q < 32'd4,
                u_dut.finish)
  // [RING-005] a stalled completion is held unchanged
  `HW_ASSERT_IF(StableUnderStall_A, past_stalled_q,
                valid && data == past_data_q && tokens == past_tokens_q)
  // [CNT-001] error is high for an ERROR completion, and for no other
  `HW_ASSERT_IF(ErrorShown_A, valid, error == ((completion.flags & FLAG_ERROR) != 16'd0))
  // without valid the outputs that choose a ring or are counted are 0
  `HW_ASSERT_IF(Quiet_A, !valid, completion.flags == '0 && tokens == '0 && !error)

  // [LIFE-007] without ENABLE nothing is accepted
  `HW_ASSERT_IF(DisabledAcceptsNothing_A, !enable_i, !ready)
  // [LIFE-003] behind a STOP nothing is accepted until RESUME
  `HW_ASSERT_IF(BlockedAcceptsNothing_A, blocked_q, !ready)
  // [RING-005] an enabled pool refuses a line only while a STOP blocks it or every worker holds one
  `HW_ASSERT_IF(AcceptsWhenFree_A, enable_i && !blocked_q && in_flight < 32'(WorkerCount), ready)
  // [RING-005] an enabled pool refuses a line only while a STOP blocks it or two others wait
  `HW_ASSERT_IF(AcceptsWhilePlace_A, enable_i && !blocked_q && starts < 32'd2, ready)
  // [LIFE-003] HALTED rises when the completion of a STOP retires, and lasts until RESUME
  `HW_ASSERT_IF(Halted_A, 1'b1, halted == halted_q)
  // [LIFE-003] a halted pool is drained: every descriptor before the STOP retired before it
  `HW_ASSERT_IF(HaltedIsDrained_A, halted, in_flight == 32'd0 && blocked_q)
  // [LIFE-003] a STOP always halts: once it is accepted and everything is retired, the pool is
  // halted
  `HW_ASSERT_IF(StopHalts_A, blocked_q && in_flight == 32'd0, halted)
  // [LIFE-003] RESUME without HALTED has no effect: a pool that waits for the STOP stays blocked
  `HW_ASSERT_IF(BlockedAgrees_A, 1'b1, u_dut.stop_taken_q == blocked_q)
  // [LIFE-001] reset leaves nothing in flight, nothing halted
  `HW_ASSERT_IF(IdleAfterReset_A, past_reset_q, !valid && !busy && !halted && in_flight == 32'd0)

  // [RING-007] all workers are busy and the completions of the later ones wait for the oldest
  `HW_COVER(OvertakingHeldBack_C, held == 32'(WorkerCount) && !valid &&
            (WorkerCount == 1 || done != '0))
  // [LIFE-003] a STOP behind a descriptor that still decodes
  `HW_COVER(StopWaits_C, blocked_q && !valid && in_flight == 32'd2)
  // [LIFE-003] a pool continues after RESUME
  `HW_COVER(GoesOn_C, retire && retired_q == watch_i && watch_i == 32'd2)

endmodule

`default_nettype wire
