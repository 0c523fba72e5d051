// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

typedef struct side {
  lab_loop_t *loop;
  void *argument;
  uint64_t turns;
  hw_word_t *arrived;
  uint32_t sides;
  int cpu;
  uint64_t start;
  uint64_t stop;
  long switches;
} side_t;

void lab_not_observable(const char *reason) {
  fprintf(stderr, "%s\n", reason);
  exit(LAB_NOT_OBSERVABLE);
}

// How often the kernel took this thread's CPU away.
static long interruptions(void) {
  struct rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_nivcsw;
}

// A thread starts on the CPUs of its parent, which may keep its own one busy.
pthread_t lab_start(void *(*body)(void *), void *argument) {
  pthread_t thread;
  run_on(1);
  if (pthread_create(&thread, NULL, body, argument)) {
    fail("no thread", 0);
  }
  run_on(0);
  return thread;
}

static void *run_side(void *argument) {
  side_t *side = argument;
  run_on(side->cpu);
  uint32_t spins = 0;
  atomic_fetch_add(side->arrived, 1);
  while (hw_get(side->arrived) != side->sides) {
    give_way(&spins);
  }
  const long before = interruptions();
  side->start = hw_now();
  side->loop(side->argument, side->turns);
  side->stop = hw_now();
  side->switches = interruptions() - before;
  return NULL;
}

double lab_together(lab_loop_t *first, void *for_first, lab_loop_t *second, void *for_second,
                    uint64_t turns) {
  hw_word_t arrived = 0;
  side_t sides[2] = {{first, for_first, turns, &arrived, 2, 0, 0, 0, 0},
                     {second, for_second, turns, &arrived, 2, 1, 0, 0, 0}};
  const pthread_t thread = lab_start(run_side, &sides[1]);
  run_side(&sides[0]);
  pthread_join(thread, NULL);
  const uint64_t start = sides[0].start > sides[1].start ? sides[0].start : sides[1].start;
  const uint64_t stop = sides[0].stop < sides[1].stop ? sides[0].stop : sides[1].stop;
  const uint64_t one = sides[0].stop - sides[0].start, other = sides[1].stop - sides[1].start;
  const uint64_t longest = one > other ? one : other;
  if (sides[0].switches || sides[1].switches || stop < start ||
      (stop - start) * 5 < longest * 4) {
    return -1;
  }
  return (double)(one + other) / 2 / (double)turns;
}

double lab_alone(lab_loop_t *loop, void *argument, uint64_t turns) {
  hw_word_t arrived = 0;
  side_t side = {loop, argument, turns, &arrived, 1, 0, 0, 0, 0};
  run_side(&side);
  return side.switches ? -1 : (double)(side.stop - side.start) / (double)turns;
}

int lab_main(int count, char **arguments, const lab_variant_t *variants, int known) {
  for (int at = 1; at < count; ++at) {
    const lab_variant_t *variant = NULL;
    for (int number = 0; number < known; ++number) {
      if (strcmp(arguments[at], variants[number].name) == 0) {
        variant = &variants[number];
      }
    }
    if (!variant) {
      fprintf(stderr, "expected a variant of this lab, got %s\n", arguments[at]);
      return 2;
    }
    double value = -1;
    for (int tried = 0; value < 0; ++tried) {
      if (tried == LAB_DISTURBED_MOST) {
        lab_not_observable("other programs interrupted every one of 400 runs of a variant");
      }
      value = variant->measure();
    }
    printf("%s %.6g\n", arguments[at], value);
  }
  return 0;
}
