// SPDX-License-Identifier: Apache-2.0
//
// A chase of pointers, each load waiting for the one before: over many pages and over few, in small
// pages and in huge ones. The pages are what smaps shows, or the program ends with exit code 3.
#include <stdio.h>
#include <stdlib.h>

#include "lab.h"
#include "rollouts/rollouts.h"

enum { PAGE = 4096, LINE = 64, BYTES = 40 << 20, PAGES = BYTES / PAGE };
// More pages than any TLB has entries for, and few enough that their lines stay in the L2 cache.
enum { WALKED = 6144, FEW = 32, TURNS = PAGES, PASSES = 7 };

static unsigned char *small, *huge;

void chase_loop(void *argument, uint64_t turns);

__attribute__((noinline)) void chase_loop(void *argument, uint64_t turns) {
  void *volatile *from = argument;
  void **at = *from;
  while (turns--) {
    at = *at;
  }
  *from = at;
}

static unsigned char *map(int require) {
  hr_memory_report_t report;
  char text[512];
  unsigned char *memory = hr_memory_map(BYTES, require, -1, &report, text, sizeof text);
  if (!memory) {
    fprintf(stderr, "no such pages here: %s\n", text);
    exit(LAB_NOT_OBSERVABLE);
  }
  if ((report.huge_bytes == BYTES) == (require == HR_PAGES_SMALL)) {
    lab_not_observable("smaps shows other pages than were asked for");
  }
  return memory;
}

// splitmix64, by Steele, Lea and Flood (2014).
static uint64_t drawn(uint64_t *state) {
  uint64_t value = *state += 0x9e3779b97f4a7c15ull;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
  value = (value ^ value >> 27) * 0x94d049bb133111ebull;
  return value ^ value >> 31;
}

// One cycle through `count` lines in an order drawn by Sattolo's algorithm. Spread: a line of each page,
// of another offset from page to page, so that they use all sets of the caches.
static double chase(unsigned char *memory, uint32_t count, int spread) {
  static uint32_t order[PAGES];
  uint64_t state = hw_now();
  for (uint32_t at = 0; at < count; ++at) {
    order[at] = at;
  }
  for (uint32_t at = count - 1; at > 0; --at) {
    const uint32_t other = (uint32_t)(drawn(&state) % at), kept = order[at];
    order[at] = order[other];
    order[other] = kept;
  }
  void **first = NULL, **last = NULL;
  for (uint32_t at = 0; at < count; ++at) {
    const uint64_t line = order[at];
    const uint64_t offset = spread ? line * PAGE + line * 5 % (PAGE / LINE) * LINE : line * LINE;
    void **node = (void **)(memory + offset);
    if (last) {
      *last = node;
    } else {
      first = node;
    }
    last = node;
  }
  *last = first;
  void *from = first;
  chase_loop(&from, 2 * count);
  // Other programs evict lines and entries, which can only add time: the least of a few passes.
  double least = -1;
  for (int pass = 0; pass < PASSES; ++pass) {
    const double took = lab_alone(chase_loop, &from, TURNS);
    least = took >= 0 && (least < 0 || took < least) ? took : least;
  }
  return least;
}

static double many_small(void) { return chase(small, PAGES, 1); }
static double many_huge(void) { return chase(huge, PAGES, 1); }
static double few_small(void) { return chase(small, FEW, 1); }
static double few_huge(void) { return chase(huge, FEW, 1); }
static double walked(void) { return chase(small, WALKED, 1); }
static double packed(void) { return chase(small, WALKED, 0); }

int main(int count, char **arguments) {
  static const lab_variant_t variants[] = {
      {"10240 pages, small", many_small}, {"10240 pages, huge", many_huge},
      {"32 pages, small", few_small},     {"32 pages, huge", few_huge},
      {"6144 lines of as many pages", walked}, {"6144 lines side by side", packed},
  };
  small = map(HR_PAGES_SMALL);
  huge = map(HR_PAGES_THP);
  return lab_main(count, arguments, variants, sizeof variants / sizeof *variants);
}
