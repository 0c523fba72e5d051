// SPDX-License-Identifier: Apache-2.0
//
// A row of logits, the threads that read it, and the mass of a token [SAMP-002] [SAMP-003].
#ifndef HW_LOGITS_CUH
#define HW_LOGITS_CUH

#include "seats.cuh"

// What a team of threads shares.
template <hw_u32 Bins>
struct hwe_drawing {
  hw_u64 mass[Bins];
  hw_u32 count[Bins];
  hw_u64 of_warp[32];
  hw_u32 ties_of_warp[32];
  hw_u64 found;
};

// The threads of a warp, or of a block, over one row. Warp w has the ids from w * stride on. The tables
// have each entry 2^Spread times, so that fewer lanes meet in a bank of shared memory.
template <hw_u32 Threads, hw_u32 Spread = 0>
struct hwe_row {
  enum : hw_u32 { threads = Threads, warps = Threads / 32, bins = Threads == 32 ? 128 : 256 };
  hwe_drawing<bins> *shared;
  const hw_u32 *tables;
  const float *logits;
  hw_u32 thread;
  hw_u32 vocabulary;
  float greatest;  // logit
  float greatest_scaled;  // over the temperature
  float temperature;
  float per_temperature;  // 1 over it
  float bin_scale;

  HW_METHOD void sync() const {
    if (Threads == 32) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }
  HW_METHOD hw_u32 entry(hw_u32 at) const {
    return tables[(at << Spread) + (thread & ((1u << Spread) - 1u))];
  }
  HW_METHOD hw_u32 first_id(hw_u32 warp) const {
    return warp * ((vocabulary + 128u * warps - 1u) / (128u * warps)) * 128u;
  }
  HW_METHOD hw_u32 last_id(hw_u32 warp) const { return min(vocabulary, first_id(warp + 1u)); }
  HW_METHOD float4 four(hw_u32 id) const { return __ldcg((const float4 *)(logits + id)); }
  // Call `what(id, logit)` for every id of the warp; the four ids of a lane are neighbours. With Copies
  // their work overlaps, in four times the code: too much for the instruction cache wherever a row is
  // short and the rest of a step is in the same kernel.
  template <bool Copies, typename What>
  HW_METHOD void each(What what) const {
    const hw_u32 until = last_id(thread / 32);
    hw_u32 id = first_id(thread / 32) + 4u * (thread % 32);
    float4 next = id < until ? four(id) : float4{};
    HW_ONE_BY_ONE
    for (; id < until; id += 128u) {
      const float4 now = next;
      next = id + 128u < until ? four(id + 128u) : float4{};
      if (Copies) {
        const float logit[4] = {now.x, now.y, now.z, now.w};
        HW_UNROLL
        for (hw_u32 at = 0; at < 4; ++at) {
          if (id + at < until) {
            what(id + at, logit[at]);
          }
        }
      } else {
        HW_ONE_BY_ONE
        for (hw_u32 at = 0; at < 4 && id + at < until; ++at) {
          what(id + at, at == 0 ? now.x : at == 1 ? now.y : at == 2 ? now.z : now.w);
        }
      }
    }
  }
};

// Unsigned numbers in the order of the logits; -0 as +0 [SAMP-002]. Never 0.
HW_DEV hw_u32 hwe_key(float logit) {
  const hw_u32 bits = __float_as_uint(__fadd_rn(logit, 0.0f));
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}

HW_DEV float hwe_logit_of(hw_u32 key) {
  return __uint_as_float(key >> 31 ? key & 0x7FFFFFFFu : ~key);
}

// Over the temperature, rounded once. The reciprocal is rounded, so that the first correction makes the
// quotient one of the two neighbours of the exact one, and the second the nearer (Markstein 1990). A
// remainder that is not exact, of a tiny logit, is left to the division.
template <typename Row>
HW_DEV float hwe_scaled(const Row &row, float logit) {
  enum : hw_u32 { Tiny = (127 - 90) << 23 };  // 2^-90
  if ((__float_as_uint(logit) & 0x7FFFFFFFu) - 1u < Tiny - 1u) {
    return __fdiv_rn(logit, row.temperature);
  }
  float quotient = __fmul_rn(logit, row.per_temperature);
  HW_UNROLL
  for (int turn = 0; turn < 2; ++turn) {
    const float left = __fmaf_rn(-quotient, row.temperature, logit);
    quotient = __fmaf_rn(left, row.per_temperature, quotient);
  }
  return quotient;
}

// floor(u 2^32), for u from 0 up to 64.
HW_DEV hw_u64 hwe_fixed_point(float u) {
  const hw_u32 bits = __float_as_uint(u);
  const hw_u32 significand = (bits << 8 | 0x80000000u) >> 1;  // its first one is bit 30
  return (hw_u64)significand << 32 >> min(157u - (bits >> 23), 63u);
}

template <typename Row>
HW_DEV hw_u64 hwe_mass(const Row &row, float logit) {
  const float distance = __fsub_rn(row.greatest_scaled, hwe_scaled(row, logit));
  const float u = min(__fmul_rn(distance, HWE_FLOAT(LOG2_E)), (float)HWE_MASS_CUT);
  const hw_u64 q = hwe_fixed_point(u);
  const hw_u32 fraction = 0u - (hw_u32)q, n = (hw_u32)(q >> 32) + (fraction != 0);
  // y stays below 2^32, and the cut's mass is 0.
  hw_u32 y = (hw_u32)((hw_u64)row.entry(fraction >> 24) *
                          row.entry(HWE_TABLE_ENTRIES + (fraction >> 16 & 0xFFu)) >>
                      HWE_TABLE_FRACTION);
  y += __umulhi(y, __umulhi(HWE_LN2_FRACTION, fraction << 16)) >> 15;
  return ((hw_u64)y << (HWE_MASS_BITS - HWE_TABLE_FRACTION)) >> n;
}

HW_DEV hw_u64 hwe_warp_sum(hw_u64 value) {
  HW_UNROLL
  for (int step = 16; step; step >>= 1) {
    value += __shfl_xor_sync(HW_ALL_LANES, value, step);
  }
  return value;
}

// The sum over the lanes up to and with this one.
template <typename T>
HW_DEV T hwe_warp_scan(T value, hw_u32 lane) {
  HW_UNROLL
  for (hw_u32 step = 1; step < 32; step <<= 1) {
    const T before = __shfl_up_sync(HW_ALL_LANES, value, step);
    value += lane >= step ? before : 0;
  }
  return value;
}

#endif  // HW_LOGITS_CUH
