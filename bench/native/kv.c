// SPDX-License-Identifier: Apache-2.0
//
// Ways to lay out, fetch and share KV blocks of 16 KiB: keys and values of a block in two planes or
// token by token, blocks in random order with the next one fetched ahead or not, a prefix shared or
// copied. Every pass must find the sum that was written.
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "rollouts/pipe.h"

enum { HALF = HWR_BLOCK_BYTES / 2, TOKEN = HALF / HWR_BLOCK_TOKENS, WORDS = TOKEN / 8, LINE = 64 };
enum { BLOCKS = 6144, BRANCHES = 10000, PREFIX_TOKENS = 4 * HWR_BLOCK_TOKENS, OWN_TOKENS = 64 };
enum ahead { AHEAD_NONE, AHEAD_L1, AHEAD_L2 };

static uint64_t *memory;
static uint32_t order[BLOCKS];

static uint64_t sum_of(const uint64_t *at, uint32_t words) {
  uint64_t sum[4] = {0};
  for (uint32_t word = 0; word < words; word += 4) {
    for (uint32_t part = 0; part < 4; ++part) {
      sum[part] += at[word + part];
    }
  }
  return sum[0] + sum[1] + sum[2] + sum[3];
}

// Word w of token t of a block, keys first: in planes, or keys and values of a token side by side.
static uint64_t keys_in_planes(const uint64_t *block) {
  return sum_of(block, HWR_BLOCK_TOKENS * WORDS);
}

static uint64_t keys_by_token(const uint64_t *block) {
  uint64_t sum = 0;
  for (uint32_t token = 0; token < HWR_BLOCK_TOKENS; ++token) {
    sum += sum_of(block + 2 * token * WORDS, WORDS);
  }
  return sum;
}

static uint64_t all_of(const uint64_t *block) { return sum_of(block, HWR_BLOCK_BYTES / 8); }

static void fetch(const uint64_t *block, enum ahead ahead) {
  for (uint32_t at = 0; at < HWR_BLOCK_BYTES / LINE; ++at) {
    const void *line = (const char *)block + at * LINE;
    if (ahead == AHEAD_L1) {
      __builtin_prefetch(line, 0, 3);
    } else {
      __builtin_prefetch(line, 0, 2);
    }
  }
}

static const uint64_t *block_at(uint32_t place) {
  return memory + (uint64_t)order[place] * (HWR_BLOCK_BYTES / 8);
}

// ns of a block.
static double pass(uint64_t (*part)(const uint64_t *), enum ahead ahead, uint64_t expected) {
  uint64_t sum = 0;
  const double start = cpu_seconds();
  for (uint32_t place = 0; place < BLOCKS; ++place) {
    if (ahead != AHEAD_NONE && place + 1u < BLOCKS) {
      fetch(block_at(place + 1u), ahead);
    }
    sum += part(block_at(place));
  }
  const double took = (cpu_seconds() - start) / BLOCKS * 1e9;
  if (sum != expected) {
    fail("a pass over KV blocks has another sum", (uint32_t)sum);
  }
  return took;
}

static void measure_layout(void) {
  const uint64_t words = (uint64_t)BLOCKS * HWR_BLOCK_BYTES / 8;
  memory = aligned_alloc(1 << 21, words * 8);
  if (!memory) {
    fail("no memory for KV blocks", BLOCKS);
  }
  uint64_t all = 0, planes = 0, tokens = 0;
  for (uint64_t at = 0; at < words; ++at) {
    memory[at] = at * 0x9e3779b97f4a7c15ull;
    const uint64_t word = at % (HWR_BLOCK_BYTES / 8);
    all += memory[at];
    planes += word < HALF / 8 ? memory[at] : 0;
    tokens += word / WORDS % 2 == 0 ? memory[at] : 0;
  }
  for (uint32_t at = 0; at < BLOCKS; ++at) {
    order[at] = at;
  }
  print_ns("KV block, all of it", "blocks in sequence", pass(all_of, AHEAD_NONE, all));
  uint32_t state = 2463534242u;
  for (uint32_t at = BLOCKS - 1; at > 0; --at) {
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    const uint32_t other = state % (at + 1u), kept = order[at];
    order[at] = order[other], order[other] = kept;
  }
  print_ns("KV block, all of it", "blocks in random order", pass(all_of, AHEAD_NONE, all));
  print_ns("KV block, all of it", "the next fetched into L1", pass(all_of, AHEAD_L1, all));
  print_ns("KV block, all of it", "the next fetched into L2", pass(all_of, AHEAD_L2, all));
  print_ns("KV block, its keys", "in two planes", pass(keys_in_planes, AHEAD_NONE, planes));
  print_ns("KV block, its keys", "token by token", pass(keys_by_token, AHEAD_NONE, tokens));
  free(memory);
}

// A prefix of 4 blocks and branches of 2: forks, and the blocks that all of them hold.
static void measure_sharing(void) {
  enum { MOST = 6 * BRANCHES, OWN = OWN_TOKENS / HWR_BLOCK_TOKENS };
  hr_arena_t *arena = hr_arena_open(MOST, HWR_BLOCK_BYTES, NULL);
  hr_tree_t *tree = hr_tree_open(arena, 4, BRANCHES);
  uint32_t node, branch;
  if (!tree || hr_tree_node(tree, 0, PREFIX_TOKENS, &node)) {
    fail("no prefix", PREFIX_TOKENS);
  }
  const double start = cpu_seconds();
  for (uint32_t at = 0; at < BRANCHES; ++at) {
    if (hr_tree_fork(tree, node, PREFIX_TOKENS + OWN_TOKENS, &branch)) {
      fail("no fork", at);
    }
  }
  const double shared = (cpu_seconds() - start) / BRANCHES * 1e9;
  const uint64_t held = (uint64_t)arena->in_use + arena->reserved;
  hr_tree_close(tree);
  hr_arena_close(arena);
  enum { PREFIX = PREFIX_TOKENS / HWR_BLOCK_TOKENS, COPIES = 256 };
  char *from = calloc(PREFIX, HWR_BLOCK_BYTES);
  char *to = calloc(COPIES * PREFIX, HWR_BLOCK_BYTES);
  if (!from || !to) {
    fail("no memory for copies", COPIES);
  }
  memset(to, 1, (size_t)COPIES * PREFIX * HWR_BLOCK_BYTES);
  const double began = cpu_seconds();
  for (uint32_t at = 0; at < COPIES; ++at) {
    memcpy(to + (size_t)at * PREFIX * HWR_BLOCK_BYTES, from, PREFIX * HWR_BLOCK_BYTES);
    __asm__ volatile("" ::: "memory");
  }
  const double copied = (cpu_seconds() - began) / COPIES * 1e9;
  if (memcmp(to + (size_t)(COPIES - 1) * PREFIX * HWR_BLOCK_BYTES, from, HWR_BLOCK_BYTES)) {
    fail("a copy differs", COPIES);
  }
  free(from);
  free(to);
  print_ns("fork of a prefix of 128 tokens", "shared", shared);
  print_ns("fork of a prefix of 128 tokens", "copied", copied);
  printf("{\"what\": \"blocks of 10000 branches of 64 tokens\", \"case\": \"prefix shared\", "
         "\"blocks\": %lu}\n", held);
  printf("{\"what\": \"blocks of 10000 branches of 64 tokens\", \"case\": \"prefix copied\", "
         "\"blocks\": %u}\n", BRANCHES * (PREFIX + OWN));
}

void measure_kv(uint32_t rounds) {
  for (uint32_t round = 0; round < rounds; ++round) {
    measure_layout();
    measure_sharing();
  }
}
