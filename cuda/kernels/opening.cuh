// SPDX-License-Identifier: Apache-2.0
//
// Takes up a rollout: its record is read, and checked before anything is computed from it [REC-004].
#ifndef HW_OPENING_CUH
#define HW_OPENING_CUH

#include "seats.cuh"

HW_DEV int hwe_fits(hw_u64 offset, hw_u64 size, hw_u64 arena) {
  return offset % HWE_RECORD_ALIGNMENT == 0 && offset <= arena && size <= arena - offset;
}

HW_DEV int hwe_within(float value, hw_u32 least_bits, hw_u32 most_bits) {
  return value >= __uint_as_float(least_bits) && value <= __uint_as_float(most_bits);
}

// By a warp.
HW_DEV void hwe_open(const hwe_engine_t &engine, hwe_seat *seat, hw_u32 lane) {
  hw_u32 status = HWE_STATUS_OK;
  hwe_rollout_t rollout = {};
  const hw_u32 end = seat->end;
  if (!hwe_fits(seat->record, HWE_RECORD_BYTES, engine.arena_bytes)) {
    status = HWE_STATUS_BAD_RECORD;
  } else if (rollout = *(const hwe_rollout_t *)(engine.arena + seat->record),
             end > rollout.length) {
    const hw_u32 blocks = hwe_blocks_of(end);
    const int warm = rollout.temperature == 0.0f ||
                     hwe_within(rollout.temperature, HWE_TEMPERATURE_MIN_BITS,
                                HWE_TEMPERATURE_MAX_BITS);
    if (!warm || !hwe_within(rollout.top_p, HWE_TOP_P_MIN_BITS, 0x3F800000u) ||
        rollout.prompt_tokens == 0 || end > HWE_LENGTH_MAX ||
        !hwe_fits(rollout.tokens, 4ull * end, engine.arena_bytes) ||
        !hwe_fits(rollout.blocks, 4ull * blocks, engine.arena_bytes) ||
        !hwe_fits(rollout.state, HWE_STATE_BYTES, engine.arena_bytes)) {
      status = HWE_STATUS_BAD_RECORD;
    } else {
      const hw_u32 *map = (const hw_u32 *)(engine.arena + rollout.blocks);
      const hw_u64 whole = engine.arena_bytes / HWE_BLOCK_BYTES;
      int bad = 0;
      for (hw_u32 at = lane; at < blocks; at += 32) {
        bad |= map[at] >= whole;
      }
      const int bad_block = __ballot_sync(HW_ALL_LANES, bad) != 0;
      const hw_u32 *tokens = (const hw_u32 *)(engine.arena + rollout.tokens);
      const hw_u32 given = min(end, rollout.prompt_tokens);
      bad = 0;
      for (hw_u32 at = rollout.length + lane; at < given; at += 32) {
        bad |= tokens[at] >= engine.vocabulary;
      }
      const int bad_token = __ballot_sync(HW_ALL_LANES, bad) != 0;
      status = bad_block   ? (hw_u32)HWE_STATUS_BAD_BLOCK
               : bad_token ? (hw_u32)HWE_STATUS_BAD_TOKEN
               : hwe_tasks_of(engine, end) > seat->task_room
                   ? (hw_u32)HWE_STATUS_TOO_LONG
                   : (hw_u32)HWE_STATUS_OK;
    }
  }
  __syncwarp();
  if (lane == 0) {
    seat->rollout = rollout;
    seat->refused = status ? 1u << status : 0u;
    seat->awaits = 0;
    seat->ended = 0;
    if (!status && end > rollout.length && rollout.length > rollout.prompt_tokens) {
      const hw_u32 *tokens = (const hw_u32 *)(engine.arena + rollout.tokens);
      seat->ended = tokens[rollout.length - 1u] == rollout.eos;
    }
    seat->state = HWE_SEAT_RUNS;
    atomicAdd(&engine.control->running, 1u);
  }
  __syncwarp();
}

#endif  // HW_OPENING_CUH
