// SPDX-License-Identifier: Apache-2.0
//
// Products of many vectors with one matrix, by a block: of two or four neighbouring columns a thread
// makes the dots with some of the vectors, each dot in the order of NUM-002.
#ifndef HW_DENSE_CUH
#define HW_DENSE_CUH

#include "seats.cuh"

enum : hw_u32 { HWE_THREADS = 256 };

// The dots of a thread with `RowWords` words of a row of the matrix, two columns each, in the order of the
// vectors. What is read of shared memory for an operation falls with the columns.
template <hw_u32 Vectors, hw_u32 RowWords>
struct hwe_dots {
  enum : hw_u32 { Words = RowWords, Pairs = Vectors * Words, Lanes = HWE_PAIRS / Words };
  float of[2 * Pairs];

  // The columns of result `at`; its vector in a group that is spread over the block.
  HW_METHOD static hw_u32 pair(hw_u32 at) { return threadIdx.x % Lanes * Words + at % Words; }
  HW_METHOD static hw_u32 row(hw_u32 at) { return threadIdx.x / Lanes * Vectors + at / Words; }
};

// Those of a group's vectors, spread over the block: a large group has enough of them for four columns.
template <hw_u32 Group, hw_u32 Words = Group < 16 ? 1 : 2>
using hwe_group_dots = hwe_dots<Group * HWE_PAIRS / Words / HWE_THREADS, Words>;

// Adds a chunk's next four terms to each dot: `words[k]` are the thread's columns of row k, `terms` the
// same four dims of its vectors.
template <bool Exact, bool First, hw_u32 Vectors, hw_u32 Words>
HW_DEV void hwe_add_terms(const hw_u32 (&words)[4][Words], const float4 (&terms)[Vectors],
                          float (&chunk)[2 * Vectors * Words]) {
  HW_UNROLL
  for (hw_u32 k = 0; k < 4; ++k) {
    float2 weight[Words];
    HW_UNROLL
    for (hw_u32 at = 0; at < Words; ++at) {
      weight[at] = hw_from_halves(words[k][at]);
    }
    HW_UNROLL
    for (hw_u32 at = 0; at < Vectors * Words; ++at) {
      const float4 &four = terms[at / Words];
      const float term = k == 0 ? four.x : k == 1 ? four.y : k == 2 ? four.z : four.w;
      if (First && k == 0) {
        chunk[2 * at] = __fmul_rn(term, weight[at % Words].x);
        chunk[2 * at + 1] = __fmul_rn(term, weight[at % Words].y);
      } else {
        chunk[2 * at] = hwe_term<Exact>(chunk[2 * at], term, weight[at % Words].x);
        chunk[2 * at + 1] = hwe_term<Exact>(chunk[2 * at + 1], term, weight[at % Words].y);
      }
    }
  }
}

template <hw_u32 Vectors>
HW_DEV void hwe_load_terms(const float *vectors, hw_u32 first, float4 (&terms)[Vectors]) {
  HW_UNROLL
  for (hw_u32 vector = 0; vector < Vectors; ++vector) {
    terms[vector] = *(const float4 *)(vectors + vector * HWE_DIMS + first);
  }
}

// `vectors`: the thread's first one, all in a row. `weights`: row k at k * pitch words. A function of
// its own, so that the instructions of a step stay in the cache. A chunk's weights are loaded while the
// one before is worked on.
template <bool Exact, hw_u32 Vectors>
HW_DEV_CALL void hwe_multiply(const float *vectors, const hw_u32 *weights, hw_u32 pitch,
                              hwe_dots<Vectors, 1> *dots) {
  enum : hw_u32 { Count = 2 * Vectors };
  weights += dots->pair(0);
  float sum[4][Count] = {}, chunk[Count] = {};
  hw_u32 words[2][4][1], ahead[2][4][1];
  const auto load = [&](hw_u32 place) {
    HW_UNROLL
    for (hw_u32 k = 0; k < HWE_DOT_CHUNK; ++k) {
      ahead[k / 4][k % 4][0] = weights[(hwe_chunk(place) * HWE_DOT_CHUNK + k) * pitch];
    }
  };
  load(0);
  HW_ONE_BY_ONE
  for (hw_u32 outer = 0; outer < 4; ++outer) {
    HW_UNROLL
    for (hw_u32 inner = 0; inner < 4; ++inner) {
      const hw_u32 place = 4 * outer + inner, first = hwe_chunk(place) * HWE_DOT_CHUNK;
      HW_UNROLL
      for (hw_u32 k = 0; k < HWE_DOT_CHUNK; ++k) {
        words[k / 4][k % 4][0] = ahead[k / 4][k % 4][0];
      }
      load((place + 1u) % HWE_CHUNKS);
      float4 terms[Vectors];
      hwe_load_terms(vectors, first, terms);
      hwe_add_terms<Exact, true>(words[0], terms, chunk);
      hwe_load_terms(vectors, first + 4, terms);
      hwe_add_terms<Exact, false>(words[1], terms, chunk);
      hwe_add_chunk<0>(place, sum, chunk);
    }
  }
  HW_UNROLL
  for (hw_u32 at = 0; at < Count; ++at) {
    dots->of[at] = chunk[at];
  }
}

// Two chunks of a matrix with 128 columns in shared memory, twice: while one part is worked on, the
// next is on its way through registers. Of the global memory a block reads every word once, and none of
// its threads waits for it.
enum : hw_u32 {
  HWE_STAGE_CHUNKS = 2,
  HWE_STAGES = HWE_CHUNKS / HWE_STAGE_CHUNKS,  // of a matrix
  HWE_STAGE_WORDS = HWE_STAGE_CHUNKS * HWE_DOT_CHUNK * HWE_PAIRS
};
template <hw_u32 Group>
struct hwe_stage {
  alignas(16) hw_u32 part[2][Group < 16 ? 4u : HWE_STAGE_WORDS + 0u];
};

struct hwe_stage_load {
  enum : hw_u32 { Count = HWE_STAGE_WORDS / 4 / HWE_THREADS };
  uint4 four[Count];

  HW_METHOD void fetch(const hw_u32 *weights, hw_u32 pitch, hw_u32 stage) {
    HW_UNROLL
    for (hw_u32 at = 0; at < Count; ++at) {
      const hw_u32 number = threadIdx.x + at * HWE_THREADS, row = number / (HWE_PAIRS / 4);
      const hw_u32 place = HWE_STAGE_CHUNKS * stage + row / HWE_DOT_CHUNK;
      const hw_u32 k = hwe_chunk(place) * HWE_DOT_CHUNK + row % HWE_DOT_CHUNK;
      four[at] = *(const uint4 *)(weights + (hw_u64)k * pitch + number % (HWE_PAIRS / 4) * 4);
    }
  }
  HW_METHOD void store(hw_u32 *part) const {
    HW_UNROLL
    for (hw_u32 at = 0; at < Count; ++at) {
      ((uint4 *)part)[threadIdx.x + at * HWE_THREADS] = four[at];
    }
  }
};

HW_DEV void hwe_load_columns(const hw_u32 *part, hw_u32 (&words)[4][2]) {
  HW_UNROLL
  for (hw_u32 k = 0; k < 4; ++k) {
    const uint2 two = *(const uint2 *)(part + k * HWE_PAIRS);
    words[k][0] = two.x;
    words[k][1] = two.y;
  }
}

// The same with four columns a thread, by the whole block. `following`: what is multiplied with next,
// whose first part is loaded behind the last one; `loaded`: whether the call before has done that.
template <bool Exact, hw_u32 Vectors, hw_u32 Group>
HW_DEV_CALL void hwe_multiply_staged(const float *vectors, const hw_u32 *weights, hw_u32 pitch,
                                     const hw_u32 *following, int loaded, hwe_stage<Group> *stage,
                                     hwe_dots<Vectors, 2> *dots) {
  enum : hw_u32 { Count = 4 * Vectors };
  const hw_u32 pair = dots->pair(0);
  float sum[4][Count] = {}, chunk[Count] = {};
  hwe_stage_load next;
  if (!loaded) {
    next.fetch(weights, pitch, 0);
    next.store(stage->part[0]);
  }
  HW_ONE_BY_ONE
  for (hw_u32 outer = 0; outer < HWE_STAGES; outer += HWE_STAGES / 2) {
    HW_UNROLL
    for (hw_u32 inner = 0; inner < HWE_STAGES / 2; ++inner) {
      const hw_u32 number = outer + inner;
      const hw_u32 *from = number + 1 < HWE_STAGES ? weights : following;
      __syncthreads();
      if (from) {
        next.fetch(from, pitch, (number + 1) % HWE_STAGES);
      }
      HW_UNROLL
      for (hw_u32 at = 0; at < HWE_STAGE_CHUNKS; ++at) {
        const hw_u32 place = HWE_STAGE_CHUNKS * number + at;
        const hw_u32 first = hwe_chunk(place) * HWE_DOT_CHUNK;
        const hw_u32 *part = stage->part[inner % 2] + at * HWE_DOT_CHUNK * HWE_PAIRS + pair;
        hw_u32 words[4][2];
        float4 terms[Vectors];
        hwe_load_columns(part, words);
        hwe_load_terms(vectors, first, terms);
        hwe_add_terms<Exact, true>(words, terms, chunk);
        hwe_load_columns(part + 4 * HWE_PAIRS, words);
        hwe_load_terms(vectors, first + 4, terms);
        hwe_add_terms<Exact, false>(words, terms, chunk);
        hwe_add_chunk<0>(place, sum, chunk);
      }
      if (from) {
        next.store(stage->part[(inner + 1) % 2]);
      }
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
                               hw_u32 pitch, hwe_stage<Group> *stage, hwe_group_dots<Group> *dots,
                               const hw_u32 *following = nullptr, int loaded = 0) {
  if constexpr (Group < 16) {
    hwe_multiply<Exact>(vectors[dots->row(0)], weights, pitch, dots);
  } else {
    hwe_multiply_staged<Exact>(vectors[dots->row(0)], weights, pitch, following, loaded, stage,
                               dots);
  }
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
