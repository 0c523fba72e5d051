// SPDX-License-Identifier: Apache-2.0
//
// Attention of one query over keys and values in KV blocks (docs/engine-contract.md, section 3), for
// C11. A block is reduced on its own, and partial results join in one fixed tree over positions.
#ifndef HW_ENGINE_ATTENTION_H
#define HW_ENGINE_ATTENTION_H

#include "hw_engine_model.h"

enum { HWE_LEVELS = 28 };  // partial results on the way, at most: one a bit of a block's index, and one

// A query, and the same in the order in which a kernel wants it.
typedef struct hwe_query {
  float plain[HWE_DIMS];   // exact in fp16
  float turned[HWE_DIMS];  // term j of chunk c at 16 j + c
  hw_u32 slot_step;        // HWE_SLOT_STEP, or 0 for attention without the slot bias [ATT-001]
} hwe_query_t;

// What a run of blocks has come to [ATT-002 to ATT-006].
typedef struct hwe_partial {
  float value[HWE_DIMS];
  float sum;
  int reference;
} hwe_partial_t;

// What a processor may do in its own way, each with the bits of the functions of these headers.
typedef struct hwe_kernels {
  const char *name;
  // The first `tokens` of a block, of which the first is at `position`: 0, or 1 where a score is
  // refused. What is behind them counts for nothing. `next` is the block that follows, to fetch.
  int (*block)(const hwe_query_t *query, const hw_u16 *block, const hw_u16 *next, hw_u32 position,
               hw_u32 tokens, hwe_partial_t *result);
  void (*join)(hwe_partial_t *into, const hwe_partial_t *later);
  void (*product)(const float *vector, const float *matrix, hw_u32 tiles, float *out);
  void (*product_half)(const float *vector, const hw_u16 *matrix, hw_u32 tiles, float *out);
  int (*round_half)(const float *in, int count, hw_u16 *out);
  int (*next_state)(const float *bias, const float *state, const float *x, const float *projected,
                    const float *residual, float *next);
  void (*input)(hw_u32 token, hw_u32 position, float *x);
  void (*masses)(const float *logits, hw_u32 count, float greatest, float temperature,
                 hw_u64 *masses);
} hwe_kernels_t;

HWE_FN void hwe_set_query(const hw_u16 *half, hw_u32 slot_step, hwe_query_t *query) {
  query->slot_step = slot_step;
  for (int d = 0; d < (int)HWE_DIMS; ++d) {
    query->plain[d] = hwe_from_half(half[d]);
    query->turned[d % (int)HWE_DOT_CHUNK * 16 + d / (int)HWE_DOT_CHUNK] = query->plain[d];
  }
}

// The slot bias of a position [ATT-001].
HWE_FN float hwe_slot_bias(hw_u32 position, hw_u32 slot_step) {
  return (float)(position * slot_step >> 24) * 0x1p-7f;
}

HWE_FN float hwe_score(const hwe_query_t *query, const hw_u16 *key, hw_u32 position) {
  float sum[HWE_DIMS / HWE_DOT_CHUNK];
  for (int d = 0; d < (int)HWE_DIMS; ++d) {
    const float term = query->plain[d] * hwe_from_half(key[d]);
    float *into = &sum[d / (int)HWE_DOT_CHUNK];
    *into = d % (int)HWE_DOT_CHUNK ? *into + term : term;
  }
  for (int half = HWE_DIMS / HWE_DOT_CHUNK / 2; half; half /= 2) {
    for (int chunk = 0; chunk < half; ++chunk) {
      sum[chunk] = sum[chunk] + sum[chunk + half];
    }
  }
  return sum[0] * hwe_float(HWE_SCORE_SCALE_BITS) +
         hwe_slot_bias(position, query->slot_step);
}

// The tree over the bits of `step`, 2 `step` and so on of a token's number, from `first` [NUM-003].
HWE_FN float hwe_token_tree(float *term, hw_u32 first, hw_u32 step, hw_u32 tokens) {
  for (; step < HWE_BLOCK_TOKENS; step *= 2u) {
    for (hw_u32 token = first; token + step < tokens; token += 2u * step) {
      term[token] = term[token] + term[token + step];
    }
  }
  return term[first];
}

// The scalar hwe_kernels_t.block.
HWE_FN int hwe_block(const hwe_query_t *query, const hw_u16 *block, const hw_u16 *next,
                     hw_u32 position, hw_u32 tokens, hwe_partial_t *result) {
  (void)next;
  float score[HWE_BLOCK_TOKENS], weight[HWE_BLOCK_TOKENS];
  int reference = -(1 << 30);
  for (hw_u32 token = 0; token < tokens; ++token) {
    score[token] = hwe_score(query, block + token * HWE_DIMS, position + token);
    if (hwe_is_refused(score[token])) {
      return 1;
    }
    const int below = (int)score[token];  // towards 0
    const int ceiling = below + ((float)below < score[token]);
    reference = ceiling > reference ? ceiling : reference;
  }
  for (hw_u32 token = 0; token < tokens; ++token) {
    weight[token] = hwe_exp2(score[token] - (float)reference);
  }
  const hw_u16 *values = block + HWE_BLOCK_TOKENS * HWE_DIMS;
  for (int d = 0; d < (int)HWE_DIMS; ++d) {
    float term[HWE_BLOCK_TOKENS];
    for (hw_u32 token = 0; token < tokens; ++token) {
      term[token] = weight[token] * hwe_from_half(values[token * HWE_DIMS + (hw_u32)d]);
    }
    result->value[d] = hwe_token_tree(term, 0, 2, tokens);  // [ATT-004]
    if (tokens > 1u) {
      result->value[d] = result->value[d] + hwe_token_tree(term, 1, 2, tokens);
    }
  }
  result->sum = hwe_token_tree(weight, 0, 1, tokens);  // [ATT-003]
  result->reference = reference;
  return 0;
}

// `into` has the lower positions [ATT-005].
HWE_FN void hwe_join(hwe_partial_t *into, const hwe_partial_t *later) {
  const int reference =
      into->reference > later->reference ? into->reference : later->reference;
  const float f = hwe_pow2(into->reference - reference);
  const float g = hwe_pow2(later->reference - reference);
  into->reference = reference;
  into->sum = into->sum * f + later->sum * g;
  for (int d = 0; d < (int)HWE_DIMS; ++d) {
    into->value[d] = into->value[d] * f + later->value[d] * g;
  }
}

// Partial results of consecutive runs of blocks of one size, a power of two, that join as the bits of
// their number carry [ATT-006].
typedef struct hwe_tree {
  hwe_partial_t part[HWE_LEVELS];
  hw_u32 count;  // runs so far
  int top;       // of part
} hwe_tree_t;

HWE_FN void hwe_tree_join(const hwe_kernels_t *kernels, hwe_tree_t *tree) {
  hwe_partial_t *later = &tree->part[--tree->top];
  kernels->join(later - 1, later);
}

// Behind the next run, which was put at part[top].
HWE_FN void hwe_tree_push(const hwe_kernels_t *kernels, hwe_tree_t *tree) {
  ++tree->top;
  for (int bit = 0; tree->count >> bit & 1u; ++bit) {
    hwe_tree_join(kernels, tree);
  }
  ++tree->count;
}

// Join what is left: part[0] is the result.
HWE_FN void hwe_tree_end(const hwe_kernels_t *kernels, hwe_tree_t *tree) {
  while (tree->top > 1) {
    hwe_tree_join(kernels, tree);
  }
}

// The keys and values of a rollout: block j of its map is at blocks[j], if that is below `limit`.
typedef struct hwe_cache {
  const unsigned char *arena;
  const hw_u32 *map;
  hw_u64 limit;   // blocks in the arena
  hw_u32 length;  // tokens
} hwe_cache_t;

HWE_FN const hw_u16 *hwe_cache_block(const hwe_cache_t *cache, hw_u32 block) {
  return (const hw_u16 *)(const void *)(cache->arena + (hw_u64)block * HWE_BLOCK_BYTES);
}

// Reduce the blocks first .. first + count - 1 of the map, first a multiple of a power of two that
// is count or more: HWE_STATUS_OK with tree->part[0], BAD_BLOCK or BAD_SCORE.
HWE_FN int hwe_reduce(const hwe_kernels_t *kernels, const hwe_cache_t *cache,
                      const hwe_query_t *query, hw_u32 first, hw_u32 count, hwe_tree_t *tree) {
  tree->count = 0;
  tree->top = 0;
  for (hw_u32 number = first; number < first + count; ++number) {
    const hw_u32 position = number * HWE_BLOCK_TOKENS, left = cache->length - position;
    const hw_u32 block = cache->map[number];
    const hw_u32 next = number + 1u < first + count ? cache->map[number + 1u] : block;
    if (block >= cache->limit) {
      return HWE_STATUS_BAD_BLOCK;
    }
    if (kernels->block(query, hwe_cache_block(cache, block),
                       hwe_cache_block(cache, next < cache->limit ? next : block), position,
                       left < HWE_BLOCK_TOKENS ? left : HWE_BLOCK_TOKENS,
                       &tree->part[tree->top])) {
      return HWE_STATUS_BAD_SCORE;
    }
    hwe_tree_push(kernels, tree);
  }
  hwe_tree_end(kernels, tree);
  return HWE_STATUS_OK;
}

// The output of a whole reduction [ATT-007].
HWE_FN void hwe_output(const hwe_partial_t *whole, float *output) {
  for (int d = 0; d < (int)HWE_DIMS; ++d) {
    output[d] = (whole->value[d] + 0.0f) / whole->sum;
  }
}

HWE_FN hw_u32 hwe_blocks_of(hw_u32 tokens) {
  return tokens / HWE_BLOCK_TOKENS + (tokens % HWE_BLOCK_TOKENS != 0u);
}

#endif  // HW_ENGINE_ATTENTION_H
