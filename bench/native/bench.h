// SPDX-License-Identifier: Apache-2.0
//
// What the native measurements share: the lines that they send, how they are checked, and rows of
// JSON on stdout.
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <sys/types.h>

#include "fast_crc.h"
#include "segment.h"

enum { BATCH_MAX = 4096, SAMPLES_MAX = 1 << 20 };

double seconds(void);
double cpu_seconds(void);  // of this thread: what another program takes from the CPU does not count
void fail(const char *what, uint32_t at) __attribute__((noreturn));
void *zeroed(size_t bytes);  // on a cache line of its own, for free()

// Run this thread, and those it starts from now on, on the first (0) or second (1) CPU of those that
// the program may use.
void run_on(int which);

// Line `at` of the stream: a DECODE of one token.
static inline void fill(hw_desc_t *line, uint32_t at) {
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
static inline int is(const hw_desc_t *line, uint32_t at, int completed) {
  hw_desc_t expected;
  fill(&expected, at);
  if (completed) {
    expected.seq_len += 1u;
    expected.flags = HW_FLAG_DONE;
  }
  return memcmp(&expected, line, sizeof expected) == 0;
}

// Wait a little for the other side; it may need this very core.
static inline void give_way(uint32_t *spins) {
  if (++*spins % 1024u == 0) {
    sched_yield();
  } else {
    hw_pause();
  }
}

void print_rate(const char *what, uint32_t batch, double lines_per_s);
void print_ns(const char *what, const char *detail, double ns);
// Sorts the samples, nanoseconds; batch 0: the row has none.
void print_times(const char *what, uint32_t batch, uint64_t *took, uint32_t samples);

// rings.c: the reference's ring, a bare ring, and a bare line between the two CPUs.
typedef enum ring { RING_PER_LINE, RING_CACHED, RING_BATCHED } ring_t;
// Lines a second from the second CPU to the first, every line checked.
double ring_rate(ring_t ring, uint32_t lines);
// ns in which a word gets to the other CPU and back.
double line_round_trip(uint32_t rounds);
void measure_rings(uint32_t lines);
void measure_line(uint32_t rounds);

// queue.c: the product's queue and worker.
typedef enum place { IN_THREAD, IN_PROCESS, ON_SAME_CPU } place_t;

typedef struct bench {
  hw_device_t *device;
  hw_queue_t *queue;
  void *memory;
  uint64_t bytes;
  pid_t child;
} bench_t;

// A device with one worker on the second CPU, and a queue with rings of 2^log2 slots.
bench_t open_bench(uint32_t log2, place_t place);
void close_bench(bench_t *bench);
// Lines a second, checked, in batches, with at most `flight` on their way.
double there_and_back(hw_queue_t *queue, uint32_t lines, uint32_t batch, uint32_t flight);
void measure_queue(uint32_t lines, place_t place);
// One line a call; with HW_COUNT_LOOKS also how often the worker reads the doorbell.
void measure_one(uint32_t lines);
void measure_round_trips(uint32_t samples, uint32_t batch, place_t place);
void measure_wakes(uint32_t samples, place_t place);

// slab.c, rollouts.c: the parts of the rollout core, each beside the plain way to do the same.
void measure_slab(uint32_t rounds);
void measure_arena(uint32_t rounds);
void measure_tree(uint32_t rounds);
void measure_policies(uint32_t rounds);
void measure_trace(uint32_t rounds);
struct hw_trace_ring;
struct hw_trace_ring *open_trace(void);  // a ring of 65536 events, for free()

// kv.c: layouts of KV blocks, fetching ahead, shared and copied prefixes.
void measure_kv(uint32_t rounds);

// pipeline.c: whole runs and windows; reference_pipeline.c: the reference's own.
void measure_windows(uint32_t lines);
void measure_pipeline(uint32_t rollouts);
// Legs a second: `rollouts` from `prompt` to `longest` tokens, a score at the end.
double reference_pipeline(uint32_t rollouts, uint32_t prompt, uint32_t longest);

#endif  // BENCH_H
