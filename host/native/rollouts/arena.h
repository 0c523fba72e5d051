// SPDX-License-Identifier: Apache-2.0
//
// KV blocks: which are free, which are claimed, how often each was given, and the tags in them.
#ifndef HR_ARENA_H
#define HR_ARENA_H

#include "rollouts/bits.h"
#include "rollouts/generation.h"

enum { HR_BLOCK_STEP = 512 };

struct hr_arena {
  hr_bits_t free;
  uint32_t *generation;
  uint32_t *next;   // of a block in use: the next of the same holder (tree.c)
  uint8_t *memory;  // NULL: blocks are only counted
  uint32_t block_bytes;
  uint32_t in_use;
  uint32_t reserved;
  uint64_t allocated;  // blocks since it was opened
};

static inline uint32_t hr_available(const hr_arena_t *arena) {
  return arena->free.count - arena->in_use - arena->reserved;
}

// The lowest free block, of which there is one that the caller may have: from its reservation, or
// because hr_available says so.
static inline uint32_t hr_take_block(hr_arena_t *arena) {
  ++arena->in_use;
  ++arena->allocated;
  return hr_bits_take(&arena->free);
}

static inline uint32_t hr_take_reserved(hr_arena_t *arena) {
  --arena->reserved;
  return hr_take_block(arena);
}

// A block that is in use.
static inline void hr_give_block(hr_arena_t *arena, uint32_t block) {
  arena->generation[block] = hr_next_generation(arena->generation[block]);
  hr_bits_put(&arena->free, block);
  --arena->in_use;
}

// Where the tag of a token's K stands; that of its V is half a block behind.
static inline uint8_t *hr_block_key(const hr_arena_t *arena, uint32_t block, uint32_t token) {
  return arena->memory + (uint64_t)block * arena->block_bytes +
         (uint64_t)token * (arena->block_bytes / (2 * HWR_BLOCK_TOKENS));
}

// The tag of one slot of a block in use; nothing in an arena without memory.
static inline void hr_put_tag(hr_arena_t *arena, uint32_t block, uint32_t token, uint64_t tag) {
  if (arena->memory) {
    uint8_t *key = hr_block_key(arena, block, token);
    memcpy(key, &tag, sizeof tag);
    memcpy(key + arena->block_bytes / 2, &tag, sizeof tag);
  }
}

// 0, or HR_TORN_TAG. The arena has memory.
int hr_get_tag(const hr_arena_t *arena, uint32_t block, uint32_t token, uint64_t *tag);
// The first `tokens` slots of one block to another.
void hr_copy_slots(hr_arena_t *arena, uint32_t to, uint32_t from, uint32_t tokens);

#endif  // HR_ARENA_H
