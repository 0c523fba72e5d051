// SPDX-License-Identifier: Apache-2.0
//
// A queue in the order of a policy [SCHED-001 to SCHED-004]: a stable heap over (rank, sequence number)
// beside a list in the order of age, whose head is who may not be overtaken any more.
#ifndef HR_POLICY_H
#define HR_POLICY_H

#include "rollouts/generation.h"

typedef struct hr_rank {
  int64_t rank;
  uint64_t sequence;
  uint32_t entry;
} hr_rank_t;

typedef struct hr_entry {
  uint64_t gone_before;  // departures by which everyone older is gone
  uint32_t older;        // neighbours by age
  uint32_t younger;
  uint32_t place;  // in the heap
  uint32_t present;
} hr_entry_t;

struct hr_policy {
  hr_rank_t *heap;  // four children each; not used by FIFO
  hr_entry_t *entry;
  int64_t *leader;  // by group, the rank of PREFIX; -1: none yet
  uint64_t sequence;
  uint64_t departures;
  uint32_t policy;
  uint32_t overtake;
  uint32_t room;
  uint32_t groups;
  uint32_t count;
  uint32_t oldest;
  uint32_t youngest;
};

// 0, or HR_NO_MEMORY; in either case the caller clears it.
int hr_policy_init(hr_policy_t *queue, uint32_t policy, uint32_t overtake, uint32_t room,
                   uint32_t groups);
void hr_policy_clear(hr_policy_t *queue);

// The next entry; HWR_NONE: there is none.
static inline uint32_t hr_policy_peek(const hr_policy_t *queue) {
  if (queue->policy == HWR_POLICY_FIFO || queue->count == 0) {
    return queue->oldest;
  }
  const hr_entry_t *oldest = &queue->entry[queue->oldest];
  if (queue->overtake != HWR_NONE && queue->departures - oldest->gone_before >= queue->overtake) {
    return queue->oldest;
  }
  return queue->heap[0].entry;
}

static inline int hr_policy_has(const hr_policy_t *queue, uint32_t entry) {
  return entry < queue->room && queue->entry[entry].present;
}

#endif  // HR_POLICY_H
