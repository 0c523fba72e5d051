// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/contract.py; do not edit, run `make gen`.
//
// Names, numbers and layouts of the hardware contract. Byte k of a line in memory is bits
// [8k+7:8k] of the packed struct, so its members are in reverse C order [DESC-015]. A flag
// without suffix is a mask; a position ends in _BIT, or in _LSB and _WIDTH for several bits.
`default_nettype none

// A package states the whole contract; no design uses every number of it.
/* verilator lint_off UNUSEDPARAM */
package hw_desc_pkg;

  // Identity.
  localparam logic [31:0] CONTRACT_VERSION = 32'd2;  // REG VERSION [REG-004]
  localparam logic [31:0] CONTRACT_HASH = 32'h5F29EA0C;  // [REG-07C] [HASH-001]
  localparam logic [31:0] DEVICE_ID = 32'h474E5244;  // REG ID [REG-000]

  // Line and rings.
  localparam int DESC_BYTES = 64;  // bytes of a line
  localparam int DESC_BITS = 512;  // bits of a line [DESC-015]
  localparam int CACHE_LINE_BYTES = 64;  // alignment of a line
  localparam logic [31:0] REWARD_INTERVAL = 32'd32;  // tokens to a boundary [DEC-002]
  localparam logic [7:0] RING_LOG2_MIN = 8'd1;  // smallest ring [RING-001]
  localparam logic [7:0] RING_LOG2_MAX = 8'd16;  // greatest ring [RING-001]
  localparam int RING_HEAD_OFFSET = 0;  // bytes [RING-004]
  localparam int RING_TAIL_OFFSET = 64;  // bytes [RING-004]
  localparam int RING_SLOTS_OFFSET = 128;  // bytes [RING-004]

  // Checksum and tag.
  localparam logic [31:0] CRC32C_POLY_REFLECTED = 32'h82F63B78;  // [DESC-020]
  localparam logic [31:0] CRC32C_INIT = 32'hFFFFFFFF;  // [DESC-020]
  localparam logic [31:0] CRC32C_XOR_OUT = 32'hFFFFFFFF;  // [DESC-020]
  localparam logic [31:0] CRC32C_CHECK = 32'hE3069283;  // CRC-32C of `123456789` [DESC-020]
  localparam int CRC_BYTES = 60;  // bytes covered, from 0 [DESC-020]
  localparam int CRC_BITS = 480;  // bits covered, from 0 [DESC-020]
  localparam int TAG_OFFSET = 56;  // byte of the tag [DESC-022]
  localparam int CRC_OFFSET = 60;  // byte of the checksum [DESC-020]
  localparam int TAG_LSB = 448;  // bit of the tag in a line [DESC-022]
  localparam int CRC_LSB = 480;  // bit of the checksum [DESC-020]

  // Opcodes.
  localparam logic [15:0] OPCODE_NOP = 16'd0;  // [OP-000]
  localparam logic [15:0] OPCODE_DECODE = 16'd1;  // [OP-001]
  localparam logic [15:0] OPCODE_REWARD = 16'd2;  // [OP-002]
  localparam logic [15:0] OPCODE_PREFILL = 16'd3;  // [OP-003]
  localparam logic [15:0] OPCODE_ROLLOUT = 16'd4;  // [OP-004]
  localparam logic [15:0] OPCODE_STOP = 16'd255;  // [OP-255]

  // Flags: masks, then positions.
  localparam logic [15:0] FLAG_NEEDS_REWARD = 16'h0001;  // device-owned [FLAG-000]
  localparam logic [15:0] FLAG_DONE = 16'h0002;  // device-owned [FLAG-001]
  localparam logic [15:0] FLAG_COW_PREFIX = 16'h0004;  // host-owned [FLAG-002]
  localparam logic [15:0] FLAG_STOPPED = 16'h0008;  // device-owned [FLAG-003]
  localparam logic [15:0] FLAG_ERROR = 16'h0010;  // device-owned [FLAG-004]
  localparam logic [15:0] FLAG_CHECKED = 16'h0020;  // host-owned [FLAG-005]
  localparam logic [15:0] FLAG_RESERVED = 16'h00C0;  // host-owned [FLAG-006]
  localparam logic [15:0] FLAG_ERROR_CODE = 16'hFF00;  // device-owned [FLAG-008]
  localparam int FLAG_NEEDS_REWARD_BIT = 0;  // [FLAG-000]
  localparam int FLAG_DONE_BIT = 1;  // [FLAG-001]
  localparam int FLAG_COW_PREFIX_BIT = 2;  // [FLAG-002]
  localparam int FLAG_STOPPED_BIT = 3;  // [FLAG-003]
  localparam int FLAG_ERROR_BIT = 4;  // [FLAG-004]
  localparam int FLAG_CHECKED_BIT = 5;  // [FLAG-005]
  localparam int FLAG_RESERVED_LSB = 6;  // [FLAG-006]
  localparam int FLAG_RESERVED_WIDTH = 2;  // [FLAG-006]
  localparam int FLAG_ERROR_CODE_LSB = 8;  // [FLAG-008]
  localparam int FLAG_ERROR_CODE_WIDTH = 8;  // [FLAG-008]
  localparam logic [15:0] DEVICE_OWNED_FLAGS = 16'hFF1B;  // cleared first [FLAG-010]

  // Error codes.
  localparam logic [7:0] ERROR_CODE_BAD_CHECKSUM = 8'd1;  // [ERR-001]
  localparam logic [7:0] ERROR_CODE_BAD_OPCODE = 8'd2;  // [ERR-002]
  localparam logic [7:0] ERROR_CODE_BAD_TAG = 8'd3;  // [ERR-003]
  localparam int ERROR_CODE_SHIFT = 8;  // [FLAG-008]

  // Statuses, a view over the flags.
  localparam logic [7:0] STATUS_DONE = 8'h01;  // [STAT-001]
  localparam logic [7:0] STATUS_REWARD_NEEDED = 8'h02;  // [STAT-002]
  localparam logic [7:0] STATUS_ERROR = 8'h80;  // [STAT-080]
  localparam logic [7:0] STATUS_STOPPED = 8'hFF;  // [STAT-255]

  // Byte addresses of the registers.
  localparam logic [11:0] REG_ID = 12'h000;  // ro [REG-000]
  localparam logic [11:0] REG_VERSION = 12'h004;  // ro [REG-004]
  localparam logic [11:0] REG_CTRL = 12'h008;  // rw [REG-008]
  localparam logic [11:0] REG_STATUS = 12'h00C;  // mixed [REG-00C]
  localparam logic [11:0] REG_DOORBELL = 12'h010;  // wo [REG-010]
  localparam logic [11:0] REG_CMD_HEAD = 12'h014;  // ro [REG-014]
  localparam logic [11:0] REG_CMD_TAIL = 12'h018;  // ro [REG-018]
  localparam logic [11:0] REG_DONE_TAIL = 12'h01C;  // ro [REG-01C]
  localparam logic [11:0] REG_DONE_HEAD = 12'h020;  // rw [REG-020]
  localparam logic [11:0] REG_REWARD_TAIL = 12'h024;  // ro [REG-024]
  localparam logic [11:0] REG_REWARD_HEAD = 12'h028;  // rw [REG-028]
  localparam logic [11:0] REG_RING_LOG2 = 12'h02C;  // rw [REG-02C]
  localparam logic [11:0] REG_CMD_BASE_LO = 12'h030;  // rw [REG-030]
  localparam logic [11:0] REG_CMD_BASE_HI = 12'h034;  // rw [REG-034]
  localparam logic [11:0] REG_DONE_BASE_LO = 12'h038;  // rw [REG-038]
  localparam logic [11:0] REG_DONE_BASE_HI = 12'h03C;  // rw [REG-03C]
  localparam logic [11:0] REG_REWARD_BASE_LO = 12'h040;  // rw [REG-040]
  localparam logic [11:0] REG_REWARD_BASE_HI = 12'h044;  // rw [REG-044]
  localparam logic [11:0] REG_IRQ_STATUS = 12'h048;  // w1c [REG-048]
  localparam logic [11:0] REG_IRQ_MASK = 12'h04C;  // rw [REG-04C]
  localparam logic [11:0] REG_CNT_DESCRIPTORS = 12'h050;  // ro [REG-050]
  localparam logic [11:0] REG_CNT_TOKENS_LO = 12'h054;  // ro [REG-054]
  localparam logic [11:0] REG_CNT_TOKENS_HI = 12'h058;  // ro [REG-058]
  localparam logic [11:0] REG_CNT_ERRORS = 12'h05C;  // ro [REG-05C]
  localparam logic [11:0] REG_CNT_STALL_CYCLES = 12'h060;  // ro [REG-060]
  localparam logic [11:0] REG_CNT_BAD_DOORBELLS = 12'h064;  // ro [REG-064]
  localparam logic [11:0] REG_CONTRACT_HASH = 12'h07C;  // ro [REG-07C]

  // Bit positions in the registers.
  localparam int CTRL_ENABLE_BIT = 0;  // [REG-008]
  localparam int CTRL_RESET_BIT = 1;  // [REG-008]
  localparam int CTRL_RESUME_BIT = 2;  // [REG-008]
  localparam int CTRL_SPLIT_REWARD_BIT = 3;  // [REG-008]
  localparam int CTRL_REQUIRE_CHECKED_BIT = 4;  // [REG-008]
  localparam int CTRL_PUBLISH_TAILS_BIT = 5;  // [REG-008]
  localparam int STATUS_READY_BIT = 0;  // [REG-00C]
  localparam int STATUS_RUNNING_BIT = 1;  // [REG-00C]
  localparam int STATUS_HALTED_BIT = 2;  // [REG-00C]
  localparam int STATUS_RESET_TIMEOUT_BIT = 3;  // [REG-00C]
  localparam int STATUS_BAD_CONFIG_BIT = 8;  // [REG-00C]
  localparam int STATUS_BAD_DOORBELL_BIT = 9;  // [REG-00C]
  localparam int STATUS_BUS_ERROR_BIT = 10;  // [REG-00C]
  localparam int RING_LOG2_CMD_LSB = 0;  // [REG-02C]
  localparam int RING_LOG2_CMD_WIDTH = 8;  // [REG-02C]
  localparam int RING_LOG2_DONE_LSB = 8;  // [REG-02C]
  localparam int RING_LOG2_DONE_WIDTH = 8;  // [REG-02C]
  localparam int RING_LOG2_REWARD_LSB = 16;  // [REG-02C]
  localparam int RING_LOG2_REWARD_WIDTH = 8;  // [REG-02C]
  localparam int IRQ_STATUS_COMPLETION_BIT = 0;  // [REG-048]
  localparam int IRQ_STATUS_HALTED_BIT = 1;  // [REG-048]
  localparam int IRQ_STATUS_ERROR_BIT = 2;  // [REG-048]
  localparam int IRQ_MASK_COMPLETION_BIT = 0;  // [REG-04C]
  localparam int IRQ_MASK_HALTED_BIT = 1;  // [REG-04C]
  localparam int IRQ_MASK_ERROR_BIT = 2;  // [REG-04C]

  // Lowest bits of the fields of a line.
  localparam int DESC_OPCODE_LSB = 0;  // [DESC-001]
  localparam int DESC_FLAGS_LSB = 16;  // [DESC-002]
  localparam int DESC_ROLLOUT_ID_LSB = 32;  // [DESC-003]
  localparam int DESC_KV_ARENA_ID_LSB = 64;  // [DESC-004]
  localparam int DESC_PREFIX_ID_LSB = 96;  // [DESC-005]
  localparam int DESC_KV_OFFSET_LSB = 128;  // [DESC-006]
  localparam int DESC_DELTA_OFFSET_LSB = 192;  // [DESC-007]
  localparam int DESC_SEQ_LEN_LSB = 256;  // [DESC-008]
  localparam int DESC_MAX_TOKENS_LSB = 288;  // [DESC-009]
  localparam int DESC_REWARD_MODEL_ID_LSB = 320;  // [DESC-010]
  localparam int DESC_RESERVED0_LSB = 352;  // [DESC-011]
  localparam int DESC_USER_DATA_LSB = 384;  // [DESC-012]
  localparam int DESC_CHECKSUM_OR_COOKIE_LSB = 448;  // [DESC-013]

  // The descriptor.
  typedef struct packed {
    logic [63:0] checksum_or_cookie;  // 511:448 [DESC-013]
    logic [63:0] user_data;  // 447:384 [DESC-012]
    logic [31:0] reserved0;  // 383:352 [DESC-011]
    logic [31:0] reward_model_id;  // 351:320 [DESC-010]
    logic [31:0] max_tokens;  // 319:288 [DESC-009]
    logic [31:0] seq_len;  // 287:256 [DESC-008]
    logic [63:0] delta_offset;  // 255:192 [DESC-007]
    logic [63:0] kv_offset;  // 191:128 [DESC-006]
    logic [31:0] prefix_id;  // 127:96 [DESC-005]
    logic [31:0] kv_arena_id;  // 95:64 [DESC-004]
    logic [31:0] rollout_id;  // 63:32 [DESC-003]
    logic [15:0] flags;  // 31:16 [DESC-002]
    logic [15:0] opcode;  // 15:0 [DESC-001]
  } hw_desc_t;

endpackage
/* verilator lint_on UNUSEDPARAM */

`default_nettype wire
