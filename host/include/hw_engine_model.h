// SPDX-License-Identifier: Apache-2.0
//
// Numbers, weights and state of the engine (docs/engine-contract.md, sections 1 and 2), for C11.
// Written from the rules; it shares nothing with the golden model or the kernels of a GPU.
#ifndef HW_ENGINE_MODEL_H
#define HW_ENGINE_MODEL_H

#include "hw_engine_data.h"
#include "hw_engine_half.h"

// A matrix is kept in tiles of 16 columns, each `[128][16]`, so that a product reads memory in order.
enum {
  HWE_TILE = 16,
  HWE_TILE_ELEMENTS = HWE_DIMS * HWE_TILE,
  HWE_TILES = HWE_DIMS / HWE_TILE  // of one matrix of 128 columns
};

// Exact in fp32, so each is stored as such but the unembedding, of which there may be 131072 rows.
typedef struct hwe_weights {
  float input[3 * HWE_TILES * HWE_TILE_ELEMENTS];  // W_in, W_K, W_V, which an input is multiplied by
  float state[2 * HWE_TILES * HWE_TILE_ELEMENTS];  // W_res, W_q, which a state is
  float bias[HWE_DIMS];
  hw_u32 vocabulary;
  hw_u16 *unembedding;  // fp16; column t is token t, those of the last tile without a token are 0
} hwe_weights_t;

HWE_FN hw_u32 hwe_tiles_of(hw_u32 vocabulary) { return (vocabulary + HWE_TILE - 1u) / HWE_TILE; }

// `2^e` for -126 <= e <= 0, +0 below [NUM-004].
HWE_FN float hwe_pow2(int exponent) {
  return exponent < -126 ? 0.0f : hwe_float((hw_u32)(exponent + 127) << 23);
}

// For x <= 0 [NUM-005].
HWE_FN float hwe_exp2(float x) {
  const float c[7] = {hwe_float(HWE_EXP2_C6_BITS), hwe_float(HWE_EXP2_C5_BITS),
                      hwe_float(HWE_EXP2_C4_BITS), hwe_float(HWE_EXP2_C3_BITS),
                      hwe_float(HWE_EXP2_C2_BITS), hwe_float(HWE_EXP2_C1_BITS),
                      hwe_float(HWE_EXP2_C0_BITS)};
  if (x < hwe_float(HWE_EXP2_LOW_BITS)) {
    return 0.0f;
  }
  const float shifter = 0x1.8p23f;  // its unit is 1: the sum is rounded to an integer
  const float whole = (x + shifter) - shifter, f = x - whole;
  float p = c[0];
  for (int at = 1; at < 7; ++at) {
    p = p * f + c[at];
  }
  return p * hwe_pow2((int)whole);
}

HWE_FN float hwe_silu(float a) {  // [NUM-006]
  const float size = a < 0.0f ? -a : a;
  const float t = hwe_exp2(-size * hwe_float(HWE_LOG2_E_BITS));
  return a >= 0.0f ? a / (1.0f + t) : (a * t) / (1.0f + t);
}

// Refused: NaN, infinite, or too great [NUM-007].
HWE_FN int hwe_is_refused(float value) {
  return (hwe_bits(value) & 0x7FFFFFFFu) >= (127u + HWE_VALUE_LIMIT_LOG2) << 23;
}

// The same, and what fp16 rounds to infinity.
HWE_FN int hwe_is_refused_half(float value) { return !hwe_half_is_finite(hwe_to_half(value)); }

HWE_FN hw_u32 hwe_mix(hw_u32 hash) {  // [STATE-001]
  hash = (hash ^ hash >> 16) * HWE_HASH_M1;
  hash = (hash ^ hash >> 15) * HWE_HASH_M2;
  return hash ^ hash >> 16;
}

HWE_FN float hwe_plane_value(hw_u32 row_hash, hw_u32 column, hw_u32 bits, hw_u32 scale) {
  const hw_u32 hash = hwe_mix(row_hash + column * HWE_GOLDEN_32) >> (32u - bits);
  return (float)((int)(2u * hash + 1u) - (1 << bits)) * hwe_pow2(-(int)scale);
}

HWE_FN hw_u32 hwe_plane_row(hw_u32 row, hw_u32 plane) {
  return hwe_mix(row + plane * HWE_GOLDEN_32);
}

#define HWE_PLANE_ROW(name, row) hwe_plane_row(row, HWE_##name##_PLANE)
#define HWE_PLANE(name, row_hash, column) \
  hwe_plane_value(row_hash, column, HWE_##name##_BITS, HWE_##name##_SCALE)

// Element [r][c] of a weight by remainder [STATE-003].
#define HWE_RAMP(name, r, c)                                                              \
  hwe_from_half(hwe_to_half(                                                              \
      (float)((int)((HWE_##name##_ROW + (r)) * (HWE_##name##_COLUMN + (c)) %              \
                    HWE_##name##_MODULUS) -                                               \
              (int)HWE_##name##_MIDDLE) /                                                 \
      (float)HWE_##name##_DIVISOR))

// Where element [row][column] of a matrix in tiles is.
HWE_FN size_t hwe_tiled(hw_u32 row, hw_u32 column) {
  return (size_t)(column / HWE_TILE) * HWE_TILE_ELEMENTS + row * HWE_TILE + column % HWE_TILE;
}

// `unembedding` has hwe_tiles_of(vocabulary) tiles and outlives the weights; 1 to 131072 tokens.
HWE_FN void hwe_fill_weights(hwe_weights_t *weights, hw_u32 vocabulary, hw_u16 *unembedding) {
  for (hw_u32 r = 0; r < HWE_DIMS; ++r) {
    const hw_u32 key = HWE_PLANE_ROW(W_K, r), value = HWE_PLANE_ROW(W_V, r);
    for (hw_u32 c = 0; c < HWE_DIMS; ++c) {
      weights->input[hwe_tiled(r, c)] = HWE_RAMP(W_IN, r, c);
      weights->input[hwe_tiled(r, HWE_DIMS + c)] = HWE_PLANE(W_K, key, c);
      weights->input[hwe_tiled(r, 2u * HWE_DIMS + c)] = HWE_PLANE(W_V, value, c);
      weights->state[hwe_tiled(r, c)] = HWE_RAMP(W_RES, r, c);
      weights->state[hwe_tiled(r, HWE_DIMS + c)] = HWE_RAMP(W_Q, r, c);
    }
    weights->bias[r] = (float)((int)((r + HWE_BIAS_OFFSET) * HWE_BIAS_FACTOR % HWE_BIAS_MODULUS) -
                               (int)HWE_BIAS_MIDDLE) /
                       (float)HWE_BIAS_DIVISOR;
  }
  for (hw_u32 token = 0; token < hwe_tiles_of(vocabulary) * HWE_TILE; ++token) {
    const hw_u32 row = HWE_PLANE_ROW(UNEMBEDDING, token);
    for (hw_u32 d = 0; d < HWE_DIMS; ++d) {
      unembedding[hwe_tiled(d, token)] =
          token < vocabulary ? hwe_to_half(HWE_PLANE(UNEMBEDDING, row, d)) : 0u;
    }
  }
  weights->vocabulary = vocabulary;
  weights->unembedding = unembedding;
}

// The input of a token at a position [STATE-002].
HWE_FN void hwe_input(hw_u32 token, hw_u32 position, float *x) {
  const hw_u32 embedding = HWE_PLANE_ROW(EMBEDDING, token);
  const hw_u32 place = HWE_PLANE_ROW(POSITION, position);
  for (hw_u32 d = 0; d < HWE_DIMS; ++d) {
    x[d] = HWE_PLANE(EMBEDDING, embedding, d) + HWE_PLANE(POSITION, place, d);
  }
}

// Sums of 16 chunks of 16 columns each, joined [NUM-002].
HWE_FN void hwe_join_chunks(float sum[][HWE_TILE], float *out) {
  for (int half = HWE_DIMS / HWE_DOT_CHUNK / 2; half; half /= 2) {
    for (int chunk = 0; chunk < half; ++chunk) {
      for (int column = 0; column < HWE_TILE; ++column) {
        sum[chunk][column] = sum[chunk][column] + sum[chunk + half][column];
      }
    }
  }
  memcpy(out, sum[0], sizeof sum[0]);
}

// `tiles` times 16 columns of vector times matrix, each a dot of NUM-002.
HWE_FN void hwe_product(const float *vector, const float *matrix, hw_u32 tiles, float *out) {
  for (; tiles; --tiles, matrix += HWE_TILE_ELEMENTS, out += HWE_TILE) {
    float sum[HWE_DIMS / HWE_DOT_CHUNK][HWE_TILE];
    for (int k = 0; k < (int)HWE_DIMS; ++k) {
      float *into = sum[k / (int)HWE_DOT_CHUNK];
      for (int column = 0; column < HWE_TILE; ++column) {
        const float term = vector[k] * matrix[k * HWE_TILE + column];
        into[column] = k % (int)HWE_DOT_CHUNK ? into[column] + term : term;
      }
    }
    hwe_join_chunks(sum, out);
  }
}

// The same with a matrix in fp16.
HWE_FN void hwe_product_half(const float *vector, const hw_u16 *matrix, hw_u32 tiles, float *out) {
  for (; tiles; --tiles, matrix += HWE_TILE_ELEMENTS, out += HWE_TILE) {
    float tile[HWE_TILE_ELEMENTS];
    for (int at = 0; at < HWE_TILE_ELEMENTS; ++at) {
      tile[at] = hwe_from_half(matrix[at]);
    }
    hwe_product(vector, tile, 1, out);
  }
}

// `out[i] := fp16(in[i])`; how many became NaN or infinite [NUM-007].
HWE_FN int hwe_round_half(const float *in, int count, hw_u16 *out) {
  int refused = 0;
  for (int at = 0; at < count; ++at) {
    out[at] = hwe_to_half(in[at]);
    refused += !hwe_half_is_finite(out[at]);
  }
  return refused;
}

// The state behind a token [STATE-004]: `projected` is x W_in, `residual` is h W_res; how many
// elements are refused. `next` may be `state`.
HWE_FN int hwe_next_state(const float *bias, const float *state, const float *x,
                          const float *projected, const float *residual, float *next) {
  int refused = 0;
  for (int d = 0; d < (int)HWE_DIMS; ++d) {
    const float a = bias[d] + projected[d];
    next[d] = ((0.5f * state[d] + 0.125f * residual[d]) + 0.25f * x[d]) + 0.125f * hwe_silu(a);
    refused += hwe_is_refused(next[d]);
  }
  return refused;
}

#endif  // HW_ENGINE_MODEL_H
