// SPDX-License-Identifier: Apache-2.0
//
// Clocks, memory, CPUs and rows of the native measurements.
#define _GNU_SOURCE
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

double seconds(void) { return (double)hw_now() * 1e-9; }

double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void fail(const char *what, uint32_t at) {
  fprintf(stderr, "%s, at line %u\n", what, at);
  exit(1);
}

void *zeroed(size_t bytes) {
  const size_t whole = (bytes + HW_CACHE_LINE_BYTES - 1) / HW_CACHE_LINE_BYTES * HW_CACHE_LINE_BYTES;
  void *memory = aligned_alloc(HW_CACHE_LINE_BYTES, whole);
  if (!memory) {
    fail("no memory", 0);
  }
  return memset(memory, 0, whole);
}

static cpu_set_t all;

static void learn_cpus(void) { sched_getaffinity(0, sizeof all, &all); }

void run_on(int which) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, learn_cpus);
  for (int cpu = 0, left = which % CPU_COUNT(&all); cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &all) && left-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      sched_setaffinity(0, sizeof one, &one);
      return;
    }
  }
}

void print_rate(const char *what, uint32_t batch, double lines_per_s) {
  printf("{\"what\": \"%s\", \"batch\": %u, \"lines_per_s\": %.0f}\n", what, batch, lines_per_s);
}

void print_ns(const char *what, const char *detail, double ns) {
  printf("{\"what\": \"%s\", \"case\": \"%s\", \"ns\": %.2f}\n", what, detail, ns);
}

static int by_size(const void *left, const void *right) {
  const uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
  return (a > b) - (a < b);
}

// Time between two consecutive readings of the clock.
static double clock_cost(void) {
  static uint64_t cost[4096];
  for (int at = 0; at < 4096; ++at) {
    const uint64_t start = hw_now();
    cost[at] = hw_now() - start;
  }
  qsort(cost, 4096, sizeof *cost, by_size);
  return (double)cost[2048];
}

void print_times(const char *what, uint32_t batch, uint64_t *took, uint32_t samples) {
  const double clock = clock_cost();
  qsort(took, samples, sizeof *took, by_size);
  printf("{\"what\": \"%s\", ", what);
  if (batch) {
    printf("\"batch\": %u, ", batch);
  }
  printf("\"samples\": %u, \"clock_ns\": %.0f, \"p50_ns\": %.0f, \"p99_ns\": %.0f, "
         "\"p999_ns\": %.0f}\n",
         samples, clock, (double)took[samples / 2] - clock,
         (double)took[(uint64_t)samples * 99 / 100] - clock,
         (double)took[(uint64_t)samples * 999 / 1000] - clock);
}
