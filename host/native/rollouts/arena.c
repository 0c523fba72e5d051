// SPDX-License-Identifier: Apache-2.0
#include "rollouts/arena.h"

hr_arena_t *hr_arena_open(uint32_t blocks, uint32_t block_bytes, void *memory) {
  if (blocks == 0 || blocks > HR_BITS_MAX || block_bytes == 0 || block_bytes % HR_BLOCK_STEP) {
    return NULL;
  }
  hr_arena_t *arena = calloc(1, sizeof *arena);
  uint32_t *generation = malloc(blocks * sizeof *generation);
  uint32_t *next = malloc(blocks * sizeof *next);
  if (!arena || !generation || !next || !hr_bits_open(&arena->free, blocks, 1)) {
    free(arena);
    free(generation);
    free(next);
    return NULL;
  }
  for (uint32_t block = 0; block < blocks; ++block) {
    generation[block] = 1;
    next[block] = HWR_NONE;
  }
  arena->generation = generation;
  arena->next = next;
  arena->memory = memory;
  arena->block_bytes = block_bytes;
  return arena;
}

void hr_arena_close(hr_arena_t *arena) {
  hr_bits_close(&arena->free);
  free(arena->generation);
  free(arena->next);
  free(arena);
}

int hr_arena_alloc(hr_arena_t *arena, uint64_t *handle) {
  if (hr_available(arena) == 0) {
    return HR_E(OUT_OF_BLOCKS);
  }
  const uint32_t block = hr_take_block(arena);
  *handle = hr_handle(arena->generation[block], block);
  return 0;
}

// 0, or why the handle names no block that is in use.
static int refusal(const hr_arena_t *arena, uint64_t handle) {
  const uint32_t block = (uint32_t)handle;
  if (block >= arena->free.count) {
    return HR_E(BAD_BLOCK);
  }
  const int is_free = hr_bits_has(&arena->free, block);
  const int error = hr_generation_error(hr_generation(handle), arena->generation[block], is_free);
  return error || !is_free ? error : HR_E(STALE);  // a generation that was not given yet
}

int hr_arena_release(hr_arena_t *arena, uint64_t handle) {
  const int error = refusal(arena, handle);
  if (!error) {
    hr_give_block(arena, (uint32_t)handle);
  }
  return error;
}

int hr_arena_reserve(hr_arena_t *arena, uint32_t blocks) {
  if (blocks > hr_available(arena)) {
    return HR_E(OUT_OF_BLOCKS);
  }
  arena->reserved += blocks;
  return 0;
}

int hr_arena_unreserve(hr_arena_t *arena, uint32_t blocks) {
  if (blocks > arena->reserved) {
    return HR_E(CREDIT_UNDERFLOW);
  }
  arena->reserved -= blocks;
  return 0;
}

uint32_t hr_arena_in_use(const hr_arena_t *arena) { return arena->in_use; }

uint32_t hr_arena_reserved(const hr_arena_t *arena) { return arena->reserved; }

uint32_t hr_arena_available(const hr_arena_t *arena) { return hr_available(arena); }

int hr_get_tag(const hr_arena_t *arena, uint32_t block, uint32_t token, uint64_t *tag) {
  const uint8_t *key = hr_block_key(arena, block, token);
  memcpy(tag, key, sizeof *tag);
  return memcmp(tag, key + arena->block_bytes / 2, sizeof *tag) ? HR_TORN_TAG : 0;
}

void hr_copy_slots(hr_arena_t *arena, uint32_t to, uint32_t from, uint32_t tokens) {
  if (arena->memory) {
    const uint32_t half = arena->block_bytes / 2;
    const size_t bytes = (size_t)tokens * (half / HWR_BLOCK_TOKENS);
    memcpy(hr_block_key(arena, to, 0), hr_block_key(arena, from, 0), bytes);
    memcpy(hr_block_key(arena, to, 0) + half, hr_block_key(arena, from, 0) + half, bytes);
  }
}

static int tag_refusal(const hr_arena_t *arena, uint64_t handle, uint32_t token) {
  const int error = refusal(arena, handle);
  if (error) {
    return error;
  }
  if (token >= HWR_BLOCK_TOKENS) {
    return HR_E(BAD_LENGTH);
  }
  return arena->memory ? 0 : HR_NO_MEMORY;
}

int hr_arena_write_tag(hr_arena_t *arena, uint64_t handle, uint32_t token, uint64_t tag) {
  const int error = tag_refusal(arena, handle, token);
  if (!error) {
    hr_put_tag(arena, (uint32_t)handle, token, tag);
  }
  return error;
}

int hr_arena_read_tag(const hr_arena_t *arena, uint64_t handle, uint32_t token, uint64_t *tag) {
  const int error = tag_refusal(arena, handle, token);
  return error ? error : hr_get_tag(arena, (uint32_t)handle, token, tag);
}
