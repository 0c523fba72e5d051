// SPDX-License-Identifier: Apache-2.0
//
// The engine's numbers: constants from their bits, exp2, powers of two, dots in the contract's order,
// hashed and periodic weights. Every float operation is one intrinsic that rounds once, so that no
// option of a compiler changes a bit [NUM-001..NUM-006] [STATE-001..STATE-003].
#ifndef HW_NUMBERS_CUH
#define HW_NUMBERS_CUH

#include "hw_engine_data.h"
#include "warp.cuh"

#define HWE_FLOAT(name) __uint_as_float(HWE_##name##_BITS)

enum : hw_u32 {
  HWE_CHUNKS = HWE_DIMS / HWE_DOT_CHUNK,  // of a dot
  HWE_PAIRS = HWE_DIMS / 2,               // columns of a matrix are worked on in twos
  HWE_BLOCK_PARTS = HWE_BLOCK_BYTES / 16
};

HW_DEV float hwe_magnitude(float value) {
  return __uint_as_float(__float_as_uint(value) & 0x7FFFFFFFu);
}

// What NUM-007 refuses; NaN too.
HW_DEV int hwe_is_bad(float value) {
  return !(hwe_magnitude(value) < (float)(1u << HWE_VALUE_LIMIT_LOG2));
}

// Also what fp16 would round to infinity.
HW_DEV int hwe_is_bad_half(hw_u16 bits) { return (bits & 0x7C00u) == 0x7C00u; }

// 2^e for e <= 0 down to -126, +0 below [NUM-004].
HW_DEV float hwe_pow2(int e) { return e < -126 ? 0.0f : __int_as_float((e + 127) << 23); }

// For x <= 0 [NUM-005].
HW_DEV float hwe_exp2(float x) {
  const float n = rintf(x);
  const float f = __fsub_rn(x, n);
  float p = HWE_FLOAT(EXP2_C6);
  p = __fadd_rn(__fmul_rn(p, f), HWE_FLOAT(EXP2_C5));
  p = __fadd_rn(__fmul_rn(p, f), HWE_FLOAT(EXP2_C4));
  p = __fadd_rn(__fmul_rn(p, f), HWE_FLOAT(EXP2_C3));
  p = __fadd_rn(__fmul_rn(p, f), HWE_FLOAT(EXP2_C2));
  p = __fadd_rn(__fmul_rn(p, f), HWE_FLOAT(EXP2_C1));
  p = __fadd_rn(__fmul_rn(p, f), HWE_FLOAT(EXP2_C0));
  return x < HWE_FLOAT(EXP2_LOW) ? 0.0f : __fmul_rn(p, __int_as_float(((int)n + 127) << 23));
}

HW_DEV float hwe_silu(float a) {
  const float t = hwe_exp2(__fmul_rn(-hwe_magnitude(a), HWE_FLOAT(LOG2_E)));
  const float divisor = __fadd_rn(1.0f, t);
  return a >= 0.0f ? __fdiv_rn(a, divisor) : __fdiv_rn(__fmul_rn(a, t), divisor);
}

// ---- sums in the order of NUM-002

// The chunks of a dot in an order in which those that are added are neighbours: the four bits of the
// place, turned round.
HW_DEV hw_u32 hwe_chunk(hw_u32 place) {
  return (place & 1u) << 3 | (place & 2u) << 1 | (place & 4u) >> 1 | (place & 8u) >> 3;
}

// The tree over chunks as they are made, by their place, from bit `Level` of it on: waiting[level] has what
// waits for its neighbour. With the last place the result is in `chunk`.
template <hw_u32 Level, hw_u32 Levels, hw_u32 Count>
HW_DEV void hwe_add_chunk(hw_u32 place, float (&waiting)[Levels][Count], float (&chunk)[Count]) {
  if (!(place & 1u)) {
    HW_UNROLL
    for (hw_u32 at = 0; at < Count; ++at) {
      waiting[Level][at] = chunk[at];
    }
    return;
  }
  HW_UNROLL
  for (hw_u32 at = 0; at < Count; ++at) {
    chunk[at] = __fadd_rn(waiting[Level][at], chunk[at]);
  }
  if constexpr (Level + 1 < Levels) {
    hwe_add_chunk<Level + 1>(place >> 1, waiting, chunk);
  }
}

// One term more. Where both operands are fp16, the product is exact and one instruction does
// [NUM-001]; where one is fp32, it is rounded first [NUM-006].
template <bool Exact>
HW_DEV float hwe_term(float sum, float a, float b) {
  return Exact ? __fmaf_rn(a, b, sum) : __fadd_rn(sum, __fmul_rn(a, b));
}

// ---- weights

HW_DEV hw_u32 hwe_mix(hw_u32 h) {
  h ^= h >> 16;
  h *= HWE_HASH_M1;
  h ^= h >> 15;
  h *= HWE_HASH_M2;
  return h ^ h >> 16;
}

// Of a row of a plane; the columns follow from it.
HW_DEV hw_u32 hwe_plane_row(hw_u32 plane, hw_u32 row) { return hwe_mix(row + plane * HWE_GOLDEN_32); }

HW_DEV float hwe_plane_value(hw_u32 row_hash, hw_u32 column, hw_u32 bits, hw_u32 scale) {
  const hw_u32 drawn = hwe_mix(row_hash + column * HWE_GOLDEN_32) >> (32u - bits);
  return __fmul_rn((float)(int)(2u * drawn + 1u - (1u << bits)),
                   __int_as_float((127 - (int)scale) << 23));
}

#define HWE_PLANE(name, row_hash, column) \
  hwe_plane_value(row_hash, column, HWE_##name##_BITS, HWE_##name##_SCALE)

#define HWE_RAMP(name, r, c)                                                              \
  hw_to_half(__fdiv_rn((float)(int)((((r) + HWE_##name##_ROW) * ((c) + HWE_##name##_COLUMN)) %  \
                                        HWE_##name##_MODULUS - HWE_##name##_MIDDLE),      \
                       (float)HWE_##name##_DIVISOR))

// Of the input of token `token` at `position`; exact in fp16, so one rounding of the sum is none.
HW_DEV float hwe_input(hw_u32 token_hash, hw_u32 position_hash, hw_u32 dim) {
  return __fadd_rn(HWE_PLANE(EMBEDDING, token_hash, dim), HWE_PLANE(POSITION, position_hash, dim));
}

#endif  // HW_NUMBERS_CUH
