// SPDX-License-Identifier: Apache-2.0
#include "rollouts/slab.h"

#include <stdlib.h>

// All that other threads can see goes through these; check/explore.c has its own, which make every
// interleaving of them.
#ifndef HR_SLAB_ACCESS
static inline uint64_t load(_Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_acquire);
}

// *expected becomes what was found where the swap fails.
static inline int swap(_Atomic uint64_t *word, uint64_t *expected, uint64_t wanted) {
  return atomic_compare_exchange_strong_explicit(word, expected, wanted, memory_order_acq_rel,
                                                 memory_order_acquire);
}

static inline uint32_t load_link(_Atomic uint32_t *link) {
  return atomic_load_explicit(link, memory_order_relaxed);
}

static inline void store_link(_Atomic uint32_t *link, uint32_t slot) {
  atomic_store_explicit(link, slot, memory_order_relaxed);
}
#endif

static uint64_t head_of(uint64_t before, uint32_t slot) {
  return ((before >> 32) + 1u) << 32 | slot;
}

// Take up to `wanted` slots off the stack, the top first.
static uint32_t pop(hr_slab_t *slab, uint32_t *slot, uint32_t wanted) {
  uint64_t head = load(&slab->head);
  for (;;) {
    uint32_t count = 0, at = (uint32_t)head;
    while (count < wanted && at != HWR_NONE) {
      slot[count++] = at;
      // If another caller takes that slot meanwhile this is some other slot, and the swap fails.
      at = load_link(&slab->next[at]);
    }
    if (count == 0 || swap(&slab->head, &head, head_of(head, at))) {
      return count;
    }
  }
}

// Put slots onto the stack, the first of them on top.
static void push(hr_slab_t *slab, const uint32_t *slot, uint32_t count) {
  for (uint32_t at = 0; at + 1u < count; ++at) {
    store_link(&slab->next[slot[at]], slot[at + 1u]);
  }
  uint64_t head = load(&slab->head);
  do {
    store_link(&slab->next[slot[count - 1u]], (uint32_t)head);
  } while (!swap(&slab->head, &head, head_of(head, slot[0])));
}

hr_slab_t *hr_slab_open(uint32_t slots) {
  if (slots == 0 || slots > HR_SLAB_MAX) {
    return NULL;
  }
  hr_slab_t *slab = aligned_alloc(64, sizeof *slab);
  _Atomic uint64_t *word = calloc(slots, sizeof *word);
  _Atomic uint32_t *next = calloc(slots, sizeof *next);
  if (!slab || !word || !next) {
    free(slab);
    free(word);
    free(next);
    return NULL;
  }
  slab->slots = slots;
  slab->word = word;
  slab->next = next;
  atomic_init(&slab->head, 0);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    atomic_init(&word[slot], hr_handle(1, HWR_STATE_FREE));
    atomic_init(&next[slot], slot + 1u < slots ? slot + 1u : HWR_NONE);
  }
  return slab;
}

void hr_slab_close(hr_slab_t *slab) {
  free(slab->word);
  free(slab->next);
  free(slab);
}

hr_slab_cache_t *hr_slab_cache_open(hr_slab_t *slab) {
  hr_slab_cache_t *cache = malloc(sizeof *cache);
  if (cache) {
    cache->slab = slab;
    cache->count = 0;
  }
  return cache;
}

// Give the `count` oldest of a cache back, so that the order of the stack stays.
static void give_back(hr_slab_cache_t *cache, uint32_t count) {
  uint32_t batch[HR_CACHE_SLOTS];
  for (uint32_t at = 0; at < count; ++at) {
    batch[at] = cache->slot[count - 1u - at];
  }
  push(cache->slab, batch, count);
  cache->count -= count;
  for (uint32_t at = 0; at < cache->count; ++at) {
    cache->slot[at] = cache->slot[at + count];
  }
}

void hr_slab_cache_close(hr_slab_cache_t *cache) {
  if (cache->count) {
    give_back(cache, cache->count);
  }
  free(cache);
}

static inline int is_edge(int from, int to) {
  static const uint8_t edges[][2] = HWR_EDGES;
  for (unsigned at = 0; at < sizeof edges / sizeof *edges; ++at) {
    if (edges[at][0] == from && edges[at][1] == to) {
      return 1;
    }
  }
  return 0;
}

// Inlined, so that an edge known to the compiler costs no search.
static inline int move(hr_slab_t *slab, uint64_t handle, int from, int to) {
  const uint32_t slot = (uint32_t)handle, generation = hr_generation(handle);
  if (slot >= slab->slots) {
    return HR_E(BAD_SLOT);
  }
  uint64_t word = load(&slab->word[slot]), moved;
  do {
    const int error =
        hr_generation_error(generation, hr_generation(word), hr_word_state(word) == HWR_STATE_FREE);
    if (error) {
      return error;
    }
    if (!is_edge(from, to)) {
      return HR_E(BAD_EDGE);
    }
    if ((int)hr_word_state(word) != from) {
      return HR_E(WRONG_STATE);
    }
    moved = to == (int)HWR_STATE_FREE ? hr_handle(hr_next_generation(generation), HWR_STATE_FREE)
                          : (word & ~(uint64_t)0xFFu) | (uint32_t)to;
  } while (!swap(&slab->word[slot], &word, moved));
  return 0;
}

int hr_slab_move(hr_slab_t *slab, uint64_t handle, int from, int to) {
  return move(slab, handle, from, to);
}

// To DONE from any live state, with a flag.
static int end(hr_slab_t *slab, uint64_t handle, uint32_t flag) {
  const uint32_t slot = (uint32_t)handle;
  if (slot >= slab->slots) {
    return HR_E(BAD_SLOT);
  }
  uint64_t word = load(&slab->word[slot]);
  do {
    const uint32_t state = hr_word_state(word);
    const int error =
        hr_generation_error(hr_generation(handle), hr_generation(word), state == HWR_STATE_FREE);
    if (error) {
      return error;
    }
    if (state == HWR_STATE_FREE || state == HWR_STATE_DONE) {
      return HR_E(BAD_EDGE);
    }
  } while (!swap(&slab->word[slot], &word, (word & ~(uint64_t)0xFFu) | flag | HWR_STATE_DONE));
  return 0;
}

int hr_slab_cancel(hr_slab_t *slab, uint64_t handle) { return end(slab, handle, 1u << HWR_WORD_CANCELLED_LSB); }

int hr_slab_fail(hr_slab_t *slab, uint64_t handle) { return end(slab, handle, 1u << HWR_WORD_FAILED_LSB); }

static uint32_t take_slot(hr_slab_t *slab, hr_slab_cache_t *cache) {
  uint32_t batch[HR_CACHE_BATCH];
  if (!cache) {
    return pop(slab, batch, 1) ? batch[0] : HWR_NONE;
  }
  if (cache->count == 0) {
    const uint32_t count = pop(slab, batch, HR_CACHE_BATCH);
    for (uint32_t at = 0; at < count; ++at) {
      cache->slot[at] = batch[count - 1u - at];
    }
    cache->count = count;
  }
  return cache->count ? cache->slot[--cache->count] : HWR_NONE;
}

int hr_slab_alloc(hr_slab_t *slab, hr_slab_cache_t *cache, uint64_t *handle) {
  const uint32_t slot = take_slot(slab, cache);
  if (slot == HWR_NONE) {
    return HR_E(QUEUE_EMPTY);
  }
  *handle = hr_handle(hr_generation(load(&slab->word[slot])), slot);
  return move(slab, *handle, HWR_STATE_FREE, HWR_STATE_PREFILL_READY);
}

int hr_slab_release(hr_slab_t *slab, hr_slab_cache_t *cache, uint64_t handle) {
  const uint32_t slot = (uint32_t)handle;
  const int error = move(slab, handle, HWR_STATE_DONE, HWR_STATE_FREE);
  if (error) {
    return error;
  }
  if (!cache) {
    push(slab, &slot, 1);
    return 0;
  }
  if (cache->count == HR_CACHE_SLOTS) {
    give_back(cache, HR_CACHE_BATCH);
  }
  cache->slot[cache->count++] = slot;
  return 0;
}

uint64_t hr_slab_word(hr_slab_t *slab, uint32_t slot) {
  return slot < slab->slots ? load(&slab->word[slot]) : UINT64_MAX;
}
