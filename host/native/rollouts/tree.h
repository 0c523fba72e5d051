// SPDX-License-Identifier: Apache-2.0
//
// Shared prefixes and the branches that write behind them. A node owns the blocks of its own part of
// a prefix; who shares them holds the node and not each block, so that fork and release touch no
// block of it, whatever its length.
#ifndef HR_TREE_H
#define HR_TREE_H

#include "rollouts/arena.h"

enum { HR_TREE_MAX = 1 << 24 };

typedef struct hr_node {
  uint32_t parent;  // 0: none
  uint32_t tokens;  // of the whole prefix; 0: the id is not in use
  uint32_t count;   // child nodes and live branches
  uint32_t first;   // block; the rest of them follow by `next` of the arena
  uint32_t last;
  uint32_t blocks;
  uint32_t filling;  // of the pipeline: enum hr_fill
} hr_node_t;

typedef struct hr_branch {
  uint32_t node;  // 0: the id is not in use
  uint32_t length;
  uint32_t max_tokens;
  uint32_t left;  // of the reservation
  uint32_t first;
  uint32_t last;
  uint32_t blocks;
} hr_branch_t;

struct hr_tree {
  hr_arena_t *arena;
  hr_node_t *node;  // [0] is the empty prefix, parent of those without one
  hr_branch_t *branch;
  hr_bits_t free_nodes;
  hr_bits_t free_branches;
  hr_bits_t idle;
};

// Blocks that cover tokens of a length, the last of which may be partial.
static inline uint32_t hr_blocks_of(uint32_t tokens) {
  return tokens / HWR_BLOCK_TOKENS + (tokens % HWR_BLOCK_TOKENS != 0);
}

// What COW-003 reserves.
static inline uint32_t hr_need(uint32_t tokens, uint32_t max_tokens) {
  return max_tokens == tokens ? 0 : hr_blocks_of(max_tokens) - tokens / HWR_BLOCK_TOKENS;
}

#endif  // HR_TREE_H
