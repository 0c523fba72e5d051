// SPDX-License-Identifier: Apache-2.0
//
// The slab of the rollout core beside the plain ways to do the same, in CPU time of one thread. Handles
// are checked.
#include <pthread.h>
#include <stdlib.h>

#include "bench.h"
#include "rollouts/slab.h"

enum { SLOTS = 8192, PAIRS = 4096 };

// Plain: a word a slot, and whoever wants one swaps the first that is FREE.
static void measure_slab_scan(uint32_t rounds, uint32_t live) {
  _Atomic uint64_t *word = zeroed(SLOTS * sizeof *word);
  for (uint32_t slot = 0; slot < live; ++slot) {
    word[slot] = 1;
  }
  const double start = cpu_seconds();
  for (uint32_t round = 0; round < rounds; ++round) {
    uint32_t slot = 0;
    uint64_t expected = 0;
    while (!atomic_compare_exchange_strong(&word[slot], &expected, 1)) {
      expected = 0;
      ++slot;
    }
    expected = 1;
    if (slot != live || !atomic_compare_exchange_strong(&word[slot], &expected, 0)) {
      fail("the scan took another slot", slot);
    }
  }
  print_ns("slab alloc and free, plain: swap the first FREE word", "1024 of 8192 in use",
           (cpu_seconds() - start) / rounds * 1e9);
  free((void *)word);
}

static void *nothing(void *argument) { return argument; }

// In a process that has had a second thread: without one the C library's locks are no locks.
static void measure_slab_lock(uint32_t rounds) {
  pthread_t second;
  if (pthread_create(&second, NULL, nothing, NULL) || pthread_join(second, NULL)) {
    fail("no thread", 0);
  }
  pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  uint32_t *stack = zeroed(SLOTS * sizeof *stack), count = SLOTS;
  uint32_t *state = zeroed(SLOTS * sizeof *state);
  for (uint32_t slot = 0; slot < SLOTS; ++slot) {
    stack[slot] = slot;
  }
  const double start = cpu_seconds();
  for (uint32_t round = 0; round < rounds; ++round) {
    pthread_mutex_lock(&lock);
    const uint32_t slot = stack[--count];
    state[slot] = 1;
    pthread_mutex_unlock(&lock);
    pthread_mutex_lock(&lock);
    state[slot] = 0;
    stack[count++] = slot;
    pthread_mutex_unlock(&lock);
  }
  print_ns("slab alloc and free, plain: a mutex and a list", "1024 of 8192 in use",
           (cpu_seconds() - start) / rounds * 1e9);
  free(stack);
  free(state);
}

static void measure_slab_pairs(uint32_t rounds, int cached) {
  hr_slab_t *slab = hr_slab_open(SLOTS);
  hr_slab_cache_t *cache = cached ? hr_slab_cache_open(slab) : NULL;
  uint64_t handle, before = 0;
  for (uint32_t slot = 0; slot < 1024; ++slot) {
    hr_slab_alloc(slab, cache, &handle);
  }
  double took = 0;
  for (uint32_t round = 0; round < rounds; round += PAIRS) {
    static uint64_t handles[PAIRS];
    double start = cpu_seconds();
    for (uint32_t at = 0; at < PAIRS; ++at) {
      if (hr_slab_alloc(slab, cache, &handles[at])) {
        fail("no slot", round);
      }
    }
    took += cpu_seconds() - start;
    for (uint32_t at = 0; at < PAIRS; ++at) {
      if (handles[at] == before || hr_slab_cancel(slab, handles[at])) {
        fail("a handle was given out twice", round);
      }
      before = handles[at];
    }
    start = cpu_seconds();
    for (uint32_t at = 0; at < PAIRS; ++at) {
      if (hr_slab_release(slab, cache, handles[at])) {
        fail("a slot was not released", round);
      }
    }
    took += cpu_seconds() - start;
  }
  print_ns("slab alloc and free", cached ? "with a cache" : "shared list alone",
           took / ((rounds + PAIRS - 1) / PAIRS * PAIRS) * 1e9);
  if (cache) {
    hr_slab_cache_close(cache);
  }
  hr_slab_close(slab);
}

// What a transition costs at least; it shows how fast the CPU is just now.
static void measure_swap(uint32_t rounds) {
  static _Atomic uint64_t word[8];
  const double start = cpu_seconds();
  for (uint32_t round = 0; round < rounds; ++round) {
    uint64_t expected = round / 8;
    if (!atomic_compare_exchange_strong(&word[round % 8], &expected, round / 8 + 1)) {
      fail("a swap failed", round);
    }
  }
  print_ns("one compare-and-swap", "alone on its word", (cpu_seconds() - start) / rounds * 1e9);
}

void measure_slab(uint32_t rounds) {
  measure_swap(rounds);
  measure_slab_pairs(rounds, 1);
  measure_slab_pairs(rounds, 0);
  measure_slab_scan(rounds / 64 + 1, 1024);
  measure_slab_lock(rounds);
}
