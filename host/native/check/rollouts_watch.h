// SPDX-License-Identifier: Apache-2.0
//
// Who looks at a run of the rollout stress while it is under way: a thread that reads its live page
// without end [MET-005], and the events of its ticks and of its worker [TRC-003].
#ifndef ROLLOUTS_WATCH_H
#define ROLLOUTS_WATCH_H

#include <pthread.h>

#include "hw_trace.h"
#include "rollouts/pipe.h"
#include "sync.h"

enum { EVENTS = 1 << 16 };

typedef struct trace {
  hw_trace_ring_t ring;
  hwr_trace_t event[EVENTS];
  uint64_t looked_at;
  uint64_t of[HWR_TRACE_COPIED + 1];  // how many of each event
} trace_t;

typedef struct watch {
  _Alignas(64) _Atomic uint64_t page[HWR_LIVE_BYTES / 8];
  uint32_t slots;
  hw_word_t stop;
  pthread_t reader;
} watch_t;

static void need(int holds, const char *what, uint32_t rollout);

static void trace_begin(trace_t *trace) {
  memset(&trace->ring, 0, sizeof trace->ring);
  memset(trace->of, 0, sizeof trace->of);
  trace->ring.head.mask = EVENTS - 1u;
  trace->looked_at = 0;
}

// Count what is new. The thread that writes the ring stands still.
static void trace_look(trace_t *trace) {
  const uint64_t written = trace->ring.head.written;
  need(written - trace->looked_at <= EVENTS, "more events than the ring has places", HWR_NONE);
  for (; trace->looked_at < written; ++trace->looked_at) {
    const hwr_trace_t *event = &trace->event[trace->looked_at & (EVENTS - 1u)];
    need(event->event >= HWR_TRACE_ALLOC && event->event <= HWR_TRACE_COPIED, "no event", event->rollout);
    ++trace->of[event->event];
    if (event->event == HWR_TRACE_PRODUCED) {  // a worker alone completes a line before it takes another
      const hwr_trace_t *taken = &trace->event[(trace->looked_at - 1u) & (EVENTS - 1u)];
      need(taken->event == HWR_TRACE_CONSUMED && taken->rollout == event->rollout &&
               taken->leg == event->leg && taken->host <= event->host,
           "a line that was completed and not taken", event->rollout);
    }
  }
  need(trace->of[HWR_TRACE_CONSUMED] == trace->of[HWR_TRACE_PRODUCED], "a line that was only taken",
       HWR_NONE);
}

static uint64_t watch_word(const watch_t *watch, uint32_t at) {
  return atomic_load_explicit(&watch->page[at], memory_order_relaxed);
}

static void *watch_read(void *argument) {
  watch_t *watch = argument;
  uint64_t ticks = 0, tokens = 0;
  while (!hw_get(&watch->stop)) {
    const _Atomic uint64_t *sequence = &watch->page[HWR_LIVE_SEQUENCE_AT / 8];
    const uint64_t before = atomic_load_explicit(sequence, memory_order_acquire);
    uint64_t states = 0, queues = 0;
    for (uint32_t at = 0; at < 6; ++at) {
      states += watch_word(watch, HWR_LIVE_GAUGES_AT / 8 + HWR_GAUGE_STATE_FREE + at);
      queues += watch_word(watch, HWR_LIVE_GAUGES_AT / 8 + HWR_GAUGE_QUEUE_FREE + at);
    }
    const uint64_t now = watch_word(watch, HWR_LIVE_COUNTERS_AT / 8 + HWR_COUNTER_TICKS);
    const uint64_t made = watch_word(watch, HWR_LIVE_COUNTERS_AT / 8 + HWR_COUNTER_TOKENS);
    atomic_thread_fence(memory_order_acquire);
    if (before % 2 || atomic_load_explicit(sequence, memory_order_relaxed) != before) {
      continue;
    }
    need(states == watch->slots, "a live page of two ticks", HWR_NONE);
    need(queues <= watch->slots, "a live page with more in its queues than slots", HWR_NONE);
    need(now >= ticks && made >= tokens, "a live page that runs backwards", HWR_NONE);
    ticks = now;
    tokens = made;
  }
  return NULL;
}

static void watch_begin(watch_t *watch, hr_pipe_t *pipe, uint32_t slots) {
  memset(watch, 0, sizeof *watch);
  watch->slots = slots;
  hr_pipe_show(pipe, (void *)watch->page);
  need(pthread_create(&watch->reader, NULL, watch_read, watch) == 0, "no thread", HWR_NONE);
}

static void watch_end(watch_t *watch, hr_pipe_t *pipe) {
  hw_put(&watch->stop, 1);
  pthread_join(watch->reader, NULL);
  hr_pipe_show(pipe, NULL);
}

#endif  // ROLLOUTS_WATCH_H
