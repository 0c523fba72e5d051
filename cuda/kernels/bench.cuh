// SPDX-License-Identifier: Apache-2.0
//
// What a block has in shared memory for a group of seats, and the products of a token that it ingests
// for each of them [STATE-004] [STATE-006].
#ifndef HW_BENCH_CUH
#define HW_BENCH_CUH

#include "dense.cuh"
#include "sampling.cuh"

enum : hw_u32 {
  HWE_WARPS = HWE_THREADS / 32,
  HWE_PRODUCTS = 4  // with inputs and state, of a token that is ingested
};

// What a seat of the group does in this turn.
struct hwe_turn {
  hw_u32 ingests;
  hw_u32 token;
  hw_u32 position;
  hw_u32 token_hash;
  hw_u32 position_hash;
  hw_u32 runs;
  hw_u32 bad;
};

template <hw_u32 Group>
struct hwe_bench {
  union {
    struct {
      alignas(16) float x[Group][HWE_DIMS];  // outputs, then inputs
      alignas(16) float h[Group][HWE_DIMS];
      float2 product[Group == HWE_PRODUCTS ? HWE_PRODUCTS * Group : 1][HWE_PAIRS];  // by seat
      hwe_stage<Group> stage;
    };
    // Between the logits and the inputs:
    hwe_drawing<hwe_row<32>::bins> drawing[HWE_WARPS];  // a warp a row
    hwe_drawing<hwe_row<HWE_THREADS>::bins> wide;       // a block a row
  };
  hwe_turn turn[Group];
  hw_u32 any;
  hw_u32 more;
};

// What a step multiplies: inputs with the matrices of keys, values and the state, the state with its own.
// A small group would leave most of the block idle: each quarter takes one of the four products then,
// and gives its dots to the threads that work on with them.
template <hw_u32 Group>
HW_DEV void hwe_multiply_inputs(const hwe_engine_t &engine, hwe_bench<Group> *bench,
                                hwe_group_dots<Group> *key, hwe_group_dots<Group> *value,
                                hwe_group_dots<Group> *state, hwe_group_dots<Group> *rest) {
  if constexpr (Group == HWE_PRODUCTS) {
    const hw_u32 product = threadIdx.x / HWE_PAIRS;
    hwe_dots<Group, 1> own;
    if (product == 3) {
      hwe_multiply<false>(bench->h[0], engine.w_res, HWE_PAIRS, &own);
    } else {
      const hw_u32 *weights = product == 0 ? engine.w_k : product == 1 ? engine.w_v : engine.w_in;
      hwe_multiply<true>(bench->x[0], weights, HWE_PAIRS, &own);
    }
    HW_UNROLL
    for (hw_u32 at = 0; at < Group; ++at) {
      bench->product[product * Group + at][own.pair(at)] =
          float2{own.of[2 * at], own.of[2 * at + 1]};
    }
    __syncthreads();
    hwe_group_dots<Group> *all[] = {key, value, state, rest};
    HW_UNROLL
    for (hw_u32 which = 0; which < HWE_PRODUCTS; ++which) {
      const float2 two = bench->product[which * Group + key->row(0)][key->pair(0)];
      all[which]->of[0] = two.x;
      all[which]->of[1] = two.y;
    }
  } else {
    hwe_stage<Group> *stage = &bench->stage;
    hwe_multiply_group<true>(bench->x, engine.w_k, HWE_PAIRS, stage, key, engine.w_v);
    hwe_multiply_group<true>(bench->x, engine.w_v, HWE_PAIRS, stage, value, engine.w_in, 1);
    hwe_multiply_group<true>(bench->x, engine.w_in, HWE_PAIRS, stage, state, engine.w_res, 1);
    hwe_multiply_group<false>(bench->h, engine.w_res, HWE_PAIRS, stage, rest, nullptr, 1);
  }
}

HW_DEV hw_u32 hwe_two_halves(float low, float high) {
  return hw_to_half(low) | (hw_u32)hw_to_half(high) << 16;
}

#endif  // HW_BENCH_CUH
