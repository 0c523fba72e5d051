// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/contract.py; do not edit, run `make gen`.
//
// Names, numbers and layouts of the hardware contract, for C11, C++11 and CUDA C++. NVRTC has no
// standard headers, so the fixed-width types are this header's own there. All is little-endian.
#ifndef HW_DESC_H
#define HW_DESC_H

#if defined(__CUDACC_RTC__)
typedef unsigned short hw_u16;
typedef unsigned int hw_u32;
typedef unsigned long long hw_u64;
#else
#include <stdint.h>
typedef uint16_t hw_u16;
typedef uint32_t hw_u32;
typedef uint64_t hw_u64;
#endif

#if defined(__cplusplus)
#define HW_STATIC_ASSERT(condition, message) static_assert(condition, message)
#define HW_ALIGNED(bytes) alignas(bytes)
#else
#define HW_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#define HW_ALIGNED(bytes) _Alignas(bytes)
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "hw_desc.h: a line in memory is little-endian; this target is not"
#endif

// Identity.
#define HW_CONTRACT_VERSION 2u  // REG VERSION [REG-004]
#define HW_CONTRACT_HASH 0x5F29EA0Cu  // [REG-07C] [HASH-001]
#define HW_DEVICE_ID 0x474E5244u  // REG ID [REG-000]

// Line and rings.
#define HW_DESC_BYTES 64  // bytes of a line
#define HW_DESC_BITS 512  // bits of a line [DESC-015]
#define HW_CACHE_LINE_BYTES 64  // alignment of a line
#define HW_REWARD_INTERVAL 32u  // tokens to a boundary [DEC-002]
#define HW_RING_LOG2_MIN 1u  // smallest ring [RING-001]
#define HW_RING_LOG2_MAX 16u  // greatest ring [RING-001]
#define HW_RING_HEAD_OFFSET 0  // bytes [RING-004]
#define HW_RING_TAIL_OFFSET 64  // bytes [RING-004]
#define HW_RING_SLOTS_OFFSET 128  // bytes [RING-004]

// Checksum and tag.
#define HW_CRC32C_POLY_REFLECTED 0x82F63B78u  // [DESC-020]
#define HW_CRC32C_INIT 0xFFFFFFFFu  // [DESC-020]
#define HW_CRC32C_XOR_OUT 0xFFFFFFFFu  // [DESC-020]
#define HW_CRC32C_CHECK 0xE3069283u  // CRC-32C of `123456789` [DESC-020]
#define HW_CRC_BYTES 60  // bytes covered, from 0 [DESC-020]
#define HW_CRC_BITS 480  // bits covered, from 0 [DESC-020]
#define HW_TAG_OFFSET 56  // byte of the tag [DESC-022]
#define HW_CRC_OFFSET 60  // byte of the checksum [DESC-020]
#define HW_TAG_LSB 448  // bit of the tag in a line [DESC-022]
#define HW_CRC_LSB 480  // bit of the checksum [DESC-020]

// Opcodes.
#define HW_OPCODE_NOP 0u  // [OP-000]
#define HW_OPCODE_DECODE 1u  // [OP-001]
#define HW_OPCODE_REWARD 2u  // [OP-002]
#define HW_OPCODE_PREFILL 3u  // [OP-003]
#define HW_OPCODE_ROLLOUT 4u  // [OP-004]
#define HW_OPCODE_STOP 255u  // [OP-255]

// Flags: masks, then positions.
#define HW_FLAG_NEEDS_REWARD 0x0001u  // device-owned [FLAG-000]
#define HW_FLAG_DONE 0x0002u  // device-owned [FLAG-001]
#define HW_FLAG_COW_PREFIX 0x0004u  // host-owned [FLAG-002]
#define HW_FLAG_STOPPED 0x0008u  // device-owned [FLAG-003]
#define HW_FLAG_ERROR 0x0010u  // device-owned [FLAG-004]
#define HW_FLAG_CHECKED 0x0020u  // host-owned [FLAG-005]
#define HW_FLAG_RESERVED 0x00C0u  // host-owned [FLAG-006]
#define HW_FLAG_ERROR_CODE 0xFF00u  // device-owned [FLAG-008]
#define HW_FLAG_NEEDS_REWARD_BIT 0  // [FLAG-000]
#define HW_FLAG_DONE_BIT 1  // [FLAG-001]
#define HW_FLAG_COW_PREFIX_BIT 2  // [FLAG-002]
#define HW_FLAG_STOPPED_BIT 3  // [FLAG-003]
#define HW_FLAG_ERROR_BIT 4  // [FLAG-004]
#define HW_FLAG_CHECKED_BIT 5  // [FLAG-005]
#define HW_FLAG_RESERVED_LSB 6  // [FLAG-006]
#define HW_FLAG_RESERVED_WIDTH 2  // [FLAG-006]
#define HW_FLAG_ERROR_CODE_LSB 8  // [FLAG-008]
#define HW_FLAG_ERROR_CODE_WIDTH 8  // [FLAG-008]
#define HW_DEVICE_OWNED_FLAGS 0xFF1Bu  // cleared first [FLAG-010]

// Error codes.
#define HW_ERROR_CODE_BAD_CHECKSUM 1u  // [ERR-001]
#define HW_ERROR_CODE_BAD_OPCODE 2u  // [ERR-002]
#define HW_ERROR_CODE_BAD_TAG 3u  // [ERR-003]
#define HW_ERROR_CODE_SHIFT 8  // [FLAG-008]

// Statuses, a view over the flags.
#define HW_STATUS_DONE 0x01u  // [STAT-001]
#define HW_STATUS_REWARD_NEEDED 0x02u  // [STAT-002]
#define HW_STATUS_ERROR 0x80u  // [STAT-080]
#define HW_STATUS_STOPPED 0xFFu  // [STAT-255]

// Byte addresses of the registers.
#define HW_REG_ID 0x000u  // ro [REG-000]
#define HW_REG_VERSION 0x004u  // ro [REG-004]
#define HW_REG_CTRL 0x008u  // rw [REG-008]
#define HW_REG_STATUS 0x00Cu  // mixed [REG-00C]
#define HW_REG_DOORBELL 0x010u  // wo [REG-010]
#define HW_REG_CMD_HEAD 0x014u  // ro [REG-014]
#define HW_REG_CMD_TAIL 0x018u  // ro [REG-018]
#define HW_REG_DONE_TAIL 0x01Cu  // ro [REG-01C]
#define HW_REG_DONE_HEAD 0x020u  // rw [REG-020]
#define HW_REG_REWARD_TAIL 0x024u  // ro [REG-024]
#define HW_REG_REWARD_HEAD 0x028u  // rw [REG-028]
#define HW_REG_RING_LOG2 0x02Cu  // rw [REG-02C]
#define HW_REG_CMD_BASE_LO 0x030u  // rw [REG-030]
#define HW_REG_CMD_BASE_HI 0x034u  // rw [REG-034]
#define HW_REG_DONE_BASE_LO 0x038u  // rw [REG-038]
#define HW_REG_DONE_BASE_HI 0x03Cu  // rw [REG-03C]
#define HW_REG_REWARD_BASE_LO 0x040u  // rw [REG-040]
#define HW_REG_REWARD_BASE_HI 0x044u  // rw [REG-044]
#define HW_REG_IRQ_STATUS 0x048u  // w1c [REG-048]
#define HW_REG_IRQ_MASK 0x04Cu  // rw [REG-04C]
#define HW_REG_CNT_DESCRIPTORS 0x050u  // ro [REG-050]
#define HW_REG_CNT_TOKENS_LO 0x054u  // ro [REG-054]
#define HW_REG_CNT_TOKENS_HI 0x058u  // ro [REG-058]
#define HW_REG_CNT_ERRORS 0x05Cu  // ro [REG-05C]
#define HW_REG_CNT_STALL_CYCLES 0x060u  // ro [REG-060]
#define HW_REG_CNT_BAD_DOORBELLS 0x064u  // ro [REG-064]
#define HW_REG_CONTRACT_HASH 0x07Cu  // ro [REG-07C]

// Bit positions in the registers.
#define HW_CTRL_ENABLE_BIT 0  // [REG-008]
#define HW_CTRL_RESET_BIT 1  // [REG-008]
#define HW_CTRL_RESUME_BIT 2  // [REG-008]
#define HW_CTRL_SPLIT_REWARD_BIT 3  // [REG-008]
#define HW_CTRL_REQUIRE_CHECKED_BIT 4  // [REG-008]
#define HW_CTRL_PUBLISH_TAILS_BIT 5  // [REG-008]
#define HW_STATUS_READY_BIT 0  // [REG-00C]
#define HW_STATUS_RUNNING_BIT 1  // [REG-00C]
#define HW_STATUS_HALTED_BIT 2  // [REG-00C]
#define HW_STATUS_RESET_TIMEOUT_BIT 3  // [REG-00C]
#define HW_STATUS_BAD_CONFIG_BIT 8  // [REG-00C]
#define HW_STATUS_BAD_DOORBELL_BIT 9  // [REG-00C]
#define HW_STATUS_BUS_ERROR_BIT 10  // [REG-00C]
#define HW_RING_LOG2_CMD_LSB 0  // [REG-02C]
#define HW_RING_LOG2_CMD_WIDTH 8  // [REG-02C]
#define HW_RING_LOG2_DONE_LSB 8  // [REG-02C]
#define HW_RING_LOG2_DONE_WIDTH 8  // [REG-02C]
#define HW_RING_LOG2_REWARD_LSB 16  // [REG-02C]
#define HW_RING_LOG2_REWARD_WIDTH 8  // [REG-02C]
#define HW_IRQ_STATUS_COMPLETION_BIT 0  // [REG-048]
#define HW_IRQ_STATUS_HALTED_BIT 1  // [REG-048]
#define HW_IRQ_STATUS_ERROR_BIT 2  // [REG-048]
#define HW_IRQ_MASK_COMPLETION_BIT 0  // [REG-04C]
#define HW_IRQ_MASK_HALTED_BIT 1  // [REG-04C]
#define HW_IRQ_MASK_ERROR_BIT 2  // [REG-04C]

// Masks of the bit fields of the registers, in place.
#define HW_CTRL_ENABLE_MASK 0x00000001u  // [REG-008]
#define HW_CTRL_RESET_MASK 0x00000002u  // [REG-008]
#define HW_CTRL_RESUME_MASK 0x00000004u  // [REG-008]
#define HW_CTRL_SPLIT_REWARD_MASK 0x00000008u  // [REG-008]
#define HW_CTRL_REQUIRE_CHECKED_MASK 0x00000010u  // [REG-008]
#define HW_CTRL_PUBLISH_TAILS_MASK 0x00000020u  // [REG-008]
#define HW_STATUS_READY_MASK 0x00000001u  // [REG-00C]
#define HW_STATUS_RUNNING_MASK 0x00000002u  // [REG-00C]
#define HW_STATUS_HALTED_MASK 0x00000004u  // [REG-00C]
#define HW_STATUS_RESET_TIMEOUT_MASK 0x00000008u  // [REG-00C]
#define HW_STATUS_BAD_CONFIG_MASK 0x00000100u  // [REG-00C]
#define HW_STATUS_BAD_DOORBELL_MASK 0x00000200u  // [REG-00C]
#define HW_STATUS_BUS_ERROR_MASK 0x00000400u  // [REG-00C]
#define HW_RING_LOG2_CMD_MASK 0x000000FFu  // [REG-02C]
#define HW_RING_LOG2_DONE_MASK 0x0000FF00u  // [REG-02C]
#define HW_RING_LOG2_REWARD_MASK 0x00FF0000u  // [REG-02C]
#define HW_IRQ_STATUS_COMPLETION_MASK 0x00000001u  // [REG-048]
#define HW_IRQ_STATUS_HALTED_MASK 0x00000002u  // [REG-048]
#define HW_IRQ_STATUS_ERROR_MASK 0x00000004u  // [REG-048]
#define HW_IRQ_MASK_COMPLETION_MASK 0x00000001u  // [REG-04C]
#define HW_IRQ_MASK_HALTED_MASK 0x00000002u  // [REG-04C]
#define HW_IRQ_MASK_ERROR_MASK 0x00000004u  // [REG-04C]

// A bit field of a register, by its mask: HW_FIELD_GET(HW_RING_LOG2_DONE_MASK, word) takes its
// value out of a word, HW_FIELD_PREP(HW_RING_LOG2_DONE_MASK, value) puts one in place.
#define HW_FIELD_GET(mask, word) (((hw_u32)(word) & (mask)) / ((mask) & (~(mask) + 1u)))
#define HW_FIELD_PREP(mask, value) (((hw_u32)(value) * ((mask) & (~(mask) + 1u))) & (mask))

// The descriptor, and its completion [DESC-014].
typedef struct hw_desc {
  HW_ALIGNED(HW_CACHE_LINE_BYTES) hw_u16 opcode;  // byte 0 [DESC-001]
  hw_u16 flags;  // byte 2 [DESC-002]
  hw_u32 rollout_id;  // byte 4 [DESC-003]
  hw_u32 kv_arena_id;  // byte 8 [DESC-004]
  hw_u32 prefix_id;  // byte 12 [DESC-005]
  hw_u64 kv_offset;  // byte 16 [DESC-006]
  hw_u64 delta_offset;  // byte 24 [DESC-007]
  hw_u32 seq_len;  // byte 32 [DESC-008]
  hw_u32 max_tokens;  // byte 36 [DESC-009]
  hw_u32 reward_model_id;  // byte 40 [DESC-010]
  hw_u32 reserved0;  // byte 44 [DESC-011]
  hw_u64 user_data;  // byte 48 [DESC-012]
  hw_u64 checksum_or_cookie;  // byte 56 [DESC-013]
} hw_desc_t;

HW_STATIC_ASSERT(sizeof(hw_desc_t) == HW_DESC_BYTES, "a line is 64 bytes");

// Head and tail of a ring in shared memory, each on a cache line of its own; the slots follow at
// HW_RING_SLOTS_OFFSET [RING-004]. Both are to be accessed atomically: the producer stores tail
// with release order, the consumer loads it with acquire order.
typedef struct hw_ring {
  HW_ALIGNED(HW_CACHE_LINE_BYTES) hw_u32 head;
  HW_ALIGNED(HW_CACHE_LINE_BYTES) hw_u32 tail;
} hw_ring_t;

HW_STATIC_ASSERT(sizeof(hw_ring_t) == HW_RING_SLOTS_OFFSET, "the slots follow head and tail");

#endif  // HW_DESC_H
