// SPDX-License-Identifier: Apache-2.0
//
// The engine's kernels for x86-64 with AVX2, FMA and F16C. Each gives the bits of its scalar
// counterpart in host/include: lanes are columns, tokens or chunks, whose sums are apart from each
// other, and a fused multiply-add stands only where products are exact [NUM-001].
#include "engine/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE static inline __attribute__((always_inline)) AVX2

enum { LANES = 8, CHUNKS = HWE_DIMS / HWE_DOT_CHUNK };

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

AVX2 static int block_avx2(const hwe_query_t *query, const hw_u16 *block, const hw_u16 *next,
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

AVX2 static void join_avx2(hwe_partial_t *into, const hwe_partial_t *later) {
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

// Chunks c, c + 4, c + 8, c + 12 of 16 columns, added as NUM-002 has it. `half`: the matrix is fp16,
// and so exact with any vector that is.
INLINE void chunks_of_tile(const float *vector, const float *matrix, const hw_u16 *halves, int half,
                           int c, __m256 out[2]) {
  __m256 sum[4][2];
#pragma GCC unroll 8
  for (int j = 0; j < (int)HWE_DOT_CHUNK; ++j) {
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      const int k = (c + 4 * part) * (int)HWE_DOT_CHUNK + j;
      const __m256 v = _mm256_broadcast_ss(vector + k);
#pragma GCC unroll 2
      for (int side = 0; side < 2; ++side) {
        const int at = k * HWE_TILE + side * LANES;
        __m256 *into = &sum[part][side];
        if (half) {
          const __m128i *element = (const __m128i *)(const void *)(halves + at);
          const __m256 m = _mm256_cvtph_ps(_mm_loadu_si128(element));
          *into = j ? _mm256_fmadd_ps(v, m, *into) : _mm256_mul_ps(v, m);
        } else {
          const __m256 term = _mm256_mul_ps(v, _mm256_loadu_ps(matrix + at));
          *into = j ? _mm256_add_ps(*into, term) : term;
        }
      }
    }
  }
#pragma GCC unroll 2
  for (int side = 0; side < 2; ++side) {
    out[side] = _mm256_add_ps(_mm256_add_ps(sum[0][side], sum[2][side]),
                              _mm256_add_ps(sum[1][side], sum[3][side]));
  }
}

INLINE void tile_product(const float *vector, const float *matrix, const hw_u16 *halves, int half,
                         float *out) {
  __m256 part[4][2];
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    chunks_of_tile(vector, matrix, halves, half, c, part[c]);
  }
#pragma GCC unroll 2
  for (int side = 0; side < 2; ++side) {
    const __m256 even = _mm256_add_ps(part[0][side], part[2][side]);
    const __m256 odd = _mm256_add_ps(part[1][side], part[3][side]);
    _mm256_storeu_ps(out + side * LANES, _mm256_add_ps(even, odd));
  }
}

AVX2 static void product_avx2(const float *vector, const float *matrix, hw_u32 tiles, float *out) {
  for (; tiles; --tiles, matrix += HWE_TILE_ELEMENTS, out += HWE_TILE) {
    tile_product(vector, matrix, NULL, 0, out);
  }
}

AVX2 static void product_half_avx2(const float *vector, const hw_u16 *matrix, hw_u32 tiles,
                                   float *out) {
  for (; tiles; --tiles, matrix += HWE_TILE_ELEMENTS, out += HWE_TILE) {
    tile_product(vector, NULL, matrix, 1, out);
  }
}

AVX2 static int round_half_avx2(const float *in, int count, hw_u16 *out) {
  const __m128i infinity = _mm_set1_epi16(0x7C00);
  __m128i bad = _mm_setzero_si128();
  int at = 0;
  for (; at + LANES <= count; at += LANES) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(in + at), _MM_FROUND_TO_NEAREST_INT);
    bad = _mm_or_si128(bad, _mm_cmpeq_epi16(_mm_and_si128(half, infinity), infinity));
    _mm_storeu_si128((__m128i *)(void *)(out + at), half);
  }
  return !_mm_testz_si128(bad, bad) | (at < count && hwe_round_half(in + at, count - at, out + at));
}

INLINE __m256 silu_of(__m256 a) {  // [NUM-006]
  const __m256 one = _mm256_set1_ps(1.0f), minus = bits(0x80000000u);
  const __m256 t = exp2_of(
      _mm256_mul_ps(_mm256_or_ps(size_of(a), minus), bits(HWE_LOG2_E_BITS)));
  const __m256 below = _mm256_cmp_ps(a, _mm256_setzero_ps(), _CMP_LT_OQ);
  const __m256 upper = _mm256_blendv_ps(a, _mm256_mul_ps(a, t), below);
  return _mm256_div_ps(upper, _mm256_add_ps(one, t));
}

AVX2 static int next_state_avx2(const float *bias, const float *state, const float *x,
                                const float *projected, const float *residual, float *next) {
  __m256i bad = _mm256_setzero_si256();
  for (int d = 0; d < (int)HWE_DIMS; d += LANES) {
    const __m256 a = _mm256_add_ps(_mm256_loadu_ps(bias + d), _mm256_loadu_ps(projected + d));
    const __m256 eighth = _mm256_set1_ps(0.125f);
    __m256 h = _mm256_mul_ps(_mm256_set1_ps(0.5f), _mm256_loadu_ps(state + d));
    h = _mm256_add_ps(h, _mm256_mul_ps(eighth, _mm256_loadu_ps(residual + d)));
    h = _mm256_add_ps(h, _mm256_mul_ps(_mm256_set1_ps(0.25f), _mm256_loadu_ps(x + d)));
    h = _mm256_add_ps(h, _mm256_mul_ps(eighth, silu_of(a)));
    bad = _mm256_or_si256(bad, refused(h));
    _mm256_storeu_ps(next + d, h);
  }
  return !_mm256_testz_si256(bad, bad);
}

INLINE __m256i mix(__m256i h) {  // [STATE-001]
  h = _mm256_xor_si256(h, _mm256_srli_epi32(h, 16));
  h = _mm256_mullo_epi32(h, _mm256_set1_epi32((int)HWE_HASH_M1));
  h = _mm256_xor_si256(h, _mm256_srli_epi32(h, 15));
  h = _mm256_mullo_epi32(h, _mm256_set1_epi32((int)HWE_HASH_M2));
  return _mm256_xor_si256(h, _mm256_srli_epi32(h, 16));
}

// An odd number, in units of the plane's scale.
INLINE __m256i plane_of(hw_u32 row_hash, __m256i steps, int plane_bits) {
  const __m256i hash = mix(_mm256_add_epi32(_mm256_set1_epi32((int)row_hash), steps));
  const __m256i twice = _mm256_slli_epi32(_mm256_srli_epi32(hash, 32 - plane_bits), 1);
  return _mm256_sub_epi32(twice, _mm256_set1_epi32((1 << plane_bits) - 1));
}

HW_STATIC_ASSERT(HWE_EMBEDDING_SCALE == HWE_POSITION_SCALE, "both are added as integers");

AVX2 static void input_avx2(hw_u32 token, hw_u32 position, float *x) {
  const hw_u32 embedding = HWE_PLANE_ROW(EMBEDDING, token);
  const hw_u32 place = HWE_PLANE_ROW(POSITION, position);
  const __m256i golden = _mm256_set1_epi32((int)HWE_GOLDEN_32);
  for (int d = 0; d < (int)HWE_DIMS; d += LANES) {
    const __m256i column = _mm256_add_epi32(_mm256_set1_epi32(d),
                                            _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256i steps = _mm256_mullo_epi32(column, golden);
    const __m256i sum = _mm256_add_epi32(plane_of(embedding, steps, HWE_EMBEDDING_BITS),
                                         plane_of(place, steps, HWE_POSITION_BITS));
    _mm256_storeu_ps(x + d, _mm256_mul_ps(_mm256_cvtepi32_ps(sum),
                                          _mm256_set1_ps(1.0f / (1 << HWE_EMBEDDING_SCALE))));
  }
}

// Four masses [SAMP-003]. At distances from the cut on the last shift leaves nothing; from 2^20 on
// `q` has the bits of another exponent, and shifts even further.
INLINE __m256i four_masses(__m128 u) {
  static const hw_u32 coarse[HWE_TABLE_ENTRIES] = HWE_EXP2_COARSE;
  static const hw_u32 fine[HWE_TABLE_ENTRIES] = HWE_EXP2_FINE;
  const __m256d scaled = _mm256_mul_pd(_mm256_cvtps_pd(u), _mm256_set1_pd(0x1p32));
  const __m256d magic = _mm256_set1_pd(0x1p52);  // its low bits are the integer that is added
  const __m256i q = _mm256_xor_si256(
      _mm256_castpd_si256(_mm256_add_pd(_mm256_floor_pd(scaled), magic)),
      _mm256_castpd_si256(magic));
  const __m256i up = _mm256_add_epi64(q, _mm256_set1_epi64x(0xFFFFFFFF));
  const __m256i n = _mm256_srli_epi64(up, 32);
  const __m256i f = _mm256_sub_epi64(_mm256_slli_epi64(n, 32), q);
  const __m256i byte = _mm256_set1_epi64x(0xFF);
  const __m256i high = _mm256_and_si256(_mm256_srli_epi64(f, 24), byte);
  const __m256i middle = _mm256_and_si256(_mm256_srli_epi64(f, 16), byte);
  const __m256i left = _mm256_cvtepu32_epi64(_mm256_i64gather_epi32((const int *)coarse, high, 4));
  const __m256i right = _mm256_cvtepu32_epi64(_mm256_i64gather_epi32((const int *)fine, middle, 4));
  const __m256i y = _mm256_srli_epi64(_mm256_mul_epu32(left, right), HWE_TABLE_FRACTION);
  const __m256i rest = _mm256_mul_epu32(_mm256_and_si256(f, _mm256_set1_epi64x(0xFFFF)),
                                        _mm256_set1_epi64x(HWE_LN2_FRACTION));
  const __m256i more = _mm256_srli_epi64(_mm256_mul_epu32(y, _mm256_srli_epi64(rest, 16)), 47);
  const __m256i whole = _mm256_slli_epi64(_mm256_add_epi64(y, more),
                                          HWE_MASS_BITS - HWE_TABLE_FRACTION);
  return _mm256_srlv_epi64(whole, n);
}

AVX2 static void masses_avx2(const float *logits, hw_u32 count, float greatest, float temperature,
                             hw_u64 *masses) {
  const __m256 heat = _mm256_set1_ps(temperature);
  const __m256 top = _mm256_div_ps(_mm256_set1_ps(greatest), heat);
  hw_u32 id = 0;
  for (; id + LANES <= count; id += LANES) {
    const __m256 score = _mm256_div_ps(_mm256_loadu_ps(logits + id), heat);
    const __m256 u = _mm256_mul_ps(_mm256_sub_ps(top, score), bits(HWE_LOG2_E_BITS));
    _mm256_storeu_si256((__m256i *)(void *)(masses + id),
                        four_masses(_mm256_castps256_ps128(u)));
    _mm256_storeu_si256((__m256i *)(void *)(masses + id + 4),
                        four_masses(_mm256_extractf128_ps(u, 1)));
  }
  if (id < count) {
    hwe_masses(logits + id, count - id, greatest, temperature, masses + id);
  }
}

static const hwe_kernels_t avx2 = {"avx2",            block_avx2,        join_avx2,
                                   product_avx2,      product_half_avx2, round_half_avx2,
                                   next_state_avx2,   input_avx2,        masses_avx2};

const hwe_kernels_t *he_avx2(void) {
  __builtin_cpu_init();
  const int there = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  return there ? &avx2 : NULL;
}
#else
const hwe_kernels_t *he_avx2(void) { return NULL; }
#endif
