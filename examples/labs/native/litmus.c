// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "litmus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  SLOTS_MOST = 4096,
  LEAD = 1000,  // cycles from a meeting to the first slot
  STEP = 160,   // and from slot to slot
  JITTER = 64,
};

static litmus_slot_t slots[SLOTS_MOST];
static litmus_read_t reads[LITMUS_THREADS][SLOTS_MOST];
static uint64_t counted[LITMUS_KEYS];

typedef struct run {
  const litmus_test_t *test;
  uint64_t rounds;
  HW_LINE hw_word_t arrived;
  HW_LINE _Atomic uint64_t start;  // of this round's first slot
} run_t;

typedef struct part {
  run_t *run;
  int number;
} part_t;

static inline uint64_t cycles(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return hw_now();
#endif
}

// Wait for all threads of the test; `phase` counts the meetings.
static void meet(run_t *run, uint32_t *phase) {
  uint32_t spins = 0;
  *phase += (uint32_t)run->test->threads;
  atomic_fetch_add(&run->arrived, 1);
  while ((int32_t)(hw_get(&run->arrived) - *phase) < 0) {
    give_way(&spins);
  }
}

// Count what was seen, and clear the slots.
static void take(const litmus_test_t *test) {
  for (uint32_t at = 0; at < test->slots; ++at) {
    uint32_t key = 0;
    for (int name = 0; name < test->registers; ++name) {
      key = key * LITMUS_VALUES + reads[test->owner[name]][at].value[name];
    }
    for (int name = 0; name < test->finals; ++name) {
      key = key * LITMUS_VALUES + slots[at].at[test->final[name]].value;
    }
    ++counted[key];
    for (int location = 0; location < LITMUS_LOCATIONS; ++location) {
      slots[at].at[location].value = 0;
    }
  }
}

static void *run_part(void *argument) {
  const part_t *part = argument;
  run_t *run = part->run;
  run_on(part->number);
  const litmus_test_t *test = run->test;
  litmus_thread_t *body = test->thread[part->number];
  litmus_read_t *read = reads[part->number];
  uint32_t phase = 0, state = 2463534242u + (uint32_t)part->number;
  for (uint64_t round = 0; round < run->rounds; ++round) {
    if (part->number == 0) {
      atomic_store_explicit(&run->start, cycles() + LEAD, memory_order_relaxed);
    }
    meet(run, &phase);
    uint64_t start = atomic_load_explicit(&run->start, memory_order_relaxed);
    for (uint32_t at = 0; at < test->slots; ++at, start += STEP) {
      state ^= state << 13, state ^= state >> 17, state ^= state << 5;
      const uint64_t mine = start + state % JITTER;
      while (cycles() < mine) {
      }
      body(&slots[at], &read[at]);
    }
    meet(run, &phase);
    if (part->number == 0) {
      take(test);
    }
  }
  return NULL;
}

static void run_test(const litmus_test_t *test, uint64_t turns) {
  static run_t run;
  part_t parts[LITMUS_THREADS];
  pthread_t thread[LITMUS_THREADS];
  memset(counted, 0, sizeof counted);
  memset(slots, 0, sizeof slots);
  run.test = test;
  run.rounds = (turns + test->slots - 1) / test->slots;
  hw_put(&run.arrived, 0);
  for (int number = test->threads - 1; number >= 0; --number) {
    parts[number] = (part_t){&run, number};
    if (number > 0) {
      run_on(number);  // where the thread starts
      if (pthread_create(&thread[number], NULL, run_part, &parts[number])) {
        fail("no thread", 0);
      }
    }
  }
  run_part(&parts[0]);
  for (int number = 1; number < test->threads; ++number) {
    pthread_join(thread[number], NULL);
  }
  for (uint32_t key = 0; key < LITMUS_KEYS; ++key) {
    if (counted[key]) {
      printf("%s ", test->name);
      for (int digit = test->registers + test->finals - 1; digit >= 0; --digit) {
        putchar('0' + (int)(key >> 2 * digit & 3u));
      }
      printf(" %lu\n", counted[key]);
    }
  }
  fflush(stdout);
}

int litmus_main(int count, char **arguments, const litmus_test_t *tests, int known) {
  char *end = NULL;
  const uint64_t turns = count > 2 ? strtoull(arguments[1], &end, 10) : 0;
  if (turns == 0 || *end) {
    fprintf(stderr, "usage: litmus TURNS TEST...\n");
    return 2;
  }
  // Without it hw_fence_all fences for its own CPU only.
  if (!hw_fence_register()) {
    lab_not_observable("expected a kernel with sys_membarrier");
  }
  for (int at = 2; at < count; ++at) {
    const litmus_test_t *test = NULL;
    for (int number = 0; number < known; ++number) {
      test = strcmp(arguments[at], tests[number].name) == 0 ? &tests[number] : test;
    }
    if (!test) {
      fprintf(stderr, "expected a test of this program, got %s\n", arguments[at]);
      return 2;
    }
    run_test(test, turns);
  }
  return 0;
}
