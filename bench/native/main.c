// SPDX-License-Identifier: Apache-2.0
//
// Native measurements of the host runtime, as rows of JSON. bench/host_bench.py and
// bench/rollouts_bench.py repeat this; by hand: host_native rings LINES | queue LINES | latency SAMPLES |
// wake SAMPLES | rollouts ROUNDS | windows LINES | pipeline ROLLOUTS.
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

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

void run_on(int which) {
  static cpu_set_t all;
  static int known;
  if (!known) {
    known = 1;
    sched_getaffinity(0, sizeof all, &all);
  }
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

int main(int count, char **arguments) {
  const char *what = count == 3 ? arguments[1] : "";
  const uint32_t size = count == 3 ? (uint32_t)strtoul(arguments[2], NULL, 10) : 0;
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (strcmp(what, "rings") == 0 && size > 0) {
    measure_line(1000000);
    measure_rings(size);
  } else if (strcmp(what, "queue") == 0 && size > 0) {
    measure_queue(size, IN_THREAD);
    measure_queue(size, IN_PROCESS);
  } else if (strcmp(what, "one") == 0 && size >= 1000) {
    measure_one(size);
    measure_round_trips(size < 100000 ? size : 100000, 1, IN_THREAD);
  } else if (strcmp(what, "latency") == 0 && size >= 1000 && size <= SAMPLES_MAX) {
    for (uint32_t batch = 1; batch <= BATCH_MAX; batch *= 8) {
      measure_round_trips(size, batch, IN_THREAD);
      measure_round_trips(size, batch, IN_PROCESS);
    }
  } else if (strcmp(what, "wake") == 0 && size >= 100 && size <= SAMPLES_MAX) {
    measure_wakes(size, IN_THREAD);
    measure_wakes(size, IN_PROCESS);
    measure_wakes(size, ON_SAME_CPU);
  } else if (strcmp(what, "rollouts") == 0 && size >= 10000) {
    measure_slab(size);
    measure_arena(size);
    measure_tree(size);
    measure_policies(size / 4);
    measure_trace(size);
  } else if (strcmp(what, "windows") == 0 && size > 0) {
    measure_windows(size);
  } else if (strcmp(what, "pipeline") == 0 && size >= 16 && size <= 1u << 24) {
    measure_pipeline(size);
  } else {
    fprintf(stderr, "usage: host_native rings LINES | queue LINES | one LINES | latency SAMPLES |"
                    " wake SAMPLES |"
                    " rollouts ROUNDS | windows LINES | pipeline ROLLOUTS\n");
    return 2;
  }
  return 0;
}
