// SPDX-License-Identifier: Apache-2.0
#include "rollouts/policy.h"

#include <stdlib.h>

int hr_policy_init(hr_policy_t *queue, uint32_t policy, uint32_t overtake, uint32_t room,
                   uint32_t groups) {
  *queue = (hr_policy_t){.policy = policy,
                         .overtake = overtake,
                         .room = room,
                         .groups = groups,
                         .oldest = HWR_NONE,
                         .youngest = HWR_NONE};
  queue->entry = calloc(room, sizeof *queue->entry);
  queue->heap = policy == HWR_POLICY_FIFO ? NULL : malloc(room * sizeof *queue->heap);
  queue->leader = policy == HWR_POLICY_PREFIX ? malloc(groups * sizeof *queue->leader) : NULL;
  if (!queue->entry || (policy != HWR_POLICY_FIFO && !queue->heap) ||
      (policy == HWR_POLICY_PREFIX && !queue->leader)) {
    return HR_NO_MEMORY;
  }
  for (uint32_t group = 0; queue->leader && group < groups; ++group) {
    queue->leader[group] = -1;
  }
  return 0;
}

void hr_policy_clear(hr_policy_t *queue) {
  free(queue->entry);
  free(queue->heap);
  free(queue->leader);
}

void hr_policy_close(hr_policy_t *queue) {
  hr_policy_clear(queue);
  free(queue);
}

hr_policy_t *hr_policy_open(uint32_t policy, uint32_t overtake, uint32_t room, uint32_t groups) {
  if (policy > HWR_POLICY_CUSTOM || room == 0 || room == HWR_NONE || groups == 0) {
    return NULL;
  }
  hr_policy_t *queue = malloc(sizeof *queue);
  if (queue && hr_policy_init(queue, policy, overtake, room, groups)) {
    hr_policy_close(queue);
    return NULL;
  }
  return queue;
}

// Without a branch: which of two ranks is less cannot be predicted.
static inline int is_before(const hr_rank_t *left, const hr_rank_t *right) {
  return (left->rank < right->rank) |
         ((left->rank == right->rank) & (left->sequence < right->sequence));
}

static inline uint32_t lesser(const hr_rank_t *heap, uint32_t left, uint32_t right) {
  const uint32_t choose = (uint32_t)is_before(&heap[right], &heap[left]);
  return left + choose * (right - left);
}

static void put(hr_policy_t *queue, uint32_t place, hr_rank_t item) {
  queue->heap[place] = item;
  queue->entry[item.entry].place = place;
}

// Move `item` up from an empty place to where it belongs.
static void rise(hr_policy_t *queue, uint32_t place, hr_rank_t item) {
  while (place) {
    const uint32_t parent = (place - 1u) / 4u;
    if (!is_before(&item, &queue->heap[parent])) {
      break;
    }
    put(queue, place, queue->heap[parent]);
    place = parent;
  }
  put(queue, place, item);
}

static void sink(hr_policy_t *queue, uint32_t place, hr_rank_t item) {
  for (;;) {
    const uint64_t first = 4ull * place + 1u;
    if (first >= queue->count) {
      break;
    }
    uint32_t least = (uint32_t)first;
    if (first + 3u < queue->count) {
      least = lesser(queue->heap, lesser(queue->heap, least, least + 1u),
                     lesser(queue->heap, least + 2u, least + 3u));
    } else {
      for (uint32_t child = least + 1u; child < queue->count; ++child) {
        least = lesser(queue->heap, least, child);
      }
    }
    if (!is_before(&queue->heap[least], &item)) {
      break;
    }
    put(queue, place, queue->heap[least]);
    place = least;
  }
  put(queue, place, item);
}

static int64_t rank_of(hr_policy_t *queue, uint32_t group, uint32_t remaining, int64_t rank) {
  switch (queue->policy) {
    case HWR_POLICY_SHORTEST_REMAINING: return remaining;
    case HWR_POLICY_LONGEST_REMAINING: return -(int64_t)remaining;
    case HWR_POLICY_PREFIX:
      if (queue->leader[group] < 0) {
        queue->leader[group] = (int64_t)queue->sequence;
      }
      return queue->leader[group];
    default: return rank;
  }
}

int hr_policy_push(hr_policy_t *queue, uint32_t entry, uint32_t group, uint32_t remaining,
                   int64_t rank) {
  if (entry >= queue->room || group >= queue->groups) {
    return HR_E(BAD_SLOT);
  }
  hr_entry_t *pushed = &queue->entry[entry];
  if (pushed->present) {
    return HR_E(QUEUE_FULL);
  }
  pushed->present = 1;
  pushed->gone_before = queue->departures + queue->count;
  pushed->older = queue->youngest;
  pushed->younger = HWR_NONE;
  if (queue->youngest == HWR_NONE) {
    queue->oldest = entry;
  } else {
    queue->entry[queue->youngest].younger = entry;
  }
  queue->youngest = entry;
  const uint32_t place = queue->count++;
  if (queue->heap) {
    rise(queue, place, (hr_rank_t){rank_of(queue, group, remaining, rank), queue->sequence, entry});
  }
  ++queue->sequence;
  return 0;
}

int hr_policy_remove(hr_policy_t *queue, uint32_t entry) {
  if (!hr_policy_has(queue, entry)) {
    return HR_E(QUEUE_EMPTY);
  }
  hr_entry_t *gone = &queue->entry[entry];
  gone->present = 0;
  if (gone->older == HWR_NONE) {
    queue->oldest = gone->younger;
  } else {
    queue->entry[gone->older].younger = gone->younger;
  }
  if (gone->younger == HWR_NONE) {
    queue->youngest = gone->older;
  } else {
    queue->entry[gone->younger].older = gone->older;
  }
  ++queue->departures;
  --queue->count;
  if (queue->heap && gone->place != queue->count) {
    const hr_rank_t last = queue->heap[queue->count];
    const uint32_t place = gone->place;
    if (place && is_before(&last, &queue->heap[(place - 1u) / 4u])) {
      rise(queue, place, last);
    } else {
      sink(queue, place, last);
    }
  }
  return 0;
}

int hr_policy_pop(hr_policy_t *queue, uint32_t *entry) {
  *entry = hr_policy_peek(queue);
  return *entry == HWR_NONE ? HR_E(QUEUE_EMPTY) : hr_policy_remove(queue, *entry);
}

uint32_t hr_policy_next(const hr_policy_t *queue) { return hr_policy_peek(queue); }

uint32_t hr_policy_count(const hr_policy_t *queue) { return queue->count; }

int hr_policy_contains(const hr_policy_t *queue, uint32_t entry) {
  return hr_policy_has(queue, entry);
}

int64_t hr_policy_overtakes(const hr_policy_t *queue) {
  if (queue->count == 0) {
    return 0;
  }
  return (int64_t)(queue->departures - queue->entry[queue->oldest].gone_before);
}
