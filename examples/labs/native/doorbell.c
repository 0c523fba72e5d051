// SPDX-License-Identifier: Apache-2.0
//
// The product's queue with so many lines a doorbell, the worker on the second CPU; there and back, every
// completion checked.
#include "lab.h"

enum { LINES = 20000, ROUNDS = 2000, PASSES = 3, LOG2 = 12 };

static double lines_a_doorbell(uint32_t batch) {
  bench_t bench = open_bench(LOG2, IN_THREAD);
  double found = 0;
  for (int pass = 0; pass < PASSES; ++pass) {
    const double took = 1e9 / there_and_back(bench.queue, LINES, batch, 1u << (LOG2 - 1));
    found = pass == 0 || took < found ? took : found;
  }
  close_bench(&bench);
  return found;
}

static double one(void) { return lines_a_doorbell(1); }
static double four(void) { return lines_a_doorbell(4); }
static double sixteen(void) { return lines_a_doorbell(16); }
static double many(void) { return lines_a_doorbell(64); }
static double trip(void) { return line_round_trip(ROUNDS); }

int main(int count, char **arguments) {
  static const lab_variant_t variants[] = {
      {"cpu, 1", one},      {"cpu, 4", four},
      {"cpu, 16", sixteen}, {"cpu, 64", many},
      {"cpu: a word there and back", trip},
  };
  return lab_main(count, arguments, variants, sizeof variants / sizeof *variants);
}
