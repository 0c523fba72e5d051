// SPDX-License-Identifier: Apache-2.0
//
// What the kernels for x86-64 with AVX2, FMA and F16C share. Each gives the bits of its scalar
// counterpart in host/include: lanes are columns, tokens or chunks, whose sums are apart from each
// other, and a fused multiply-add stands only where products are exact [NUM-001].
#ifndef HE_AVX2_H
#define HE_AVX2_H

#include "engine/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline)) AVX2

enum { LANES = 8 };

INLINE __m256 bits(hw_u32 value) { return _mm256_castsi256_ps(_mm256_set1_epi32((int)value)); }

INLINE __m256 size_of(__m256 value) { return _mm256_and_ps(value, bits(0x7FFFFFFFu)); }

// Lanes that are NaN, infinite or too great [NUM-007].
INLINE __m256i refused(__m256 value) {
  const __m256i limit = _mm256_set1_epi32(((127 + HWE_VALUE_LIMIT_LOG2) << 23) - 1);
  return _mm256_cmpgt_epi32(_mm256_castps_si256(size_of(value)), limit);
}

INLINE __m256 exp2_of(__m256 x) {  // [NUM-005]
  static const hw_u32 c[7] = {HWE_EXP2_C6_BITS, HWE_EXP2_C5_BITS, HWE_EXP2_C4_BITS,
                              HWE_EXP2_C3_BITS, HWE_EXP2_C2_BITS, HWE_EXP2_C1_BITS,
                              HWE_EXP2_C0_BITS};
  const __m256 low = bits(HWE_EXP2_LOW_BITS);
  const __m256 whole = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m256 f = _mm256_sub_ps(x, whole);
  __m256 p = bits(c[0]);
  for (int at = 1; at < 7; ++at) {
    p = _mm256_add_ps(_mm256_mul_ps(p, f), bits(c[at]));
  }
  // Below the bound the exponent wraps, and the result is not used.
  const __m256i exponent = _mm256_slli_epi32(
      _mm256_add_epi32(_mm256_cvtps_epi32(whole), _mm256_set1_epi32(127)), 23);
  p = _mm256_mul_ps(p, _mm256_castsi256_ps(exponent));
  return _mm256_andnot_ps(_mm256_cmp_ps(x, low, _CMP_LT_OQ), p);
}

// avx2_attention.c; the types of hwe_kernels_t.
int he_block_avx2(const hwe_query_t *query, const hw_u16 *block, const hw_u16 *next,
                  hw_u32 position, hw_u32 tokens, hwe_partial_t *result);
void he_join_avx2(hwe_partial_t *into, const hwe_partial_t *later);
#endif

#endif  // HE_AVX2_H
