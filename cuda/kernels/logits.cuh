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

// The threads of a warp, or of a block, over one row. Warp w has the ids from w * stride on.
template <hw_u32 Threads>
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
  float bin_scale;

  HW_METHOD void sync() const {
    if (Threads == 32) {
      __syncwarp();
    } else {
      __syncthreads();
    }
  }
  HW_METHOD hw_u32 first_id() const {
    return thread / 32 * ((vocabulary + 128u * warps - 1u) / (128u * warps)) * 128u;
  }
  HW_METHOD hw_u32 last_id() const {
    const hw_u32 stride = (vocabulary + 128u * warps - 1u) / (128u * warps) * 128u;
    return min(vocabulary, first_id() + stride);
  }
  // Call `what(id, logit)` for every id of the warp; the four ids of a lane are neighbours.
  template <typename What>
  HW_METHOD void each(What what) const {
    const hw_u32 until = last_id();
    for (hw_u32 id = first_id() + 4u * (thread % 32); id < until; id += 128u) {
      const float4 four = __ldcg((const float4 *)(logits + id));
      const float logit[4] = {four.x, four.y, four.z, four.w};
      HW_UNROLL
      for (hw_u32 at = 0; at < 4; ++at) {
        if (id + at < until) {
          what(id + at, logit[at]);
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

template <typename Row>
HW_DEV hw_u64 hwe_mass(const Row &row, float logit) {
  const float scaled = __fdiv_rn(logit, row.temperature);
  const float u = __fmul_rn(__fsub_rn(row.greatest_scaled, scaled), HWE_FLOAT(LOG2_E));
  if (u >= (float)HWE_MASS_CUT) {
    return 0;
  }
  const hw_u64 q = (hw_u64)__fmul_rn(u, 4294967296.0f);  // a power of two: exact
  const hw_u32 n = (hw_u32)((q + 0xFFFFFFFFu) >> 32);
  const hw_u32 fraction = 0u - (hw_u32)q;
  hw_u64 y = (hw_u64)row.tables[fraction >> 24] *
                 row.tables[HWE_TABLE_ENTRIES + (fraction >> 16 & 0xFFu)] >>
             HWE_TABLE_FRACTION;
  y += y * ((hw_u64)HWE_LN2_FRACTION * (fraction & 0xFFFFu) >> 16) >> 47;
  return (y << (HWE_MASS_BITS - HWE_TABLE_FRACTION)) >> n;
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
