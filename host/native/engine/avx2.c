// SPDX-License-Identifier: Apache-2.0
//
// The engine's kernels with AVX2, all but attention: products, the next state, inputs and masses.
#include "engine/avx2.h"

#if defined(__x86_64__)
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

static const hwe_kernels_t avx2 = {"avx2",          he_block_avx2,     he_join_avx2,
                                   product_avx2,    product_half_avx2, round_half_avx2,
                                   next_state_avx2, input_avx2,        masses_avx2};

const hwe_kernels_t *he_avx2(void) {
  __builtin_cpu_init();
  const int there = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("f16c");
  return there ? &avx2 : NULL;
}
#else
const hwe_kernels_t *he_avx2(void) { return NULL; }
#endif
