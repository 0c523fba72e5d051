// SPDX-License-Identifier: Apache-2.0
//
// Products of many vectors with one matrix, by a block: of each pair of neighbouring columns a thread
// makes the dots with a quarter of the group's vectors, each dot in the order of NUM-002.
#ifndef HW_DENSE_CUH
#define HW_DENSE_CUH

#include "seats.cuh"

enum : hw_u32 {
  HWE_THREADS = 256,
  HWE_QUARTERS = HWE_THREADS / HWE_PAIRS  // of a group, side by side
};

// Results of a thread: two columns of each of its vectors.
template <hw_u32 Group>
struct hwe_dots {
  enum : hw_u32 { Vectors = Group / HWE_QUARTERS };
  float of[2 * Vectors];
};

// `weights`: row k at k * pitch words, the thread's pair of columns there.
template <bool Exact, hw_u32 Group>
HW_DEV void hwe_multiply(const float (&vectors)[Group][HWE_DIMS], hw_u32 quarter,
                         const hw_u32 *weights, hw_u32 pitch, hwe_dots<Group> *dots) {
  enum : hw_u32 { Vectors = hwe_dots<Group>::Vectors, Count = 2 * Vectors };
  const float *mine = vectors[quarter * Vectors];
  float sum[4][Count] = {}, chunk[Count] = {};
  HW_ONE_BY_ONE
  for (hw_u32 outer = 0; outer < 4; ++outer) {
    HW_UNROLL
    for (hw_u32 inner = 0; inner < 4; ++inner) {
      const hw_u32 place = 4 * outer + inner;
      const hw_u32 first = hwe_chunk(place) * HWE_DOT_CHUNK;
      const hw_u32 *rows = weights + first * pitch;
      hw_u32 words[HWE_DOT_CHUNK];
      HW_UNROLL
      for (hw_u32 k = 0; k < HWE_DOT_CHUNK; ++k) {
        words[k] = rows[k * pitch];
      }
      HW_UNROLL
      for (hw_u32 half = 0; half < 2; ++half) {
        float4 terms[Vectors];
        HW_UNROLL
        for (hw_u32 vector = 0; vector < Vectors; ++vector) {
          terms[vector] = *(const float4 *)(mine + vector * HWE_DIMS + first + 4 * half);
        }
        HW_UNROLL
        for (hw_u32 k = 0; k < 4; ++k) {
          const float2 weight = hw_from_halves(words[4 * half + k]);
          HW_UNROLL
          for (hw_u32 vector = 0; vector < Vectors; ++vector) {
            const float4 &four = terms[vector];
            const float term = k == 0 ? four.x : k == 1 ? four.y : k == 2 ? four.z : four.w;
            if (half == 0 && k == 0) {
              chunk[2 * vector] = __fmul_rn(term, weight.x);
              chunk[2 * vector + 1] = __fmul_rn(term, weight.y);
            } else {
              chunk[2 * vector] = hwe_term<Exact>(chunk[2 * vector], term, weight.x);
              chunk[2 * vector + 1] = hwe_term<Exact>(chunk[2 * vector + 1], term, weight.y);
            }
          }
        }
      }
      hwe_add_chunk<0>(place, sum, chunk);
    }
  }
  HW_UNROLL
  for (hw_u32 at = 0; at < Count; ++at) {
    dots->of[at] = chunk[at];
  }
}

// A thread's place in a product with a matrix of 128 columns.
struct hwe_place {
  hw_u32 pair;
  hw_u32 quarter;
};

HW_DEV hwe_place hwe_my_place() {
  return hwe_place{threadIdx.x % HWE_PAIRS, threadIdx.x / HWE_PAIRS};
}

// The weights, by their formulas: element `at` of 5 matrices of 128 x 64 words and of the bias.
HW_DEV void hwe_make_weights(hw_u32 *to, float *bias, hw_u32 at) {
  const hw_u32 matrix = at / (HWE_DIMS * HWE_PAIRS), row = at / HWE_PAIRS % HWE_DIMS;
  hw_u32 word = 0;
  for (hw_u32 half = 0; half < 2; ++half) {
    const hw_u32 column = 2 * (at % HWE_PAIRS) + half;
    hw_u16 bits = 0;
    switch (matrix) {
      case 0: bits = HWE_RAMP(W_IN, row, column); break;
      case 1: bits = HWE_RAMP(W_RES, row, column); break;
      case 2: bits = HWE_RAMP(W_Q, row, column); break;
      case 3:
        bits = hw_to_half(HWE_PLANE(W_K, hwe_plane_row(HWE_W_K_PLANE, row), column));
        break;
      default:
        bits = hw_to_half(HWE_PLANE(W_V, hwe_plane_row(HWE_W_V_PLANE, row), column));
        break;
    }
    word |= (hw_u32)bits << 16 * half;
  }
  to[at] = word;
  if (at < HWE_DIMS) {
    bias[at] = __fdiv_rn((float)(int)((at + HWE_BIAS_OFFSET) * HWE_BIAS_FACTOR % HWE_BIAS_MODULUS -
                                      HWE_BIAS_MIDDLE),
                         (float)HWE_BIAS_DIVISOR);
  }
}

// Two neighbouring tokens' dim `row` of the unembedding; past the vocabulary it is 0.
HW_DEV hw_u32 hwe_make_unembedding(hw_u32 row, hw_u32 pair, hw_u32 vocabulary) {
  hw_u32 word = 0;
  for (hw_u32 half = 0; half < 2; ++half) {
    const hw_u32 token = 2 * pair + half;
    if (token < vocabulary) {
      const hw_u16 bits = hw_to_half(
          HWE_PLANE(UNEMBEDDING, hwe_plane_row(HWE_UNEMBEDDING_PLANE, token), row));
      word |= (hw_u32)bits << 16 * half;
    }
  }
  return word;
}

#endif  // HW_DENSE_CUH
