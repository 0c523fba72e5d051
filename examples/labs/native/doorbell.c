// SPDX-License-Identifier: Apache-2.0
//
// The product's queue with so many lines a doorbell, the worker on the second CPU; there and back, every
// completion checked.
#include "lab.h"

enum { ROUNDS = 2000 };

static double one(void) { return lab_queue(1); }
static double four(void) { return lab_queue(4); }
static double sixteen(void) { return lab_queue(16); }
static double many(void) { return lab_queue(64); }
static double trip(void) { return line_round_trip(ROUNDS); }

int main(int count, char **arguments) {
  static const lab_variant_t variants[] = {
      {"cpu, 1", one},      {"cpu, 4", four},
      {"cpu, 16", sixteen}, {"cpu, 64", many},
      {"cpu: a word there and back", trip},
  };
  return lab_main(count, arguments, variants, sizeof variants / sizeof *variants);
}
