// SPDX-License-Identifier: Apache-2.0
//
// Two CPUs write two words, of one cache line or of two, by a plain store or a locked addition.
#include "lab.h"

enum { TURNS = 20000, STORES = 80000, WORD = 8, FAR = 128 };

static _Alignas(4096) unsigned char memory[4096];

void store_loop(void *argument, uint64_t turns);
void locked_loop(void *argument, uint64_t turns);

__attribute__((noinline)) void store_loop(void *argument, uint64_t turns) {
  _Atomic uint64_t *word = argument;
  for (uint64_t turn = 0; turn < turns; ++turn) {
    atomic_store_explicit(word, turn, memory_order_relaxed);
  }
}

__attribute__((noinline)) void locked_loop(void *argument, uint64_t turns) {
  _Atomic uint64_t *word = argument;
  for (uint64_t turn = 0; turn < turns; ++turn) {
    atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
  }
}

static double stores(int distance) {
  return lab_together(store_loop, memory, store_loop, memory + distance, STORES);
}

static double additions(int distance) {
  return lab_together(locked_loop, memory, locked_loop, memory + distance, TURNS);
}

static double store_shared(void) { return stores(WORD); }
static double store_padded(void) { return stores(FAR); }
static double store_same(void) { return stores(0); }
static double locked_shared(void) { return additions(WORD); }
static double locked_padded(void) { return additions(FAR); }
static double locked_far(void) { return additions(2 * FAR); }
static double locked_same(void) { return additions(0); }

int main(int count, char **arguments) {
  static const lab_variant_t variants[] = {
      {"store, shared line", store_shared},   {"store, padded", store_padded},
      {"store, same word", store_same},       {"locked, shared line", locked_shared},
      {"locked, padded", locked_padded},      {"locked, padded twice", locked_far},
      {"locked, same word", locked_same},
  };
  return lab_main(count, arguments, variants, sizeof variants / sizeof *variants);
}
