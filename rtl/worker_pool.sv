// SPDX-License-Identifier: Apache-2.0
//
// WorkerCount workers that accept descriptors round robin and retire completions in the same order;
// STOP drains and halts them.
//
// Rules: LIFE-003 (nothing is accepted behind a STOP until resume_i), LIFE-007 (nothing is accepted
// without enable_i; what was accepted completes), RING-006, RING-007.
//
// acceptance -> starts -> worker -> register -> results -> output
//
// Lines wait in a memory, read with the result; workers hold only what changes with a token.
// Because retirement is in order, the next worker to become free is always the one whose turn it
// is. One line can enter and one can leave in each cycle; a line without tokens, or with one, is
// at the output four cycles after it was accepted. halted_o rises in the cycle after the completion
// of a STOP is accepted. The completion is stable while valid_o and not ready_i.
`default_nettype none
`include "hw_macros.svh"

module worker_pool
  import hw_desc_pkg::*;
#(
    // Workers, 1 to 16.
    parameter int WorkerCount = 8
) (
    // Clock and synchronous active-low reset.
    input wire logic                 clk_i,
    input wire logic                 rst_ni,
    // Accept descriptors (CTRL.ENABLE); leave the halt of a STOP (CTRL.RESUME); mode.
    input wire logic                 enable_i,
    input wire logic                 resume_i,
    input wire logic                 require_checked_i,
    // Checked lines, each with its error code (0: accepted); stop_i marks an accepted STOP; length
    // below the limit, and one below it; the share in the checksum of all fields that no completion
    // changes.
    input wire logic                 valid_i,
    output logic                     ready_o,
    input wire logic [DESC_BITS-1:0] data_i,
    input wire logic [          7:0] error_code_i,
    input wire logic                 stop_i,
    input wire logic                 below_limit_i,
    input wire logic                 at_limit_i,
    input wire logic [         31:0] kept_crc_i,
    // Completions, in the order of the lines; tag and checksum are not yet set, and without valid_o
    // only the flags are 0. The checksum without the share of the tag.
    output logic                     valid_o,
    input wire logic                 ready_i,
    output logic     [DESC_BITS-1:0] data_o,
    output logic     [         31:0] crc_o,
    output logic     [         31:0] tokens_o,
    output logic                     error_o,
    // Halted by a STOP.
    output logic                     halted_o,
    // A descriptor is accepted and its completion is not.
    output logic                     busy_o
);

  localparam int TurnBits = WorkerCount > 1 ? $clog2(WorkerCount) : 1;
  // Lines in the pool: the starts, one in each worker, and the results, of which one may be in the
  // register in front.
  localparam int Starts = 2;
  localparam int Results = 4;
  localparam int ResultCountBits = $clog2(Results) + 1;
  localparam int Capacity = Starts + WorkerCount + Results;
  localparam int CountBits = $clog2(Capacity + 1);
  localparam int SlotBits = $clog2(Capacity);
  // Note of a line: its flags so far, whether it makes tokens, whether it is scored, its share in the
  // checksum; with the score once it has gone to a worker.
  localparam int StartNoteBits = 16 + 1 + 1 + 32;
  localparam int StartBits = 32 + 32 + 1 + 1 + 1 + 8 + StartNoteBits;
  localparam int NoteBits = StartNoteBits + 32;
  localparam int ResultBits = 32 + 16 + 32 + 32 + 1 + 1;

  // Lines as submitted, by slot, in the order of their acceptance; notes for their completions, by
  // worker.
  logic [DESC_BITS-1:0] lines[2**SlotBits];
  logic [NoteBits-1:0] notes[WorkerCount];
  logic [SlotBits-1:0] accept_slot_q, retire_slot_q;
  logic [CountBits-1:0] in_flight_q;
  logic stop_taken_q, halted_q;
  logic accept, load, finish, retire;

  function automatic logic [TurnBits-1:0] next_turn(input logic [TurnBits-1:0] turn);
    next_turn = turn == TurnBits'(WorkerCount - 1) ? '0 : turn + 1'b1;
  endfunction

  // ---------------------------------------------------------------- acceptance

  logic [31:0] accepted_seq_len, accepted_last_from;
  logic accepted_rollout, accepted_ended, accepted_paused, accepted_decodes, accepted_scored;
  logic [15:0] accepted_flags;
  logic [7:0] accepted_scored_length;
  logic [31:0] reserved0_crc, accepted_crc;
  /* verilator lint_off UNUSEDSIGNAL */
  // Only reserved0 is read; the struct names it.
  hw_desc_t submitted;
  /* verilator lint_on UNUSEDSIGNAL */
  logic start_valid, start_ready;
  logic [31:0] start_seq_len, start_last_from;
  logic start_rollout, start_ended, start_paused;
  logic [7:0] start_scored_length;
  logic [StartNoteBits-1:0] start_note;
  logic [31:0] start_score;

  line_accept u_line_accept (
      .data_i           (data_i),
      .error_code_i     (error_code_i),
      .below_limit_i    (below_limit_i),
      .at_limit_i       (at_limit_i),
      .require_checked_i(require_checked_i),
      .seq_len_o        (accepted_seq_len),
      .last_from_o      (accepted_last_from),
      .rollout_o        (accepted_rollout),
      .ended_o          (accepted_ended),
      .paused_o         (accepted_paused),
      .flags_o          (accepted_flags),
      .decodes_o        (accepted_decodes),
      .scored_o         (accepted_scored),
      .scored_length_o  (accepted_scored_length)
  );

  assign submitted = data_i;

  // The score, which is not known yet, takes the place of reserved0 in the checksum.
  crc32c #(
      .Lsb  (DESC_RESERVED0_LSB),
      .Width(32)
  ) u_reserved0_crc (
      .data_i(submitted.reserved0),
      .crc_o (reserved0_crc)
  );

  assign accepted_crc = accepted_scored ? kept_crc_i : kept_crc_i ^ reserved0_crc;

  assign ready_o = enable_i && !stop_taken_q && start_ready;
  assign accept  = valid_i && ready_o;

  always_ff @(posedge clk_i) begin
    if (accept) begin
      lines[accept_slot_q] <= data_i;
    end
  end

  // Whether a line can be accepted depends on registers only: no path leads from the workers to
  // ready_o. Workers read a start only while start_valid is high.
  sync_fifo #(
      .Width        (StartBits),
      .Depth        (Starts),
      .ZeroWhenEmpty(1'b0)
  ) u_starts (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .push_i (accept),
      .ready_o(start_ready),
      .data_i ({
        {accepted_crc, accepted_scored, accepted_decodes, accepted_flags},
        accepted_scored_length,
        {accepted_paused, accepted_ended, accepted_rollout},
        accepted_last_from,
        accepted_seq_len
      }),
      .pop_i  (load),
      .valid_o(start_valid),
      .data_o ({
        start_note,
        start_scored_length,
        {start_paused, start_ended, start_rollout},
        start_last_from,
        start_seq_len
      })
  );

  // ---------------------------------------------------------------- workers

  logic [WorkerCount-1:0] worker_valid_in, worker_ready_in;
  logic [WorkerCount-1:0] worker_valid_out, worker_ready_out, worker_paused;
  logic [WorkerCount-1:0][31:0] worker_seq_len;
  logic [TurnBits-1:0] load_turn_q, retire_turn_q;
  logic [ResultCountBits-1:0] ended_q;
  logic end_valid_q, end_ready, result_ready;

  assign load = start_valid && worker_ready_in[load_turn_q];
  assign finish = worker_valid_out[retire_turn_q] && end_ready;

  for (genvar w = 0; w < WorkerCount; w++) begin : gen_worker
    assign worker_valid_in[w]  = start_valid && load_turn_q == TurnBits'(w);
    assign worker_ready_out[w] = end_ready && retire_turn_q == TurnBits'(w);

    rollout_worker_fsm u_worker (
        .clk_i      (clk_i),
        .rst_ni     (rst_ni),
        .valid_i    (worker_valid_in[w]),
        .ready_o    (worker_ready_in[w]),
        .seq_len_i  (start_seq_len),
        .last_from_i(start_last_from),
        .rollout_i  (start_rollout),
        .ended_i    (start_ended),
        .paused_i   (start_paused),
        .valid_o    (worker_valid_out[w]),
        .ready_i    (worker_ready_out[w]),
        .seq_len_o  (worker_seq_len[w]),
        .paused_o   (worker_paused[w])
    );
  end

  length_score u_length_score (
      .length_i(start_scored_length),
      .score_o (start_score)
  );

  always_ff @(posedge clk_i) begin
    if (load) begin
      notes[load_turn_q] <= {start_score, start_note};
    end
  end

  // ---------------------------------------------------------------- results

  logic [31:0] end_seq_len_q, end_score, end_note_crc, result_seq_len, result_score;
  logic end_paused_q, end_decodes, end_scored, result_decodes, result_scored;
  logic [NoteBits-1:0] end_note_q;
  logic [15:0] end_note_flags, end_flags, result_flags;
  logic [31:0] flags_crc, seq_len_crc, score_crc, end_crc, result_crc;
  hw_desc_t line, completion;

  always_ff @(posedge clk_i) begin
    if (finish) begin
      end_seq_len_q <= worker_seq_len[retire_turn_q];
      end_paused_q  <= worker_paused[retire_turn_q];
      end_note_q    <= notes[retire_turn_q];
    end
  end

  assign {end_score, end_note_crc, end_scored, end_decodes, end_note_flags} = end_note_q;

  always_comb begin
    end_flags = end_note_flags;
    if (end_decodes) begin
      end_flags = end_note_flags | (end_paused_q ? FLAG_NEEDS_REWARD : FLAG_DONE);
    end
  end

  crc32c #(
      .Lsb  (DESC_FLAGS_LSB),
      .Width(16)
  ) u_flags_crc (
      .data_i(end_flags),
      .crc_o (flags_crc)
  );

  crc32c #(
      .Lsb  (DESC_SEQ_LEN_LSB),
      .Width(32)
  ) u_seq_len_crc (
      .data_i(end_seq_len_q),
      .crc_o (seq_len_crc)
  );

  crc32c #(
      .Lsb  (DESC_RESERVED0_LSB),
      .Width(32)
  ) u_score_crc (
      .data_i(end_score),
      .crc_o (score_crc)
  );

  assign end_crc = end_note_crc ^ flags_crc ^ seq_len_crc ^ (end_scored ? score_crc : 32'd0);

  // A worker gives its result away only if it has a place here: whether it has depends on one
  // register, and no path leads from ready_i to the workers.
  sync_fifo #(
      .Width        (ResultBits),
      .Depth        (Results),
      .ZeroWhenEmpty(1'b0)
  ) u_results (
      .clk_i  (clk_i),
      .rst_ni (rst_ni),
      .push_i (end_valid_q),
      .ready_o(result_ready),
      .data_i ({end_crc, end_scored, end_decodes, end_flags, end_score, end_seq_len_q}),
      .pop_i  (retire),
      .valid_o(valid_o),
      .data_o ({result_crc, result_scored, result_decodes,
                result_flags, result_score, result_seq_len})
  );

  assign end_ready = !ended_q[ResultCountBits-1];
  assign retire = valid_o && ready_i;

  assign line = lines[retire_slot_q];

  always_comb begin
    completion = line;
    completion.flags = valid_o ? result_flags : '0;
    completion.seq_len = result_seq_len;
    if (result_scored) begin
      completion.reserved0 = result_score;
    end
  end

  assign data_o   = completion;
  assign tokens_o = valid_o && result_decodes ? result_seq_len - line.seq_len : '0;
  assign crc_o    = valid_o ? result_crc : '0;
  assign error_o  = valid_o && |(result_flags & FLAG_ERROR);
  assign halted_o = halted_q;
  assign busy_o   = in_flight_q != '0;

  // ---------------------------------------------------------------- turns and counts

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      end_valid_q <= 1'b0;
      ended_q     <= '0;
    end else begin
      end_valid_q <= finish;
      if (finish && !retire) begin
        ended_q <= ended_q + 1'b1;
      end else if (!finish && retire) begin
        ended_q <= ended_q - 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      accept_slot_q <= '0;
      retire_slot_q <= '0;
      load_turn_q   <= '0;
      retire_turn_q <= '0;
      in_flight_q   <= '0;
    end else begin
      if (accept) begin
        accept_slot_q <= accept_slot_q + 1'b1;
      end
      if (load) begin
        load_turn_q <= next_turn(load_turn_q);
      end
      if (finish) begin
        retire_turn_q <= next_turn(retire_turn_q);
      end
      if (retire) begin
        retire_slot_q <= retire_slot_q + 1'b1;
      end
      if (accept && !retire) begin
        in_flight_q <= in_flight_q + 1'b1;
      end else if (!accept && retire) begin
        in_flight_q <= in_flight_q - 1'b1;
      end
    end
  end

  // A STOP is the last line in flight: when its completion leaves, the pool is empty.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      stop_taken_q <= 1'b0;
      halted_q     <= 1'b0;
    end else if (resume_i && halted_q) begin
      stop_taken_q <= 1'b0;
      halted_q     <= 1'b0;
    end else begin
      if (accept && stop_i) begin
        stop_taken_q <= 1'b1;
      end
      if (retire && |(result_flags & FLAG_STOPPED)) begin
        halted_q <= 1'b1;
      end
    end
  end

`ifndef SYNTHESIS
  `HW_ASSERT_INIT(WorkerCountLegal_A, WorkerCount >= 1 && WorkerCount <= 16,
                  "WorkerCount must be 1 to 16")
  `HW_ASSERT(InFlightLegal_A, !accept || in_flight_q != CountBits'(Capacity),
             "no more descriptors are in flight than there are places (RING-006)")
  `HW_ASSERT(ResultHasPlace_A, !end_valid_q || result_ready,
             "a result that a worker has given away has a place (RING-006)")
  `HW_ASSERT(RetireAccepted_A, !retire || busy_o,
             "only an accepted descriptor retires (RING-006)")
  `HW_ASSERT(TurnsAgree_A,
             busy_o || (load_turn_q == retire_turn_q && accept_slot_q == retire_slot_q),
             "an empty pool accepts and retires at the same place (RING-007)")
  `HW_ASSERT(HaltedIsEmpty_A, !halted_q || !busy_o,
             "a halted pool holds no descriptor (LIFE-003)")
  `HW_ASSERT_STABLE(valid_o, ready_i, data_o,
                    "a stalled completion is held unchanged")
`endif

endmodule

`default_nettype wire
