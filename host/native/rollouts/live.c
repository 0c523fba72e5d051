// SPDX-License-Identifier: Apache-2.0
//
// Counters and gauges of a run, and the page that shows them to other threads and processes while it
// goes on [MET-001] [MET-005].
#include "rollouts/pipe.h"

typedef _Atomic uint64_t hr_word_t;

void hr_pipe_counters(const hr_pipe_t *pipe, uint64_t *counters) {
  memcpy(counters, pipe->counter, sizeof pipe->counter);
  counters[HWR_COUNTER_BLOCKS_ALLOCATED] = pipe->arena->allocated;
  counters[HWR_COUNTER_BLOCKS_FREED] = pipe->arena->allocated - pipe->arena->in_use;
}

void hr_pipe_gauges(const hr_pipe_t *pipe, uint64_t *gauges) {
  memset(gauges, 0, HWR_GAUGE_WORDS * sizeof *gauges);
  for (uint32_t state = 0; state <= HWR_STATE_DONE; ++state) {
    gauges[HWR_GAUGE_STATE_FREE + state] = pipe->in_state[state];
  }
  for (uint32_t queue = 0; queue <= HWR_QUEUE_DONE; ++queue) {
    gauges[HWR_GAUGE_QUEUE_FREE + queue] = hr_queue_count(pipe, queue);
  }
  gauges[HWR_GAUGE_WAITING] = pipe->waiting.count;
  gauges[HWR_GAUGE_IN_FLIGHT] = pipe->in_flight;
  gauges[HWR_GAUGE_BLOCKS] = pipe->arena->in_use;
  gauges[HWR_GAUGE_RESERVED] = pipe->arena->reserved;
  gauges[HWR_GAUGE_DECODE_CREDITS] = pipe->credits[HR_DECODE].used;
  gauges[HWR_GAUGE_REWARD_CREDITS] = pipe->credits[HR_REWARD].used;
  gauges[HWR_GAUGE_TRAJECTORY_CREDITS] = pipe->credits[HR_TRAJECTORY].used;
  gauges[HWR_GAUGE_PREFIXES] = pipe->nodes;
  gauges[HWR_GAUGE_VERSION] = pipe->seats.version;
}

static void store(uint8_t *at, const uint64_t *words, uint32_t count) {
  hr_word_t *to = (hr_word_t *)(void *)at;
  for (uint32_t word = 0; word < count; ++word) {
    atomic_store_explicit(&to[word], words[word], memory_order_relaxed);
  }
}

void hr_publish(const hr_pipe_t *pipe) {
  uint8_t *page = pipe->page;
  if (!page) {
    return;
  }
  uint64_t gauges[HWR_GAUGE_WORDS], counters[HWR_COUNTER_WORDS];
  hr_pipe_gauges(pipe, gauges);
  hr_pipe_counters(pipe, counters);
  hr_word_t *sequence = (hr_word_t *)(void *)(page + HWR_LIVE_SEQUENCE_AT);
  const uint64_t before = atomic_load_explicit(sequence, memory_order_relaxed);
  atomic_store_explicit(sequence, before + 1u, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);  // who sees a new word also sees the odd number
  store(page + HWR_LIVE_GAUGES_AT, gauges, HWR_GAUGE_WORDS);
  store(page + HWR_LIVE_COUNTERS_AT, counters, HWR_COUNTER_WORDS);
  atomic_store_explicit(sequence, before + 2u, memory_order_release);
}

void hr_pipe_trace(hr_pipe_t *pipe, void *ring) { pipe->trace = ring; }

void hr_pipe_note(const hr_pipe_t *pipe, uint32_t event, const void *lines, uint32_t count) {
  hr_note_lines(pipe, event, lines, count);
}

uint64_t hr_stamp(void) { return hw_stamp(); }

void hr_pipe_show(hr_pipe_t *pipe, void *page) {
  pipe->page = page;
  hr_publish(pipe);
}
