// SPDX-License-Identifier: Apache-2.0
//
// The baseline: a ring that behaves as the reference C runtime's hw_ring, written from scratch from
// its behaviour. 65536 slots; free-running u32 indices on cache lines of their own; a line a
// call; each call loads both indices with acquire order and stores one with release order; no
// index is cached, and both accesses are calls into another translation unit, as they are there.
#ifndef REFERENCE_RING_H
#define REFERENCE_RING_H

#include "hw_desc.h"

enum { REFERENCE_SLOTS = 65536 };

typedef struct reference_ring {
  _Alignas(64) volatile hw_u32 head;
  _Alignas(64) volatile hw_u32 tail;
  _Alignas(64) hw_desc_t line[REFERENCE_SLOTS];
} reference_ring_t;

hw_u32 reference_load(volatile hw_u32 *index);
void reference_store(volatile hw_u32 *index, hw_u32 value);

// 0, or -1: full.
static inline int reference_push(reference_ring_t *ring, const hw_desc_t *line) {
  const hw_u32 tail = reference_load(&ring->tail);
  if (tail - reference_load(&ring->head) >= REFERENCE_SLOTS) {
    return -1;
  }
  ring->line[tail % REFERENCE_SLOTS] = *line;
  reference_store(&ring->tail, tail + 1u);
  return 0;
}

// 0, or -1: empty.
static inline int reference_pop(reference_ring_t *ring, hw_desc_t *line) {
  const hw_u32 head = reference_load(&ring->head);
  if (head == reference_load(&ring->tail)) {
    return -1;
  }
  *line = ring->line[head % REFERENCE_SLOTS];
  reference_store(&ring->head, head + 1u);
  return 0;
}

#endif  // REFERENCE_RING_H
