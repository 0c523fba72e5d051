// SPDX-License-Identifier: Apache-2.0
//
// The environment of the completion writer, and what the writer keeps in the rings: run_control and
// mmio_regs make the assumptions, the host reads completions as it likes.
`default_nettype none
`include "hw_macros.svh"

module comp_writer_rings
  import hw_desc_pkg::*;
(
    input wire logic         clk_i,
    input wire logic         rst_ni,
    input wire logic [ 31:0] first_index_i,
    input wire logic         stopped_i,
    input wire logic         abort_i,
    // Bases and modes, which are locked while the device is enabled; log2 of the slots; heads.
    input wire logic [175:0] config_i,
    input wire logic [  7:0] done_log2_i,
    input wire logic [  7:0] reward_log2_i,
    input wire logic [ 31:0] done_head_i,
    input wire logic [ 31:0] reward_head_i,
    // The writer's ports.
    input wire logic         valid_i,
    input wire logic         ready_i,
    input wire logic         to_reward_i,
    input wire logic [ 31:0] done_index_i,
    input wire logic [ 31:0] reward_index_i,
    input wire logic [ 31:0] done_tail_i,
    input wire logic [ 31:0] reward_tail_i,
    input wire logic         stall_i,
    input wire logic         failed_i,
    input wire logic         drained_i,
    // It holds no completion that is not posted.
    input wire logic         empty_i,
    // The watched completion: accepted and not posted; its ring and index.
    input wire logic         watched_i,
    input wire logic         watch_reward_i,
    input wire logic [ 31:0] watch_index_i
);

  logic started_q = 1'b0;
  logic past_rst_q, past_stopped_q, past_abort_q, past_drained_q, past_valid_q, past_failed_q;
  // A completion was valid since reset; one for the reward ring.
  logic used_q, used_reward_q;
  // After the cycle before nothing may be in flight.
  logic past_rests;
  logic [31:0] past_first_q, past_done_head_q, past_done_tail_q;
  logic [31:0] past_reward_head_q, past_reward_tail_q;
  logic [31:0] past2_done_head_q, past2_reward_head_q;
  logic past2_rst_q, steady;
  logic [191:0] past_config_q, past2_config_q;
  logic [31:0] done_slots, reward_slots;

  assign done_slots = 32'd1 << done_log2_i;
  assign reward_slots = 32'd1 << reward_log2_i;
  assign past_rests = past_rst_q && past_drained_q &&
      (!past_valid_q || past_failed_q || past_stopped_q);

  // Sizes, bases and modes are those of the last two cycles too.
  assign steady = {config_i, done_log2_i, reward_log2_i} == past_config_q &&
      past_config_q == past2_config_q;

  always_ff @(posedge clk_i) begin
    past2_rst_q         <= rst_ni && past_rst_q;
    past2_done_head_q   <= past_done_head_q;
    past2_reward_head_q <= past_reward_head_q;
    past2_config_q      <= past_config_q;
    started_q          <= 1'b1;
    past_rst_q         <= rst_ni;
    past_stopped_q     <= stopped_i;
    past_abort_q       <= abort_i;
    past_drained_q     <= drained_i;
    past_valid_q       <= valid_i;
    past_failed_q      <= failed_i;
    past_first_q       <= first_index_i;
    past_done_head_q   <= done_head_i;
    past_done_tail_q   <= done_tail_i;
    past_reward_head_q <= reward_head_i;
    past_reward_tail_q <= reward_tail_i;
    past_config_q      <= {config_i, done_log2_i, reward_log2_i};
    used_q             <= rst_ni && (used_q || valid_i);
    used_reward_q      <= rst_ni && (used_reward_q || (valid_i && to_reward_i));
  end

  // ---------------------------------------------------------------- assumptions

  // the first cycle is one of reset
  `HW_ASSUME(StartsInReset_M, started_q || !rst_ni)
  // first_index is a strap: it does not change outside reset (RING-012)
  `HW_ASSUME(FirstIndexStays_M, !rst_ni || first_index_i == past_first_q)
  // run_control stops the writer only in the cycle after one in which it was drained and the
  // pipeline was empty or a write had failed; it may hold the stop, and stop right after reset
  `HW_ASSUME(StopsAtRest_M, !stopped_i || past_stopped_q || !past_rst_q ||
             (past_drained_q && (!past_valid_q || past_failed_q)))
  // mmio_regs ends a soft reset only by a reset of the writer
  `HW_ASSUME(AbortStays_M, !rst_ni || !past_rst_q || !past_abort_q || abort_i)
  // the host's heads move forward, at most up to the tails, until a soft reset begins
  // (mmio_regs_props, DoneHead_A, RewardHead_A)
  `HW_ASSUME(HeadsForward_M, !past_rst_q || abort_i ||
             (done_head_i - past_done_head_q <= past_done_tail_q - past_done_head_q &&
              reward_head_i - past_reward_head_q <= past_reward_tail_q - past_reward_head_q))
  // heads are reset together with the tails (mmio_regs_props, AfterReset_A)
  `HW_ASSUME(HeadsAfterReset_M, past_rst_q || (done_head_i == past_first_q &&
             reward_head_i == past_first_q))
  // mmio_regs enables no ring of another size (SizesInForce_A), and without SPLIT_REWARD nothing
  // goes to the reward ring, whose size is then not checked
  `HW_ASSUME(SizesLegal_M, abort_i || (
             (!(valid_i || used_q) ||
              (done_log2_i >= RING_LOG2_MIN && done_log2_i <= RING_LOG2_MAX)) &&
             (!((valid_i && to_reward_i) || used_reward_q) ||
              (reward_log2_i >= RING_LOG2_MIN && reward_log2_i <= RING_LOG2_MAX))))
  // mmio_regs locks sizes, bases and modes with the first ENABLE, until a soft reset
  // (ConfigLocked_A)
  `HW_ASSUME(ConfigLocked_M, abort_i || !used_q ||
             {config_i, done_log2_i, reward_log2_i} == past_config_q)

  // mmio_regs enables only sizes and bases that have settled (mmio_regs_props, EnabledSettled_A)
  `HW_ASSUME(ConfigSettled_M, !valid_i || abort_i || steady)

  // ---------------------------------------------------------------- rings

  // [RING-005] a completion is accepted only if its ring has a slot that the host has read
  `HW_ASSERT_IF(NeverOverUnread_A, valid_i && ready_i, to_reward_i ?
                reward_index_i - reward_head_i < reward_slots :
                done_index_i - done_head_i < done_slots)
  // [RING-005] until a completion is posted, its slot is one that the host has read
  `HW_ASSERT_IF(SlotStaysFree_A, watched_i && !abort_i, watch_reward_i ?
                watch_index_i - reward_head_i < reward_slots :
                watch_index_i - done_head_i < done_slots)
  // [RING-002] accepted completions that the host has not read never exceed the slots
  `HW_ASSERT_IF(RingsBounded_A, !abort_i, used_q ?
                done_index_i - done_head_i <= done_slots && (used_reward_q ?
                reward_index_i - reward_head_i <= reward_slots :
                reward_index_i == reward_head_i) :
                done_index_i == done_head_i && reward_index_i == reward_head_i && empty_i)
  // [RING-002] the tails lie between the host's heads and the next indices
  `HW_ASSERT_IF(TailsBetween_A, !abort_i,
                done_tail_i - done_head_i <= done_index_i - done_head_i &&
                reward_tail_i - reward_head_i <= reward_index_i - reward_head_i)
  // [RING-002] that holds for the heads of the last two cycles too, by which room is judged
  `HW_ASSERT_IF(RingsWereBounded_A, past2_rst_q && !abort_i && used_q,
                done_index_i - past_done_head_q <= done_slots &&
                done_index_i - past2_done_head_q <= done_slots &&
                done_tail_i - past2_done_head_q <= done_index_i - past2_done_head_q &&
                done_tail_i - past_done_head_q <= done_index_i - past_done_head_q &&
                past_done_head_q - past2_done_head_q <= done_tail_i - past2_done_head_q &&
                (used_reward_q ? reward_index_i - past_reward_head_q <= reward_slots &&
                 reward_index_i - past2_reward_head_q <= reward_slots &&
                 reward_tail_i - past2_reward_head_q <= reward_index_i - past2_reward_head_q &&
                 reward_tail_i - past_reward_head_q <= reward_index_i - past_reward_head_q &&
                 past_reward_head_q - past2_reward_head_q <= reward_tail_i - past2_reward_head_q :
                 reward_index_i == past_reward_head_q && reward_index_i == past2_reward_head_q))
  // [RING-005] the writer stalls in the cycles in which a completion waits for room in its ring, by
  // what the host had read two cycles before
  `HW_ASSERT_IF(StallReported_A, stall_i, past2_rst_q &&
                valid_i && !stopped_i && !abort_i && !failed_i && (to_reward_i ?
                reward_index_i - past2_reward_head_q >= reward_slots :
                done_index_i - past2_done_head_q >= done_slots))
  // [RING-005] each cycle in which a completion waits for room is reported, but for the first after
  // a restart
  `HW_ASSERT_IF(StallMissed_A, past2_rst_q && !past_stopped_q &&
                valid_i && !stopped_i && !abort_i && !failed_i && (to_reward_i ?
                reward_index_i - reward_head_i >= reward_slots :
                done_index_i - done_head_i >= done_slots), stall_i)
  // [LIFE-004] [LIFE-005] a writer that is stopped, failed or aborted accepts no completion
  `HW_ASSERT_IF(StoppedAcceptsNothing_A, stopped_i || abort_i || failed_i, !ready_i)

  // [RING-005] a completion waits for the host
  `HW_COVER(Waits_C, stall_i && used_q && done_index_i != done_head_i)

endmodule

`default_nettype wire
