// SPDX-License-Identifier: Apache-2.0
//
// The rules of section 7 about one cycle: reset, control, doorbell, heads, configuration, reads.
// Each property compares the ports of two consecutive cycles.
`default_nettype none
`include "hw_macros.svh"

module mmio_rules
  import hw_desc_pkg::*;
#(
    parameter logic [23:0] SizesAfterReset = '0
) (
    input wire logic              clk_i,
    input wire logic              rst_ni,
    input wire logic [      31:0] first_index_i,
    // The access of this cycle; none during reset.
    input wire logic              working_i,
    input wire logic              write_i,
    input wire logic              read_i,
    input wire logic [      11:0] addr_i,
    input wire logic [      31:0] wdata_i,
    // Data that a read in this cycle must return.
    input wire logic [      31:0] expected_i,
    input wire logic              asks_reset_i,
    input wire logic              asks_enable_i,
    input wire logic              config_legal_i,
    input wire logic              doorbell_legal_i,
    // The tail up to which a write of this cycle may move a head.
    input wire logic [      31:0] head_bound_i,
    // An ENABLE was accepted since reset.
    input wire logic              locked_i,
    // The environment.
    input wire logic [      31:0] cmd_head_i,
    input wire logic [      31:0] done_tail_i,
    input wire logic [      31:0] reward_tail_i,
    input wire logic              bus_idle_i,
    input wire logic              reset_late_i,
    // The register file's outputs.
    input wire logic              soft_reset_i,
    input wire logic              enable_i,
    input wire logic [       2:0] modes_i,
    input wire logic [      31:0] cmd_tail_i,
    input wire logic [      31:0] done_head_i,
    input wire logic [      31:0] reward_head_i,
    input wire logic [      23:0] sizes_i,
    input wire logic [2:0] [63:0] bases_i,
    input wire logic              rvalid_i,
    input wire logic [      31:0] rdata_i
);

  localparam logic [31:0] MaxSlots = 32'd1 << RING_LOG2_MAX;

  // The cycle before.
  logic past_valid_q = 1'b0;
  logic past_rst_q, past_working_q, past_write_q, past_read_q, past_soft_reset_q, past_idle_q;
  logic past_late_q;
  logic past_asks_reset_q, past_asks_enable_q, past_config_legal_q, past_doorbell_legal_q;
  logic past_locked_q, past_enable_q;
  logic [11:0] past_addr_q;
  logic [31:0] past_wdata_q, past_expected_q, past_first_index_q;
  logic [31:0] past_cmd_head_q, past_done_tail_q, past_reward_tail_q, past_head_bound_q;
  logic [2:0] past_modes_q;
  logic [31:0] past_cmd_tail_q, past_done_head_q, past_reward_head_q;
  logic [23:0] past_sizes_q;
  logic [2:0][63:0] past_bases_q;

  always_ff @(posedge clk_i) begin
    past_valid_q          <= 1'b1;
    past_rst_q            <= rst_ni;
    past_working_q        <= working_i;
    past_write_q          <= write_i;
    past_read_q           <= read_i;
    past_soft_reset_q     <= soft_reset_i;
    past_idle_q           <= bus_idle_i;
    past_late_q           <= reset_late_i;
    past_asks_reset_q     <= asks_reset_i;
    past_asks_enable_q    <= asks_enable_i;
    past_config_legal_q   <= config_legal_i;
    past_doorbell_legal_q <= doorbell_legal_i;
    past_locked_q         <= locked_i;
    past_enable_q         <= enable_i;
    past_addr_q           <= addr_i;
    past_wdata_q          <= wdata_i;
    past_expected_q       <= expected_i;
    past_first_index_q    <= first_index_i;
    past_cmd_head_q       <= cmd_head_i;
    past_done_tail_q      <= done_tail_i;
    past_head_bound_q     <= head_bound_i;
    past_reward_tail_q    <= reward_tail_i;
    past_modes_q          <= modes_i;
    past_cmd_tail_q       <= cmd_tail_i;
    past_done_head_q      <= done_head_i;
    past_reward_head_q    <= reward_head_i;
    past_sizes_q          <= sizes_i;
    past_bases_q          <= bases_i;
  end

  // The write of the cycle before, if there was one and no reset.
  logic after, wrote, wrote_ctrl, rang, past_reset;
  assign after = past_valid_q && past_working_q;
  assign wrote = after && past_write_q;
  assign wrote_ctrl = wrote && past_addr_q == REG_CTRL && !past_asks_reset_q;
  assign rang = wrote && past_addr_q == REG_DOORBELL;
  assign past_reset = past_valid_q && !past_working_q;

  // A consumer index moves forward, at most up to the tail [RING-010].
  function automatic logic [31:0] head_after(input logic [11:0] address, input logic [31:0] head);
    logic [31:0] step;
    step = past_wdata_q - head;
    head_after = past_write_q && past_addr_q == address && step <= past_head_bound_q - head ?
        past_wdata_q : head;
  endfunction

  // The register at this address is writable.
  function automatic logic writable(input logic [11:0] address);
    case (address)
      REG_CTRL, REG_STATUS, REG_DOORBELL, REG_DONE_HEAD, REG_REWARD_HEAD, REG_RING_LOG2,
      REG_CMD_BASE_LO, REG_CMD_BASE_HI, REG_DONE_BASE_LO, REG_DONE_BASE_HI, REG_REWARD_BASE_LO,
      REG_REWARD_BASE_HI, REG_IRQ_STATUS, REG_IRQ_MASK: writable = 1'b1;
      default: writable = 1'b0;
    endcase
  endfunction

  // reset sets all indices to first_index (proven of the rings: EmptyAfterReset_A)
  `HW_ASSUME(IndicesAfterReset_M, !past_reset || (cmd_head_i == past_first_index_q &&
             done_tail_i == past_first_index_q && reward_tail_i == past_first_index_q))
  // the core completes only published descriptors (desc_ring_props, BehindTail_A)
  `HW_ASSUME(HeadForward_M, !after ||
             cmd_head_i - past_cmd_head_q <= past_cmd_tail_q - past_cmd_head_q)
  // completions are posted only while their ring has room (completion_ring_props, NoOverflow_A)
  `HW_ASSUME(TailsForward_M, !after ||
             (done_tail_i - past_done_head_q >= past_done_tail_q - past_done_head_q &&
              done_tail_i - past_done_head_q <= MaxSlots &&
              reward_tail_i - past_reward_head_q >= past_reward_tail_q - past_reward_head_q &&
              reward_tail_i - past_reward_head_q <= MaxSlots))

  // [LIFE-001] [RING-012] [LIFE-004] after reset, also by CTRL.RESET, the device is disabled and
  // unlocked, its indices are first_index and its configuration is that of the contract
  `HW_ASSERT_IF(AfterReset_A, past_reset, !enable_i && !locked_i && modes_i == 3'd0 &&
                sizes_i == SizesAfterReset && bases_i == '0 && done_head_i == past_first_index_q &&
                reward_head_i == past_first_index_q)
  // [LIFE-001] [RING-012] after reset the tail is first_index
  `HW_ASSERT_IF(TailAfterReset_A, past_reset, cmd_tail_i == past_first_index_q)
  // [LIFE-004] CTRL.RESET resets, whatever the other bits of the write, and lasts until the bus is
  // idle
  `HW_ASSERT_IF(SoftReset_A, past_valid_q && past_rst_q, soft_reset_i ==
                (past_asks_reset_q || (past_soft_reset_q && !past_idle_q)))
  // [LIFE-004] during the reset STATUS.READY is 0, and writes are ignored
  `HW_ASSERT_IF(NotReady_A, past_valid_q && past_rst_q && past_soft_reset_q,
                !rvalid_i || past_addr_q != REG_STATUS || !rdata_i[STATUS_READY_BIT])
  // [LIFE-004] STATUS.RESET_TIMEOUT is set in a reset that is late, and at no other time
  `HW_ASSERT_IF(ResetTimeout_A, past_valid_q && past_rst_q && rvalid_i && past_addr_q == REG_STATUS,
                rdata_i[STATUS_RESET_TIMEOUT_BIT] == (past_soft_reset_q && past_late_q))

  // [LIFE-002] [REG-008] a good configuration is enabled
  `HW_ASSERT_IF(Enabled_A, after && past_asks_enable_q && past_config_legal_q, enable_i && locked_i)
  // [LIFE-002] a bad configuration refuses ENABLE and locks nothing
  `HW_ASSERT_IF(BadConfigRefused_A,
                after && past_asks_enable_q && !past_enable_q && !past_config_legal_q,
                !enable_i && locked_i == past_locked_q)
  // [LIFE-007] writing CTRL without ENABLE pauses the device
  `HW_ASSERT_IF(Paused_A, wrote_ctrl && !past_wdata_q[CTRL_ENABLE_BIT], !enable_i)
  // [REG-008] only a write to CTRL changes ENABLE
  `HW_ASSERT_IF(EnableKept_A, after && !wrote_ctrl && !past_asks_reset_q, enable_i == past_enable_q)
  // [LIFE-002] [LIFE-006] the mode bits of a write to CTRL are kept, those of a refused ENABLE too
  `HW_ASSERT_IF(ModesWritten_A, wrote_ctrl && !past_locked_q,
         modes_i == {past_wdata_q[CTRL_PUBLISH_TAILS_BIT], past_wdata_q[CTRL_REQUIRE_CHECKED_BIT],
                     past_wdata_q[CTRL_SPLIT_REWARD_BIT]})
  // [LIFE-006] sizes, bases and modes are locked by the first ENABLE that is not refused
  `HW_ASSERT_IF(ConfigLocked_A, after && past_locked_q,
                sizes_i == past_sizes_q && bases_i == past_bases_q && modes_i == past_modes_q)
  // [REG-02C] before that the sizes are the last ones written
  `HW_ASSERT_IF(SizesWritten_A, after && !past_locked_q,
                sizes_i == (past_write_q && past_addr_q == REG_RING_LOG2 ? past_wdata_q[23:0] :
                            past_sizes_q))

  for (genvar r = 0; r < 3; r++) begin : gen_base
    localparam logic [11:0] Low = REG_CMD_BASE_LO + 12'(8 * r);
    localparam logic [11:0] High = REG_CMD_BASE_HI + 12'(8 * r);
    // [REG-030..REG-044] so are the words of the bases
    `HW_ASSERT_IF(BaseWritten_A, after && !past_locked_q, bases_i[r] ==
                  {past_write_q && past_addr_q == High ? past_wdata_q : past_bases_q[r][63:32],
                   past_write_q && past_addr_q == Low ? past_wdata_q : past_bases_q[r][31:0]})
  end

  // [DB-002] [REG-010] a legal doorbell becomes the tail
  `HW_ASSERT_IF(DoorbellTaken_A, rang && past_doorbell_legal_q, cmd_tail_i == past_wdata_q)
  // [DB-002] [DB-006] an illegal doorbell changes no tail
  `HW_ASSERT_IF(DoorbellIgnored_A, rang && !past_doorbell_legal_q, cmd_tail_i == past_cmd_tail_q)
  // [DB-003] a doorbell that repeats the accepted tail is legal at any time
  `HW_ASSERT_IF(Repeat_A, rang && past_wdata_q == past_cmd_tail_q,
                past_doorbell_legal_q && cmd_tail_i == past_cmd_tail_q)
  // [DB-006] a doorbell while ENABLE is 0 does not move the tail
  `HW_ASSERT_IF(DisabledDoorbell_A, rang && !past_enable_q, cmd_tail_i == past_cmd_tail_q)
  // [DB-001] [REG-018] only a doorbell moves the tail
  `HW_ASSERT_IF(TailKept_A, after && !rang, cmd_tail_i == past_cmd_tail_q)
  // [DB-002] the tail moves only forward
  `HW_ASSERT_IF(TailForward_A, after,
                cmd_tail_i - past_cmd_head_q >= past_cmd_tail_q - past_cmd_head_q)
  // [DB-002] never more lines are published than the ring has slots
  `HW_ASSERT_IF(TailBounded_A, 1'b1,
                cmd_tail_i - cmd_head_i <= (locked_i ? 32'd1 << sizes_i[7:0] : 32'd0))
  // [RING-001] the sizes in force are legal
  `HW_ASSERT_IF(SizesInForce_A, locked_i,
                sizes_i[7:0] >= RING_LOG2_MIN && sizes_i[7:0] <= RING_LOG2_MAX && sizes_i[15:8] >=
                RING_LOG2_MIN && sizes_i[15:8] <= RING_LOG2_MAX)

  // [RING-010] [REG-020] the host's head of the done ring moves forward, at most up to the tail
  `HW_ASSERT_IF(DoneHead_A, after,
                done_head_i == head_after(REG_DONE_HEAD, past_done_head_q))
  // [RING-010] [REG-028] so does the head of the reward ring
  `HW_ASSERT_IF(RewardHead_A, after,
         reward_head_i == head_after(REG_REWARD_HEAD, past_reward_head_q))
  // [RING-002] [RING-010] a head is never past its tail
  `HW_ASSERT_IF(HeadsBounded_A, 1'b1,
                done_tail_i - done_head_i <= MaxSlots && reward_tail_i - reward_head_i <= MaxSlots)

  // [REG-000..REG-07C] [DB-004] [HASH-001] [RING-009] a read returns, one cycle later, the value of
  // the register; self-clearing and reserved bits are 0
  `HW_ASSERT_IF(ReadGives_A, after && past_read_q, rvalid_i && rdata_i == past_expected_q)
  // read data return for a read and for nothing else
  `HW_ASSERT_IF(OnlyReadsAnswered_A, after && !past_read_q, !rvalid_i && rdata_i == '0)
  // [DB-004] unknown and unaligned addresses read 0
  `HW_ASSERT_IF(UnknownReadsZero_A, after && past_read_q &&
                (past_addr_q[1:0] != 2'd0 || past_addr_q > REG_CONTRACT_HASH), rdata_i == '0)
  // [DB-004] unknown addresses and read-only registers ignore writes
  `HW_ASSERT_IF(WriteIgnored_A, wrote && !writable(past_addr_q),
         enable_i == past_enable_q && modes_i == past_modes_q && sizes_i == past_sizes_q &&
         bases_i == past_bases_q && cmd_tail_i == past_cmd_tail_q && locked_i == past_locked_q &&
         done_head_i == past_done_head_q && reward_head_i == past_reward_head_q && !soft_reset_i)

  // [RING-002] [DB-002] a legal doorbell wraps the tail past 2^32
  `HW_COVER(TailWraps_C, rang && past_doorbell_legal_q && cmd_tail_i < past_cmd_tail_q)
  // [DB-002] a doorbell fills the ring to its last slot
  `HW_COVER(RingFilled_C, rang && cmd_tail_i - cmd_head_i == 32'd1 << sizes_i[7:0] && locked_i)
  // [LIFE-004] a reset waits for the bus
  `HW_COVER(ResetWaits_C, past_soft_reset_q && soft_reset_i)

endmodule

`default_nettype wire
