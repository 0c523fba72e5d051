// SPDX-License-Identifier: Apache-2.0
//
// A set of numbers 0..count-1 whose lowest member is found in a constant number of word reads: a
// bitmap, a bitmap of its words that are not zero, and so on up to one word.
#ifndef HR_BITS_H
#define HR_BITS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { HR_BITS_LEVELS = 6, HR_BITS_MAX = 0x7FFFFFFF };
#define HR_BITS_NONE 0xFFFFFFFFu

typedef struct hr_bits {
  uint64_t *level[HR_BITS_LEVELS];  // [0] has a bit for each number
  uint32_t levels;
  uint32_t count;
} hr_bits_t;

static inline int hr_bits_has(const hr_bits_t *bits, uint32_t number) {
  return (int)(bits->level[0][number >> 6] >> (number & 63u) & 1u);
}

static inline int hr_bits_empty(const hr_bits_t *bits) {
  return bits->level[bits->levels - 1u][0] == 0;
}

// The lowest member, which leaves the set; HR_BITS_NONE if there is none.
static inline uint32_t hr_bits_take(hr_bits_t *bits) {
  if (hr_bits_empty(bits)) {
    return HR_BITS_NONE;
  }
  uint32_t at = 0;
  for (uint32_t level = bits->levels; level-- > 0;) {
    at = at << 6 | (uint32_t)__builtin_ctzll(bits->level[level][at]);
  }
  uint32_t bit = at;
  for (uint32_t level = 0; level < bits->levels; ++level, bit >>= 6) {
    uint64_t *word = &bits->level[level][bit >> 6];
    *word &= *word - 1u;  // the lowest bit: that is the one
    if (*word) {
      break;
    }
  }
  return at;
}

// Take out a number that is a member.
static inline void hr_bits_remove(hr_bits_t *bits, uint32_t number) {
  for (uint32_t level = 0; level < bits->levels; ++level, number >>= 6) {
    uint64_t *word = &bits->level[level][number >> 6];
    *word &= ~(1ull << (number & 63u));
    if (*word) {
      break;
    }
  }
}

// Make a number a member; it is none yet.
static inline void hr_bits_put(hr_bits_t *bits, uint32_t number) {
  for (uint32_t level = 0; level < bits->levels; ++level, number >>= 6) {
    uint64_t *word = &bits->level[level][number >> 6];
    const uint64_t was = *word;
    *word = was | 1ull << (number & 63u);
    if (was) {
      break;
    }
  }
}

static inline void hr_bits_close(hr_bits_t *bits) { free(bits->level[0]); }

// Of 0..count-1 (1 to HR_BITS_MAX) all or none are members. 1, or 0: no memory.
static inline int hr_bits_open(hr_bits_t *bits, uint32_t count, int all) {
  uint32_t words[HR_BITS_LEVELS];
  uint64_t total = 0;
  bits->count = count;
  bits->levels = 0;
  for (uint32_t left = count;;) {
    left = (left + 63u) >> 6;
    words[bits->levels++] = left;
    total += left;
    if (left == 1) {
      break;
    }
  }
  uint64_t *memory = calloc(total, sizeof *memory);
  if (!memory) {
    return 0;
  }
  for (uint32_t level = 0, members = count; level < bits->levels; ++level) {
    bits->level[level] = memory;
    memset(memory, all ? 0xFF : 0, (members >> 6) * sizeof *memory);
    if (all && members & 63u) {
      memory[members >> 6] = (1ull << (members & 63u)) - 1u;
    }
    memory += words[level];
    members = words[level];
  }
  return 1;
}

#endif  // HR_BITS_H
