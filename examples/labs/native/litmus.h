// SPDX-License-Identifier: Apache-2.0
//
// Runs a generated litmus test: its threads go through slots side by side, each slot with the test's
// locations on cache lines of their own. The CPUs' common clock starts each slot on all of them at once,
// but for a few cycles that are drawn; behind a round of slots the threads meet.
#ifndef LITMUS_H
#define LITMUS_H

#include "lab.h"

enum {
  LITMUS_LOCATIONS = 2,
  LITMUS_VALUES = 4,      // values are 0 to 3
  LITMUS_REGISTERS = 4,
  LITMUS_THREADS = 4,
  LITMUS_KEYS = 256,      // outcomes: an observed value is two bits
};

typedef struct litmus_location {
  _Alignas(128) _Atomic uint32_t value;
} litmus_location_t;

typedef struct litmus_slot {
  litmus_location_t at[LITMUS_LOCATIONS];
} litmus_slot_t;

typedef struct litmus_read {
  uint8_t value[LITMUS_REGISTERS];
} litmus_read_t;
// One thread's part of one slot.
typedef void litmus_thread_t(litmus_slot_t *slot, litmus_read_t *read);

typedef struct litmus_test {
  const char *name;
  int threads;
  litmus_thread_t *thread[LITMUS_THREADS];
  int registers;  // of all threads; the thread that has each
  int owner[LITMUS_REGISTERS];
  int finals;     // locations observed at the end
  int final[LITMUS_LOCATIONS];
  uint32_t slots;  // of a round
} litmus_test_t;

// Each named test for so many turns: lines NAME KEY COUNT, KEY with a digit for each register, then each
// observed location.
int litmus_main(int count, char **arguments, const litmus_test_t *tests, int known);

#endif  // LITMUS_H
