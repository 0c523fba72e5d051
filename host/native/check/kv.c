// SPDX-License-Identifier: Apache-2.0
//
// Stress of the KV arena and the prefix tree: random nodes, forks, writes and releases with up to
// 100 000 branches, against a copy that keeps a tag for each token of each branch and shares nothing.
// Failed calls must have taken nothing; at the end every block is free. Usage: kv OPERATIONS. Exit code
// 0: all as it must be.
#include <stdio.h>
#include <stdlib.h>

#include "rollouts/tree.h"

enum { BRANCHES = 100000, NODES = 2000, SHARED = 200, BLOCKS = 300000, BLOCK_BYTES = 512, LONGEST = 160 };

typedef struct copy {
  uint64_t digest;  // 0 tokens: 0
  uint32_t node;    // of a branch; 0: the id is not in use
  uint32_t length;
  uint32_t max_tokens;
} copy_t;

static copy_t branch[BRANCHES], node[NODES + 1];
static uint32_t live[BRANCHES], place_of[BRANCHES], lives, highest;
static uint64_t dice = 88172645463325252ull;
static hr_arena_t *arena;
static hr_tree_t *tree;

static uint32_t roll(uint32_t below) {
  dice ^= dice << 13;
  dice ^= dice >> 7;
  dice ^= dice << 17;
  return (uint32_t)((dice >> 32) * below >> 32);
}

static void need(int holds, const char *what, uint64_t operation) {
  if (!holds) {
    fprintf(stderr, "kv: operation %llu: %s\n", (unsigned long long)operation, what);
    exit(1);
  }
}

// What KV-008 has of the tokens [first, end) with the tags base + p.
static uint64_t digest_of(uint64_t base, uint32_t first, uint32_t end) {
  uint64_t digest = 0;
  for (uint64_t token = first; token < end; ++token) {
    digest += (base + token) * (2 * token + 1u);
  }
  return digest;
}

static void make_node(uint64_t operation) {
  const uint32_t parent = roll(4) ? 0 : roll(NODES + 1), tokens = 1 + roll(LONGEST);
  const uint32_t in_use = arena->in_use;
  uint32_t id;
  if (hr_tree_node(tree, parent, tokens, &id)) {
    need(arena->in_use == in_use, "a failed node took blocks", operation);
    return;
  }
  const copy_t *above = &node[parent];
  need(parent == 0 || above->length, "a node below none", operation);
  const uint64_t base = operation << 32;
  need(hr_tree_fill(tree, id, base) == 0, "a node that cannot be filled", operation);
  highest = id > highest ? id : highest;
  node[id] = (copy_t){.length = tokens,
                      .digest = above->digest + digest_of(base, above->length, tokens)};
}

static void fork_branch(uint64_t operation) {
  const uint32_t from = 1 + roll(highest < SHARED ? highest + 1 : SHARED), more = roll(80), used = arena->in_use;
  const uint32_t reserved = arena->reserved;
  uint32_t id;
  if (hr_tree_fork(tree, from, node[from].length + more, &id)) {
    need(arena->in_use == used && arena->reserved == reserved, "a failed fork took", operation);
    return;
  }
  need(node[from].length && branch[id].node == 0, "an id that is in use", operation);
  branch[id] = (copy_t){node[from].digest, from, node[from].length, node[from].length + more};
  place_of[id] = lives;
  live[lives++] = id;
}

static void write_branch(uint64_t operation) {
  if (!lives) {
    return;
  }
  const uint32_t id = live[roll(lives)];
  copy_t *written = &branch[id];
  const uint32_t left = written->max_tokens - written->length, tokens = roll(40);
  const uint64_t base = operation << 32;
  const int error = hr_tree_write(tree, id, written->length, tokens, base);
  need((error != 0) == (tokens > left), "a write beyond the end, or none within", operation);
  if (!error) {
    written->digest += digest_of(base, written->length, written->length + tokens);
    written->length += tokens;
  }
  need(hr_tree_write(tree, id, roll(node[written->node].length), 1, 0) == HR_E(SHARED_BLOCK),
       "a write into a shared block", operation);
}

static void release_branch(uint64_t operation) {
  if (!lives) {
    return;
  }
  const uint32_t id = live[roll(lives)];
  hr_released_t released;
  uint64_t digest;
  need(hr_tree_digest(tree, id, &digest) == 0 && digest == branch[id].digest,
       "a branch whose tags are not those that were written", operation);
  need(hr_tree_release(tree, id, &released) == 0, "a branch that cannot be released", operation);
  need(hr_tree_release(tree, id, &released) == HR_E(BAD_BRANCH), "a double release", operation);
  branch[id].node = 0;
  live[place_of[id]] = live[--lives];
  place_of[live[place_of[id]]] = place_of[id];
}

static void sweep(uint64_t operation) {
  uint32_t id, blocks;
  while (hr_tree_sweep(tree, &id, &blocks)) {
    need(node[id].length && blocks, "a node freed twice", operation);
    node[id] = (copy_t){0};
  }
}

int main(int count, char **arguments) {
  const uint64_t operations = count > 1 ? strtoull(arguments[1], NULL, 10) : 100000;
  uint32_t most = 0;
  uint8_t *memory = calloc(BLOCKS, BLOCK_BYTES);
  arena = memory ? hr_arena_open(BLOCKS, BLOCK_BYTES, memory) : NULL;
  tree = arena ? hr_tree_open(arena, NODES, BRANCHES) : NULL;
  need(tree != NULL && operations, "no memory", 0);
  for (uint64_t operation = 1; operation <= operations; ++operation) {
    const uint32_t kind = roll(100);
    // More forks than releases until all ids are out, then the reverse until half are back, ...
    const uint32_t forks = operation / (operations / 8 + 1) % 2 ? 25 : 50;
    if (kind < 4) {
      make_node(operation);
    } else if (kind < 4 + forks) {
      fork_branch(operation);
    } else if (kind < 4 + forks + 15) {
      write_branch(operation);
    } else if (kind < 99) {
      release_branch(operation);
    } else if (roll(20) == 0) {
      sweep(operation);
    }
    most = lives > most ? lives : most;
  }
  while (lives) {
    release_branch(operations);
  }
  sweep(operations);
  need(arena->in_use == 0 && arena->reserved == 0, "blocks are left", operations);
  uint64_t handle;
  for (uint32_t block = 0; block < BLOCKS; ++block) {
    need(hr_arena_alloc(arena, &handle) == 0 && (uint32_t)handle == block,
         "a block is not free just once", operations);
  }
  hr_tree_close(tree);
  hr_arena_close(arena);
  free(memory);
  printf("kv: %llu operations, up to %u branches: good\n", (unsigned long long)operations, most);
  return 0;
}
