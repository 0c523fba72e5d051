// SPDX-License-Identifier: Apache-2.0
//
// Lines of 64 bytes from one CPU to another, by the rings of bench/native/rings.c and by the product.
// A ring's run is short, and the first of them fetches its memory: the fastest of a few counts.
#include "lab.h"

enum { LINES = 20000, ROUNDS = 2000, PASSES = 3 };

static double least(double (*measure)(void)) {
  double found = measure();
  for (int pass = 1; pass < PASSES; ++pass) {
    const double took = measure();
    found = took < found ? took : found;
  }
  return found;
}

static double per_line_once(void) { return 1e9 / ring_rate(RING_PER_LINE, LINES); }
static double cached_once(void) { return 1e9 / ring_rate(RING_CACHED, LINES); }
static double batched_once(void) { return 1e9 / ring_rate(RING_BATCHED, LINES); }
static double trip_once(void) { return line_round_trip(ROUNDS); }

static double per_line(void) { return least(per_line_once); }
static double per_line_again(void) { return least(per_line_once); }
static double cached(void) { return least(cached_once); }
static double batched(void) { return least(batched_once); }
static double trip(void) { return least(trip_once); }
static double ours_1(void) { return lab_queue(1); }
static double ours_64(void) { return lab_queue(64); }

int main(int count, char **arguments) {
  static const lab_variant_t variants[] = {
      {"an index a line", per_line},
      {"an index a line, again", per_line_again},
      {"cached indices", cached},
      {"an index a batch of 256", batched},
      {"ours, there and back, 1 a call", ours_1},
      {"ours, there and back, 64 a call", ours_64},
      {"a word there and back", trip},
  };
  return lab_main(count, arguments, variants, sizeof variants / sizeof *variants);
}
