// SPDX-License-Identifier: Apache-2.0
//
// The rollouts' state words. Each transition is one compare-and-swap on the whole word, so of two
// callers that make the same transition one fails, and a handle of an earlier life fails always.
//
// Free slots are a stack of links beside the words, whose head carries a count of its changes: a head
// that is unchanged means that the links behind it were not changed either. A cache takes and gives
// slots of that stack in batches.
#ifndef HR_SLAB_H
#define HR_SLAB_H

#include <stdatomic.h>

#include "rollouts/generation.h"

enum { HR_SLAB_MAX = 1 << 24, HR_CACHE_BATCH = 32, HR_CACHE_SLOTS = 2 * HR_CACHE_BATCH };

struct hr_slab {
  _Alignas(64) _Atomic uint64_t head;  // changes << 32 | slot
  _Alignas(64) uint32_t slots;
  _Atomic uint64_t *word;
  _Atomic uint32_t *next;
};

struct hr_slab_cache {
  hr_slab_t *slab;
  uint32_t count;
  uint32_t slot[HR_CACHE_SLOTS];  // a stack
};

static inline uint32_t hr_word_state(uint64_t word) { return (uint32_t)word & 0xFFu; }

#endif  // HR_SLAB_H
