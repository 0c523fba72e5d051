// SPDX-License-Identifier: Apache-2.0
//
// Stress of the slab: threads that take slots, with and without a cache, move them through their lives,
// and try handles that are another's or long over. Each handle is given out once and released once.
// Usage: slab OPERATIONS (of each thread). Exit code 0: all as it must be.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "rollouts/slab.h"

enum { THREADS = 4, SLOTS = 24, KEPT = 64 };

typedef struct worker {
  hr_slab_t *slab;
  uint64_t operations;
  uint64_t released;
  uint64_t taken;
  uint64_t refused;
  uint64_t dice;
  int cached;
  int failed;
} worker_t;

// Handles that any thread may try, whoever has them.
static _Atomic uint64_t shown[KEPT];

static uint32_t roll(worker_t *worker, uint32_t below) {
  worker->dice ^= worker->dice << 13;
  worker->dice ^= worker->dice >> 7;
  worker->dice ^= worker->dice << 17;
  return (uint32_t)((worker->dice >> 32) * below >> 32);
}

// Take one slot through its life; others may cancel it at any time, and nobody else can release it.
static void live(worker_t *worker, hr_slab_cache_t *cache) {
  uint64_t handle;
  if (hr_slab_alloc(worker->slab, cache, &handle)) {
    return;  // all are taken
  }
  ++worker->taken;
  atomic_store(&shown[roll(worker, KEPT)], handle);
  const int edges[][2] = {{HWR_STATE_PREFILL_READY, HWR_STATE_DECODING},
                          {HWR_STATE_DECODING, HWR_STATE_REWARD_PENDING},
                          {HWR_STATE_REWARD_PENDING, HWR_STATE_TRAJECTORY_READY},
                          {HWR_STATE_TRAJECTORY_READY, HWR_STATE_DONE}};
  int error = 0;
  for (int at = 0; at < 4 && !error; ++at) {
    error = hr_slab_move(worker->slab, handle, edges[at][0], edges[at][1]);
  }
  // Cancelled by another: it is DONE, and this thread's to release.
  if (error && error != HR_E(WRONG_STATE)) {
    fprintf(stderr, "a move of my own handle: error %d\n", error);
    worker->failed = 1;
  }
  if (hr_slab_release(worker->slab, cache, handle)) {
    fprintf(stderr, "my own handle was released by another\n");
    worker->failed = 1;
  }
  ++worker->released;
}

// Do to somebody's handle what only its holder may, or what anybody may.
static void meddle(worker_t *worker) {
  const uint64_t handle = atomic_load(&shown[roll(worker, KEPT)]);
  if (handle == 0) {
    return;
  }
  const int error = hr_slab_cancel(worker->slab, handle);
  worker->refused += error != 0;
  if (error && error != HR_E(BAD_EDGE) && error != HR_E(FREED) && error != HR_E(REUSED) &&
      error != HR_E(STALE)) {
    fprintf(stderr, "a cancellation of a handle: error %d\n", error);
    worker->failed = 1;
  }
  // Of a generation that is over: whatever the slot does now, it is not this one's.
  const uint64_t old = hr_handle(hr_generation(handle) - 1u, (uint32_t)handle);
  if (hr_generation(handle) > 1 && hr_slab_release(worker->slab, NULL, old) == 0) {
    fprintf(stderr, "a release of a handle that is over\n");
    worker->failed = 1;
  }
}

static void *work(void *argument) {
  worker_t *worker = argument;
  hr_slab_cache_t *cache = worker->cached ? hr_slab_cache_open(worker->slab) : NULL;
  for (uint64_t at = 0; at < worker->operations && !worker->failed; ++at) {
    if (roll(worker, 4)) {
      live(worker, cache);
    } else {
      meddle(worker);
    }
  }
  if (cache) {
    hr_slab_cache_close(cache);
  }
  return NULL;
}

int main(int count, char **arguments) {
  const uint64_t operations = count > 1 ? strtoull(arguments[1], NULL, 10) : 100000;
  hr_slab_t *slab = hr_slab_open(SLOTS);
  worker_t worker[THREADS] = {0};
  pthread_t thread[THREADS];
  uint64_t taken = 0, released = 0, refused = 0, generations = 0;
  int failed = operations == 0;
  for (int at = 0; at < THREADS; ++at) {
    worker[at] = (worker_t){.slab = slab,
                            .operations = operations,
                            .dice = 88172645463325252ull + (uint64_t)at,
                            .cached = at & 1};
    pthread_create(&thread[at], NULL, work, &worker[at]);
  }
  for (int at = 0; at < THREADS; ++at) {
    pthread_join(thread[at], NULL);
    taken += worker[at].taken;
    released += worker[at].released;
    refused += worker[at].refused;
    failed |= worker[at].failed;
  }
  uint32_t left = 0;
  uint64_t handle;
  for (uint32_t slot = 0; slot < SLOTS; ++slot) {
    const uint64_t word = hr_slab_word(slab, slot);
    failed |= (uint32_t)word != HWR_STATE_FREE;
    generations += hr_generation(word) - 1u;
  }
  while (hr_slab_alloc(slab, NULL, &handle) == 0) {
    ++left;
  }
  if (taken != released || generations != released || left != SLOTS || refused == 0) {
    fprintf(stderr, "taken %llu, released %llu, generations %llu, slots left %u\n",
            (unsigned long long)taken, (unsigned long long)released,
            (unsigned long long)generations, left);
    failed = 1;
  }
  hr_slab_close(slab);
  printf("slab: %llu lives, %llu refusals, %d threads: %s\n", (unsigned long long)released,
         (unsigned long long)refused, THREADS, failed ? "WRONG" : "good");
  return failed;
}
