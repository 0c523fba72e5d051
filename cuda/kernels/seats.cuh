// SPDX-License-Identifier: Apache-2.0
//
// What the engine's kernels share in the GPU's memory: weights, seats, tasks, and what one phase of a
// step leaves for the next. A seat is the place of one rollout that is being advanced; its record,
// tokens, block map, keys, values and state lie in the arena [REC-001].
#ifndef HW_SEATS_CUH
#define HW_SEATS_CUH

#include "numbers.cuh"

enum : hw_u32 {
  HWE_TASK_BLOCKS = 8,  // of one task of attention, at most
  HWE_FAN = 8,    // neighbouring partial results that one warp joins
  HWE_STEPS = 3,  // lists of tasks: of this step, of the next, and one that is being emptied
  HWE_PITCH = 128,  // logits of a row are padded to a multiple of it
  HWE_GIVEN_SHARE = 8,  // one turn of ingesting takes about this part of a step
  HWE_STATUS_TOO_LONG = 16  // beyond the tasks that a seat has room for; no status of the contract
};

// A seat's life. FREE and DONE are the owner's, NEW and RUNS the kernels'.
enum : hw_u32 { HWE_SEAT_FREE = 0, HWE_SEAT_NEW = 1, HWE_SEAT_RUNS = 2, HWE_SEAT_DONE = 3 };

struct hwe_seat {
  hwe_rollout_t rollout;  // the record; its length is kept up to date in both
  hw_u64 record;          // where it is in the arena
  hw_u32 end;
  hw_u32 state;
  hw_u32 refused;  // bit s: status s
  hw_u32 status;   // of a seat that is DONE
  hw_u32 awaits;   // 1: attention for the next token is outstanding
  hw_u32 ended;    // 1: it has made its `eos` [SAMP-007]
  hw_u32 token;    // that was drawn
  hw_u32 given_up;  // 1: the owner wants it back, however far it is
  hw_u32 first_task;  // of its places for partial results
  hw_u32 task_room;
  hw_u32 line;  // the owner's
  hw_u32 unused[3];
};
static_assert(sizeof(hwe_seat) == 128, "a line of the cache");

struct alignas(16) hwe_task {
  hw_u32 seat;
  hw_u32 map;  // offset of the block map over 64
  hw_u32 number;  // of the seat's tasks, in order of position
  hw_u32 tokens;  // of the whole sequence
};

struct alignas(16) hwe_step_t {
  hw_u32 tasks;
  hw_u32 taken;
  hw_u32 makes;  // seats that make a token
  hw_u32 given;  // seats that have given tokens left
};

struct hwe_control {
  hw_u32 number;  // of the step
  hw_u32 running;  // seats
  hw_u32 arrived;  // blocks at the end of a step
  hw_u32 unused;
  hwe_step_t step[HWE_STEPS];
};
static_assert(sizeof(hwe_control) == 64, "what descring_cuda allocates and reads");

struct hwe_engine_t {
  unsigned char *arena;
  hw_u64 arena_bytes;
  // Rows of 64 words: row k has two neighbouring columns of the matrix in a word.
  const hw_u32 *w_in, *w_res, *w_q, *w_k, *w_v;
  const hw_u32 *unembedding;  // row k: dim k of every token, two tokens a word
  const float *bias;
  const hw_u32 *tables;  // COARSE, then FINE
  hwe_control *control;
  hwe_seat *seats;
  hwe_task *tasks;   // HWE_STEPS lists of task_capacity
  hw_u16 *queries;   // 128 a seat
  float *outputs;    // 128 a seat
  hw_u16 *halves;    // the same in fp16
  float *logits;     // a row a seat
  float *partials;   // 128 a task
  float2 *partial_sums;  // reference and weight of a task
  hw_u32 *arrivals;  // of each level of HWE_FAN a list, all 0 between two steps
  hw_u32 seat_count;
  hw_u32 vocabulary;
  hw_u32 pitch;          // of a row of logits
  hw_u32 task_capacity;  // of all seats
  hw_u32 given_turns;    // given tokens that a seat ingests in one step, at most
  hw_u32 task_blocks;    // a power of two up to HWE_TASK_BLOCKS
};

static_assert(sizeof(hwe_engine_t) == 20 * 8 + 6 * 4, "what descring_cuda fills");

HW_DEV void hwe_refuse(const hwe_engine_t &engine, hw_u32 seat, hw_u32 status, int is_bad) {
  if (is_bad) {
    atomicOr(&engine.seats[seat].refused, 1u << status);
  }
}

HW_DEV hwe_task hwe_load_task(const hwe_task *from) {
  const uint4 words = __ldcg((const uint4 *)from);
  return hwe_task{words.x, words.y, words.z, words.w};
}

// Of several statuses of one position, the one that a step finds first [NUM-007].
HW_DEV hw_u32 hwe_first_status(hw_u32 refused) {
  const hw_u32 order[] = {HWE_STATUS_TOO_LONG,  HWE_STATUS_BAD_RECORD, HWE_STATUS_BAD_BLOCK,
                          HWE_STATUS_BAD_TOKEN, HWE_STATUS_BAD_QUERY,  HWE_STATUS_BAD_SCORE,
                          HWE_STATUS_BAD_OUTPUT, HWE_STATUS_BAD_STATE};
  HW_UNROLL
  for (int at = 0; at < 8; ++at) {
    if (refused >> order[at] & 1u) {
      return order[at];
    }
  }
  return HWE_STATUS_OK;
}

#endif  // HW_SEATS_CUH
