// SPDX-License-Identifier: Apache-2.0
//
// Products of many vectors with one matrix, by a block: of two or four neighbouring columns a thread
// makes the dots with some of the vectors, each dot in the order of NUM-002.
#ifndef HW_DENSE_CUH
#define HW_DENSE_CUH

#include "seats.cuh"

enum : hw_u32 { HWE_THREADS = 256 };

// The dots of a thread with `Words` words of a row of the matrix, two columns each, in the order of the
// vectors. What is read of shared memory for an operation falls with the columns.
template <hw_u32 Vectors, hw_u32 Words>
struct hwe_dots {
  enum : hw_u32 { Pairs = Vectors * Words, Lanes = HWE_PAIRS / Words };
  float of[2 * Pairs];

  // The columns of result `at`; its vector in a group that is spread over the block.
  HW_METHOD static hw_u32 pair(hw_u32 at) { return threadIdx.x % Lanes * Words + at % Words; }
  HW_METHOD static hw_u32 row(hw_u32 at) { return threadIdx.x / Lanes * Vectors + at / Words; }
};

// Those of a group's vectors, spread over the block: a large group has enough of them for four columns.
template <hw_u32 Group, hw_u32 Words = Group < 16 ? 1 : 2>
using hwe_group_dots = hwe_dots<Group * HWE_PAIRS / Words / HWE_THREADS, Words>;

// The words of a thread in a row of a matrix.
template <hw_u32 Words>
HW_DEV void hwe_load_words(const hw_u32 *from, hw_u32 *words) {
  if constexpr (Words == 2) {
    const uint2 two = *(const uint2 *)from;
    words[0] = two.x;
    words[1] = two.y;
  } else {
    words[0] = *from;
  }
}

// `vectors`: the thread's first one, all in a row. `weights`: row k at k * pitch words. A function of
// its own, so that the instructions of a step stay in the cache. With two columns a chunk's weights are
// loaded while the one before is worked on; with four the registers do not suffice for that.
template <bool Exact, hw_u32 Vectors, hw_u32 Words>
HW_DEV_CALL void hwe_multiply(const float *vectors, const hw_u32 *weights, hw_u32 pitch,
                              hwe_dots<Vectors, Words> *dots) {
  enum : hw_u32 { Count = 2 * Vectors * Words };
  weights += dots->pair(0);
  float sum[4][Count] = {}, chunk[Count] = {};
  hw_u32 words[HWE_DOT_CHUNK][Words], ahead[HWE_DOT_CHUNK][Words];
  const auto load = [&](hw_u32 place, hw_u32(&to)[HWE_DOT_CHUNK][Words]) {
    HW_UNROLL
    for (hw_u32 k = 0; k < HWE_DOT_CHUNK; ++k) {
      hwe_load_words<Words>(weights + (hwe_chunk(place) * HWE_DOT_CHUNK + k) * pitch, to[k]);
    }
  };
  if (Words == 1) {
    load(0, ahead);
  }
  HW_ONE_BY_ONE
  for (hw_u32 outer = 0; outer < 4; ++outer) {
    HW_UNROLL
    for (hw_u32 inner = 0; inner < 4; ++inner) {
      const hw_u32 place = 4 * outer + inner;
      const hw_u32 first = hwe_chunk(place) * HWE_DOT_CHUNK;
      if (Words == 1) {
        HW_UNROLL
        for (hw_u32 k = 0; k < HWE_DOT_CHUNK; ++k) {
          words[k][0] = ahead[k][0];
        }
        load((place + 1u) % HWE_CHUNKS, ahead);
      } else {
        load(place, words);
      }
      HW_UNROLL
      for (hw_u32 half = 0; half < 2; ++half) {
        float4 terms[Vectors];
        HW_UNROLL
        for (hw_u32 vector = 0; vector < Vectors; ++vector) {
          terms[vector] = *(const float4 *)(vectors + vector * HWE_DIMS + first + 4 * half);
        }
        HW_UNROLL
        for (hw_u32 k = 0; k < 4; ++k) {
          HW_UNROLL
          for (hw_u32 at = 0; at < Count / 2; ++at) {
            const float2 weight = hw_from_halves(words[4 * half + k][at % Words]);
            const float4 &four = terms[at / Words];
            const float term = k == 0 ? four.x : k == 1 ? four.y : k == 2 ? four.z : four.w;
            if (half == 0 && k == 0) {
              chunk[2 * at] = __fmul_rn(term, weight.x);
              chunk[2 * at + 1] = __fmul_rn(term, weight.y);
            } else {
              chunk[2 * at] = hwe_term<Exact>(chunk[2 * at], term, weight.x);
              chunk[2 * at + 1] = hwe_term<Exact>(chunk[2 * at + 1], term, weight.y);
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

// The dots of a thread with its vectors of a group.
template <bool Exact, hw_u32 Group>
HW_DEV void hwe_multiply_group(const float (&vectors)[Group][HWE_DIMS], const hw_u32 *weights,
                               hw_u32 pitch, hwe_group_dots<Group> *dots) {
  hwe_multiply<Exact>(vectors[dots->row(0)], weights, pitch, dots);
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
