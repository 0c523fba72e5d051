// SPDX-License-Identifier: Apache-2.0
//
// Native measurements of the host runtime, for bench/host_bench.py, which builds and runs this.
// Prints one JSON object a measurement. Every line is checked. Two threads (or processes), no more.
//
// The baseline is the reference's hw_ring: 65536 slots, one line a push, both indices loaded with
// acquire order at every push and pop, written here anew from that description.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "segment.h"

enum { SLOTS = 65536, MASK = SLOTS - 1, SAMPLES_MAX = 1 << 20 };

typedef struct ring {
  HW_LINE hw_word_t head;
  HW_LINE hw_word_t tail;
  HW_LINE hw_desc_t line[SLOTS];
} ring_t;

typedef struct job {
  ring_t *ring;
  uint32_t lines;
  uint32_t batch;
  int streaming;  // non-temporal stores
  int wrong;
} job_t;

static double seconds(void) { return (double)hw_now() * 1e-9; }

static void give_way(uint32_t *spins) {
  if (++*spins % 1024u == 0) {
    sched_yield();
  } else {
    hw_pause();
  }
}

static void fill(hw_desc_t *line, uint32_t at) {
  line->opcode = HW_OPCODE_DECODE;
  line->flags = 0;
  line->rollout_id = at;
  line->kv_arena_id = 1;
  line->prefix_id = 0;
  line->kv_offset = at * 64ull;
  line->delta_offset = at;
  line->seq_len = at & 31u;
  line->max_tokens = (at & 31u) + 1u;
  line->reward_model_id = 0;
  line->reserved0 = 0;
  line->user_data = at;
  line->checksum_or_cookie = ~(uint64_t)at;
}

// All 64 bytes of the line, or of its completion.
static int is(const hw_desc_t *line, uint32_t at, int completed) {
  hw_desc_t expected;
  fill(&expected, at);
  if (completed) {
    expected.seq_len += 1u;
    expected.flags = HW_FLAG_DONE;
  }
  return memcmp(&expected, line, sizeof expected) == 0;
}

static void put_streaming(hw_desc_t *to, const hw_desc_t *from) {
#if defined(__x86_64__)
  for (int part = 0; part < 4; ++part) {
    _mm_stream_si128((__m128i *)to + part, _mm_load_si128((const __m128i *)from + part));
  }
#else
  *to = *from;
#endif
}

static void *reference_push(void *argument) {
  job_t *job = argument;
  ring_t *ring = job->ring;
  uint32_t spins = 0;
  for (uint32_t at = 0; at < job->lines;) {
    hw_desc_t line;
    fill(&line, at);
    const uint32_t tail = hw_get(&ring->tail);
    const uint32_t head = hw_get(&ring->head);
    if (tail - head >= SLOTS) {
      give_way(&spins);
      continue;
    }
    ring->line[tail & MASK] = line;
    hw_put(&ring->tail, tail + 1u);
    ++at;
  }
  return NULL;
}

static void *reference_pop(void *argument) {
  job_t *job = argument;
  ring_t *ring = job->ring;
  uint32_t spins = 0;
  for (uint32_t at = 0; at < job->lines;) {
    const uint32_t head = hw_get(&ring->head);
    const uint32_t tail = hw_get(&ring->tail);
    if (head == tail) {
      give_way(&spins);
      continue;
    }
    const hw_desc_t line = ring->line[head & MASK];
    hw_put(&ring->head, head + 1u);
    job->wrong |= !is(&line, at, 0);
    ++at;
  }
  return NULL;
}

static void *batch_push(void *argument) {
  job_t *job = argument;
  ring_t *ring = job->ring;
  uint32_t tail = 0, head = 0, spins = 0;
  while (tail < job->lines) {
    uint32_t count = job->batch < job->lines - tail ? job->batch : job->lines - tail;
    if (SLOTS - (tail - head) < count) {
      head = hw_get(&ring->head);
      if (SLOTS - (tail - head) < count) {
        give_way(&spins);
        continue;
      }
    }
    while (count--) {
      if (job->streaming) {
        hw_desc_t line;
        fill(&line, tail);
        put_streaming(&ring->line[tail & MASK], &line);
      } else {
        fill(&ring->line[tail & MASK], tail);
      }
      ++tail;
    }
#if defined(__x86_64__)
    if (job->streaming) {
      _mm_sfence();
    }
#endif
    hw_put(&ring->tail, tail);
  }
  return NULL;
}

static void *batch_pop(void *argument) {
  job_t *job = argument;
  ring_t *ring = job->ring;
  uint32_t head = 0, spins = 0;
  while (head < job->lines) {
    const uint32_t tail = hw_get(&ring->tail);
    if (head == tail) {
      give_way(&spins);
      continue;
    }
    const uint32_t stop = tail - head < 256u ? tail : head + 256u;
    while (head != stop) {
      job->wrong |= !is(&ring->line[head & MASK], head, 0);
      ++head;
    }
    hw_put(&ring->head, head);
  }
  return NULL;
}

static double one_way(job_t job, void *(*push)(void *), void *(*pop)(void *)) {
  pthread_t thread;
  hw_put(&job.ring->head, 0);
  hw_put(&job.ring->tail, 0);
  const double start = seconds();
  pthread_create(&thread, NULL, push, &job);
  pop(&job);
  pthread_join(thread, NULL);
  const double took = seconds() - start;
  if (job.wrong) {
    fprintf(stderr, "a line came out wrong\n");
    exit(1);
  }
  return job.lines / took;
}

static hw_device_t *make_device(hw_queue_t **queue, void **memory, uint32_t log2) {
  const uint64_t slots = (uint64_t)HW_DESC_BYTES << log2;
  const hd_geometry_t rings = {128, 256 + slots, 0, log2 | log2 << 8, 0};
  const uint64_t window = 256 + 2 * slots, bytes = 4096 + window;
  *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  hd_format(*memory, bytes, 4096, window, 0);
  hw_device_t *device = hd_open(*memory);
  hd_write32(device, HW_REG_RING_LOG2, rings.ring_log2);
  hd_write32(device, HW_REG_CMD_BASE_LO, (uint32_t)rings.cmd_base);
  hd_write32(device, HW_REG_DONE_BASE_LO, (uint32_t)rings.done_base);
  hd_write32(device, HW_REG_CTRL, HW_BIT(HW_CTRL_ENABLE_BIT));
  *queue = hq_open(device, &rings);
  return device;
}

// Submit and take in one thread, the worker in the other: two lines moved a descriptor.
static double there_and_back(uint32_t lines, uint32_t batch) {
  void *memory;
  hw_queue_t *queue;
  hw_device_t *device = make_device(&queue, &memory, 16);
  static hw_desc_t out[4096], in[4096];
  hd_start_workers(device, 1);
  uint32_t sent = 0, taken = 0, ready = 0, spins = 0;
  const double start = seconds();
  while (taken < lines) {
    int moved = 0;
    if (sent < lines && sent - taken < 16384u) {
      const uint32_t count = batch < lines - sent ? batch : lines - sent;
      if (ready == 0) {
        for (uint32_t at = 0; at < count; ++at) {
          fill(&out[at], sent + at);
        }
        ready = count;
      }
      const int64_t in_now = hq_submit(queue, out + (count - ready), ready);
      sent += in_now > 0 ? (uint32_t)in_now : 0u;
      ready -= in_now > 0 ? (uint32_t)in_now : 0u;
      moved = in_now > 0;
      if (ready) {
        ready = 0;  // refill from what was really sent
      }
    }
    const uint32_t count = hq_poll(queue, 0, in, batch, 0);
    for (uint32_t at = 0; at < count; ++at) {
      if (!is(&in[at], taken + at, 1)) {
        fprintf(stderr, "completion %u is wrong\n", taken + at);
        exit(1);
      }
    }
    taken += count;
    if (!moved && !count) {
      give_way(&spins);
    }
  }
  const double rate = lines / (seconds() - start);
  hq_close(queue);
  hd_close(device);
  munmap(memory, 4096 + 256 + 2ull * HW_DESC_BYTES * SLOTS);
  return rate;
}

static int by_size(const void *left, const void *right) {
  const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

static void round_trip(const char *what, uint32_t samples, int process) {
  void *memory;
  hw_queue_t *queue;
  hw_device_t *device;
  static uint64_t took[SAMPLES_MAX], clock_cost[4096];
  device = make_device(&queue, &memory, 8);
  pid_t child = 0;
  if (!process) {
    hd_start_workers(device, 1);
  } else if ((child = fork()) == 0) {
    hw_device_t *other = hd_open(memory);
    hd_start_workers(other, 1);
    pause();
    _exit(0);
  }
  for (uint32_t at = 0; at < 4096; ++at) {
    const uint64_t start = hw_now();
    clock_cost[at] = hw_now() - start;
  }
  qsort(clock_cost, 4096, sizeof *clock_cost, by_size);
  for (uint32_t at = 0; at < samples + 1000u; ++at) {
    hw_desc_t line, back;
    fill(&line, at);
    const uint64_t start = hw_now();
    hq_submit(queue, &line, 1);
    while (!hq_poll(queue, 0, &back, 1, 1000000000)) {
    }
    const uint64_t end = hw_now();
    if (!is(&back, at, 1)) {
      fprintf(stderr, "completion %u is wrong\n", at);
      exit(1);
    }
    if (at >= 1000u) {
      took[at - 1000u] = end - start;
    }
  }
  qsort(took, samples, sizeof *took, by_size);
  const double clock = (double)clock_cost[2048];
  printf("{\"what\": \"%s\", \"samples\": %u, \"clock_ns\": %.0f, \"p50_ns\": %.0f, "
         "\"p99_ns\": %.0f, \"p999_ns\": %.0f}\n",
         what, samples, clock, (double)took[samples / 2] - clock,
         (double)took[samples / 100 * 99] - clock, (double)took[samples / 1000 * 999] - clock);
  if (child) {
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    hq_close(queue);
  } else {
    hq_close(queue);
    hd_close(device);
  }
}

static void rate(const char *what, uint32_t batch, double lines_per_s) {
  printf("{\"what\": \"%s\", \"batch\": %u, \"lines_per_s\": %.0f}\n", what, batch, lines_per_s);
  fflush(stdout);
}

int main(int count, char **arguments) {
  const uint32_t lines = count > 1 ? (uint32_t)strtoul(arguments[1], NULL, 10) : 4000000u;
  const uint32_t samples = count > 2 ? (uint32_t)strtoul(arguments[2], NULL, 10) : 100000u;
  if (lines == 0 || samples < 1000 || samples > SAMPLES_MAX) {
    fprintf(stderr, "usage: host_native [lines > 0] [samples 1000 to %d]\n", SAMPLES_MAX);
    return 2;
  }
  ring_t *ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(ring, 0, sizeof *ring);
  for (int again = 0; again < 3; ++again) {  // interleaved, so that disturbance hits all alike
    rate("reference ring, one way", 1, one_way((job_t){ring, lines, 1, 0, 0}, reference_push, reference_pop));
    rate("ring, one way, plain stores", 64, one_way((job_t){ring, lines, 64, 0, 0}, batch_push, batch_pop));
    rate("ring, one way, non-temporal stores", 64, one_way((job_t){ring, lines, 64, 1, 0}, batch_push, batch_pop));
    for (uint32_t batch = 1; batch <= 4096; batch *= 8) {
      rate("submit and take, worker thread", batch, there_and_back(batch < 64 ? lines / 8 + 1 : lines, batch));
    }
  }
  round_trip("round trip, worker thread, native", samples, 0);
  round_trip("round trip, worker process, native", samples, 1);
  return 0;
}
