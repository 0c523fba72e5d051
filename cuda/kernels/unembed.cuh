// SPDX-License-Identifier: Apache-2.0
//
// Logits: the outputs of a group of seats times the unembedding, a tile of 128 tokens at a time
// [STATE-007].
#ifndef HW_UNEMBED_CUH
#define HW_UNEMBED_CUH

#include "bench.cuh"

// The outputs of a group as vectors. Whether any of its seats awaits a token.
template <hw_u32 Group, typename Room>
HW_DEV hw_u32 hwe_load_outputs(const hwe_engine_t &engine, hw_u32 first_seat, Room *room) {
  __syncthreads();  // all have used what is there
  if (threadIdx.x == 0) {
    room->any = 0;
  }
  __syncthreads();
  for (hw_u32 at = threadIdx.x; at < Group * HWE_PAIRS; at += HWE_THREADS) {
    const hw_u32 row = at / HWE_PAIRS, pair = at % HWE_PAIRS, seat = first_seat + row;
    float2 two = {0.0f, 0.0f};
    if (seat < engine.seat_count && engine.seats[seat].awaits) {
      two = hw_from_halves(__ldcg((const hw_u32 *)engine.halves + (hw_u64)seat * HWE_PAIRS + pair));
      room->any = 1;
    }
    room->x[row][2 * pair] = two.x;
    room->x[row][2 * pair + 1] = two.y;
  }
  __syncthreads();
  const hw_u32 any = room->any;
  __syncthreads();  // all have read it
  return any;
}

// Logits of a group for each `stride`-th tile of 128 tokens, from `tile` on.
template <hw_u32 Group, typename Room>
HW_DEV void hwe_make_logits(const hwe_engine_t &engine, Room *room, hw_u32 first_seat, hw_u32 tile,
                            hw_u32 stride) {
  const hw_u32 tiles = engine.pitch / HWE_PITCH;
  int loaded = 0;
  HW_ONE_BY_ONE
  for (; tile < tiles; tile += stride) {
    const hw_u32 *weights = engine.unembedding + tile * HWE_PAIRS;
    const hw_u32 *following = tile + stride < tiles ? weights + stride * HWE_PAIRS : nullptr;
    hwe_group_dots<Group> dots;
    hwe_multiply_group<true>(room->x, weights, engine.pitch / 2, &room->stage, &dots, following,
                             loaded);
    loaded = 1;
    enum : hw_u32 { Words = hwe_group_dots<Group>::Words };
    HW_UNROLL
    for (hw_u32 at = 0; at < hwe_group_dots<Group>::Pairs; at += Words) {
      const hw_u32 seat = first_seat + dots.row(at);
      if (seat < engine.seat_count) {
        float *logits = engine.logits + (hw_u64)seat * engine.pitch + tile * HWE_PITCH;
        const float *of = dots.of + 2 * at;
        if constexpr (Words == 2) {
          *(float4 *)(logits + 2 * dots.pair(at)) = float4{of[0], of[1], of[2], of[3]};
        } else {
          *(float2 *)(logits + 2 * dots.pair(at)) = float2{of[0], of[1]};
        }
      }
    }
  }
}

// What a block needs for logits alone.
template <hw_u32 Group>
struct hwe_outputs {
  alignas(16) float x[Group][HWE_DIMS];
  hwe_stage<Group> stage;
  hw_u32 any;
};

// All logits, by `workers` blocks: each takes some tiles of a group at a time.
template <hw_u32 Group, typename Room>
HW_DEV void hwe_spread_logits(const hwe_engine_t &engine, hw_u32 worker, hw_u32 workers,
                              Room *room) {
  const hw_u32 groups = (engine.seat_count + Group - 1u) / Group;
  const hw_u32 stretches = min(engine.pitch / HWE_PITCH, max(1u, 2u * workers / groups));
  HW_ONE_BY_ONE
  for (hw_u32 at = worker; at < groups * stretches; at += workers) {
    const hw_u32 first_seat = at % groups * Group;
    if (hwe_load_outputs<Group>(engine, first_seat, room)) {
      hwe_make_logits<Group>(engine, room, first_seat, at / groups, stretches);
    }
  }
}

#endif  // HW_UNEMBED_CUH
