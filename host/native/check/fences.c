// SPDX-License-Identifier: Apache-2.0
//
// What sleeping and waking rest on (sync.h): of two threads that each store a word and then load the
// other's, with a fence in between, one sees the other's store. Each pair of fences that the core relies
// on, for SECONDS. Usage: fences SECONDS. Exit code 1, with the pair by which both threads
// loaded what was there before.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sync.h"

enum { ROUNDS = 512, AHEAD = 24 };

typedef struct cell {
  _Alignas(128) hw_word_t word;
} cell_t;

typedef void (*fence_t)(void);
typedef struct pair {
  const char *name;
  fence_t first, second;  // NULL: hw_rouse, which loads as well
  int for_others;
  uint32_t fenced;
} pair_t;

static cell_t news[ROUNDS], sleeping[ROUNDS], wake[ROUNDS], ahead[AHEAD], arrived, fenced;
static uint32_t seen[2][ROUNDS];
static int over;
static const pair_t *pair;

static void light(void) { hw_light_fence(); }

static const pair_t PAIRS[] = {
    {"hw_fence_all twice, without sys_membarrier", hw_fence_all, hw_fence_all, 0, 0},
    {"hw_light_fence twice, without sys_membarrier", light, light, 0, 0},
    {"hw_rouse that fences, and hw_fence_all", NULL, hw_fence_all, 0, 1},
    {"hw_light_fence and hw_fence_all", light, hw_fence_all, 1, 0},
    {"hw_rouse and hw_fence_all", NULL, hw_fence_all, 1, 0},
};

// Wait until both threads have come here so often.
static void meet(uint32_t *times) {
  *times += 2;
  atomic_fetch_add(&arrived.word, 1);
  for (uint32_t spin = 0; (int32_t)(hw_get(&arrived.word) - *times) < 0; ++spin) {
    if (spin > 20000) {
      sched_yield();
    }
  }
}

// Stores to lines that the other CPU has: those behind them are not seen by it before they arrive.
static void delay_stores(void) {
  for (int at = 0; at < AHEAD; ++at) {
    atomic_store_explicit(&ahead[at].word, 1, memory_order_relaxed);
  }
}

static void round_of_first(uint32_t at) {
  delay_stores();
  atomic_store_explicit(&news[at].word, 1, memory_order_relaxed);
  if (pair->first) {
    pair->first();
    seen[0][at] = atomic_load_explicit(&sleeping[at].word, memory_order_relaxed);
  } else {
    hw_rouse(&fenced.word, &wake[at].word, &sleeping[at].word);
    seen[0][at] = hw_get(&wake[at].word);
  }
}

static void round_of_second(uint32_t at) {
  delay_stores();
  atomic_store_explicit(&sleeping[at].word, 1, memory_order_relaxed);
  pair->second();
  seen[1][at] = atomic_load_explicit(&news[at].word, memory_order_relaxed);
}

// Two threads of one CPU never miss each other's stores. Of the CPUs allowed the calling thread gets
// the `number`-th, as far as there are as many.
static void settle(int number) {
  cpu_set_t allowed, one;
  CPU_ZERO(&one);
  if (sched_getaffinity(0, sizeof allowed, &allowed)) {
    return;
  }
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) && number-- == 0) {
      CPU_SET(cpu, &one);
      pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    }
  }
}

static void *second(void *argument) {
  uint32_t times = 0;
  (void)argument;
  settle(1);
  for (;;) {
    meet(&times);
    if (over) {
      return NULL;
    }
    for (uint32_t at = 0; at < ROUNDS; ++at) {
      meet(&times);
      round_of_second(at);
    }
    meet(&times);
  }
}

// How often neither thread saw the other's store; the rounds are counted in *rounds.
static unsigned try_pair(uint64_t end, unsigned *rounds) {
  cpu_set_t allowed;
  uint32_t times = 0;
  unsigned missed = 0;
  pthread_t thread;
  sched_getaffinity(0, sizeof allowed, &allowed);
  over = 0;
  atomic_store(&arrived.word, 0);
  if (pthread_create(&thread, NULL, second, NULL)) {
    return 1;
  }
  settle(0);
  while (hw_now() < end && !missed) {
    memset(news, 0, sizeof news), memset(sleeping, 0, sizeof sleeping), memset(wake, 0, sizeof wake);
    meet(&times);
    for (uint32_t at = 0; at < ROUNDS; ++at) {
      meet(&times);
      round_of_first(at);
    }
    meet(&times);
    for (uint32_t at = 0; at < ROUNDS; ++at) {
      missed += !seen[0][at] && !seen[1][at];
    }
    *rounds += ROUNDS;
  }
  over = 1;
  meet(&times);
  pthread_join(thread, NULL);
  sched_setaffinity(0, sizeof allowed, &allowed);
  return missed;
}

int main(int count, char **arguments) {
  const double seconds = count > 1 ? strtod(arguments[1], NULL) : 1.0;
  const int others = hw_fence_register();
  int wrong = 0;
  for (unsigned at = 0; at < sizeof PAIRS / sizeof *PAIRS; ++at) {
    pair = &PAIRS[at];
    if (pair->for_others && !others) {
      printf("%s: not on this kernel\n", pair->name);
      continue;
    }
    hw_put(&hw_fences_for_others, (uint32_t)pair->for_others);
    hw_put(&fenced.word, pair->fenced);
    unsigned rounds = 0;
    const unsigned missed = try_pair(hw_now() + (uint64_t)(seconds * 1e9), &rounds);
    printf("%s: %u rounds, %u times both loaded before\n", pair->name, rounds, missed);
    wrong |= missed != 0;
  }
  return wrong;
}
