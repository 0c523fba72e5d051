// SPDX-License-Identifier: Apache-2.0
//
// The engine for C11: advance a rollout by its record in an arena, token by token, with the bits of
// docs/engine-contract.md on any target. Build it with -ffp-contract=off and without -ffast-math;
// hwe_environment() tells whether the calling thread's arithmetic will do.
//
//   hwe_weights_t *weights = malloc(sizeof *weights);
//   hwe_fill_weights(weights, 1024, malloc(hwe_unembedding_bytes(1024)));
//   hwe_worker_t *worker = malloc(hwe_worker_bytes(1024));   // one a thread
//   int status = hwe_advance(&hwe_scalar, weights, worker, arena, arena_bytes, record, end);
//
// Another hwe_kernels_t gives the same bits in another time; host/native/engine has one for AVX2.
#ifndef HW_ENGINE_H
#define HW_ENGINE_H

#include "hw_engine_attention.h"
#include "hw_engine_sampler.h"

// An output that fp16 holds gives no logit of 2^24 or more, so none is looked at [NUM-007].
HW_STATIC_ASSERT(65504u / 64u * 127u * HWE_DIMS < 1u << HWE_VALUE_LIMIT_LOG2, "no BAD_LOGIT");

// What one thread computes in; of the vocabulary's size, behind it: places, masses, logits.
typedef struct hwe_worker {
  hwe_tree_t tree;
  hwe_query_t query;
  float state[HWE_DIMS];
  float x[HWE_DIMS];
  float from_input[3 * HWE_DIMS];  // x W_in, x W_K, x W_V
  float from_state[2 * HWE_DIMS];  // h W_res, h W_q
  float output[HWE_DIMS];
  float rounded[HWE_DIMS];  // the output in fp16
  hw_u16 half[HWE_DIMS];
  hw_u64 table[];
} hwe_worker_t;

HWE_FN size_t hwe_padded(hw_u32 vocabulary) { return (size_t)hwe_tiles_of(vocabulary) * HWE_TILE; }

HWE_FN size_t hwe_unembedding_bytes(hw_u32 vocabulary) {
  return hwe_padded(vocabulary) * HWE_DIMS * sizeof(hw_u16);
}

HWE_FN size_t hwe_worker_bytes(hw_u32 vocabulary) {
  return sizeof(hwe_worker_t) + hwe_padded(vocabulary) * (2 * sizeof(hw_u64) + sizeof(float));
}

static const hwe_kernels_t hwe_scalar = {"scalar",         hwe_block,      hwe_join,
                                         hwe_product,      hwe_product_half, hwe_round_half,
                                         hwe_next_state,   hwe_input,      hwe_masses};

// A rollout in its arena, as hwe_check found it.
typedef struct hwe_place {
  hwe_rollout_t record;
  hwe_cache_t cache;
  unsigned char *arena;
  hw_u32 *tokens;
  float *state;
  hwe_rollout_t *stored;
} hwe_place_t;

HWE_FN int hwe_is_within(hw_u64 offset, hw_u64 bytes, hw_u64 arena_bytes) {
  return offset % HWE_RECORD_ALIGNMENT == 0 && offset <= arena_bytes &&
         bytes <= arena_bytes - offset;
}

// Temperature or top_p: 0 where that is allowed, else from..to; never NaN [SAMP-001].
HWE_FN int hwe_is_in_range(float value, hw_u32 from_bits, float to) {
  return value >= hwe_float(from_bits) && value <= to;
}

// The checks of REC-004, in their order.
HWE_FN int hwe_check(unsigned char *arena, hw_u64 arena_bytes, hw_u64 offset, hw_u32 end,
                     hw_u32 vocabulary, hwe_place_t *place) {
  if (!hwe_is_within(offset, HWE_RECORD_BYTES, arena_bytes)) {
    return HWE_STATUS_BAD_RECORD;
  }
  hwe_rollout_t *record = &place->record;
  memcpy(record, arena + offset, sizeof *record);
  const hw_u32 blocks = hwe_blocks_of(end);
  if (end <= record->length) {
    return HWE_STATUS_OK;
  }
  if (end > HWE_LENGTH_MAX || record->prompt_tokens == 0 ||
      !(record->temperature == 0.0f ||
        hwe_is_in_range(record->temperature, HWE_TEMPERATURE_MIN_BITS,
                        hwe_float(HWE_TEMPERATURE_MAX_BITS))) ||
      !hwe_is_in_range(record->top_p, HWE_TOP_P_MIN_BITS, 1.0f) ||
      !hwe_is_within(record->tokens, (hw_u64)end * sizeof(hw_u32), arena_bytes) ||
      !hwe_is_within(record->blocks, (hw_u64)blocks * sizeof(hw_u32), arena_bytes) ||
      !hwe_is_within(record->state, HWE_STATE_BYTES, arena_bytes)) {
    return HWE_STATUS_BAD_RECORD;
  }
  place->arena = arena;
  place->tokens = (hw_u32 *)(void *)(arena + record->tokens);
  place->state = (float *)(void *)(arena + record->state);
  place->stored = (hwe_rollout_t *)(void *)(arena + offset);
  place->cache = (hwe_cache_t){arena, (const hw_u32 *)(const void *)(arena + record->blocks),
                               arena_bytes / HWE_BLOCK_BYTES, 0};
  for (hw_u32 number = 0; number < blocks; ++number) {
    if (place->cache.map[number] >= place->cache.limit) {
      return HWE_STATUS_BAD_BLOCK;
    }
  }
  const hw_u32 given = end < record->prompt_tokens ? end : record->prompt_tokens;
  for (hw_u32 position = record->length; position < given; ++position) {
    if (place->tokens[position] >= vocabulary) {
      return HWE_STATUS_BAD_TOKEN;
    }
  }
  return HWE_STATUS_OK;
}

HWE_FN float *hwe_worker_logits(hwe_worker_t *worker, hw_u32 vocabulary) {
  return (float *)(void *)(worker->table + 2 * hwe_padded(vocabulary));
}

HWE_FN int hwe_attend(const hwe_kernels_t *kernels, const hwe_cache_t *cache,
                      hwe_worker_t *worker) {
  const int status = hwe_reduce(kernels, cache, &worker->query, 0, hwe_blocks_of(cache->length),
                                &worker->tree);
  if (status == HWE_STATUS_OK) {
    hwe_output(&worker->tree.part[0], worker->output);
  }
  return status;
}

// The token of `logits` with the random number of its position [SAMP-001 to SAMP-005]; `table` has
// room for two words a token.
HWE_FN hw_u32 hwe_sample(const hwe_kernels_t *kernels, const float *logits, hw_u32 vocabulary,
                         float temperature, hw_u32 top_k, float top_p, hw_u64 random,
                         hw_u64 *table) {
  const hw_u32 greatest = hwe_greatest(logits, vocabulary);
  if (temperature == 0.0f) {
    return greatest;
  }
  hw_u64 *masses = table + hwe_padded(vocabulary);
  kernels->masses(logits, vocabulary, logits[greatest], temperature, masses);
  return hwe_draw(masses, hwe_keep(logits, vocabulary, top_k, top_p, masses, table), random);
}

// Token `position` from the state behind those before it.
HWE_FN int hwe_make(const hwe_kernels_t *kernels, const hwe_weights_t *weights,
                    hwe_worker_t *worker, const hwe_place_t *place, hw_u32 position,
                    hw_u32 *token) {
  const hwe_rollout_t *record = &place->record;
  if (kernels->round_half(worker->from_state + HWE_DIMS, HWE_DIMS, worker->half)) {
    return HWE_STATUS_BAD_QUERY;
  }
  hwe_set_query(worker->half, HWE_SLOT_STEP, &worker->query);
  hwe_cache_t cache = place->cache;
  cache.length = position;
  const int status = hwe_attend(kernels, &cache, worker);
  if (status) {
    return status;
  }
  if (kernels->round_half(worker->output, HWE_DIMS, worker->half)) {
    return HWE_STATUS_BAD_OUTPUT;
  }
  for (int d = 0; d < (int)HWE_DIMS; ++d) {
    worker->rounded[d] = hwe_from_half(worker->half[d]);
  }
  float *logits = hwe_worker_logits(worker, weights->vocabulary);
  kernels->product_half(worker->rounded, weights->unembedding, hwe_tiles_of(weights->vocabulary),
                        logits);
  *token = hwe_sample(kernels, logits, weights->vocabulary, record->temperature, record->top_k,
                      record->top_p, hwe_token_random(record, position), worker->table);
  return HWE_STATUS_OK;
}

// The token at `position`, given or made, and everything that follows from it [STATE-008].
HWE_FN int hwe_step(const hwe_kernels_t *kernels, const hwe_weights_t *weights,
                    hwe_worker_t *worker, const hwe_place_t *place, hw_u32 position) {
  const hwe_rollout_t *record = &place->record;
  const hw_u32 last = position ? place->tokens[position - 1u] : HWE_NONE;
  const int given = position < record->prompt_tokens;
  const int ended = position > record->prompt_tokens && last == record->eos;  // [SAMP-007]
  const int made = !given && !ended;
  hw_u32 token = given ? place->tokens[position] : record->eos;
  kernels->product(worker->state, weights->state, (made ? 2u : 1u) * HWE_TILES,
                   worker->from_state);
  if (made) {
    const int status = hwe_make(kernels, weights, worker, place, position, &token);
    if (status) {
      return status;
    }
  }
  kernels->input(token, position, worker->x);
  kernels->product(worker->x, weights->input, 3 * HWE_TILES, worker->from_input);
  if (kernels->next_state(weights->bias, worker->state, worker->x, worker->from_input,
                          worker->from_state, worker->state)) {
    return HWE_STATUS_BAD_STATE;
  }
  const hw_u64 block = place->cache.map[position / HWE_BLOCK_TOKENS];
  if (block >= place->cache.limit) {
    return HWE_STATUS_BAD_BLOCK;
  }
  hw_u16 *key = (hw_u16 *)(void *)(place->arena + block * HWE_BLOCK_BYTES) +
                position % HWE_BLOCK_TOKENS * HWE_DIMS;
  kernels->round_half(worker->from_input + HWE_DIMS, HWE_DIMS, key);
  kernels->round_half(worker->from_input + 2 * HWE_DIMS, HWE_DIMS,
                      key + HWE_BLOCK_TOKENS * HWE_DIMS);
  memcpy(place->state, worker->state, sizeof worker->state);
  if (!given) {
    place->tokens[position] = token;
  }
  place->stored->length = position + 1u;
  return HWE_STATUS_OK;
}

// Ingest or make the tokens up to `end` of the rollout whose record is at `offset` of an arena that
// is aligned to 64 bytes [REC-003]: a HWE_STATUS_*.
HWE_FN int hwe_advance(const hwe_kernels_t *kernels, const hwe_weights_t *weights,
                       hwe_worker_t *worker, unsigned char *arena, hw_u64 arena_bytes,
                       hw_u64 offset, hw_u32 end) {
  hwe_place_t place;
  int status = hwe_check(arena, arena_bytes, offset, end, weights->vocabulary, &place);
  if (status || end <= place.record.length) {
    return status;
  }
  memcpy(worker->state, place.state, sizeof worker->state);
  for (hw_u32 position = place.record.length; !status && position < end; ++position) {
    status = hwe_step(kernels, weights, worker, &place, position);
  }
  return status;
}

#endif  // HW_ENGINE_H
