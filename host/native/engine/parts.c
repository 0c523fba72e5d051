// SPDX-License-Identifier: Apache-2.0
//
// The engine's parts, each by itself.
#include "engine/inside.h"

// Runs of blocks, the last one first; then they join in their order.
static int attend_split(const hwe_kernels_t *kernels, const hwe_cache_t *cache,
                        const hwe_query_t *query, uint32_t split, hwe_tree_t *tree,
                        hwe_tree_t *whole, hwe_partial_t *runs) {
  const uint32_t blocks = hwe_blocks_of(cache->length), size = 1u << split;
  const uint32_t count = (uint32_t)(((uint64_t)blocks + size - 1u) >> split);
  for (uint32_t run = count; run--;) {
    const uint32_t first = run * size, left = blocks - first;
    const int status =
        hwe_reduce(kernels, cache, query, first, left < size ? left : size, tree);
    if (status) {
      return status;
    }
    runs[run] = tree->part[0];
  }
  whole->count = 0;
  whole->top = 0;
  for (uint32_t run = 0; run < count; ++run) {
    whole->part[whole->top] = runs[run];
    hwe_tree_push(kernels, whole);
  }
  hwe_tree_end(kernels, whole);
  return HWE_STATUS_OK;
}

int he_attend(he_engine_t *engine, const void *arena, uint64_t arena_bytes, const uint32_t *map,
              uint32_t tokens, const uint16_t *query, int biased, uint32_t split, float *output) {
  if (tokens == 0 || tokens > HWE_LENGTH_MAX || split > 26u) {
    return HE_RANGE;
  }
  if ((uintptr_t)arena % HWE_RECORD_ALIGNMENT) {
    return HE_MISALIGNED;
  }
  if (hwe_environment()) {
    return HE_ENVIRONMENT;
  }
  const uint32_t count = (hwe_blocks_of(tokens) >> split) + 1u;
  hwe_tree_t *tree = malloc(2 * sizeof *tree);
  hwe_partial_t *runs = malloc(count * sizeof *runs);
  if (!tree || !runs) {
    free(tree);
    free(runs);
    return HE_NO_MEMORY;
  }
  const hwe_cache_t cache = {arena, map, arena_bytes / HWE_BLOCK_BYTES, tokens};
  hwe_query_t wanted;
  hwe_set_query(query, biased ? HWE_SLOT_STEP : 0u, &wanted);
  int status = attend_split(engine->kernels, &cache, &wanted, split, &tree[0], &tree[1], runs);
  if (!status) {
    uint16_t half[HWE_DIMS];
    hwe_output(&tree[1].part[0], output);
    status = engine->kernels->round_half(output, HWE_DIMS, half) ? HWE_STATUS_BAD_OUTPUT
                                                                 : HWE_STATUS_OK;
  }
  free(tree);
  free(runs);
  return status;
}

void he_input(const he_engine_t *engine, uint32_t token, uint32_t position, float *x) {
  engine->kernels->input(token, position, x);
}

int he_next_state(const he_engine_t *engine, const float *state, const float *x, float *next) {
  float projected[HWE_DIMS], residual[HWE_DIMS];
  engine->kernels->product(x, engine->weights.input, HWE_TILES, projected);
  engine->kernels->product(state, engine->weights.state, HWE_TILES, residual);
  return engine->kernels->next_state(engine->weights.bias, state, x, projected, residual, next);
}

void he_query(const he_engine_t *engine, const float *state, float *query) {
  engine->kernels->product(state, engine->weights.state + HWE_TILES * HWE_TILE_ELEMENTS, HWE_TILES,
                           query);
}

void he_key_value(const he_engine_t *engine, const float *x, uint16_t *key, uint16_t *value) {
  float both[2 * HWE_DIMS];
  engine->kernels->product(x, engine->weights.input + HWE_TILES * HWE_TILE_ELEMENTS, 2 * HWE_TILES,
                           both);
  engine->kernels->round_half(both, HWE_DIMS, key);
  engine->kernels->round_half(both + HWE_DIMS, HWE_DIMS, value);
}

// A tile more than there are tokens does not fit in the caller's array.
void he_logits(const he_engine_t *engine, const uint16_t *output, float *logits) {
  const uint32_t vocabulary = engine->weights.vocabulary, whole = vocabulary / HWE_TILE;
  float vector[HWE_DIMS], rest[HWE_TILE];
  he_from_half(output, HWE_DIMS, vector);
  engine->kernels->product_half(vector, engine->weights.unembedding, whole, logits);
  if (vocabulary % HWE_TILE) {
    engine->kernels->product_half(
        vector, engine->weights.unembedding + (size_t)whole * HWE_TILE_ELEMENTS, 1, rest);
    memcpy(logits + whole * HWE_TILE, rest, vocabulary % HWE_TILE * sizeof *rest);
  }
}

void he_masses(const he_engine_t *engine, const float *logits, float temperature,
               uint64_t *masses) {
  const uint32_t vocabulary = engine->weights.vocabulary;
  engine->kernels->masses(logits, vocabulary, logits[hwe_greatest(logits, vocabulary)],
                          temperature, masses);
}

int he_sample(he_engine_t *engine, const float *logits, float temperature, uint32_t top_k,
              float top_p, uint64_t random, uint32_t *token) {
  he_worker_t *worker = he_take_worker(engine);
  if (!worker) {
    return HE_NO_MEMORY;
  }
  *token = hwe_sample(engine->kernels, logits, engine->weights.vocabulary, temperature, top_k,
                      top_p, random, worker->worker.table);
  he_give_worker(engine, worker);
  return 0;
}

int he_to_half(const he_engine_t *engine, const float *in, uint32_t count, uint16_t *out) {
  return engine ? engine->kernels->round_half(in, (int)count, out)
                : hwe_round_half(in, (int)count, out);
}

void he_from_half(const uint16_t *in, uint32_t count, float *out) {
  for (uint32_t at = 0; at < count; ++at) {
    out[at] = hwe_from_half(in[at]);
  }
}

void he_exp2(const float *in, uint32_t count, float *out) {
  for (uint32_t at = 0; at < count; ++at) {
    out[at] = hwe_exp2(in[at]);
  }
}

void he_silu(const float *in, uint32_t count, float *out) {
  for (uint32_t at = 0; at < count; ++at) {
    out[at] = hwe_silu(in[at]);
  }
}

#define ROW(name)                                     \
  case HWE_##name##_PLANE: {                          \
    const hw_u32 hash = HWE_PLANE_ROW(name, row);     \
    for (hw_u32 d = 0; d < HWE_DIMS; ++d) {           \
      out[d] = HWE_PLANE(name, hash, d);              \
    }                                                 \
    return 0;                                         \
  }

int he_plane(uint32_t plane, uint32_t row, float *out) {
  switch (plane) {
    ROW(EMBEDDING)
    ROW(POSITION)
    ROW(W_K)
    ROW(W_V)
    ROW(UNEMBEDDING)
    default: return HE_RANGE;
  }
}

int he_ramp(uint32_t ramp, uint16_t *out) {
  if (ramp > 2u) {
    return HE_RANGE;
  }
  for (hw_u32 r = 0; r < HWE_DIMS; ++r) {
    for (hw_u32 c = 0; c < HWE_DIMS; ++c) {
      out[r * HWE_DIMS + c] = hwe_to_half(ramp == 0u   ? HWE_RAMP(W_IN, r, c)
                                          : ramp == 1u ? HWE_RAMP(W_RES, r, c)
                                                       : HWE_RAMP(W_Q, r, c));
    }
  }
  return 0;
}

uint64_t he_philox(uint64_t seed, const uint32_t *counter) { return hwe_philox(seed, counter); }

void he_xoshiro(uint64_t seed, uint32_t count, uint64_t *out) {
  hwe_xoshiro_t stream;
  hwe_xoshiro_seed(&stream, seed);
  for (uint32_t at = 0; at < count; ++at) {
    out[at] = hwe_xoshiro_next(&stream);
  }
}
