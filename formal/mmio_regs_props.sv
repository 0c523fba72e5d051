// SPDX-License-Identifier: Apache-2.0
//
// The register file and the doorbell obey section 7 of the contract for every sequence of accesses
// and events. mmio_rules states the rules over the ports; the values of the registers are here.
`default_nettype none
`include "hw_macros.svh"

module mmio_regs_props
  import hw_desc_pkg::*;
#(
    parameter bit OnChip = 1'b0
) (
    input wire logic        clk_i,
    input wire logic        rst_ni,
    input wire logic [31:0] first_index_i,
    input wire logic        reg_valid_i,
    input wire logic        reg_write_i,
    input wire logic [11:0] reg_addr_i,
    input wire logic [31:0] reg_wdata_i,
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
    input wire logic        announce_i,
    input wire logic        bus_error_i,
    input wire logic        bus_idle_i,
    input wire logic        reset_late_i,
    input wire logic [63:0] window_last_i
);

  // Different sizes, so that none can be mistaken for another.
  localparam int MaxCmdLog2 = 16;
  localparam int MaxDoneLog2 = 15;
  localparam int MaxRewardLog2 = 14;
  localparam logic [23:0] SizesAfterReset =
      OnChip ? {8'(MaxRewardLog2), 8'(MaxDoneLog2), 8'(MaxCmdLog2)} : 24'd0;

  logic rvalid, soft_reset, enable, resume, required, split, publish, irq;
  logic [31:0] rdata, cmd_tail, done_head, reward_head;
  logic [7:0] cmd_log2, done_log2, reward_log2;
  logic [63:0] cmd_base, done_base, reward_base;

  mmio_regs #(
      .MaxCmdLog2   (MaxCmdLog2),
      .MaxDoneLog2  (MaxDoneLog2),
      .MaxRewardLog2(MaxRewardLog2),
      .OnChip       (OnChip)
  ) u_dut (
      .clk_i            (clk_i),
      .rst_ni           (rst_ni),
      .first_index_i    (first_index_i),
      .reg_valid_i      (reg_valid_i),
      .reg_write_i      (reg_write_i),
      .reg_addr_i       (reg_addr_i),
      .reg_wdata_i      (reg_wdata_i),
      .reg_rvalid_o     (rvalid),
      .reg_rdata_o      (rdata),
      .cmd_head_i       (cmd_head_i),
      .done_tail_i      (done_tail_i),
      .done_head_i      (done_head_i),
      .reward_tail_i    (reward_tail_i),
      .reward_head_i    (reward_head_i),
      .halted_i         (halted_i),
      .busy_i           (busy_i),
      .post_i           (post_i),
      .post_error_i     (post_error_i),
      .post_tokens_i    (post_tokens_i),
      .stall_i          (stall_i),
      .announce_i       (announce_i),
      .bus_error_i      (bus_error_i),
      .bus_idle_i       (bus_idle_i),
      .reset_late_i     (reset_late_i),
      .window_last_i    (window_last_i),
      .soft_reset_o     (soft_reset),
      .enable_o         (enable),
      .resume_o         (resume),
      .require_checked_o(required),
      .split_reward_o   (split),
      .publish_tails_o  (publish),
      .cmd_tail_o       (cmd_tail),
      .done_head_o      (done_head),
      .reward_head_o    (reward_head),
      .cmd_log2_o       (cmd_log2),
      .done_log2_o      (done_log2),
      .reward_log2_o    (reward_log2),
      .cmd_base_o       (cmd_base),
      .done_base_o      (done_base),
      .reward_base_o    (reward_base),
      .irq_o            (irq)
  );

  logic working, access, write, read;
  logic write_ctrl, asks_reset, asks_enable;
  logic started_q = 1'b0;

  assign working = rst_ni && !soft_reset;
  assign access = working && reg_valid_i;
  assign write = access && reg_write_i;
  assign read = access && !reg_write_i;
  assign write_ctrl = write && reg_addr_i == REG_CTRL;
  assign asks_reset = write_ctrl && reg_wdata_i[CTRL_RESET_BIT];
  assign asks_enable = write_ctrl && !asks_reset && reg_wdata_i[CTRL_ENABLE_BIT];

  // ---------------------------------------------------------------- the rules, as functions

  // A ring, and with words the 128 bytes before it, lies inside the window and is aligned
  // [LIFE-002]. 66 bits hold every sum.
  function automatic logic ring_legal(input logic [63:0] base, input logic [7:0] log2,
                                      input int max_log2, input logic words);
    logic [65:0] first, beyond, window_beyond;
    first = {2'd0, base};
    beyond = first + (66'(DESC_BYTES) << log2);
    window_beyond = {2'd0, window_last_i} + 66'd1;
    ring_legal = log2 >= RING_LOG2_MIN && 32'(log2) <= 32'(max_log2) &&
        (OnChip || (base[5:0] == 6'd0 && beyond <= window_beyond &&
                    (!words || first >= 66'(RING_SLOTS_OFFSET))));
  endfunction

  logic locked_q;
  logic split_in_force, publish_in_force, config_legal, refuses;
  assign split_in_force = locked_q ? split : reg_wdata_i[CTRL_SPLIT_REWARD_BIT];
  assign publish_in_force = locked_q ? publish : reg_wdata_i[CTRL_PUBLISH_TAILS_BIT];
  assign config_legal = ring_legal(cmd_base, cmd_log2, MaxCmdLog2, publish_in_force) &&
      ring_legal(done_base, done_log2, MaxDoneLog2, publish_in_force) &&
      (!split_in_force || ring_legal(reward_base, reward_log2, MaxRewardLog2, publish_in_force));
  assign refuses = asks_enable && !enable && !config_legal;

  // The new tail is ahead of the present one by at most the free slots [DB-002] [DB-006].
  logic [31:0] free_slots;
  logic repeats, doorbell_legal;
  assign free_slots = (32'd1 << cmd_log2) - (cmd_tail - cmd_head_i);
  assign repeats = reg_wdata_i == cmd_tail;
  assign doorbell_legal = repeats || (enable && reg_wdata_i - cmd_tail <= free_slots);

  // A write that moves an index counts by the state of its own cycle; it is in force in the next
  // cycle, with rings in memory two cycles later. Each write is shown to the rules in the cycle
  // before the one from which on it is in force.
  typedef struct packed {
    logic        valid;
    logic [11:0] addr;
    logic [31:0] wdata;
    logic        legal;
    logic [31:0] head_bound;
  } move_t;
  move_t asked, first_q, second_q, due;
  logic is_move, bad_doorbell;
  assign is_move = reg_addr_i == REG_DOORBELL || reg_addr_i == REG_DONE_HEAD ||
      reg_addr_i == REG_REWARD_HEAD;
  assign asked.valid = write && is_move;
  assign asked.addr = reg_addr_i;
  assign asked.wdata = reg_wdata_i;
  assign asked.legal = doorbell_legal;
  assign asked.head_bound = reg_addr_i == REG_DONE_HEAD ? done_tail_i : reward_tail_i;
  assign due = OnChip ? asked : second_q;
  assign bad_doorbell = due.valid && due.addr == REG_DOORBELL && !due.legal;

  always_ff @(posedge clk_i) begin
    first_q  <= asked;
    second_q <= first_q;
    if (!working) begin
      first_q.valid  <= 1'b0;
      second_q.valid <= 1'b0;
    end
  end

  // Cycles since a write, up to 2; the configuration of the two cycles before.
  logic [1:0] rested_q;
  logic [215:0] config_now, past_config_q, past2_config_q;
  logic [63:0] past_window_q;
  assign config_now = {reward_log2, done_log2, cmd_log2, reward_base, done_base, cmd_base};
  always_ff @(posedge clk_i) begin
    past_config_q  <= config_now;
    past2_config_q <= past_config_q;
    past_window_q  <= window_last_i;
    if (!working) begin
      rested_q <= 2'd2;
    end else if (write) begin
      rested_q <= 2'd0;
    end else if (rested_q != 2'd2) begin
      rested_q <= rested_q + 2'd1;
    end
  end

  // ---------------------------------------------------------------- what the registers should hold

  logic halted_q;
  logic [2:0] errors_q, irq_status_q, irq_mask_q, errors, events;
  logic [31:0] posted_q, refused_q, stalled_q, bad_doorbells_q, tokens_high_q;
  logic [63:0] tokens_q;

  assign errors = {bus_error_i, bad_doorbell, refuses};
  assign events = {errors != 3'd0, halted_i && !halted_q, announce_i};

  always_ff @(posedge clk_i) begin
    started_q <= 1'b1;
    if (!working) begin
      locked_q        <= 1'b0;
      halted_q        <= 1'b0;
      errors_q        <= '0;
      irq_status_q    <= '0;
      irq_mask_q      <= '0;
      posted_q        <= '0;
      refused_q       <= '0;
      stalled_q       <= '0;
      bad_doorbells_q <= '0;
      tokens_q        <= '0;
      tokens_high_q   <= '0;
    end else begin
      halted_q        <= halted_i;
      posted_q        <= posted_q + 32'(post_i);
      refused_q       <= refused_q + 32'(post_error_i);
      stalled_q       <= stalled_q + 32'(stall_i);
      tokens_q        <= tokens_q + 64'(post_tokens_i);
      bad_doorbells_q <= bad_doorbells_q + 32'(bad_doorbell);
      if (asks_enable && config_legal) begin
        locked_q <= 1'b1;
      end
      if (read && reg_addr_i == REG_CNT_TOKENS_LO) begin
        tokens_high_q <= tokens_q[63:32];
      end
      if (write && reg_addr_i == REG_IRQ_MASK) begin
        irq_mask_q <= reg_wdata_i[2:0];
      end
      for (int i = 0; i < 3; i++) begin
        if (write && reg_addr_i == REG_STATUS && reg_wdata_i[STATUS_BAD_CONFIG_BIT+i]) begin
          errors_q[i] <= 1'b0;
        end
        if (errors[i]) begin
          errors_q[i] <= 1'b1;
        end
        if (write && reg_addr_i == REG_IRQ_STATUS && reg_wdata_i[i]) begin
          irq_status_q[i] <= 1'b0;
        end
        if (events[i]) begin
          irq_status_q[i] <= 1'b1;
        end
      end
    end
  end

  // Value that a read of each register returns [DB-004].
  logic [31:0] expected;
  always_comb begin
    expected = '0;
    case (reg_addr_i)
      REG_ID: expected = DEVICE_ID;
      REG_VERSION: expected = CONTRACT_VERSION;
      REG_CTRL: expected = {26'd0, publish, required, split, 2'd0, enable};
      REG_STATUS:
      expected = {21'd0, errors_q, 5'd0, halted_i, (enable && !halted_i) || busy_i, 1'b1};
      REG_CMD_HEAD: expected = cmd_head_i;
      REG_CMD_TAIL: expected = cmd_tail;
      REG_DONE_TAIL: expected = done_tail_i;
      REG_DONE_HEAD: expected = OnChip ? done_head_i : done_head;
      REG_REWARD_TAIL: expected = reward_tail_i;
      REG_REWARD_HEAD: expected = OnChip ? reward_head_i : reward_head;
      REG_RING_LOG2: expected = {8'd0, reward_log2, done_log2, cmd_log2};
      REG_CMD_BASE_LO: expected = cmd_base[31:0];
      REG_CMD_BASE_HI: expected = cmd_base[63:32];
      REG_DONE_BASE_LO: expected = done_base[31:0];
      REG_DONE_BASE_HI: expected = done_base[63:32];
      REG_REWARD_BASE_LO: expected = reward_base[31:0];
      REG_REWARD_BASE_HI: expected = reward_base[63:32];
      REG_IRQ_STATUS: expected = {29'd0, irq_status_q};
      REG_IRQ_MASK: expected = {29'd0, irq_mask_q};
      REG_CNT_DESCRIPTORS: expected = posted_q;
      REG_CNT_TOKENS_LO: expected = tokens_q[31:0];
      REG_CNT_TOKENS_HI: expected = tokens_high_q;
      REG_CNT_ERRORS: expected = refused_q;
      REG_CNT_STALL_CYCLES: expected = stalled_q;
      REG_CNT_BAD_DOORBELLS: expected = bad_doorbells_q;
      REG_CONTRACT_HASH: expected = CONTRACT_HASH;
      default: ;
    endcase
  end

  mmio_rules #(
      .SizesAfterReset(SizesAfterReset)
  ) u_rules (
      .clk_i           (clk_i),
      .rst_ni          (rst_ni),
      .first_index_i   (first_index_i),
      .working_i       (working),
      .write_i         (due.valid || (write && !is_move)),
      .read_i          (read),
      .addr_i          (due.valid ? due.addr : reg_addr_i),
      .wdata_i         (due.valid ? due.wdata : reg_wdata_i),
      .expected_i      (expected),
      .asks_reset_i    (asks_reset),
      .asks_enable_i   (asks_enable),
      .config_legal_i  (config_legal),
      .doorbell_legal_i(due.legal),
      .head_bound_i    (due.head_bound),
      .locked_i        (locked_q),
      .cmd_head_i      (cmd_head_i),
      .done_tail_i     (done_tail_i),
      .reward_tail_i   (reward_tail_i),
      .bus_idle_i      (bus_idle_i),
      .reset_late_i    (reset_late_i),
      .soft_reset_i    (soft_reset),
      .enable_i        (enable),
      .modes_i         ({publish, required, split}),
      .cmd_tail_i      (cmd_tail),
      .done_head_i     (done_head),
      .reward_head_i   (reward_head),
      .sizes_i         ({reward_log2, done_log2, cmd_log2}),
      .bases_i         ({reward_base, done_base, cmd_base}),
      .rvalid_i        (rvalid),
      .rdata_i         (rdata)
  );

  // the first cycle is one of reset
  `HW_ASSUME(StartsInReset_M, started_q || !rst_ni)

  // axil_slave makes no access for two cycles after a write (mmio_regs asserts it in simulation,
  // Spaced_A)
  `HW_ASSUME(Rests_M, OnChip || !reg_valid_i || !working || rested_q == 2'd2)
  // the window is a constant of the product
  `HW_ASSUME(WindowStays_M, !started_q || window_last_i == past_window_q)

  // what waits to be in force was asked for in the last two cycles
  `HW_ASSERT_IF(MovesPending_A, 1'b1, OnChip ||
                ((u_dut.u_index_moves.moves_q != 3'd0) == first_q.valid &&
                 (u_dut.u_index_moves.move_q != 3'd0) == second_q.valid &&
                 (rested_q == 2'd0 || !first_q.valid) && (rested_q != 2'd2 || !second_q.valid)))
  // [LIFE-002] sizes and bases are checked before an ENABLE can follow them
  `HW_ASSERT_IF(Settled_A, started_q && cmd_log2 != 8'd0 && rested_q != 2'd0,
                OnChip || (config_now == past_config_q &&
                           (rested_q == 2'd1 || past_config_q == past2_config_q)))
  // [LIFE-002] an enabled device has had its sizes and bases for three cycles
  `HW_ASSERT_IF(EnabledSettled_A, enable,
                OnChip || (config_now == past_config_q && past_config_q == past2_config_q))

  // [IRQ-001] [LIFE-005] an event sets its bit, writing 1 clears it, and the event wins
  `HW_ASSERT_IF(Events_A, 1'b1,
                u_dut.irq_status == irq_status_q && u_dut.irq_mask == irq_mask_q &&
                u_dut.u_event_flags.halted_q == halted_q)
  // [IRQ-001] the interrupt is high while a bit is set in both IRQ_STATUS and IRQ_MASK
  `HW_ASSERT_IF(Interrupt_A, 1'b1, irq == ((irq_status_q & irq_mask_q) != 3'd0))
  // [DB-002] [LIFE-002] [REG-00C] each error bit of STATUS is set by its error and cleared by
  // writing 1
  `HW_ASSERT_IF(ErrorBits_A, 1'b1, u_dut.errors == errors_q)
  // [CNT-001] [RING-005] [DB-002] the counters count completions, tokens, errors, stalled cycles
  // and ignored doorbells, each once
  `HW_ASSERT_IF(Counters_A, 1'b1, u_dut.descriptors_q == posted_q &&
                {u_dut.tokens_high, u_dut.tokens_q[31:0]} == tokens_q &&
                u_dut.errors_q == refused_q && u_dut.stall_cycles_q == stalled_q &&
                u_dut.bad_doorbells_q == bad_doorbells_q)
  // [CNT-001] reading CNT_TOKENS_LO captures the high word
  `HW_ASSERT_IF(TokensHigh_A, 1'b1, u_dut.tokens_high_q == tokens_high_q)
  // [LIFE-006] only the first ENABLE that is not refused sets the lock
  `HW_ASSERT_IF(Locked_A, 1'b1, u_dut.locked_q == locked_q && (!enable || locked_q))
  // [LIFE-003] RESUME reaches the core iff it is written without RESET
  `HW_ASSERT_IF(Resume_A, working,
                resume == (write_ctrl && !asks_reset && reg_wdata_i[CTRL_RESUME_BIT]))

  // [IRQ-001] an event and its clearing write coincide
  `HW_COVER(EventWins_C, write && reg_addr_i == REG_IRQ_STATUS && reg_wdata_i[0] && announce_i &&
            irq_status_q[0])
  // [CNT-001] a carry into the high word of the tokens
  `HW_COVER(TokensWrap_C, read && reg_addr_i == REG_CNT_TOKENS_HI && tokens_high_q == 32'd0 &&
            tokens_q[5:0] == 6'd32)

endmodule

`default_nettype wire
