// SPDX-License-Identifier: Apache-2.0
//
// One tick [PIPE-005]: Complete, Cancel, Recycle, Arrive, Admit, Sweep, Schedule, Deliver.
#include "rollouts/pipe.h"

static void log_score(hr_pipe_t *pipe, uint32_t event, const hr_rollout_t *rollout, uint32_t word) {
  hr_log(pipe, event, hr_slot(rollout), rollout->request, pipe->config.scorer, rollout->final,
         rollout->length, word);
}

static void deliver(hr_pipe_t *pipe, hr_rollout_t *rollout) {
  uint64_t digest = 0;
  if (hr_option(pipe, HWR_OPTION_CHECK_KV)) {
    const int error = hr_tree_digest(pipe->tree, rollout->branch, &digest);
    pipe->error = pipe->error ? pipe->error : error;
  }
  const uint32_t slot = hr_slot(rollout), step = rollout->step;
  hr_end(pipe, rollout, HR_DELIVERED);
  hr_trace(pipe, HWR_TRACE_TRAJECTORY_DONE, rollout, HWR_NONE, 0);
  hr_log(pipe, HWR_EVENT_TRAJECTORY, slot, rollout->request, rollout->length, rollout->score,
         rollout->version, digest);
  hr_seat_delivered(pipe, step);
}

static void use_score(hr_pipe_t *pipe, hr_rollout_t *rollout, uint32_t word) {
  log_score(pipe, HWR_EVENT_SCORE, rollout, word);
  HR_COUNT(pipe, SCORES);
  hr_trace(pipe, HWR_TRACE_SCORED, rollout, rollout->length, rollout->final);
  if (rollout->marked) {
    hr_end(pipe, rollout, HR_ENDED_CANCELLED);
  } else if (rollout->final) {
    rollout->score = word;
    hr_queue_push(pipe, HWR_QUEUE_TRAJECTORY, hr_slot(rollout));
  } else {
    hr_move(pipe, rollout, HWR_STATE_DECODING);
    hr_to_decode(pipe, rollout);
  }
}

static void use_tokens(hr_pipe_t *pipe, hr_rollout_t *rollout, uint32_t length, int done) {
  if (length > rollout->length) {
    const uint64_t base = (uint64_t)rollout->request << 32;
    const int error =
        hr_tree_write(pipe->tree, rollout->branch, rollout->length, length - rollout->length, base);
    pipe->error = pipe->error ? pipe->error : error;
    pipe->counter[HWR_COUNTER_TOKENS] += length - rollout->length;
    rollout->length = length;
  }
  HR_COUNT(pipe, LEGS);
  rollout->final = (uint8_t)done;
  if (done && !hr_option(pipe, HWR_OPTION_FINAL_REWARD)) {
    deliver(pipe, rollout);
  } else if (done || hr_option(pipe, HWR_OPTION_BOUNDARY_REWARD)) {
    hr_queue_push(pipe, HWR_QUEUE_REWARD, hr_slot(rollout));
  } else {
    hr_to_decode(pipe, rollout);
  }
}

static void complete_line(hr_pipe_t *pipe, const hr_flight_t *flight, uint32_t index,
                          const hw_desc_t *completion) {
  hr_rollout_t *rollout = &pipe->rollout[flight->slot[index]];
  const uint32_t flags = completion->flags & HW_DEVICE_OWNED_FLAGS;
  hr_log(pipe, HWR_EVENT_COMPLETION, hr_slot(rollout), rollout->request, flight->window,
         index << 16 | completion->opcode, flags,
         completion->seq_len | (uint64_t)completion->reserved0 << 32);
  HR_COUNT(pipe, COMPLETIONS);
  if (completion->opcode == HW_OPCODE_REWARD) {
    use_score(pipe, rollout, completion->reserved0);
    return;
  }
  if (completion->opcode == HW_OPCODE_PREFILL) {
    const uint64_t group = pipe->request[rollout->request].group;
    if (pipe->arena->memory) {
      hr_tree_fill(pipe->tree, rollout->node, HWR_PROMPT_TAG + (group << 32));
    }
    pipe->tree->node[rollout->node].filling = HR_READY;
    pipe->counter[HWR_COUNTER_PROMPT_TOKENS] += pipe->tree->node[rollout->node].tokens;
  }
  if (rollout->marked) {
    hr_end(pipe, rollout, HR_ENDED_CANCELLED);
  } else if (completion->opcode == HW_OPCODE_PREFILL) {
    hr_to_decode(pipe, rollout);
  } else {
    use_tokens(pipe, rollout, completion->seq_len, flags == HW_FLAG_DONE);
  }
}

static void complete_scores(hr_pipe_t *pipe, hr_list_t *batch, const uint32_t *scores) {
  uint32_t slot = batch->oldest;
  for (uint32_t place = 0; slot != HWR_NONE; ++place) {
    hr_rollout_t *rollout = &pipe->rollout[slot];
    slot = rollout->newer;  // it joins another list below
    if (scores) {
      use_score(pipe, rollout, scores[place]);
    } else {
      log_score(pipe, HWR_EVENT_SCORER_FAILED, rollout, 0);
      HR_COUNT(pipe, SCORE_FAILURES);
      hr_end(pipe, rollout, rollout->marked ? HR_ENDED_CANCELLED : HR_ENDED_FAILED);
    }
  }
  pipe->batches_out -= batch->count != 0;
  *batch = (hr_list_t){HWR_NONE, HWR_NONE, 0};
}

static void complete(hr_pipe_t *pipe, const hw_desc_t *completions, const uint32_t *scores) {
  hr_flight_t *flight = &pipe->flight[pipe->tick % pipe->config.depth];
  const uint32_t count = flight->count;
  pipe->windows_out -= count != 0;
  pipe->in_flight -= count;
  for (uint32_t index = 0; index < count; ++index) {
    complete_line(pipe, flight, index, &completions[index]);
  }
  flight->count = 0;
  complete_scores(pipe, &pipe->batch[pipe->tick % pipe->config.score_ticks], scores);
}

static void cancel(hr_pipe_t *pipe) {
  for (; pipe->cancelled < pipe->cancels; ++pipe->cancelled) {
    const uint32_t request = pipe->cancellations[pipe->cancelled];
    if (pipe->request[request].cancel > pipe->tick) {
      return;
    }
    if (pipe->outcome[request] != HR_UNFINISHED) {
      continue;
    }
    const uint32_t slot = pipe->slot_of[request];
    if (slot == HWR_NONE) {
      hr_log(pipe, HWR_EVENT_CANCEL, 0, request, 0, 0, 0, 0);
      pipe->outcome[request] = HR_ENDED_CANCELLED;
      ++pipe->ended[HR_ENDED_CANCELLED];
      HR_COUNT(pipe, CANCELLED);
      if (hr_policy_has(&pipe->waiting, request)) {
        hr_policy_remove(&pipe->waiting, request);
      }
      continue;
    }
    hr_rollout_t *rollout = &pipe->rollout[slot];
    const int in_service = rollout->queue == HR_IN_SERVICE;
    hr_log(pipe, HWR_EVENT_CANCEL, slot, request, hr_state_of(pipe, rollout), (uint32_t)in_service,
           0, 0);
    if (in_service) {
      rollout->marked = 1;
      HR_COUNT(pipe, CANCELS_DEFERRED);
    } else {
      hr_queue_remove(pipe, slot);
      hr_end(pipe, rollout, HR_ENDED_CANCELLED);
    }
  }
}

static void recycle(hr_pipe_t *pipe) {
  const hr_list_t *done = &pipe->list[HWR_QUEUE_DONE];
  while (done->count) {
    hr_recycle(pipe, &pipe->rollout[done->oldest]);
  }
}

static void arrive(hr_pipe_t *pipe) {
  for (; pipe->arrived < pipe->requests; ++pipe->arrived) {
    const uint32_t request = pipe->arrivals[pipe->arrived];
    const hwr_request_t *asked = &pipe->request[request];
    if (asked->arrival > pipe->tick) {
      return;
    }
    if (pipe->outcome[request] == HR_UNFINISHED) {
      hr_policy_push(&pipe->waiting, request, pipe->group[request],
                     asked->max_tokens - asked->prompt_tokens, asked->rank);
      HR_COUNT(pipe, ARRIVED);
    }
  }
}

static void admit(hr_pipe_t *pipe) {
  for (;;) {
    uint32_t request = hr_policy_peek(&pipe->waiting);
    if (request == HWR_NONE) {
      return;
    }
    const uint32_t lacks = hr_lacks(pipe, request);
    if (lacks != HWR_NONE) {
      ++pipe->counter[lacks];
      return;
    }
    hr_policy_remove(&pipe->waiting, request);
    hr_rollout_t *rollout = hr_admit(pipe, request);
    if (pipe->tree->node[rollout->node].filling == HR_READY) {
      hr_to_decode(pipe, rollout);
    } else {
      hr_queue_push(pipe, HWR_QUEUE_PREFILL, hr_slot(rollout));
    }
  }
}

static void sweep(hr_pipe_t *pipe) {
  uint32_t node, blocks;
  while (hr_tree_sweep(pipe->tree, &node, &blocks)) {
    pipe->node_of[pipe->prefix_of[node]] = 0;
    --pipe->nodes;
    HR_COUNT(pipe, NODES_FREED);
    hr_log(pipe, HWR_EVENT_NODE_FREE, 0, HWR_NONE, node, blocks, 0, 0);
  }
}

static void schedule_rewards(hr_pipe_t *pipe, uint32_t room) {
  const hr_list_t *reward = &pipe->list[HWR_QUEUE_REWARD];
  const int by_device = pipe->config.scorer == HWR_SCORER_OP_010;
  hr_list_t *batch = &pipe->batch[pipe->tick % pipe->config.score_ticks];
  while (reward->count && hr_credit_free(&pipe->credits[HR_REWARD]) &&
         !(by_device && pipe->window->count == room)) {
    const uint32_t slot = reward->oldest;
    hr_rollout_t *rollout = &pipe->rollout[slot];
    hr_queue_remove(pipe, slot);
    hr_move(pipe, rollout, HWR_STATE_REWARD_PENDING);
    hr_trace(pipe, HWR_TRACE_REWARD_POSTED, rollout, rollout->length, rollout->final);
    if (by_device) {
      hr_draft(pipe, rollout, HW_OPCODE_REWARD, rollout->length, rollout->max_tokens, HWR_NONE);
    } else {
      log_score(pipe, HWR_EVENT_SCORE_REQUEST, rollout, 0);
      HR_COUNT(pipe, SCORE_REQUESTS);
      hr_list_push(pipe, batch, slot);
      pipe->scores[pipe->score_count++] =
          (hr_score_t){rollout->request, rollout->length, rollout->final};
    }
  }
  pipe->batches_out += batch->count != 0;
}

static void schedule_prompts(hr_pipe_t *pipe, uint32_t room) {
  for (uint32_t slot = pipe->list[HWR_QUEUE_PREFILL].oldest; slot != HWR_NONE;) {
    hr_rollout_t *rollout = &pipe->rollout[slot];
    hr_node_t *node = &pipe->tree->node[rollout->node];
    const uint32_t next = rollout->newer;
    if (node->filling == HR_READY) {
      hr_queue_remove(pipe, slot);
      hr_to_decode(pipe, rollout);
    } else if (node->filling == HR_EMPTY) {
      if (pipe->window->count == room) {
        return;
      }
      hr_queue_remove(pipe, slot);
      node->filling = HR_FILLING;
      hr_draft(pipe, rollout, HW_OPCODE_PREFILL, 0, node->tokens, HWR_NONE);
    }
    slot = next;
  }
}

static void schedule_tokens(hr_pipe_t *pipe, uint32_t room) {
  while (pipe->decode.count && pipe->window->count < room) {
    const uint32_t slot = hr_policy_peek(&pipe->decode);
    hr_rollout_t *rollout = &pipe->rollout[slot];
    hr_queue_remove(pipe, slot);
    if (hr_state_of(pipe, rollout) == HWR_STATE_PREFILL_READY) {
      hr_move(pipe, rollout, HWR_STATE_DECODING);
    }
    hr_place_t place;
    hr_tree_prepare(pipe->tree, rollout->branch, &place);
    if (place.copied) {
      HR_COUNT(pipe, BLOCKS_COPIED);
      hr_trace(pipe, HWR_TRACE_COPIED, rollout, rollout->length, 0);
      hr_log(pipe, HWR_EVENT_COPY, slot, rollout->request, place.source, place.block, place.copied,
             0);
    }
    hr_draft(pipe, rollout, HW_OPCODE_DECODE, rollout->length, rollout->max_tokens, place.block);
  }
}

static void schedule(hr_pipe_t *pipe) {
  const uint32_t free_slots = pipe->config.ring_slots - pipe->in_flight;
  const uint32_t room = pipe->config.window < free_slots ? pipe->config.window : free_slots;
  pipe->window = &pipe->flight[pipe->tick % pipe->config.depth];
  pipe->score_count = 0;
  schedule_rewards(pipe, room);
  schedule_prompts(pipe, room);
  schedule_tokens(pipe, room);
  hr_close_window(pipe);
  pipe->counter[HWR_COUNTER_WAITS_WINDOW] += pipe->decode.count != 0;
  pipe->counter[HWR_COUNTER_WAITS_REWARD] +=
      pipe->list[HWR_QUEUE_REWARD].count && !hr_credit_free(&pipe->credits[HR_REWARD]);
}

// Entries become TRAJECTORY_READY in order, so those that are stand in front of those that are not.
static void deliver_trajectories(hr_pipe_t *pipe) {
  while (pipe->first_pending != HWR_NONE && hr_credit_free(&pipe->credits[HR_TRAJECTORY])) {
    hr_rollout_t *rollout = &pipe->rollout[pipe->first_pending];
    hr_move(pipe, rollout, HWR_STATE_TRAJECTORY_READY);
    pipe->first_pending = rollout->newer;
  }
  const hr_list_t *trajectory = &pipe->list[HWR_QUEUE_TRAJECTORY];
  for (uint32_t left = pipe->config.deliver;
       left && trajectory->count && trajectory->oldest != pipe->first_pending; --left) {
    const uint32_t slot = trajectory->oldest;
    hr_queue_remove(pipe, slot);
    deliver(pipe, &pipe->rollout[slot]);
  }
  pipe->counter[HWR_COUNTER_WAITS_DELIVERY] += trajectory->count != 0;
}

static int end_of_tick(hr_pipe_t *pipe, int progress) {
  const uint32_t ended = pipe->ended[HR_DELIVERED] + pipe->ended[HR_ENDED_CANCELLED] +
                         pipe->ended[HR_ENDED_FAILED];
  if (ended == pipe->requests && pipe->live == 0) {
    if (pipe->nodes == 0) {
      hr_log(pipe, HWR_EVENT_END, 0, HWR_NONE, pipe->ended[HR_DELIVERED],
             pipe->ended[HR_ENDED_CANCELLED], pipe->ended[HR_ENDED_FAILED],
             pipe->counter[HWR_COUNTER_TOKENS]);
      pipe->finished = 1;
    }
  } else if (!progress && !pipe->windows_out && !pipe->batches_out &&
             pipe->arrived == pipe->requests && pipe->cancelled == pipe->cancels) {
    return HR_E(STALLED);
  }
  return pipe->error;
}

int hr_pipe_step(hr_pipe_t *pipe, const void *completions, uint32_t count, const uint32_t *scores) {
  if (pipe->error) {
    return pipe->error;
  }
  const hr_flight_t *due = &pipe->flight[pipe->tick % pipe->config.depth];
  const int error = hr_check_window(pipe, due, completions, count);
  if (error) {
    return error;
  }
  if (!pipe->keep_log) {
    pipe->events_before += pipe->log_count;
    pipe->log_count = 0;
  }
  const uint64_t before = pipe->log_count;
  complete(pipe, completions, scores);
  cancel(pipe);
  recycle(pipe);
  arrive(pipe);
  admit(pipe);
  sweep(pipe);
  schedule(pipe);
  deliver_trajectories(pipe);
  const int ended = end_of_tick(pipe, pipe->log_count != before);
  ++pipe->tick;
  HR_COUNT(pipe, TICKS);
  hr_publish(pipe);
  return ended;
}
