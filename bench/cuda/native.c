// SPDX-License-Identifier: Apache-2.0
//
// The host's half of the measurements of the cuda backend, in native code. bench/cuda_bench.py
// compiles it together with the native core, and hands it segments whose worker is a kernel. Every
// completion is checked, all 64 bytes, against the golden model's.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "fast_crc.h"
#include "registers.h"
#include "segment.h"

enum { THREADS_MAX = 8 };

// Submissions of one period and their completions by the golden model; user_data is replaced by a
// running number on both sides, so that no stale completion passes; CHECKED lines are sealed again.
typedef struct table {
  const hw_desc_t *lines;
  const hw_desc_t *completions;
  uint32_t mask;
} table_t;

static void submission(const table_t *table, uint64_t number, uint32_t index, hw_desc_t *line) {
  *line = table->lines[number & table->mask];
  line->user_data = number;
  if (line->flags & HW_FLAG_CHECKED) {
    hw_worker_seal(line, index);
  }
}

static int is_completion(const table_t *table, uint64_t number, uint32_t index,
                         const hw_desc_t *line) {
  hw_desc_t expected = table->completions[number & table->mask];
  expected.user_data = number;
  if (expected.flags & HW_FLAG_CHECKED) {
    hw_worker_seal(&expected, index);
  }
  const uint64_t *want = (const uint64_t *)&expected, *got = (const uint64_t *)line;
  uint64_t differ = 0;
  for (int word = 0; word < HW_DESC_BYTES / 8; ++word) {
    differ |= want[word] ^ got[word];
  }
  return differ == 0;
}

static hd_geometry_t rings_of(hw_device_t *device) { return hw_geometry(device->segment); }

// Round trips of a flag: nanoseconds of each. 0, or 1 if the kernel did not respond.
int bench_pingpong(uint32_t *request, uint32_t *response, uint32_t first, uint32_t samples,
                   uint64_t *took) {
  const uint64_t patience = hw_now() + 20ull * 1000 * 1000 * 1000;
  for (uint32_t at = 0; at < samples; ++at) {
    const uint64_t start = hw_now();
    hw_put((hw_word_t *)request, first + at);
    while (hw_get((hw_word_t *)response) != first + at) {
      if (hw_now() > patience) {
        return 1;
      }
    }
    took[at] = hw_now() - start;
  }
  return 0;
}

// One line at a time: from before the submission until its completion has been checked. Returns
// how many were right.
uint32_t bench_latency(void *segment, const hw_desc_t *lines, const hw_desc_t *completions,
                       uint32_t period, uint32_t samples, uint64_t *took) {
  const table_t table = {lines, completions, period - 1u};
  hw_device_t *device = hd_open(segment, ((const hw_segment_t *)segment)->segment_bytes);
  const hd_geometry_t rings = rings_of(device);
  int failure;
  hw_queue_t *queue = hq_open(device, &rings, INT64_MAX, &failure);
  uint32_t good = 0;
  for (; good < samples; ++good) {
    hw_desc_t line, back;
    const uint32_t index = hq_next_index(queue);
    submission(&table, good, index, &line);
    const uint64_t start = hw_now();
    if (hq_submit(queue, &line, 1) != 1 || hq_poll(queue, 0, &back, 1, 2000000000) != 1 ||
        !is_completion(&table, good, index, &back)) {
      break;
    }
    took[good] = hw_now() - start;
  }
  hq_close(queue);
  hq_free(queue);
  hd_close(device);
  hd_free(device);
  return good;
}

// ---- throughput: producers fill chunks of the ring in turn, checkers check them in turn

typedef struct flow {
  hw_device_t *device;
  hd_geometry_t rings;
  table_t table;
  uint32_t first;
  uint32_t chunk;
  uint32_t producers;
  uint32_t checkers;
  int touch;  // 0: lines are neither written nor checked, so that worker and bus alone are measured
  HW_LINE _Atomic uint64_t last;  // chunks to be produced; lowered when time is up
  HW_LINE _Atomic uint64_t published;
  HW_LINE _Atomic uint64_t checked;
  HW_LINE hw_word_t failed;
} flow_t;

typedef struct part {
  flow_t *flow;
  uint32_t number;
} part_t;

static int await(flow_t *flow, const _Atomic uint64_t *counter, uint64_t value) {
  while (atomic_load_explicit(counter, memory_order_acquire) != value) {
    if (hw_get(&flow->failed)) {
      return 0;
    }
    hw_pause();
  }
  return 1;
}

static void *produce(void *argument) {
  const part_t *part = argument;
  flow_t *flow = part->flow;
  uint8_t *window = flow->device->window;
  hw_desc_t *ring = hw_ring_lines(window, flow->rings.cmd_base);
  const uint32_t slots = hw_slots(flow->rings.ring_log2, HW_RING_LOG2_CMD_LSB);
  hd_counts_t counts = {.cmd_head = flow->first};
  for (uint64_t chunk = part->number;
       chunk < atomic_load_explicit(&flow->last, memory_order_relaxed); chunk += flow->producers) {
    const uint64_t number = chunk * flow->chunk;
    const uint32_t index = flow->first + (uint32_t)number;
    while (index + flow->chunk - counts.cmd_head > slots) {
      if (hw_get(&flow->failed)) {
        return NULL;
      }
      hw_pause();
      hd_counts(flow->device, &counts);
    }
    for (uint32_t at = 0; flow->touch && at < flow->chunk; ++at) {
      submission(&flow->table, number + at, index + at, &ring[(index + at) & (slots - 1u)]);
    }
    if (!await(flow, &flow->published, chunk)) {
      return NULL;
    }
    if (!hw_doorbell(flow->device, index + flow->chunk)) {
      hw_put(&flow->failed, 3);
      return NULL;
    }
    atomic_store_explicit(&flow->published, chunk + 1u, memory_order_release);
  }
  return NULL;
}

static void *check(void *argument) {
  const part_t *part = argument;
  flow_t *flow = part->flow;
  hw_segment_t *segment = flow->device->segment;
  uint8_t *window = flow->device->window;
  const hw_desc_t *ring = hw_ring_lines(window, flow->rings.done_base);
  hw_word_t *tail_word = hw_ring_word(window, flow->rings.done_base, HW_RING_TAIL_OFFSET);
  hw_word_t *head_word = hw_ring_word(window, flow->rings.done_base, HW_RING_HEAD_OFFSET);
  const uint32_t slots = hw_slots(flow->rings.ring_log2, HW_RING_LOG2_DONE_LSB);
  uint64_t seen = hw_now();
  for (uint64_t chunk = part->number;
       chunk < atomic_load_explicit(&flow->last, memory_order_relaxed); chunk += flow->checkers) {
    const uint64_t number = chunk * flow->chunk;
    const uint32_t index = flow->first + (uint32_t)number;
    for (uint32_t spin = 0; (int32_t)(hw_get(tail_word) - (index + flow->chunk)) < 0; ++spin) {
      hw_pause();
      if (spin % 65536u == 65535u) {
        if (hw_get(&flow->failed) || hw_now() - seen > 3000000000u) {
          hw_put(&flow->failed, 1);
          return NULL;
        }
        if (chunk >= atomic_load_explicit(&flow->last, memory_order_relaxed)) {
          return NULL;
        }
      }
    }
    seen = hw_now();
    int good = 1;
    for (uint32_t at = 0; flow->touch && at < flow->chunk; ++at) {
      good &= is_completion(&flow->table, number + at, index + at,
                            &ring[(index + at) & (slots - 1u)]);
    }
    if (!good) {
      hw_put(&flow->failed, 2);
      return NULL;
    }
    if (!await(flow, &flow->checked, chunk)) {
      return NULL;
    }
    hw_put(head_word, index + flow->chunk);
    hw_put(&segment->done_head, index + flow->chunk);
    atomic_store_explicit(&flow->checked, chunk + 1u, memory_order_release);
  }
  return NULL;
}

static void pin(pthread_t thread, int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(thread, sizeof set, &set);
}

// Run for `seconds`, each thread on a CPU of its own, sampling lines checked so far every tenth of a second into `at_ns` and
// `lines`; returns how many samples there are, 0 if a completion was wrong or did not come.
uint32_t bench_throughput(void *segment, const hw_desc_t *submissions,
                          const hw_desc_t *completions, uint32_t period, uint32_t chunk,
                          uint32_t producers, uint32_t checkers, int touch, const int *cpus,
                          double seconds, uint64_t *at_ns, uint64_t *lines, uint32_t most) {
  flow_t flow = {.table = {submissions, completions, period - 1u}, .chunk = chunk,
                 .producers = producers, .checkers = checkers, .touch = touch};
  part_t parts[2 * THREADS_MAX];
  pthread_t threads[2 * THREADS_MAX];
  flow.device = hd_open(segment, ((const hw_segment_t *)segment)->segment_bytes);
  flow.rings = rings_of(flow.device);
  int failure;
  hw_queue_t *queue = hq_open(flow.device, &flow.rings, INT64_MAX, &failure);
  flow.first = hq_next_index(queue);
  atomic_store(&flow.last, UINT64_MAX);
  for (uint32_t at = 0; at < producers + checkers; ++at) {
    parts[at] = (part_t){&flow, at < producers ? at : at - producers};
    pthread_create(&threads[at], NULL, at < producers ? produce : check, &parts[at]);
    pin(threads[at], cpus[at]);
  }
  uint32_t samples = 0;
  const uint64_t start = hw_now();
  while (samples < most && !hw_get(&flow.failed)) {
    const uint64_t now = hw_now();
    at_ns[samples] = now - start;
    lines[samples++] = atomic_load(&flow.checked) * chunk;
    if ((double)(now - start) >= seconds * 1e9) {
      break;
    }
    struct timespec nap = {0, 100000000};
    nanosleep(&nap, NULL);
  }
  // The last chunk: one that no producer has gone beyond.
  atomic_store(&flow.last, atomic_load(&flow.published) + producers);
  for (uint32_t at = 0; at < producers + checkers; ++at) {
    pthread_join(threads[at], NULL);
  }
  const int failed = (int)hw_get(&flow.failed);
  hq_close(queue);
  hq_free(queue);
  hd_close(flow.device);
  hd_free(flow.device);
  return failed ? 0 : samples;
}

// ---- verification of a stream against expected completions

// Send `count` lines, resuming after every STOP, and compare every completion. Returns how many were
// equal; the device continues from its current state. `why` is what ended the run: 0 all equal, 1 a
// difference, 2 a refused doorbell, 3 no completion for three seconds.
uint64_t bench_verify(void *segment, const hw_desc_t *lines, const hw_desc_t *completions,
                      uint64_t count, uint64_t *stops, uint32_t *why) {
  enum { Take = 4096 };
  static hw_desc_t got[Take];
  hw_device_t *device = hd_open(segment, ((const hw_segment_t *)segment)->segment_bytes);
  const hd_geometry_t rings = rings_of(device);
  int failure;
  hw_queue_t *queue = hq_open(device, &rings, INT64_MAX, &failure);
  uint64_t sent = 0, good = 0;
  uint64_t seen = hw_now();
  *why = 0;
  while (good < count) {
    if (sent < count) {
      const uint64_t left = count - sent;
      const int64_t taken = hq_submit(queue, lines + sent, left < Take ? (uint32_t)left : Take);
      if (taken < 0) {
        *why = 2;
        break;
      }
      sent += (uint64_t)taken;
    }
    const uint32_t polled = hq_poll(queue, 0, got, Take, 0);
    uint32_t at = 0;
    while (at < polled && memcmp(&got[at], &completions[good + at], HW_DESC_BYTES) == 0) {
      ++at;
    }
    good += at;
    if (at < polled) {
      *why = 1;
      break;
    }
    if (polled) {
      seen = hw_now();
      if (got[polled - 1].flags & HW_FLAG_STOPPED) {
        ++*stops;
        hd_write32(device, HW_REG_CTRL, hd_read32(device, HW_REG_CTRL) | HW_BIT(HW_CTRL_RESUME_BIT), INT64_MAX);
      }
    } else if (hw_now() - seen > 3000000000u) {
      *why = 3;
      break;
    }
  }
  hq_close(queue);
  hq_free(queue);
  hd_close(device);
  hd_free(device);
  return good;
}
