// SPDX-License-Identifier: Apache-2.0
//
// A queue as its three parts see it: queue.c opens and closes it, submit.c writes lines,
// completions.c takes them.
#ifndef HW_QUEUE_H
#define HW_QUEUE_H

#include "gate.h"
#include "link.h"
#include "progress.h"
#include "registers.h"

// Slots ahead that a program which goes line by line has on their way: from the other CPU's cache
// one takes as long as a few lines.
enum { HW_AHEAD = 8 };

// By how much what was taken is ahead of what the worker has told, at most: a local worker tells of a
// ring's lines before it has the next ring's room, a remote one may still have replies on their way.
static inline uint32_t hw_most_ahead(uint32_t slots) {
  return slots < HW_REPLIES_AHEAD ? HW_REPLIES_AHEAD : slots;
}

typedef struct side {
  hw_desc_t *lines;
  hw_word_t *tail_word;  // in memory, the device's
  hw_word_t *head_word;  // in memory, ours
  hw_word_t *head_register;
  enum hw_fault tail_fault;
  hw_segment_t *replies;  // NULL unless a remote worker sends this ring's newest completion ahead
  uint32_t slots;
  uint32_t head;
  uint32_t tail;  // last seen
} side_t;

struct hw_queue {
  hw_callers_t submitting;
  hw_callers_t taking;
  hw_device_t *device;
  hw_desc_t *cmd;
  hw_word_t *cmd_tail_word;
  hw_word_t *cmd_head_word;
  uint32_t cmd_slots;
  uint32_t cmd_tail;
  uint32_t cmd_head;  // last seen, in the record or in memory
  uint32_t word_seen;  // the same in memory alone
  uint32_t first_counts;  // CMD_HEAD less the completion rings' tails, which never changes
  uint32_t kv_arena_id;
  uint32_t group;
  int checked;
  int remote;
  int sides;
  side_t side[2];
};

#endif
