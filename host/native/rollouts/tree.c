// SPDX-License-Identifier: Apache-2.0
#include "rollouts/tree.h"

hr_tree_t *hr_tree_open(hr_arena_t *arena, uint32_t nodes, uint32_t branches) {
  if (nodes == 0 || nodes > HR_TREE_MAX || branches == 0 || branches > HR_TREE_MAX) {
    return NULL;
  }
  hr_tree_t *tree = calloc(1, sizeof *tree);
  if (!tree) {
    return NULL;
  }
  tree->arena = arena;
  tree->node = calloc(nodes + 1u, sizeof *tree->node);
  tree->branch = calloc(branches, sizeof *tree->branch);
  if (!tree->node || !tree->branch || !hr_bits_open(&tree->free_nodes, nodes + 1u, 1) ||
      !hr_bits_open(&tree->free_branches, branches, 1) ||
      !hr_bits_open(&tree->idle, nodes + 1u, 0)) {
    hr_tree_close(tree);
    return NULL;
  }
  hr_bits_remove(&tree->free_nodes, 0);
  return tree;
}

void hr_tree_close(hr_tree_t *tree) {
  hr_bits_close(&tree->idle);
  hr_bits_close(&tree->free_branches);
  hr_bits_close(&tree->free_nodes);
  free(tree->branch);
  free(tree->node);
  free(tree);
}

// NULL: no such node.
static hr_node_t *node_of(const hr_tree_t *tree, uint32_t node) {
  return node && node < tree->free_nodes.count && tree->node[node].tokens ? &tree->node[node] : NULL;
}

static hr_branch_t *branch_of(const hr_tree_t *tree, uint32_t branch) {
  return branch < tree->free_branches.count && tree->branch[branch].node ? &tree->branch[branch]
                                                                         : NULL;
}

static void hold(hr_tree_t *tree, uint32_t node) {
  if (node && tree->node[node].count++ == 0) {
    hr_bits_remove(&tree->idle, node);
  }
}

static void unhold(hr_tree_t *tree, uint32_t node) {
  if (node && --tree->node[node].count == 0) {
    hr_bits_put(&tree->idle, node);
  }
}

int hr_tree_node(hr_tree_t *tree, uint32_t parent, uint32_t tokens, uint32_t *node) {
  hr_arena_t *arena = tree->arena;
  if (parent && !node_of(tree, parent)) {
    return HR_E(BAD_NODE);
  }
  const hr_node_t *above = &tree->node[parent];
  if (tokens <= above->tokens) {
    return HR_E(BAD_LENGTH);
  }
  if (hr_bits_empty(&tree->free_nodes)) {
    return HR_E(OUT_OF_NODES);
  }
  const uint32_t blocks = hr_need(above->tokens, tokens);
  if (blocks > hr_available(arena)) {
    return HR_E(OUT_OF_BLOCKS);
  }
  const uint32_t id = hr_bits_take(&tree->free_nodes);
  hr_node_t *made = &tree->node[id];
  *made = (hr_node_t){.parent = parent, .tokens = tokens, .blocks = blocks};
  made->first = made->last = hr_take_block(arena);
  for (uint32_t more = 1; more < blocks; ++more) {
    const uint32_t block = hr_take_block(arena);
    arena->next[made->last] = block;
    made->last = block;
  }
  arena->next[made->last] = HWR_NONE;
  if (above->tokens % HWR_BLOCK_TOKENS) {
    hr_copy_slots(arena, made->first, above->last, above->tokens % HWR_BLOCK_TOKENS);
  }
  hr_bits_put(&tree->idle, id);
  hold(tree, parent);
  *node = id;
  return 0;
}

int hr_tree_fork(hr_tree_t *tree, uint32_t node, uint32_t max_tokens, uint32_t *branch) {
  const hr_node_t *above = node_of(tree, node);
  if (!above) {
    return HR_E(BAD_NODE);
  }
  if (max_tokens < above->tokens) {
    return HR_E(BAD_LENGTH);
  }
  if (hr_bits_empty(&tree->free_branches)) {
    return HR_E(OUT_OF_BRANCHES);
  }
  const uint32_t need = hr_need(above->tokens, max_tokens);
  if (hr_arena_reserve(tree->arena, need)) {
    return HR_E(OUT_OF_BLOCKS);
  }
  const uint32_t id = hr_bits_take(&tree->free_branches);
  tree->branch[id] = (hr_branch_t){.node = node,
                                   .length = above->tokens,
                                   .max_tokens = max_tokens,
                                   .left = need,
                                   .first = HWR_NONE,
                                   .last = HWR_NONE};
  hold(tree, node);
  *branch = id;
  return 0;
}

// Free a chain of blocks.
static void free_blocks(hr_arena_t *arena, uint32_t first) {
  for (uint32_t block = first; block != HWR_NONE;) {
    const uint32_t next = arena->next[block];
    hr_give_block(arena, block);
    block = next;
  }
}

int hr_tree_release(hr_tree_t *tree, uint32_t branch, hr_released_t *released) {
  hr_branch_t *ended = branch_of(tree, branch);
  if (!ended) {
    return HR_E(BAD_BRANCH);
  }
  released->freed = ended->blocks;
  released->left = ended->left;
  free_blocks(tree->arena, ended->first);
  tree->arena->reserved -= ended->left;
  unhold(tree, ended->node);
  ended->node = 0;
  hr_bits_put(&tree->free_branches, branch);
  return 0;
}

int hr_tree_sweep(hr_tree_t *tree, uint32_t *node, uint32_t *blocks) {
  const uint32_t id = hr_bits_take(&tree->idle);
  if (id == HR_BITS_NONE) {
    return 0;
  }
  hr_node_t *freed = &tree->node[id];
  *node = id;
  *blocks = freed->blocks;
  free_blocks(tree->arena, freed->first);
  freed->tokens = 0;
  hr_bits_put(&tree->free_nodes, id);
  unhold(tree, freed->parent);
  return 1;
}

int hr_tree_fill(hr_tree_t *tree, uint32_t node, uint64_t base) {
  const hr_node_t *filled = node_of(tree, node);
  if (!filled) {
    return HR_E(BAD_NODE);
  }
  uint32_t block = filled->first;
  for (uint32_t token = tree->node[filled->parent].tokens; token < filled->tokens;) {
    hr_put_tag(tree->arena, block, token % HWR_BLOCK_TOKENS, base + token);
    if (++token % HWR_BLOCK_TOKENS == 0) {
      block = tree->arena->next[block];
    }
  }
  return 0;
}

// The block of the branch's next token; the branch is not at its last length.
static void prepare(hr_tree_t *tree, hr_branch_t *branch, hr_place_t *place) {
  hr_arena_t *arena = tree->arena;
  place->source = HWR_NONE;
  place->copied = 0;
  const hr_node_t *above = &tree->node[branch->node];
  const uint32_t wanted = branch->length / HWR_BLOCK_TOKENS - above->tokens / HWR_BLOCK_TOKENS;
  if (wanted < branch->blocks) {
    place->block = branch->last;
    return;
  }
  const uint32_t block = hr_take_reserved(arena);
  --branch->left;
  arena->next[block] = HWR_NONE;
  if (branch->blocks++ == 0) {
    branch->first = block;
    place->copied = above->tokens % HWR_BLOCK_TOKENS;
    if (place->copied) {
      place->source = above->last;
      hr_copy_slots(arena, block, above->last, place->copied);
    }
  } else {
    arena->next[branch->last] = block;
  }
  branch->last = block;
  place->block = block;
}

int hr_tree_prepare(hr_tree_t *tree, uint32_t branch, hr_place_t *place) {
  hr_branch_t *written = branch_of(tree, branch);
  if (!written) {
    return HR_E(BAD_BRANCH);
  }
  if (written->length == written->max_tokens) {
    *place = (hr_place_t){HWR_NONE, HWR_NONE, 0};
  } else {
    prepare(tree, written, place);
  }
  return 0;
}

int hr_tree_write(hr_tree_t *tree, uint32_t branch, uint32_t position, uint32_t tokens,
                  uint64_t base) {
  hr_branch_t *written = branch_of(tree, branch);
  if (!written) {
    return HR_E(BAD_BRANCH);
  }
  if (position < tree->node[written->node].tokens) {
    return HR_E(SHARED_BLOCK);
  }
  if (position != written->length || tokens > written->max_tokens - position) {
    return HR_E(BAD_LENGTH);
  }
  while (tokens) {
    hr_place_t place;
    prepare(tree, written, &place);
    const uint32_t at = written->length % HWR_BLOCK_TOKENS;
    const uint32_t room = HWR_BLOCK_TOKENS - at, now = tokens < room ? tokens : room;
    for (uint32_t token = 0; token < now; ++token) {
      hr_put_tag(tree->arena, place.block, at + token, base + written->length + token);
    }
    written->length += now;
    tokens -= now;
  }
  return 0;
}

// Add the tokens [start, end) of a chain of blocks whose first one begins at `start` to *digest.
static int add_digest(const hr_arena_t *arena, uint32_t block, uint32_t start, uint32_t end,
                      uint64_t *digest) {
  for (uint32_t token = start; token < end; ++token) {
    uint64_t tag;
    if (token != start && token % HWR_BLOCK_TOKENS == 0) {
      block = arena->next[block];
    }
    const int error = hr_get_tag(arena, block, token % HWR_BLOCK_TOKENS, &tag);
    if (error) {
      return error;
    }
    *digest += tag * (2ull * token + 1u);
  }
  return 0;
}

int hr_tree_digest(const hr_tree_t *tree, uint32_t branch, uint64_t *digest) {
  const hr_branch_t *read = branch_of(tree, branch);
  if (!read) {
    return HR_E(BAD_BRANCH);
  }
  if (!tree->arena->memory) {
    return HR_NO_MEMORY;
  }
  // From the end: what lies in front of a holder's first block is its parent's.
  *digest = 0;
  const hr_node_t *above = &tree->node[read->node];
  uint32_t end = read->length;
  if (read->blocks) {
    const uint32_t start = above->tokens & ~(HWR_BLOCK_TOKENS - 1u);
    const int error = add_digest(tree->arena, read->first, start, end, digest);
    if (error) {
      return error;
    }
    end = start;
  }
  while (end) {
    const hr_node_t *parent = &tree->node[above->parent];
    const uint32_t start = parent->tokens & ~(HWR_BLOCK_TOKENS - 1u);
    const int error = add_digest(tree->arena, above->first, start, end, digest);
    if (error) {
      return error;
    }
    end = start;
    above = parent;
  }
  return 0;
}

uint32_t hr_tree_node_tokens(const hr_tree_t *tree, uint32_t node) {
  const hr_node_t *asked = node_of(tree, node);
  return asked ? asked->tokens : HWR_NONE;
}

uint32_t hr_tree_node_count(const hr_tree_t *tree, uint32_t node) {
  const hr_node_t *asked = node_of(tree, node);
  return asked ? asked->count : HWR_NONE;
}

uint32_t hr_tree_branch_length(const hr_tree_t *tree, uint32_t branch) {
  const hr_branch_t *asked = branch_of(tree, branch);
  return asked ? asked->length : HWR_NONE;
}

uint32_t hr_tree_branch_blocks(const hr_tree_t *tree, uint32_t branch) {
  const hr_branch_t *asked = branch_of(tree, branch);
  return asked ? asked->blocks : HWR_NONE;
}
