// SPDX-License-Identifier: Apache-2.0
//
// Generated from pymodel/descring_model/rollouts/contract.py; do not edit, run `make gen`.
//
// Numbers and records of the rollout runtime, for C11, C++11 and CUDA C++. All is little-endian;
// records have no padding.
#ifndef HW_ROLLOUTS_H
#define HW_ROLLOUTS_H

#include "hw_desc.h"

#define HWR_NONE 4294967295u
#define HWR_SLOTS_MAX 65536u
#define HWR_WINDOW_MAX 256u
#define HWR_DEPTH_MAX 64u
#define HWR_REQUESTS_MAX 2147483647u
#define HWR_BLOCK_TOKENS 32u
#define HWR_TOKEN_BYTES 256u
#define HWR_BLOCK_BYTES 16384u
#define HWR_VALUE_PLANE 8192u
#define HWR_SCORER_OP_010 0u
#define HWR_SCORER_TOKEN_RULE 1u
#define HWR_SCORER_ADVANTAGE 2u
#define HWR_SCORER_CUSTOM 16u
#define HWR_VOCABULARY 1024u
#define HWR_TOKEN_DIVISOR 4u
#define HWR_LOG_VERSION 1u
#define HWR_LOG_HEADER_BYTES 32u
#define HWR_LOG_RECORD_BYTES 32u
#define HWR_PROMPT_TAG 0x8000000000000000ull  // [KV-007]
#define HWR_LOG_MAGIC "DESCROLL"  // [LOG-001]

#define HWR_STATE_FREE 0u  // [ROLL-002]
#define HWR_STATE_PREFILL_READY 1u  // [ROLL-002]
#define HWR_STATE_DECODING 2u  // [ROLL-002]
#define HWR_STATE_REWARD_PENDING 3u  // [ROLL-002]
#define HWR_STATE_TRAJECTORY_READY 4u  // [ROLL-002]
#define HWR_STATE_DONE 5u  // [ROLL-002]
#define HWR_EDGES {{0, 1}, {1, 2}, {2, 3}, {2, 5}, {3, 2}, {3, 4}, {4, 5}, {5, 0}}  // [ROLL-003]

#define HWR_ERROR_BAD_SLOT 1u  // [ROLL-005]
#define HWR_ERROR_STALE 2u  // [ROLL-005]
#define HWR_ERROR_FREED 3u  // [ROLL-005]
#define HWR_ERROR_REUSED 4u  // [ROLL-005]
#define HWR_ERROR_BAD_EDGE 5u  // [ROLL-005]
#define HWR_ERROR_WRONG_STATE 6u  // [ROLL-005]
#define HWR_ERROR_QUEUE_FULL 7u  // [PIPE-003]
#define HWR_ERROR_QUEUE_EMPTY 8u  // [PIPE-003]
#define HWR_ERROR_NO_CREDIT 9u  // [PIPE-004]
#define HWR_ERROR_CREDIT_UNDERFLOW 10u  // [PIPE-004]
#define HWR_ERROR_OUT_OF_BLOCKS 11u  // [KV-002]
#define HWR_ERROR_BAD_BLOCK 12u  // [KV-003]
#define HWR_ERROR_SHARED_BLOCK 13u  // [COW-007]
#define HWR_ERROR_BAD_NODE 14u  // [COW-001]
#define HWR_ERROR_OUT_OF_NODES 15u  // [COW-001]
#define HWR_ERROR_BAD_BRANCH 16u  // [COW-003]
#define HWR_ERROR_OUT_OF_BRANCHES 17u  // [COW-003]
#define HWR_ERROR_BAD_LENGTH 18u  // [COW-001]
#define HWR_ERROR_BAD_COMPLETION 19u  // [WIN-005]
#define HWR_ERROR_STALLED 20u  // [PIPE-012]
#define HWR_ERROR_BAD_CONFIG 21u  // [PIPE-001]
#define HWR_ERROR_BAD_REQUEST 22u  // [PIPE-001]

#define HWR_QUEUE_FREE 0u  // [PIPE-003]
#define HWR_QUEUE_PREFILL 1u  // [PIPE-003]
#define HWR_QUEUE_DECODE 2u  // [PIPE-003]
#define HWR_QUEUE_REWARD 3u  // [PIPE-003]
#define HWR_QUEUE_TRAJECTORY 4u  // [PIPE-003]
#define HWR_QUEUE_DONE 5u  // [PIPE-003]

#define HWR_POLICY_FIFO 0u  // [SCHED-002]
#define HWR_POLICY_SHORTEST_REMAINING 1u  // [SCHED-002]
#define HWR_POLICY_LONGEST_REMAINING 2u  // [SCHED-002]
#define HWR_POLICY_PREFIX 3u  // [SCHED-002]
#define HWR_POLICY_CUSTOM 4u  // [SCHED-002]

#define HWR_OPTION_SHARE 1u  // [PIPE-001]
#define HWR_OPTION_BOUNDARY_REWARD 2u  // [PIPE-001]
#define HWR_OPTION_FINAL_REWARD 4u  // [PIPE-001]
#define HWR_OPTION_CHECK_KV 8u  // [PIPE-001]

#define HWR_EVENT_NODE 1u  // [LOG-003]
#define HWR_EVENT_ADMIT 2u  // [LOG-003]
#define HWR_EVENT_STATE 3u  // [LOG-003]
#define HWR_EVENT_COPY 4u  // [LOG-003]
#define HWR_EVENT_LINE 5u  // [LOG-003]
#define HWR_EVENT_WINDOW 6u  // [LOG-003]
#define HWR_EVENT_COMPLETION 7u  // [LOG-003]
#define HWR_EVENT_SCORE_REQUEST 8u  // [LOG-003]
#define HWR_EVENT_SCORE 9u  // [LOG-003]
#define HWR_EVENT_SCORER_FAILED 10u  // [LOG-003]
#define HWR_EVENT_CANCEL 11u  // [LOG-003]
#define HWR_EVENT_RELEASE 12u  // [LOG-003]
#define HWR_EVENT_TRAJECTORY 13u  // [LOG-003]
#define HWR_EVENT_VERSION 14u  // [LOG-003]
#define HWR_EVENT_NODE_FREE 15u  // [LOG-003]
#define HWR_EVENT_END 16u  // [LOG-003]

#define HWR_COUNTER_TICKS 0u  // [PIPE-005]
#define HWR_COUNTER_ARRIVED 1u  // [PIPE-008]
#define HWR_COUNTER_ADMITTED 2u  // [PIPE-009]
#define HWR_COUNTER_DELIVERED 3u  // [PIPE-012]
#define HWR_COUNTER_CANCELLED 4u  // [PIPE-007]
#define HWR_COUNTER_FAILED 5u  // [RWD-003]
#define HWR_COUNTER_WINDOWS 6u  // [WIN-002]
#define HWR_COUNTER_PREFILL_LINES 7u  // [WIN-001]
#define HWR_COUNTER_DECODE_LINES 8u  // [WIN-001]
#define HWR_COUNTER_REWARD_LINES 9u  // [WIN-001]
#define HWR_COUNTER_COMPLETIONS 10u  // [PIPE-006]
#define HWR_COUNTER_LEGS 11u  // [PIPE-006]
#define HWR_COUNTER_TOKENS 12u  // [PIPE-006]
#define HWR_COUNTER_PROMPT_TOKENS 13u  // [KV-007]
#define HWR_COUNTER_SCORES 14u  // [RWD-002]
#define HWR_COUNTER_SCORE_FAILURES 15u  // [RWD-003]
#define HWR_COUNTER_SCORE_REQUESTS 16u  // [RWD-003]
#define HWR_COUNTER_NODES 17u  // [COW-001]
#define HWR_COUNTER_NODES_FREED 18u  // [COW-005]
#define HWR_COUNTER_BLOCKS_ALLOCATED 19u  // [KV-002]
#define HWR_COUNTER_BLOCKS_FREED 20u  // [KV-003]
#define HWR_COUNTER_BLOCKS_COPIED 21u  // [COW-006]
#define HWR_COUNTER_VERSIONS 22u  // [PIPE-010]
#define HWR_COUNTER_CANCELS_DEFERRED 23u  // [PIPE-007]
#define HWR_COUNTER_WAITS_SLOT 24u  // [MET-002]
#define HWR_COUNTER_WAITS_CREDIT 25u  // [MET-002]
#define HWR_COUNTER_WAITS_SEAT 26u  // [MET-002]
#define HWR_COUNTER_WAITS_BLOCKS 27u  // [MET-002]
#define HWR_COUNTER_WAITS_WINDOW 28u  // [MET-003]
#define HWR_COUNTER_WAITS_REWARD 29u  // [MET-003]
#define HWR_COUNTER_WAITS_DELIVERY 30u  // [MET-003]

#define HWR_GAUGE_STATE_FREE 0u  // [ROLL-002]
#define HWR_GAUGE_STATE_PREFILL_READY 1u  // [ROLL-002]
#define HWR_GAUGE_STATE_DECODING 2u  // [ROLL-002]
#define HWR_GAUGE_STATE_REWARD_PENDING 3u  // [ROLL-002]
#define HWR_GAUGE_STATE_TRAJECTORY_READY 4u  // [ROLL-002]
#define HWR_GAUGE_STATE_DONE 5u  // [ROLL-002]
#define HWR_GAUGE_QUEUE_FREE 6u  // [PIPE-003]
#define HWR_GAUGE_QUEUE_PREFILL 7u  // [PIPE-003]
#define HWR_GAUGE_QUEUE_DECODE 8u  // [PIPE-003]
#define HWR_GAUGE_QUEUE_REWARD 9u  // [PIPE-003]
#define HWR_GAUGE_QUEUE_TRAJECTORY 10u  // [PIPE-003]
#define HWR_GAUGE_QUEUE_DONE 11u  // [PIPE-003]
#define HWR_GAUGE_WAITING 12u  // [PIPE-008]
#define HWR_GAUGE_IN_FLIGHT 13u  // [PIPE-006]
#define HWR_GAUGE_BLOCKS 14u  // [KV-005]
#define HWR_GAUGE_RESERVED 15u  // [KV-004]
#define HWR_GAUGE_DECODE_CREDITS 16u  // [PIPE-004]
#define HWR_GAUGE_REWARD_CREDITS 17u  // [PIPE-004]
#define HWR_GAUGE_TRAJECTORY_CREDITS 18u  // [PIPE-004]
#define HWR_GAUGE_PREFIXES 19u  // [COW-001]
#define HWR_GAUGE_VERSION 20u  // [PIPE-010]

#define HWR_COUNTER_WORDS 32u  // [MET-005]
#define HWR_GAUGE_WORDS 24u  // [MET-005]
#define HWR_LIVE_BYTES 640u  // [MET-005]
#define HWR_LIVE_SEQUENCE_AT 16u  // [MET-005]
#define HWR_LIVE_GAUGES_AT 192u  // [MET-005]
#define HWR_LIVE_COUNTERS_AT 384u  // [MET-005]

#define HWR_TRACE_ALLOC 1u  // [TRC-002]
#define HWR_TRACE_POSTED 2u  // [TRC-002]
#define HWR_TRACE_COMMITTED 3u  // [TRC-002]
#define HWR_TRACE_CONSUMED 4u  // [TRC-002]
#define HWR_TRACE_PRODUCED 5u  // [TRC-002]
#define HWR_TRACE_POLLED 6u  // [TRC-002]
#define HWR_TRACE_REWARD_POSTED 7u  // [TRC-002]
#define HWR_TRACE_SCORED 8u  // [TRC-002]
#define HWR_TRACE_TRAJECTORY_DONE 9u  // [TRC-002]
#define HWR_TRACE_ENDED 10u  // [TRC-002]
#define HWR_TRACE_COPIED 11u  // [TRC-002]

#define HWR_CLOCK_HOST 0u  // [TRC-001]
#define HWR_CLOCK_RTL_CYCLE 1u  // [TRC-001]
#define HWR_CLOCK_GPU_GLOBALTIMER 2u  // [TRC-001]

#define HWR_WORD_STATE_LSB 0  // 8 wide [ROLL-001]
#define HWR_WORD_CANCELLED_LSB 8  // 1 wide [ROLL-001]
#define HWR_WORD_FAILED_LSB 9  // 1 wide [ROLL-001]
#define HWR_WORD_ZERO_LSB 10  // 22 wide [ROLL-001]
#define HWR_WORD_GENERATION_LSB 32  // 32 wide [ROLL-001]

#define HWR_USER_DATA_SLOT_LSB 0  // 16 wide [WIN-003]
#define HWR_USER_DATA_GENERATION_LSB 16  // 16 wide [WIN-003]
#define HWR_USER_DATA_WINDOW_LSB 32  // 16 wide [WIN-003]
#define HWR_USER_DATA_INDEX_LSB 48  // 8 wide [WIN-003]
#define HWR_USER_DATA_LAST_LSB 56  // 8 wide [WIN-003]

typedef struct hwr_config {
  hw_u32 slots;
  hw_u32 decode_credits;
  hw_u32 reward_credits;
  hw_u32 trajectory_credits;
  hw_u32 kv_blocks;
  hw_u32 window;
  hw_u32 depth;
  hw_u32 ring_slots;
  hw_u32 policy;
  hw_u32 overtake;
  hw_u32 scorer;
  hw_u32 score_ticks;
  hw_u32 deliver;
  hw_u32 seats;
  hw_u32 staleness;
  hw_u32 options;
} hwr_config_t;

HW_STATIC_ASSERT(sizeof(hwr_config_t) == 64, "hwr_config_t has no padding");

typedef struct hwr_request {
  hw_u32 group;
  hw_u32 sample;
  hw_u32 prompt_tokens;
  hw_u32 max_tokens;
  hw_u32 arrival;
  hw_u32 cancel;
  long long rank;
} hwr_request_t;

HW_STATIC_ASSERT(sizeof(hwr_request_t) == 32, "hwr_request_t has no padding");

typedef struct hwr_record {
  hw_u32 tick;
  hw_u16 code;
  hw_u16 slot;
  hw_u32 rollout;
  hw_u32 a;
  hw_u32 b;
  hw_u32 c;
  hw_u64 d;
} hwr_record_t;

HW_STATIC_ASSERT(sizeof(hwr_record_t) == 32, "hwr_record_t has no padding");

typedef struct hwr_header {
  char magic[8];
  hw_u32 version;
  hw_u32 record_bytes;
  hw_u64 records;
  hw_u64 inputs;
} hwr_header_t;

HW_STATIC_ASSERT(sizeof(hwr_header_t) == 32, "hwr_header_t has no padding");

typedef struct hwr_trace {
  hw_u64 host;
  hw_u64 device;
  hw_u32 rollout;
  hw_u32 leg;
  hw_u16 event;
  hw_u16 clock;
  hw_u32 detail;
} hwr_trace_t;

HW_STATIC_ASSERT(sizeof(hwr_trace_t) == 32, "hwr_trace_t has no padding");

typedef struct hwr_trace_head {
  hw_u64 written;
  hw_u64 mask;
  hw_u64 zero0;
  hw_u64 zero1;
  hw_u64 zero2;
  hw_u64 zero3;
  hw_u64 zero4;
  hw_u64 zero5;
} hwr_trace_head_t;

HW_STATIC_ASSERT(sizeof(hwr_trace_head_t) == 64, "hwr_trace_head_t has no padding");

#endif  // HW_ROLLOUTS_H
