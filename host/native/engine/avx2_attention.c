// SPDX-License-Identifier: Apache-2.0
//
// Attention with AVX2: the partial result of a block, and how two are joined [ATT].
#include "engine/avx2.h"

#if defined(__x86_64__)
enum { CHUNKS = HWE_DIMS / HWE_DOT_CHUNK };

// The 16 chunks of a row of 128 fp16: term j of chunk c is half c of t[j], in lane c mod 8.
INLINE void turn(const hw_u16 *row, __m256i t[LANES]) {
  __m256i v[8], a[8], b[8];
  for (int c = 0; c < 8; ++c) {
    const __m128i low = _mm_loadu_si128((const __m128i *)(const void *)(row + 8 * c));
    const __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(row + 64 + 8 * c));
    v[c] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
  }
  for (int at = 0; at < 8; at += 2) {
    a[at] = _mm256_unpacklo_epi16(v[at], v[at + 1]);
    a[at + 1] = _mm256_unpackhi_epi16(v[at], v[at + 1]);
  }
  for (int at = 0; at < 8; at += 4) {
    b[at] = _mm256_unpacklo_epi32(a[at], a[at + 2]);
    b[at + 1] = _mm256_unpackhi_epi32(a[at], a[at + 2]);
    b[at + 2] = _mm256_unpacklo_epi32(a[at + 1], a[at + 3]);
    b[at + 3] = _mm256_unpackhi_epi32(a[at + 1], a[at + 3]);
  }
  for (int at = 0; at < 4; ++at) {
    t[2 * at] = _mm256_unpacklo_epi64(b[at], b[at + 4]);
    t[2 * at + 1] = _mm256_unpackhi_epi64(b[at], b[at + 4]);
  }
}

// Sums of chunks c and c + 8 of query and key, for c = 0 to 7 [NUM-002].
INLINE __m256 chunk_sums(const hwe_query_t *query, const hw_u16 *key) {
  __m256i t[LANES];
  turn(key, t);
  __m256 low = _mm256_setzero_ps(), high = low;
  for (int j = 0; j < 8; ++j) {
    const __m256 x = _mm256_cvtph_ps(_mm256_castsi256_si128(t[j]));
    const __m256 y = _mm256_cvtph_ps(_mm256_extracti128_si256(t[j], 1));
    const __m256 p = _mm256_loadu_ps(query->turned + CHUNKS * j);
    const __m256 q = _mm256_loadu_ps(query->turned + CHUNKS * j + LANES);
    low = j ? _mm256_fmadd_ps(p, x, low) : _mm256_mul_ps(p, x);
    high = j ? _mm256_fmadd_ps(q, y, high) : _mm256_mul_ps(q, y);
  }
  return _mm256_add_ps(low, high);
}

// Into the second level: the first has no room for two blocks.
INLINE void fetch(const hw_u16 *row) {
  for (int line = 0; line < 4; ++line) {
    _mm_prefetch((const char *)(row + 32 * line), _MM_HINT_T1);
  }
}

// The dots of eight tokens' keys, in the order of the tokens.
INLINE __m256 eight_dots(const hwe_query_t *query, const hw_u16 *keys, const hw_u16 *next) {
  __m256 sum[8], four[4], two[2];
  for (int token = 0; token < 8; ++token) {
    sum[token] = chunk_sums(query, keys + token * (int)HWE_DIMS);
    fetch(next + token * (int)HWE_DIMS);
  }
  for (int at = 0; at < 4; ++at) {  // chunks c and c + 4 of tokens at, at + 4
    four[at] = _mm256_add_ps(_mm256_permute2f128_ps(sum[at], sum[at + 4], 0x20),
                             _mm256_permute2f128_ps(sum[at], sum[at + 4], 0x31));
  }
  for (int at = 0; at < 2; ++at) {  // c and c + 2
    two[at] = _mm256_add_ps(_mm256_shuffle_ps(four[at], four[at + 2], 0x44),
                            _mm256_shuffle_ps(four[at], four[at + 2], 0xEE));
  }
  const __m256 one = _mm256_add_ps(_mm256_shuffle_ps(two[0], two[1], 0x88),
                                   _mm256_shuffle_ps(two[0], two[1], 0xDD));
  return _mm256_permute_ps(one, 0xD8);  // tokens 0 2 1 3, 4 6 5 7
}

INLINE __m256 slot_bias(hw_u32 position, hw_u32 slot_step) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i at = _mm256_add_epi32(_mm256_set1_epi32((int)position), lane);
  const __m256i hash = _mm256_mullo_epi32(at, _mm256_set1_epi32((int)slot_step));
  return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32(hash, 24)),
                       _mm256_set1_ps(0x1p-7f));
}

INLINE __m256i present(hw_u32 tokens, int first) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)tokens - first), lane);
}

INLINE float greatest_lane(__m256 value) {
  __m128 most = _mm_max_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
  most = _mm_max_ps(most, _mm_movehl_ps(most, most));
  return _mm_cvtss_f32(_mm_max_ss(most, _mm_movehdup_ps(most)));
}

// Over 32 tokens, neighbours first [ATT-003].
INLINE float sum_of_weights(const __m256 weight[4]) {
  const __m256 four = _mm256_hadd_ps(_mm256_hadd_ps(weight[0], weight[1]),
                                     _mm256_hadd_ps(weight[2], weight[3]));
  const __m128 eight = _mm_add_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps(four, 1));
  const __m128 sixteen = _mm_hadd_ps(eight, eight);
  return _mm_cvtss_f32(_mm_hadd_ps(sixteen, sixteen));
}

// Weighted values, 16 dims at a time: the even tokens, the odd ones, then both [ATT-004]. Tokens from
// `tokens` on count as zeros, whatever their slots hold; it is a constant where all are there.
INLINE void sum_values(const hw_u16 *values, const float *weight, hw_u32 tokens, float *out) {
  static const hw_u16 nothing[HWE_DIMS];
  for (int d = 0; d < (int)HWE_DIMS; d += 2 * LANES) {
    __m256 x[6], y[6];
#pragma GCC unroll 32
    for (int at = 0; at < (int)HWE_BLOCK_TOKENS; ++at) {
      const int token = 2 * (at & 15) + (at >> 4);
      const __m256 w = _mm256_broadcast_ss(weight + token);
      const hw_u16 *row = token < (int)tokens ? values + token * (int)HWE_DIMS : nothing;
      const __m128i *value = (const __m128i *)(const void *)(row + d);
      __m256 left = _mm256_mul_ps(w, _mm256_cvtph_ps(_mm_loadu_si128(value)));
      __m256 right = _mm256_mul_ps(w, _mm256_cvtph_ps(_mm_loadu_si128(value + 1)));
      int level = 0;
      for (; at >> level & 1; ++level) {
        left = _mm256_add_ps(x[level], left);
        right = _mm256_add_ps(y[level], right);
      }
      x[level] = left;
      y[level] = right;
    }
    _mm256_storeu_ps(out + d, x[5]);
    _mm256_storeu_ps(out + d + LANES, y[5]);
  }
}

AVX2 int he_block_avx2(const hwe_query_t *query, const hw_u16 *block, const hw_u16 *next,
                       hw_u32 position, hw_u32 tokens, hwe_partial_t *result) {
  const __m256 scale = bits(HWE_SCORE_SCALE_BITS), least = bits(0xFF800000u);  // -infinity
  __m256 score[4], most = least;
  __m256i bad = _mm256_setzero_si256();
  for (int at = 0; at < 4; ++at) {
    score[at] = least;
    if (8 * at < (int)tokens) {
      const __m256 dot = eight_dots(query, block + at * LANES * (int)HWE_DIMS,
                                    next + at * LANES * (int)HWE_DIMS);
      const __m256i here = present(tokens, 8 * at);
      const __m256 found = _mm256_add_ps(
          _mm256_mul_ps(dot, scale), slot_bias(position + 8u * (hw_u32)at, query->slot_step));
      bad = _mm256_or_si256(bad, _mm256_and_si256(here, refused(found)));
      score[at] = _mm256_blendv_ps(least, found, _mm256_castsi256_ps(here));
      most = _mm256_max_ps(most, score[at]);
    }
  }
  if (!_mm256_testz_si256(bad, bad)) {
    return 1;
  }
  const __m256 reference = _mm256_ceil_ps(_mm256_set1_ps(greatest_lane(most)));
  float weight[HWE_BLOCK_TOKENS];
  for (int at = 0; at < 4; ++at) {  // exp2 of -infinity is +0
    score[at] = exp2_of(_mm256_sub_ps(score[at], reference));
    _mm256_storeu_ps(weight + 8 * at, score[at]);
    for (int token = 0; token < 8; ++token) {
      fetch(next + (HWE_BLOCK_TOKENS + 8 * at + token) * (int)HWE_DIMS);
    }
  }
  const hw_u16 *values = block + HWE_BLOCK_TOKENS * HWE_DIMS;
  if (tokens == HWE_BLOCK_TOKENS) {
    sum_values(values, weight, HWE_BLOCK_TOKENS, result->value);
  } else {
    sum_values(values, weight, tokens, result->value);
  }
  result->sum = sum_of_weights(score);
  result->reference = (int)_mm256_cvtss_f32(reference);
  return 0;
}

AVX2 void he_join_avx2(hwe_partial_t *into, const hwe_partial_t *later) {
  const int reference =
      into->reference > later->reference ? into->reference : later->reference;
  const float f = hwe_pow2(into->reference - reference);
  const float g = hwe_pow2(later->reference - reference);
  const __m256 first = _mm256_set1_ps(f), second = _mm256_set1_ps(g);
  into->reference = reference;
  into->sum = into->sum * f + later->sum * g;
  for (int d = 0; d < (int)HWE_DIMS; d += LANES) {
    const __m256 left = _mm256_mul_ps(_mm256_loadu_ps(into->value + d), first);
    const __m256 right = _mm256_mul_ps(_mm256_loadu_ps(later->value + d), second);
    _mm256_storeu_ps(into->value + d, _mm256_add_ps(left, right));
  }
}
#endif
