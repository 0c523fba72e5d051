// SPDX-License-Identifier: Apache-2.0
//
// A run as a whole: laid out, looked at, ended.
#include "rollouts/pipe.h"

// Bytes of a block that has room for the tags and nothing else.
enum { TAGS_ONLY = HR_BLOCK_STEP };

static int by_number(const void *left, const void *right) {
  const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

// The numbers of requests in the order of (key, number), where key is not HWR_NONE or `all` is set.
static uint32_t sort_requests(uint64_t *scratch, uint32_t *order, const uint32_t *key,
                              uint32_t stride, uint32_t requests, int all) {
  uint32_t count = 0;
  for (uint32_t request = 0; request < requests; ++request) {
    const uint32_t value = key[(size_t)request * stride];
    if (all || value != HWR_NONE) {
      scratch[count++] = (uint64_t)value << 32 | request;
    }
  }
  qsort(scratch, count, sizeof *scratch, by_number);
  for (uint32_t at = 0; at < count; ++at) {
    order[at] = (uint32_t)scratch[at];
  }
  return count;
}

// Groups numbered from 0, in ascending order; how many there are.
static uint32_t number_groups(hr_pipe_t *pipe, uint64_t *scratch) {
  uint32_t groups = 0;
  for (uint32_t request = 0; request < pipe->requests; ++request) {
    scratch[request] = (uint64_t)pipe->request[request].group << 32 | request;
  }
  qsort(scratch, pipe->requests, sizeof *scratch, by_number);
  for (uint32_t at = 0; at < pipe->requests; ++at) {
    groups += at == 0 || scratch[at] >> 32 != scratch[at - 1u] >> 32;
    pipe->group[(uint32_t)scratch[at]] = groups - 1u;
  }
  return groups;
}

static int order_requests(hr_pipe_t *pipe, uint32_t *groups) {
  uint64_t *scratch = malloc((pipe->requests + 1ull) * sizeof *scratch);
  if (!scratch) {
    return HR_NO_MEMORY;
  }
  const hwr_request_t *first = pipe->request;
  const uint32_t stride = sizeof *first / sizeof(uint32_t);
  sort_requests(scratch, pipe->arrivals, &first->arrival, stride, pipe->requests, 1);
  pipe->cancels =
      sort_requests(scratch, pipe->cancellations, &first->cancel, stride, pipe->requests, 0);
  *groups = number_groups(pipe, scratch);
  free(scratch);
  return 0;
}

static int open_arena(hr_pipe_t *pipe, void *memory) {
  const uint32_t blocks = pipe->config.kv_blocks;
  uint32_t block_bytes = HWR_BLOCK_BYTES;
  if (!memory && hr_option(pipe, HWR_OPTION_CHECK_KV)) {
    block_bytes = TAGS_ONLY;
    pipe->tags = memory = calloc(blocks, TAGS_ONLY);
    if (!memory) {
      return HR_NO_MEMORY;
    }
  }
  pipe->arena = hr_arena_open(blocks, block_bytes, memory);
  return pipe->arena ? 0 : HR_NO_MEMORY;
}

static int open_flights(hr_pipe_t *pipe) {
  const size_t window = pipe->config.window;
  for (uint32_t at = 0; at < pipe->config.depth; ++at) {
    hr_flight_t *flight = &pipe->flight[at];
    flight->lines = aligned_alloc(HW_CACHE_LINE_BYTES, window * sizeof *flight->lines);
    flight->slot = malloc(window * sizeof *flight->slot);
    if (!flight->lines || !flight->slot) {
      return HR_NO_MEMORY;
    }
  }
  pipe->window = &pipe->flight[0];
  return 0;
}

static int open_inside(hr_pipe_t *pipe, const hwr_request_t *requests, void *memory) {
  const hwr_config_t *config = &pipe->config;
  const size_t slots = config->slots, count = pipe->requests + 1ull;
  const size_t steps = config->seats == HWR_NONE ? 1 : pipe->requests / config->seats + 2ull;
  pipe->request = malloc(count * sizeof *pipe->request);
  pipe->group = malloc(count * sizeof *pipe->group);
  pipe->node_of = calloc(count, sizeof *pipe->node_of);
  pipe->slot_of = malloc(count * sizeof *pipe->slot_of);
  pipe->outcome = calloc(count, sizeof *pipe->outcome);
  pipe->arrivals = malloc(count * sizeof *pipe->arrivals);
  pipe->cancellations = malloc(count * sizeof *pipe->cancellations);
  pipe->prefix_of = calloc(2 * slots + 1u, sizeof *pipe->prefix_of);
  pipe->rollout = calloc(slots, sizeof *pipe->rollout);
  pipe->scores = malloc(slots * sizeof *pipe->scores);
  pipe->words = malloc(slots * sizeof *pipe->words);
  pipe->returned = aligned_alloc(HW_CACHE_LINE_BYTES, config->window * sizeof *pipe->returned);
  pipe->seats.taken = calloc(steps, sizeof *pipe->seats.taken);
  pipe->seats.delivered = calloc(steps, sizeof *pipe->seats.delivered);
  pipe->slab = hr_slab_open(config->slots);
  if (!pipe->request || !pipe->group || !pipe->node_of || !pipe->slot_of || !pipe->outcome ||
      !pipe->arrivals || !pipe->cancellations || !pipe->prefix_of || !pipe->rollout ||
      !pipe->scores || !pipe->words || !pipe->returned || !pipe->seats.taken || !pipe->seats.delivered || !pipe->slab ||
      open_arena(pipe, memory) || open_flights(pipe)) {
    return HR_NO_MEMORY;
  }
  pipe->tree = hr_tree_open(pipe->arena, 2 * config->slots, config->slots);
  memcpy(pipe->request, requests, pipe->requests * sizeof *requests);
  uint32_t groups;
  if (!pipe->tree || order_requests(pipe, &groups) ||
      hr_policy_init(&pipe->decode, config->policy, config->overtake, config->slots, groups + 1u) ||
      hr_policy_init(&pipe->waiting, config->policy, config->overtake, (uint32_t)count,
                     groups + 1u)) {
    return HR_NO_MEMORY;
  }
  for (uint32_t request = 0; request < pipe->requests; ++request) {
    pipe->slot_of[request] = HWR_NONE;
  }
  for (uint32_t slot = 0; slot < config->slots; ++slot) {
    pipe->rollout[slot].queue = HR_IN_SERVICE;
    hr_queue_push(pipe, HWR_QUEUE_FREE, slot);
  }
  pipe->in_state[HWR_STATE_FREE] = config->slots;
  return hr_log_room(pipe) ? 0 : HR_NO_MEMORY;
}

hr_pipe_t *hr_pipe_open(const void *config, const void *requests, uint32_t count, void *memory,
                        int keep_log, int *error) {
  hwr_config_t asked;
  memcpy(&asked, config, sizeof asked);
  *error = HR_E(BAD_CONFIG);
  // What memory is addressed by; the caller has checked the rest.
  if (asked.slots == 0 || asked.slots > HWR_SLOTS_MAX || asked.window == 0 ||
      asked.window > HWR_WINDOW_MAX || asked.depth == 0 || asked.depth > HWR_DEPTH_MAX ||
      asked.score_ticks == 0 || asked.score_ticks > HWR_DEPTH_MAX || asked.seats == 0 ||
      asked.policy > HWR_POLICY_CUSTOM || count > HWR_REQUESTS_MAX) {
    return NULL;
  }
  *error = HR_NO_MEMORY;
  hr_pipe_t *pipe = aligned_alloc(HW_CACHE_LINE_BYTES, sizeof *pipe);
  if (!pipe) {
    return NULL;
  }
  memset(pipe, 0, sizeof *pipe);
  pipe->config = asked;
  pipe->requests = count;
  pipe->share = hr_option(pipe, HWR_OPTION_SHARE);
  pipe->keep_log = keep_log;
  pipe->first_pending = HWR_NONE;
  pipe->credits[HR_DECODE].limit = asked.decode_credits;
  pipe->credits[HR_REWARD].limit = asked.reward_credits;
  pipe->credits[HR_TRAJECTORY].limit = asked.trajectory_credits;
  for (uint32_t queue = 0; queue <= HWR_QUEUE_DONE; ++queue) {
    pipe->list[queue] = (hr_list_t){HWR_NONE, HWR_NONE, 0};
  }
  for (uint32_t at = 0; at < HWR_DEPTH_MAX; ++at) {
    pipe->batch[at] = (hr_list_t){HWR_NONE, HWR_NONE, 0};
  }
  if (open_inside(pipe, requests, memory)) {
    hr_pipe_close(pipe);
    return NULL;
  }
  *error = 0;
  return pipe;
}

void hr_pipe_close(hr_pipe_t *pipe) {
  for (uint32_t at = 0; at < HWR_DEPTH_MAX; ++at) {
    free(pipe->flight[at].lines);
    free(pipe->flight[at].slot);
  }
  hr_policy_clear(&pipe->waiting);
  hr_policy_clear(&pipe->decode);
  if (pipe->tree) {
    hr_tree_close(pipe->tree);
  }
  if (pipe->arena) {
    hr_arena_close(pipe->arena);
  }
  if (pipe->slab) {
    hr_slab_close(pipe->slab);
  }
  free(pipe->seats.delivered);
  free(pipe->seats.taken);
  free(pipe->returned);
  free(pipe->words);
  free(pipe->scores);
  free(pipe->rollout);
  free(pipe->prefix_of);
  free(pipe->cancellations);
  free(pipe->arrivals);
  free(pipe->outcome);
  free(pipe->slot_of);
  free(pipe->node_of);
  free(pipe->group);
  free(pipe->request);
  free(pipe->tags);
  free(pipe->log);
  free(pipe);
}

void hr_pipe_due(const hr_pipe_t *pipe, uint32_t *lines, uint32_t *scores) {
  *lines = pipe->flight[pipe->tick % pipe->config.depth].count;
  *scores = pipe->batch[pipe->tick % pipe->config.score_ticks].count;
}

const void *hr_pipe_lines(const hr_pipe_t *pipe, uint32_t *count) {
  *count = pipe->window->count;
  return pipe->window->lines;
}

const hr_score_t *hr_pipe_batch(const hr_pipe_t *pipe, uint32_t *count) {
  *count = pipe->score_count;
  return pipe->scores;
}

int hr_pipe_finished(const hr_pipe_t *pipe) { return pipe->finished; }

uint32_t hr_pipe_tick(const hr_pipe_t *pipe) { return pipe->tick; }

void hr_pipe_usage(const hr_pipe_t *pipe, hr_usage_t *usage) {
  *usage = (hr_usage_t){.blocks = pipe->arena->in_use,
                        .reserved = pipe->arena->reserved,
                        .decode = pipe->credits[HR_DECODE].used,
                        .reward = pipe->credits[HR_REWARD].used,
                        .trajectory = pipe->credits[HR_TRAJECTORY].used,
                        .live = pipe->live,
                        .nodes = pipe->nodes,
                        .in_flight = pipe->in_flight,
                        .taken = pipe->returned_count + pipe->unsent};
  for (uint32_t queue = 0; queue <= HWR_QUEUE_DONE; ++queue) {
    usage->queue[queue] = hr_queue_count(pipe, queue);
  }
}

void hr_pipe_bad(const hr_pipe_t *pipe, hr_bad_completion_t *bad) { *bad = pipe->bad; }

const void *hr_pipe_log(const hr_pipe_t *pipe, uint64_t *count) {
  *count = pipe->log_count;
  return pipe->log;
}

uint64_t hr_pipe_events(const hr_pipe_t *pipe) { return pipe->events_before + pipe->log_count; }

int hr_pipe_cancel(hr_pipe_t *pipe, uint32_t request) {
  if (request >= pipe->requests) {
    return HR_E(BAD_REQUEST);
  }
  uint32_t *cancel = &pipe->request[request].cancel, *order = pipe->cancellations;
  if (*cancel <= pipe->tick) {
    return 0;
  }
  uint32_t at = pipe->cancelled;
  if (*cancel == HWR_NONE) {
    at = pipe->cancels++;
  } else {
    while (order[at] != request) {
      ++at;
    }
  }
  *cancel = pipe->tick;
  for (; at > pipe->cancelled; --at) {
    const uint32_t before = order[at - 1u];
    const uint32_t theirs = pipe->request[before].cancel;
    if (theirs < pipe->tick || (theirs == pipe->tick && before < request)) {
      break;
    }
    order[at] = before;
  }
  order[at] = request;
  return 0;
}

void hr_pipe_abandon(hr_pipe_t *pipe) {
  for (uint32_t at = 0; at < HWR_DEPTH_MAX; ++at) {
    pipe->flight[at].count = 0;
    pipe->batch[at] = (hr_list_t){HWR_NONE, HWR_NONE, 0};
  }
  pipe->windows_out = pipe->batches_out = pipe->in_flight = 0;
  pipe->score_count = pipe->returned_count = pipe->unsent = 0;
  for (uint32_t slot = 0; slot < pipe->config.slots; ++slot) {
    hr_rollout_t *rollout = &pipe->rollout[slot];
    if (rollout->queue == HWR_QUEUE_FREE) {
      continue;
    }
    if (rollout->queue != HWR_QUEUE_DONE) {
      if (rollout->queue != HR_IN_SERVICE) {
        hr_queue_remove(pipe, slot);
      }
      hr_end(pipe, rollout, HR_ENDED_CANCELLED);
    }
    hr_recycle(pipe, rollout);
  }
  uint32_t entry;
  while (hr_policy_pop(&pipe->waiting, &entry) == 0) {
    continue;
  }
  uint32_t node, blocks;
  while (hr_tree_sweep(pipe->tree, &node, &blocks)) {
    --pipe->nodes;
    HR_COUNT(pipe, NODES_FREED);
    pipe->node_of[pipe->prefix_of[node]] = 0;
  }
  pipe->finished = 1;
  hr_publish(pipe);
}
