// SPDX-License-Identifier: Apache-2.0
//
// What rollouts hold: queues, credits, seats and KV, each taken and released in one place.
#include "rollouts/pipe.h"

// Credits that a state holds beyond none, a bit for each stage [PIPE-004].
static const uint8_t held[] = {
    [HWR_STATE_FREE] = 0,
    [HWR_STATE_PREFILL_READY] = 1u << HR_DECODE,
    [HWR_STATE_DECODING] = 1u << HR_DECODE,
    [HWR_STATE_REWARD_PENDING] = 1u << HR_DECODE | 1u << HR_REWARD,
    [HWR_STATE_TRAJECTORY_READY] = 1u << HR_DECODE | 1u << HR_TRAJECTORY,
    [HWR_STATE_DONE] = 0,
};

int hr_log_room(hr_pipe_t *pipe) {
  const uint64_t room = pipe->log_room ? 2 * pipe->log_room : 4096;
  hwr_record_t *log = realloc(pipe->log, room * sizeof *log);
  if (!log) {
    pipe->error = pipe->error ? pipe->error : HR_NO_MEMORY;
    return 0;
  }
  pipe->log = log;
  pipe->log_room = room;
  return 1;
}

static void note(hr_pipe_t *pipe, int error) {
  if (error && !pipe->error) {
    pipe->error = error;
  }
}

void hr_list_push(hr_pipe_t *pipe, hr_list_t *list, uint32_t slot) {
  pipe->rollout[slot].older = list->newest;
  pipe->rollout[slot].newer = HWR_NONE;
  if (list->newest == HWR_NONE) {
    list->oldest = slot;
  } else {
    pipe->rollout[list->newest].newer = slot;
  }
  list->newest = slot;
  ++list->count;
}

void hr_list_remove(hr_pipe_t *pipe, hr_list_t *list, uint32_t slot) {
  const hr_rollout_t *gone = &pipe->rollout[slot];
  if (gone->older == HWR_NONE) {
    list->oldest = gone->newer;
  } else {
    pipe->rollout[gone->older].newer = gone->newer;
  }
  if (gone->newer == HWR_NONE) {
    list->newest = gone->older;
  } else {
    pipe->rollout[gone->newer].older = gone->older;
  }
  --list->count;
}

void hr_queue_push(hr_pipe_t *pipe, uint32_t queue, uint32_t slot) {
  if (pipe->rollout[slot].queue != HR_IN_SERVICE) {
    note(pipe, HR_E(QUEUE_FULL));  // it is in one already
    return;
  }
  pipe->rollout[slot].queue = (uint8_t)queue;
  hr_list_push(pipe, &pipe->list[queue], slot);
  if (queue == HWR_QUEUE_TRAJECTORY && pipe->first_pending == HWR_NONE) {
    pipe->first_pending = slot;
  }
}

void hr_queue_remove(hr_pipe_t *pipe, uint32_t slot) {
  hr_rollout_t *rollout = &pipe->rollout[slot];
  const uint32_t queue = rollout->queue;
  if (queue == HWR_QUEUE_DECODE) {
    note(pipe, hr_policy_remove(&pipe->decode, slot));
  } else if (queue == HR_IN_SERVICE) {
    note(pipe, HR_E(QUEUE_EMPTY));
  } else {
    if (slot == pipe->first_pending) {
      pipe->first_pending = rollout->newer;
    }
    hr_list_remove(pipe, &pipe->list[queue], slot);
  }
  rollout->queue = HR_IN_SERVICE;
}

void hr_to_decode(hr_pipe_t *pipe, hr_rollout_t *rollout) {
  const uint32_t request = rollout->request;
  rollout->queue = HWR_QUEUE_DECODE;
  note(pipe, hr_policy_push(&pipe->decode, hr_slot(rollout), pipe->group[request],
                            rollout->max_tokens - rollout->length, pipe->request[request].rank));
}

static void exchange_credits(hr_pipe_t *pipe, uint32_t from, uint32_t to) {
  const uint32_t added = held[to] & ~(uint32_t)held[from];
  const uint32_t dropped = held[from] & ~(uint32_t)held[to];
  for (int stage = 0; stage < HR_STAGES; ++stage) {
    hr_credits_t *credits = &pipe->credits[stage];
    if (added >> stage & 1u) {
      note(pipe, hr_credit_free(credits) ? 0 : HR_E(NO_CREDIT));
      ++credits->used;
    } else if (dropped >> stage & 1u) {
      note(pipe, credits->used ? 0 : HR_E(CREDIT_UNDERFLOW));
      --credits->used;
    }
  }
}

static void log_state(hr_pipe_t *pipe, const hr_rollout_t *rollout, uint32_t from) {
  const uint64_t word =
      atomic_load_explicit(&pipe->slab->word[hr_slot(rollout)], memory_order_relaxed);
  --pipe->in_state[from];
  ++pipe->in_state[hr_word_state(word)];
  hr_log(pipe, HWR_EVENT_STATE, hr_slot(rollout), rollout->request, from, hr_word_state(word),
         (uint32_t)word >> HWR_WORD_CANCELLED_LSB & 0xFFu, 0);
}

void hr_move(hr_pipe_t *pipe, hr_rollout_t *rollout, uint32_t to) {
  const uint32_t from = hr_state_of(pipe, rollout);
  exchange_credits(pipe, from, to);
  note(pipe, hr_slab_move(pipe->slab, rollout->handle, (int)from, (int)to));
  log_state(pipe, rollout, from);
}

void hr_end(hr_pipe_t *pipe, hr_rollout_t *rollout, int outcome) {
  const uint32_t from = hr_state_of(pipe, rollout);
  const uint64_t handle = rollout->handle;
  note(pipe, outcome == HR_DELIVERED
                 ? hr_slab_move(pipe->slab, handle, (int)from, (int)HWR_STATE_DONE)
                 : outcome == HR_ENDED_CANCELLED ? hr_slab_cancel(pipe->slab, handle)
                                                 : hr_slab_fail(pipe->slab, handle));
  log_state(pipe, rollout, from);
  exchange_credits(pipe, from, HWR_STATE_DONE);
  hr_released_t released = {0, 0};
  note(pipe, hr_tree_release(pipe->tree, rollout->branch, &released));
  if (outcome != HR_DELIVERED && pipe->config.seats != HWR_NONE) {
    --pipe->seats.taken[rollout->step];
    if (rollout->step < pipe->seats.first_open) {
      pipe->seats.first_open = rollout->step;
    }
  }
  hr_log(pipe, HWR_EVENT_RELEASE, hr_slot(rollout), rollout->request, released.freed, released.left,
         pipe->arena->in_use,
         pipe->credits[HR_DECODE].used | (uint64_t)pipe->credits[HR_REWARD].used << 32);
  ++pipe->counter[outcome == HR_DELIVERED         ? HWR_COUNTER_DELIVERED
                  : outcome == HR_ENDED_CANCELLED ? HWR_COUNTER_CANCELLED
                                                  : HWR_COUNTER_FAILED];
  if (outcome != HR_DELIVERED) {
    hr_trace(pipe, HWR_TRACE_ENDED, rollout, HWR_NONE, 0);
  }
  pipe->outcome[rollout->request] = (uint8_t)outcome;
  ++pipe->ended[outcome];
  pipe->slot_of[rollout->request] = HWR_NONE;
  hr_queue_push(pipe, HWR_QUEUE_DONE, hr_slot(rollout));
}

void hr_recycle(hr_pipe_t *pipe, hr_rollout_t *rollout) {
  const uint32_t slot = hr_slot(rollout);
  hr_queue_remove(pipe, slot);
  note(pipe, hr_slab_move(pipe->slab, rollout->handle, (int)HWR_STATE_DONE, (int)HWR_STATE_FREE));
  log_state(pipe, rollout, HWR_STATE_DONE);
  --pipe->live;
  hr_queue_push(pipe, HWR_QUEUE_FREE, slot);
}

static int has_seat(const hr_pipe_t *pipe) {
  return pipe->config.seats == HWR_NONE ||
         pipe->seats.first_open - pipe->seats.version <= pipe->config.staleness;
}

static uint32_t take_seat(hr_pipe_t *pipe) {
  hr_seats_t *seats = &pipe->seats;
  if (pipe->config.seats == HWR_NONE) {
    return 0;
  }
  const uint32_t step = seats->first_open;
  ++seats->taken[step];
  while (seats->taken[seats->first_open] == pipe->config.seats) {
    ++seats->first_open;
  }
  return step;
}

void hr_seat_delivered(hr_pipe_t *pipe, uint32_t step) {
  hr_seats_t *seats = &pipe->seats;
  if (pipe->config.seats == HWR_NONE) {
    return;
  }
  ++seats->delivered[step];
  while (seats->delivered[seats->version] == pipe->config.seats) {
    ++seats->version;
    HR_COUNT(pipe, VERSIONS);
    hr_log(pipe, HWR_EVENT_VERSION, 0, HWR_NONE, seats->version, 0, 0, 0);
  }
}

// What names the prefix of a request [PIPE-009].
static uint32_t prefix(const hr_pipe_t *pipe, uint32_t request) {
  return pipe->share ? pipe->group[request] : request;
}

uint32_t hr_lacks(const hr_pipe_t *pipe, uint32_t request) {
  const hwr_request_t *asked = &pipe->request[request];
  uint64_t blocks = hr_need(asked->prompt_tokens, asked->max_tokens);
  if (!pipe->node_of[prefix(pipe, request)]) {
    blocks += hr_blocks_of(asked->prompt_tokens);
  }
  return !pipe->list[HWR_QUEUE_FREE].count                ? HWR_COUNTER_WAITS_SLOT
         : !hr_credit_free(&pipe->credits[HR_DECODE])     ? HWR_COUNTER_WAITS_CREDIT
         : !has_seat(pipe)                                ? HWR_COUNTER_WAITS_SEAT
         : blocks > hr_available(pipe->arena)             ? HWR_COUNTER_WAITS_BLOCKS
                                                          : HWR_NONE;
}

hr_rollout_t *hr_admit(hr_pipe_t *pipe, uint32_t request) {
  const hwr_request_t *asked = &pipe->request[request];
  const uint32_t name = prefix(pipe, request);
  uint32_t node = pipe->node_of[name], branch = 0;
  if (!node) {
    note(pipe, hr_tree_node(pipe->tree, 0, asked->prompt_tokens, &node));
    pipe->node_of[name] = node;
    pipe->prefix_of[node] = name;
    ++pipe->nodes;
    HR_COUNT(pipe, NODES);
    const hr_node_t *made = &pipe->tree->node[node];
    hr_log(pipe, HWR_EVENT_NODE, 0, HWR_NONE, node, made->blocks, made->first, asked->group);
  }
  note(pipe, hr_tree_fork(pipe->tree, node, asked->max_tokens, &branch));
  const uint32_t slot = pipe->list[HWR_QUEUE_FREE].oldest;
  hr_queue_remove(pipe, slot);
  hr_rollout_t *rollout = &pipe->rollout[slot];
  const uint32_t generation = hr_generation(hr_slab_word(pipe->slab, slot));
  *rollout = (hr_rollout_t){.handle = hr_handle(generation, slot),
                            .request = request,
                            .node = node,
                            .branch = branch,
                            .length = asked->prompt_tokens,
                            .max_tokens = asked->max_tokens,
                            .version = pipe->seats.version,
                            .step = take_seat(pipe),
                            .queue = HR_IN_SERVICE};
  note(pipe, hr_slab_move(pipe->slab, rollout->handle, (int)HWR_STATE_FREE,
                          (int)HWR_STATE_PREFILL_READY));
  exchange_credits(pipe, HWR_STATE_FREE, HWR_STATE_PREFILL_READY);
  ++pipe->live;
  --pipe->in_state[HWR_STATE_FREE];
  ++pipe->in_state[HWR_STATE_PREFILL_READY];
  HR_COUNT(pipe, ADMITTED);
  hr_trace(pipe, HWR_TRACE_ALLOC, rollout, HWR_NONE, 0);
  pipe->slot_of[request] = slot;
  hr_log(pipe, HWR_EVENT_ADMIT, slot, request, generation, node, pipe->tree->branch[branch].left,
         rollout->version | (uint64_t)rollout->step << 32);
  return rollout;
}
