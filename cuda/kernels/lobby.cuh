// SPDX-License-Identifier: Apache-2.0
//
// The resident shape: rollouts run on the GPU from ring to ring. One block coordinates: it takes lines
// while seats are free, posts completions in the order of submission, and talks to the host. All others
// run steps of the engine over whatever seats are taken, so that a rollout that ends makes room for the
// next line at the next step. This is what both share.
#ifndef HW_LOBBY_CUH
#define HW_LOBBY_CUH

#include "trace.cuh"
#include "seats.cuh"

enum : hw_u32 { HW_FAILURES = 64 };  // that are kept for the host


// A line that was taken: its completion, all but tag and CRC.
struct hw_flight {
  hw_words_t words;
  hw_u64 taken_at;  // where there is a trace
  hw_u32 tokens;
  hw_u32 is_stop;
  hw_u32 is_reward;
  hw_u32 is_error;
  hw_u32 is_done;
  hw_u32 unused[9];
};
static_assert(sizeof(hw_flight) == 128, "what descring_cuda allocates");

// A rollout that the engine refused.
struct hw_failure {
  hw_u64 record;
  hw_u32 status;
  hw_u32 index;  // of its line
};

// In the GPU's memory, zero at the start but for the addresses and numbers.
struct hw_lobby {
  const hwe_engine_t *engine;  // 0: no line needs a seat
  hw_flight *flights;
  hw_u32 *free_seats;  // a stack
  hw_u32 *busy;        // a bit for each 64 bytes of the arena: a record that is being advanced
  hw_u64 arena_bytes;
  hw_u32 flight_slots;  // a power of two
  hw_u32 seat_count;
  alignas(128) hw_u32 arrived;  // blocks before the barrier
  alignas(128) hw_u32 word;     // twice the number of barriers passed; odd: the workers end
  alignas(128) hw_u32 stop;
  alignas(128) hw_u32 failures;
  hw_u32 steps;
  hw_failure failure[HW_FAILURES];
};
static_assert(sizeof(hw_lobby) == 5 * 128 + 16 * HW_FAILURES, "what descring_cuda allocates");

#endif  // HW_LOBBY_CUH
