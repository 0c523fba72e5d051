// SPDX-License-Identifier: Apache-2.0
//
// Sampling of a token from its logits in integers (docs/engine-contract.md, section 4), for C11.
#ifndef HW_ENGINE_SAMPLER_H
#define HW_ENGINE_SAMPLER_H

#include "hw_engine_model.h"

// Philox4x32-10: the first 64 bits for a key and a counter [SAMP-006].
HWE_FN hw_u64 hwe_philox(hw_u64 seed, const hw_u32 counter[4]) {
  hw_u32 k0 = (hw_u32)seed, k1 = (hw_u32)(seed >> 32);
  hw_u32 c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  for (hw_u32 round = 0; round < HWE_PHILOX_ROUNDS; ++round) {
    const hw_u64 low = (hw_u64)HWE_PHILOX_M0 * c0, high = (hw_u64)HWE_PHILOX_M1 * c2;
    c0 = (hw_u32)(high >> 32) ^ c1 ^ k0;
    c1 = (hw_u32)high;
    c2 = (hw_u32)(low >> 32) ^ c3 ^ k1;
    c3 = (hw_u32)low;
    k0 += HWE_PHILOX_W0;
    k1 += HWE_PHILOX_W1;
  }
  return c0 | (hw_u64)c1 << 32;
}

HWE_FN hw_u64 hwe_token_random(const hwe_rollout_t *rollout, hw_u32 position) {
  const hw_u32 counter[4] = {position, rollout->sample, rollout->group, HWE_STREAM_SAMPLING};
  return hwe_philox(rollout->seed, counter);
}

// The compatibility stream, xoshiro256** [SAMP-008].
typedef struct hwe_xoshiro {
  hw_u64 s[4];
} hwe_xoshiro_t;

HWE_FN hw_u64 hwe_rotate(hw_u64 value, hw_u32 left) {
  return value << left | value >> (64u - left);
}

HWE_FN void hwe_xoshiro_seed(hwe_xoshiro_t *stream, hw_u64 seed) {
  stream->s[0] = seed;
  stream->s[1] = seed ^ HWE_XOSHIRO_S1;
  stream->s[2] = hwe_rotate(seed, HWE_XOSHIRO_S2_ROTATION) ^ HWE_XOSHIRO_S2;
  stream->s[3] = ~seed;
}

HWE_FN hw_u64 hwe_xoshiro_next(hwe_xoshiro_t *stream) {
  hw_u64 *s = stream->s;
  const hw_u64 result = hwe_rotate(s[1] * 5u, 7) * 9u, shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = hwe_rotate(s[3], 45);
  return result;
}

// The greatest logit and the lowest id that has it [SAMP-001].
HWE_FN hw_u32 hwe_greatest(const float *logits, hw_u32 count) {
  hw_u32 best = 0;
  for (hw_u32 id = 1; id < count; ++id) {
    best = logits[id] > logits[best] ? id : best;
  }
  return best;
}

// The mass at u log2 units below the greatest score [SAMP-003].
HWE_FN hw_u64 hwe_mass(float u) {
  static const hw_u32 coarse[HWE_TABLE_ENTRIES] = HWE_EXP2_COARSE;
  static const hw_u32 fine[HWE_TABLE_ENTRIES] = HWE_EXP2_FINE;
  if (!(u < (float)HWE_MASS_CUT)) {
    return 0;
  }
  const hw_u64 q = (hw_u64)((double)u * 0x1p32), n = (q + 0xFFFFFFFFu) >> 32;
  const hw_u32 f = (hw_u32)((n << 32) - q);
  hw_u64 y = (hw_u64)coarse[f >> 24] * fine[f >> 16 & 255u] >> HWE_TABLE_FRACTION;
  y += y * ((hw_u64)HWE_LN2_FRACTION * (f & 0xFFFFu) >> 16) >> 47;
  return y << (HWE_MASS_BITS - HWE_TABLE_FRACTION) >> n;
}

// Masses of all tokens; the greatest logit is that of SAMP-003's maximum, as T > 0.
HWE_FN void hwe_masses(const float *logits, hw_u32 count, float greatest, float temperature,
                       hw_u64 *masses) {
  const float top = greatest / temperature, log2_e = hwe_float(HWE_LOG2_E_BITS);
  for (hw_u32 id = 0; id < count; ++id) {
    masses[id] = hwe_mass((top - logits[id] / temperature) * log2_e);
  }
}

// A token's place in the total order as a number: less is earlier [SAMP-002].
HWE_FN hw_u64 hwe_order(float logit, hw_u32 id) {
  const hw_u32 bits = hwe_bits(logit + 0.0f);  // -0 becomes +0
  const hw_u32 rising = bits >> 31 ? ~bits : bits | 0x80000000u;
  return (hw_u64)~rising << 32 | id;
}

// The last place of the shortest prefix of the order with at least `target` in weight, which all
// together have: a radix selection. `mass` by id, or NULL: each counts 1. Overwrites `places`.
HWE_FN hw_u64 hwe_cut(hw_u64 *places, hw_u32 count, const hw_u64 *mass, hw_u64 target) {
  for (int shift = 56; count > 1u; shift -= 8) {
    hw_u64 weight[256] = {0};
    for (hw_u32 at = 0; at < count; ++at) {
      weight[places[at] >> shift & 255u] += mass ? mass[(hw_u32)places[at]] : 1u;
    }
    hw_u32 digit = 0;
    for (; weight[digit] < target; ++digit) {
      target -= weight[digit];
    }
    hw_u32 kept = 0;
    for (hw_u32 at = 0; at < count; ++at) {
      if ((places[at] >> shift & 255u) == digit) {
        places[kept++] = places[at];
      }
    }
    count = kept;
  }
  return places[0];
}

HWE_FN hw_u64 hwe_total(const hw_u64 *masses, hw_u32 count) {
  hw_u64 total = 0;
  for (hw_u32 id = 0; id < count; ++id) {
    total += masses[id];
  }
  return total;
}

// The places of what can be drawn; how many there are.
HWE_FN hw_u32 hwe_candidates(const float *logits, const hw_u64 *masses, hw_u32 count,
                             hw_u64 *places) {
  hw_u32 found = 0;
  for (hw_u32 id = 0; id < count; ++id) {
    if (masses[id]) {
      places[found++] = hwe_order(logits[id], id);
    }
  }
  return found;
}

HWE_FN void hwe_drop_behind(const float *logits, hw_u64 *masses, hw_u32 count, hw_u64 last) {
  for (hw_u32 id = 0; id < count; ++id) {
    if (hwe_order(logits[id], id) > last) {
      masses[id] = 0;
    }
  }
}

// ceil(share * total / 2^32), share < 2^32, total < 2^58 [SAMP-004].
HWE_FN hw_u64 hwe_share(hw_u64 share, hw_u64 total) {
  return share * (total >> 32) + ((share * (total & 0xFFFFFFFFu) + 0xFFFFFFFFu) >> 32);
}

// floor(a b / 2^64).
HWE_FN hw_u64 hwe_multiply_high(hw_u64 a, hw_u64 b) {
  const hw_u64 a0 = (hw_u32)a, a1 = a >> 32, b0 = (hw_u32)b, b1 = b >> 32;
  const hw_u64 middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (hw_u32)middle;
  return a1 * b1 + (middle >> 32) + (other >> 32);
}

// Give what top-k and then top-p do not keep the mass 0; the mass of the rest [SAMP-002] [SAMP-004].
HWE_FN hw_u64 hwe_keep(const float *logits, hw_u32 count, hw_u32 top_k, float top_p,
                       hw_u64 *masses, hw_u64 *places) {
  if (top_k && top_k < count) {
    const hw_u32 found = hwe_candidates(logits, masses, count, places);
    if (top_k < found) {  // tokens without mass are behind those with one
      hwe_drop_behind(logits, masses, count, hwe_cut(places, found, NULL, top_k));
    }
  }
  const hw_u64 share = (hw_u64)((double)top_p * 0x1p32), total = hwe_total(masses, count);
  if (share >> 32) {
    return total;
  }
  const hw_u32 found = hwe_candidates(logits, masses, count, places);
  hwe_drop_behind(logits, masses, count,
                  hwe_cut(places, found, masses, hwe_share(share, total)));
  return hwe_total(masses, count);
}

// The token of a random number among masses that sum up to `total` [SAMP-005].
HWE_FN hw_u32 hwe_draw(const hw_u64 *masses, hw_u64 total, hw_u64 random) {
  hw_u64 left = hwe_multiply_high(random, total);
  hw_u32 id = 0;
  for (; masses[id] <= left; ++id) {
    left -= masses[id];
  }
  return id;
}

#endif  // HW_ENGINE_SAMPLER_H
