// SPDX-License-Identifier: Apache-2.0
//
// Register file of the device: doorbell and its rules, control, status, counters, interrupt.
//
// Rules: all of section 7 (REG-*, DB-002, DB-003, DB-004, DB-006, IRQ-001, CNT-001, HASH-001),
// RING-010, RING-012, LIFE-001, LIFE-002, LIFE-006, and the request side of LIFE-004, LIFE-007 and
// RING-013.
//
// CTRL.RESET holds everything in reset until bus_idle_i; only then does STATUS show READY. One
// access a cycle is always accepted; reg_rvalid_o and reg_rdata_o return read data in the next
// cycle. If an event and a write that clears it coincide, the event wins.
//
// With rings in memory (OnChip 0) no access may follow a write for two cycles: by then sizes and
// bases are checked, and a doorbell or a head, judged by the indices of its own cycle, is in force.
// Each sum and each comparison has a cycle of its own. With OnChip 1 all happens in the cycle of
// the write.
`default_nettype none
`include "hw_macros.svh"

module mmio_regs
  import hw_desc_pkg::*;
#(
    // Greatest legal ring sizes, as log2 of the slots.
    parameter int MaxCmdLog2    = 16,
    parameter int MaxDoneLog2   = 16,
    parameter int MaxRewardLog2 = 16,
    // 1: rings are on chip. RING_LOG2 resets to the greatest sizes, bases are not checked, and
    // the heads of the completion rings are read-only. 0: rings are in memory.
    parameter bit OnChip        = 1'b0
) (
    // Clock and synchronous active-low reset; value of all indices after reset.
    input wire logic        clk_i,
    input wire logic        rst_ni,
    input wire logic [31:0] first_index_i,
    // Register accesses; read data return in the next cycle.
    input wire logic        reg_valid_i,
    input wire logic        reg_write_i,
    input wire logic [11:0] reg_addr_i,
    input wire logic [31:0] reg_wdata_i,
    output logic            reg_rvalid_o,
    output logic     [31:0] reg_rdata_o,
    // From the core: indices; halted; descriptors or writes are in flight; a posting, with its
    // error and its tokens; a completion waits for room.
    input wire logic [31:0] cmd_head_i,
    input wire logic [31:0] done_tail_i,
    input wire logic [31:0] done_head_i,
    input wire logic [31:0] reward_tail_i,
    input wire logic [31:0] reward_head_i,
    input wire logic        halted_i,
    input wire logic        busy_i,
    input wire logic        post_i,
    input wire logic        post_error_i,
    input wire logic [31:0] post_tokens_i,
    input wire logic        stall_i,
    // The host may now be told of the completions posted so far.
    input wire logic        announce_i,
    // From the bus: an error to report; nothing is in flight; the reset has waited for that for too
    // long; last byte that rings may touch.
    input wire logic        bus_error_i,
    input wire logic        bus_idle_i,
    input wire logic        reset_late_i,
    input wire logic [63:0] window_last_i,
    // To the core: soft reset pending; CTRL; published tail; heads; log2 of the slots; bases.
    output logic            soft_reset_o,
    output logic            enable_o,
    output logic            resume_o,
    output logic            require_checked_o,
    output logic            split_reward_o,
    output logic            publish_tails_o,
    output logic     [31:0] cmd_tail_o,
    output logic     [31:0] done_head_o,
    output logic     [31:0] reward_head_o,
    output logic     [ 7:0] cmd_log2_o,
    output logic     [ 7:0] done_log2_o,
    output logic     [ 7:0] reward_log2_o,
    output logic     [63:0] cmd_base_o,
    output logic     [63:0] done_base_o,
    output logic     [63:0] reward_base_o,
    // Interrupt, level.
    output logic            irq_o
);

  localparam logic [23:0] RingLog2Reset =
      OnChip ? {8'(MaxRewardLog2), 8'(MaxDoneLog2), 8'(MaxCmdLog2)} : 24'd0;

  logic soft_reset_q, rst_n;
  logic enable_q, locked_q, split_reward_q, require_checked_q, publish_tails_q;
  logic [31:0] cmd_tail_q, done_head_q, reward_head_q;
  logic [23:0] ring_log2_q;
  logic [63:0] cmd_base_q, done_base_q, reward_base_q;
  logic [2:0] errors, irq_status, irq_mask;
  logic [31:0] descriptors_q, errors_q, stall_cycles_q, bad_doorbells_q, one_bad_more;
  logic [63:0] tokens_q;
  logic [31:0] tokens_high_q;
  logic tokens_carry_q, tokens_carry;
  logic [31:0] tokens_low, tokens_high;

  // ---------------------------------------------------------------- write strobes

  logic write, read, write_ctrl, write_config;
  logic ask_reset, ask_enable, split_reward_d, publish_tails_d;

  assign write = reg_valid_i && reg_write_i;
  assign read = reg_valid_i && !reg_write_i;
  assign write_ctrl = write && reg_addr_i == REG_CTRL;
  assign write_config = write && !locked_q;
  assign ask_reset = write_ctrl && reg_wdata_i[CTRL_RESET_BIT];
  assign ask_enable = write_ctrl && !ask_reset && reg_wdata_i[CTRL_ENABLE_BIT];
  assign resume_o = write_ctrl && !ask_reset && reg_wdata_i[CTRL_RESUME_BIT];
  assign split_reward_d = locked_q ? split_reward_q : reg_wdata_i[CTRL_SPLIT_REWARD_BIT];
  assign publish_tails_d = locked_q ? publish_tails_q : reg_wdata_i[CTRL_PUBLISH_TAILS_BIT];

  // ---------------------------------------------------------------- configuration [LIFE-002]

  // Of the command ring, the done ring, the reward ring.
  logic [2:0] ring_ok;
  logic config_ok;

  for (genvar ring = 0; ring < 3; ring++) begin : gen_ring
    ring_config #(
        .MaxLog2(ring == 0 ? MaxCmdLog2 : ring == 1 ? MaxDoneLog2 : MaxRewardLog2),
        .OnChip (OnChip)
    ) u_ring_config (
        .clk_i        (clk_i),
        .rst_ni       (rst_n),
        .log2_i       (ring_log2_q[8*ring+:8]),
        .base_i       (ring == 0 ? cmd_base_q : ring == 1 ? done_base_q : reward_base_q),
        .window_last_i(window_last_i),
        .words_i      (publish_tails_d),
        .ok_o         (ring_ok[ring])
    );
  end

  assign config_ok = ring_ok[0] && ring_ok[1] && (ring_ok[2] || !split_reward_d);

  // ---------------------------------------------------------------- doorbell [DB-002] [DB-006]

  // Writes that move an index, and those that are judged now: doorbell, DONE_HEAD, REWARD_HEAD.
  logic [2:0] moves, move;
  logic [31:0] new_index;
  logic ring_doorbell, doorbell_legal, head_legal;

  assign moves = {
    write && reg_addr_i == REG_REWARD_HEAD,
    write && reg_addr_i == REG_DONE_HEAD,
    write && reg_addr_i == REG_DOORBELL
  };

  index_moves #(
      .OnChip(OnChip)
  ) u_index_moves (
      .clk_i           (clk_i),
      .rst_ni          (rst_n),
      .moves_i         (moves),
      .index_i         (reg_wdata_i),
      .enable_i        (enable_q),
      .cmd_log2_i      (cmd_log2_o),
      .cmd_head_i      (cmd_head_i),
      .cmd_tail_i      (cmd_tail_q),
      .done_head_i     (done_head_q),
      .done_tail_i     (done_tail_i),
      .reward_head_i   (reward_head_q),
      .reward_tail_i   (reward_tail_i),
      .move_o          (move),
      .index_o         (new_index),
      .doorbell_legal_o(doorbell_legal),
      .head_legal_o    (head_legal)
  );

  assign ring_doorbell = move[0];

  // ---------------------------------------------------------------- events

  logic bad_config, bad_doorbell;
  assign bad_config = ask_enable && !enable_q && !config_ok;
  assign bad_doorbell = ring_doorbell && !doorbell_legal;

  event_flags u_event_flags (
      .clk_i       (clk_i),
      .rst_ni      (rst_n),
      .write_i     (write),
      .addr_i      (reg_addr_i),
      .wdata_i     (reg_wdata_i),
      .announce_i  (announce_i),
      .errors_i    ({bus_error_i, bad_doorbell, bad_config}),
      .halted_i    (halted_i),
      .errors_o    (errors),
      .irq_status_o(irq_status),
      .irq_mask_o  (irq_mask),
      .irq_o       (irq_o)
  );

  // ---------------------------------------------------------------- state

  assign rst_n = rst_ni && !soft_reset_q;

  always_ff @(posedge clk_i) begin
    soft_reset_q <= (rst_n && ask_reset) || (rst_ni && soft_reset_q && !bus_idle_i);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      enable_q          <= 1'b0;
      locked_q          <= 1'b0;
      split_reward_q    <= 1'b0;
      require_checked_q <= 1'b0;
      publish_tails_q   <= 1'b0;
    end else if (write_ctrl && !ask_reset) begin
      enable_q <= ask_enable && (enable_q || config_ok);
      locked_q <= locked_q || (ask_enable && config_ok);
      if (!locked_q) begin
        split_reward_q    <= reg_wdata_i[CTRL_SPLIT_REWARD_BIT];
        require_checked_q <= reg_wdata_i[CTRL_REQUIRE_CHECKED_BIT];
        publish_tails_q   <= reg_wdata_i[CTRL_PUBLISH_TAILS_BIT];
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      cmd_tail_q    <= first_index_i;
      done_head_q   <= first_index_i;
      reward_head_q <= first_index_i;
    end else begin
      if (ring_doorbell && doorbell_legal) begin
        cmd_tail_q <= new_index;
      end
      if (move[1] && head_legal) begin
        done_head_q <= new_index;
      end
      if (move[2] && head_legal) begin
        reward_head_q <= new_index;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      ring_log2_q   <= RingLog2Reset;
      cmd_base_q    <= '0;
      done_base_q   <= '0;
      reward_base_q <= '0;
    end else if (write_config) begin
      case (reg_addr_i)
        REG_RING_LOG2:      ring_log2_q          <= 24'(reg_wdata_i);
        REG_CMD_BASE_LO:    cmd_base_q[31:0]     <= reg_wdata_i;
        REG_CMD_BASE_HI:    cmd_base_q[63:32]    <= reg_wdata_i;
        REG_DONE_BASE_LO:   done_base_q[31:0]    <= reg_wdata_i;
        REG_DONE_BASE_HI:   done_base_q[63:32]   <= reg_wdata_i;
        REG_REWARD_BASE_LO: reward_base_q[31:0]  <= reg_wdata_i;
        REG_REWARD_BASE_HI: reward_base_q[63:32] <= reg_wdata_i;
        default: ;
      endcase
    end
  end

  if (OnChip) begin : gen_sum_now
    assign one_bad_more = bad_doorbells_q + 32'd1;
  end else begin : gen_sum_staged
    logic [31:0] one_bad_more_q;
    always_ff @(posedge clk_i) begin
      one_bad_more_q <= bad_doorbells_q + 32'd1;  // doorbells are cycles apart
    end
    assign one_bad_more = one_bad_more_q;
  end

  // The low word carries into the high word a cycle later; with the carry added the pair is one
  // value.
  assign {tokens_carry, tokens_low} = 33'(tokens_q[31:0]) + 33'(post_tokens_i);
  assign tokens_high = tokens_q[63:32] + 32'(tokens_carry_q);

  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      descriptors_q   <= '0;
      tokens_q        <= '0;
      tokens_carry_q  <= 1'b0;
      tokens_high_q   <= '0;
      errors_q        <= '0;
      stall_cycles_q  <= '0;
      bad_doorbells_q <= '0;
    end else begin
      descriptors_q   <= descriptors_q + 32'(post_i);
      tokens_q        <= {tokens_high, tokens_low};
      tokens_carry_q  <= tokens_carry;
      errors_q        <= errors_q + 32'(post_error_i);
      stall_cycles_q  <= stall_cycles_q + 32'(stall_i);
      bad_doorbells_q <= bad_doorbell ? one_bad_more : bad_doorbells_q;
      if (read && reg_addr_i == REG_CNT_TOKENS_LO) begin
        tokens_high_q <= tokens_high;
      end
    end
  end

  // ---------------------------------------------------------------- reads

  logic [31:0] ctrl, status, rdata;

  always_comb begin
    ctrl = '0;
    ctrl[CTRL_ENABLE_BIT] = enable_q;
    ctrl[CTRL_SPLIT_REWARD_BIT] = split_reward_q;
    ctrl[CTRL_REQUIRE_CHECKED_BIT] = require_checked_q;
    ctrl[CTRL_PUBLISH_TAILS_BIT] = publish_tails_q;

    status = '0;
    status[STATUS_READY_BIT] = !soft_reset_q;
    status[STATUS_RUNNING_BIT] = (enable_q && !halted_i) || busy_i;
    status[STATUS_HALTED_BIT] = halted_i;
    status[STATUS_RESET_TIMEOUT_BIT] = soft_reset_q && reset_late_i;
    status[STATUS_BAD_CONFIG_BIT] = errors[0];
    status[STATUS_BAD_DOORBELL_BIT] = errors[1];
    status[STATUS_BUS_ERROR_BIT] = errors[2];
  end

  always_comb begin
    case (reg_addr_i)
      REG_ID:                rdata = DEVICE_ID;
      REG_VERSION:           rdata = CONTRACT_VERSION;
      REG_CTRL:              rdata = ctrl;
      REG_STATUS:            rdata = status;
      REG_CMD_HEAD:          rdata = cmd_head_i;
      REG_CMD_TAIL:          rdata = cmd_tail_q;
      REG_DONE_TAIL:         rdata = done_tail_i;
      REG_DONE_HEAD:         rdata = OnChip ? done_head_i : done_head_q;
      REG_REWARD_TAIL:       rdata = reward_tail_i;
      REG_REWARD_HEAD:       rdata = OnChip ? reward_head_i : reward_head_q;
      REG_RING_LOG2:         rdata = {8'd0, ring_log2_q};
      REG_CMD_BASE_LO:       rdata = cmd_base_q[31:0];
      REG_CMD_BASE_HI:       rdata = cmd_base_q[63:32];
      REG_DONE_BASE_LO:      rdata = done_base_q[31:0];
      REG_DONE_BASE_HI:      rdata = done_base_q[63:32];
      REG_REWARD_BASE_LO:    rdata = reward_base_q[31:0];
      REG_REWARD_BASE_HI:    rdata = reward_base_q[63:32];
      REG_IRQ_STATUS:        rdata = {29'd0, irq_status};
      REG_IRQ_MASK:          rdata = {29'd0, irq_mask};
      REG_CNT_DESCRIPTORS:   rdata = descriptors_q;
      REG_CNT_TOKENS_LO:     rdata = tokens_q[31:0];
      REG_CNT_TOKENS_HI:     rdata = tokens_high_q;
      REG_CNT_ERRORS:        rdata = errors_q;
      REG_CNT_STALL_CYCLES:  rdata = stall_cycles_q;
      REG_CNT_BAD_DOORBELLS: rdata = bad_doorbells_q;
      REG_CONTRACT_HASH:     rdata = CONTRACT_HASH;
      default:               rdata = '0;
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      reg_rvalid_o <= 1'b0;
      reg_rdata_o  <= '0;
    end else begin
      reg_rvalid_o <= read;
      reg_rdata_o  <= read ? rdata : '0;
    end
  end

  // ---------------------------------------------------------------- outputs

  assign soft_reset_o      = soft_reset_q;
  assign enable_o          = enable_q;
  assign require_checked_o = require_checked_q;
  assign split_reward_o    = split_reward_q;
  assign publish_tails_o   = publish_tails_q;
  assign cmd_tail_o        = cmd_tail_q;
  assign done_head_o       = done_head_q;
  assign reward_head_o     = reward_head_q;
  assign cmd_log2_o        = ring_log2_q[7:0];
  assign done_log2_o       = ring_log2_q[15:8];
  assign reward_log2_o     = ring_log2_q[23:16];
  assign cmd_base_o        = cmd_base_q;
  assign done_base_o       = done_base_q;
  assign reward_base_o     = reward_base_q;

`ifndef SYNTHESIS
  // Cycles since a write, up to 2.
  logic [1:0] rested_q;
  always_ff @(posedge clk_i) begin
    if (!rst_n) begin
      rested_q <= 2'd2;
    end else if (write) begin
      rested_q <= 2'd0;
    end else if (rested_q != 2'd2) begin
      rested_q <= rested_q + 2'd1;
    end
  end
  `HW_ASSERT(Spaced_A, OnChip || !reg_valid_i || !rst_n || rested_q == 2'd2,
             "with rings in memory no access follows a write for two cycles")
  `HW_ASSERT_INIT(SizesLegal_A,
                  MaxCmdLog2 >= 1 && MaxCmdLog2 <= 16 && MaxDoneLog2 >= 1 && MaxDoneLog2 <= 16 &&
                  MaxRewardLog2 >= 1 && MaxRewardLog2 <= 16,
                  "ring sizes are from 2^1 to 2^16 slots (RING-001)")
  `HW_ASSERT(TailLegal_A, !enable_q || cmd_tail_q - cmd_head_i <= 32'd1 << cmd_log2_o,
             "never more lines are published than the ring has slots (DB-002)")
  `HW_ASSERT(EnableLocks_A, !enable_q || locked_q, "an enabled device is locked (LIFE-006)")
`endif

endmodule

`default_nettype wire
