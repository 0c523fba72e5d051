// SPDX-License-Identifier: Apache-2.0
//
// The product: the host's queue in this thread, its worker in another thread or process.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "pool.h"

enum { SEGMENT = 4096 };

static const char *const NAMES[] = {"worker thread", "worker process", "worker on the same CPU"};
static const uint32_t BATCHES[] = {1, 8, 64, 512, 4096};
enum { BATCH_COUNT = sizeof BATCHES / sizeof *BATCHES };

static const char *named(const char *what, place_t place) {
  static char name[96];
  snprintf(name, sizeof name, "%s, %s, native", what, NAMES[place]);
  return name;
}

bench_t open_bench(uint32_t log2, place_t place) {
  const uint64_t slots = (uint64_t)HW_DESC_BYTES << log2;
  const hd_geometry_t rings = {128, 256 + slots, 0, log2 | log2 << 8, 0};
  const uint64_t window = 256 + 2 * slots;
  bench_t bench = {.bytes = SEGMENT + window};
  bench.memory = mmap(NULL, bench.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (bench.memory == MAP_FAILED || hd_format(bench.memory, bench.bytes, SEGMENT, window, 0)) {
    fail("no memory for a device", 0);
  }
  bench.device = hd_open(bench.memory, bench.bytes);
  run_on(place == ON_SAME_CPU ? 0 : 1);
  if (place != IN_PROCESS) {
    if (hd_start_workers(bench.device, 1)) {
      fail("no worker thread", 0);
    }
  } else if ((bench.child = fork()) == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    hw_device_t *other = hd_open(bench.memory, bench.bytes);
    if (hd_start_workers(other, 1) == 0) {
      pause();
    }
    _exit(1);
  }
  run_on(0);
  while (!atomic_load(&bench.device->segment->ack[0].alive)) {
    sched_yield();
  }
  hd_write32(bench.device, HW_REG_RING_LOG2, rings.ring_log2, INT64_MAX);
  hd_write32(bench.device, HW_REG_CMD_BASE_LO, (uint32_t)rings.cmd_base, INT64_MAX);
  hd_write32(bench.device, HW_REG_DONE_BASE_LO, (uint32_t)rings.done_base, INT64_MAX);
  hd_write32(bench.device, HW_REG_CTRL, HW_BIT(HW_CTRL_ENABLE_BIT), INT64_MAX);
  int failure;
  bench.queue = hq_open(bench.device, &rings, INT64_MAX, &failure);
  return bench;
}

void close_bench(bench_t *bench) {
  if (bench->child) {
    kill(bench->child, SIGKILL);
    waitpid(bench->child, NULL, 0);
  }
  hq_close(bench->queue);
  hq_free(bench->queue);
  hd_close(bench->device);
  hd_free(bench->device);
  munmap(bench->memory, bench->bytes);
}

static void submit(hw_queue_t *queue, const hw_desc_t *lines, uint32_t count, uint32_t at) {
  if (hq_submit(queue, lines, count) != (int64_t)count) {
    fail("lines did not go in", at);
  }
}

static void check(const hw_desc_t *lines, uint32_t count, uint32_t first) {
  for (uint32_t at = 0; at < count; ++at) {
    if (!is(&lines[at], first + at, 1)) {
      fail("a completion is wrong", first + at);
    }
  }
}

static hw_desc_t out[BATCH_MAX], in[BATCH_MAX];

double there_and_back(hw_queue_t *queue, uint32_t lines, uint32_t batch, uint32_t flight) {
  uint32_t sent = 0, taken = 0, spins = 0;
  const double start = seconds();
  while (taken < lines) {
    const uint32_t left = lines - sent;
    const uint32_t count = left < batch ? left : batch;
    const int send = count > 0 && sent - taken + count <= flight;
    if (send) {
      for (uint32_t at = 0; at < count; ++at) {
        fill(&out[at], sent + at);
      }
      submit(queue, out, count, sent);
      sent += count;
    }
    const uint32_t done = hq_poll(queue, 0, in, batch, 0);
    check(in, done, taken);
    taken += done;
    if (!send && !done) {
      give_way(&spins);
    }
  }
  return lines / (seconds() - start);
}

void measure_queue(uint32_t lines, place_t place) {
  for (int at = 0; at < BATCH_COUNT; ++at) {
    const uint32_t batch = BATCHES[at];
    // 4096 slots, as a queue has by default, and half of them on their way.
    const uint32_t log2 = batch <= 1024 ? 12 : 14;
    bench_t bench = open_bench(log2, place);
    there_and_back(bench.queue, lines / 8 + 1, batch, 1u << (log2 - 1));  // warms up
    close_bench(&bench);
    bench = open_bench(log2, place);
    print_rate(named("submit and take", place), batch,
               there_and_back(bench.queue, lines, batch, 1u << (log2 - 1)));
    close_bench(&bench);
  }
}

void measure_one(uint32_t lines) {
  bench_t bench = open_bench(12, IN_THREAD);
  there_and_back(bench.queue, lines / 8 + 1, 1, 1u << 11);
  close_bench(&bench);
  bench = open_bench(12, IN_THREAD);
  print_rate(named("submit and take", IN_THREAD), 1, there_and_back(bench.queue, lines, 1, 1u << 11));
#ifdef HW_COUNT_LOOKS
  const worker_t *worker = &bench.device->pool->worker[0];
  printf("{\"what\": \"looks\", \"lines_per_look\": %.2f, \"empty\": %.3f}\n",
         (double)lines / (double)worker->looks, (double)worker->empty / (double)worker->looks);
#endif
  close_bench(&bench);
}

static uint64_t took[SAMPLES_MAX];

void measure_round_trips(uint32_t samples, uint32_t batch, place_t place) {
  enum { WARM = 1000 };
  bench_t bench = open_bench(13, place);
  uint32_t next = 0;
  for (uint32_t sample = 0; sample < samples + WARM; ++sample) {
    for (uint32_t at = 0; at < batch; ++at) {
      fill(&out[at], next + at);
    }
    const uint64_t start = hw_now();
    submit(bench.queue, out, batch, next);
    for (uint32_t got = 0; got < batch;) {
      got += hq_poll(bench.queue, 0, in + got, batch - got, 1000000000);
    }
    const uint64_t end = hw_now();
    check(in, batch, next);
    next += batch;
    if (sample >= WARM) {
      took[sample - WARM] = end - start;
    }
  }
  print_times(named("round trip", place), batch, took, samples);
  close_bench(&bench);
}

static void rest(long microseconds) {
  const struct timespec time = {0, microseconds * 1000};
  nanosleep(&time, NULL);
}

// From the doorbell to the completion seen, by a host that spins, of a worker that sleeps.
void measure_wakes(uint32_t samples, place_t place) {
  bench_t bench = open_bench(8, place);
  hw_segment_t *segment = bench.device->segment;
  for (uint32_t at = 0; at < samples; ++at) {
    while (!atomic_load(&segment->worker_sleeping)) {
      rest(100);
    }
    rest(500 + (long)(at * 2654435761u >> 22));  // and its core has gone to sleep too
    if (!atomic_load(&segment->worker_sleeping)) {
      --at;  // it has just looked around, as sleepers do from time to time
      continue;
    }
    fill(&out[0], at);
    const uint64_t start = hw_now();
    submit(bench.queue, out, 1, at);
    while (!hq_poll(bench.queue, 0, in, 1, 0)) {
      hw_pause();
    }
    took[at] = hw_now() - start;
    check(in, 1, at);
  }
  print_times(named("wake of a sleeping worker", place), 0, took, samples);
  close_bench(&bench);
}
