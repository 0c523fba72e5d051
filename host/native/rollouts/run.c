// SPDX-License-Identifier: Apache-2.0
//
// A run over a queue on rings: windows go out in one submission each, and their completions are the
// next ones of the ring, since completions keep submission order [RING-007].
#include "rollouts/pipe.h"

#include "api.h"

// RWD-005, for a rollout's first `length` tokens.
static uint32_t token_rule(const hwr_request_t *request, uint32_t length) {
  uint32_t score = 0;
  const uint64_t base = request->group * 0x9E3779B97F4A7C15ull +
                        request->sample * 0xC2B2AE3D27D4EB4Full;
  for (uint64_t position = request->prompt_tokens; position < length; ++position) {
    uint64_t x = base + position * 0x165667B19E3779F9ull;
    x ^= x >> 29;
    x *= 0xBF58476D1CE4E5B9ull;
    x ^= x >> 32;
    score += x % HWR_VOCABULARY % HWR_TOKEN_DIVISOR == 0;
  }
  return score;
}

static void score_batch(hr_pipe_t *pipe, uint32_t *scores) {
  const hr_list_t *batch = &pipe->batch[pipe->tick % pipe->config.score_ticks];
  uint32_t place = 0;
  for (uint32_t slot = batch->oldest; slot != HWR_NONE; slot = pipe->rollout[slot].newer) {
    const hr_rollout_t *rollout = &pipe->rollout[slot];
    scores[place++] = token_rule(&pipe->request[rollout->request], rollout->length);
  }
}

// The completions of the window that is due: 0, HR_TIMEOUT or a failure of the queue.
static int collect(hw_queue_t *queue, hw_desc_t *completions, uint32_t count, uint32_t *got,
                   int64_t patience_ns) {
  while (*got < count) {
    const int64_t taken = hq_poll(queue, 0, completions + *got, count - *got, patience_ns);
    if (taken <= 0) {
      return taken ? HR_DEVICE + (int)taken : HR_TIMEOUT;
    }
    *got += (uint32_t)taken;
  }
  return 0;
}

// The last tick's window, where it is not out yet.
static int submit(hr_pipe_t *pipe, hw_queue_t *queue) {
  if (pipe->unsent == 0) {
    return 0;
  }
  const int64_t taken = hq_submit_all(queue, pipe->window->lines, pipe->unsent);
  if (taken <= 0) {
    return taken ? HR_DEVICE + (int)taken : HR_TIMEOUT;  // somebody else's lines have taken the room
  }
  hr_note_lines(pipe, HWR_TRACE_COMMITTED, pipe->window->lines, pipe->unsent);
  pipe->unsent = 0;
  return 0;
}

int hr_pipe_run(hr_pipe_t *pipe, hw_queue_t *queue, uint64_t ticks, int64_t patience_ns) {
  const uint64_t most = (uint64_t)pipe->config.window * pipe->config.depth;
  const uint32_t ring_slots = pipe->config.ring_slots;
  const int64_t room = hq_room(queue);
  if (room < 0) {
    return HR_DEVICE + (int)room;
  }
  if (pipe->config.scorer > HWR_SCORER_ADVANTAGE ||
      (uint64_t)room + pipe->in_flight < (most < ring_slots ? most : ring_slots)) {
    return HR_E(BAD_CONFIG);
  }
  for (; ticks && !pipe->finished; --ticks) {
    uint32_t lines, scores;
    int error = submit(pipe, queue);  // a window that a failed call has left
    if (error) {
      return error;
    }
    hr_pipe_due(pipe, &lines, &scores);
    error = collect(queue, pipe->returned, lines, &pipe->returned_count, patience_ns);
    if (error) {
      return error;
    }
    hr_note_lines(pipe, HWR_TRACE_POLLED, pipe->returned, lines);
    if (scores) {
      score_batch(pipe, pipe->words);
    }
    error = hr_pipe_step(pipe, pipe->returned, lines, pipe->words);
    if (error) {
      return error;
    }
    pipe->returned_count = 0;
    hr_pipe_lines(pipe, &pipe->unsent);
    error = submit(pipe, queue);
    if (error) {
      return error;
    }
  }
  return 0;
}
