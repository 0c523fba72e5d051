// SPDX-License-Identifier: Apache-2.0
//
// What the worker threads of one process share: their pool, and what each knows of the rings.
// worker.c runs and ends the threads, execute.c is what they do with lines.
#ifndef HW_POOL_H
#define HW_POOL_H

#include "fast_crc.h"
#include "hw_trace.h"
#include "segment.h"

enum { HW_BATCH = 128 };

typedef struct rings {
  hw_desc_t *cmd;
  hw_desc_t *done;
  hw_desc_t *reward;
  hw_word_t *cmd_head_word;  // in memory; NULL: the rings have no heads and tails there
  hw_word_t *done_tail_word;
  hw_word_t *reward_tail_word;
  uint32_t cmd_mask;
  uint32_t done_slots;
  uint32_t reward_slots;
  int enabled;
  int split;
  int require_checked;
} rings_t;

typedef struct worker {
  HW_LINE struct hw_pool *pool;
  uint32_t number;
  uint32_t gate;
  rings_t rings;
  uint32_t idle;
  uint32_t gathering;  // nanoseconds to the next look, see gather
  int woken;  // it has slept, and not run a line since
  int blocked;  // the last batch ended at a full ring, whose head stood at:
  uint32_t blocked_done_head;
  uint32_t blocked_reward_head;
  pthread_t thread;
  _Atomic(hw_trace_ring_t *) trace;  // NULL: off
#ifdef HW_COUNT_LOOKS
  uint64_t looks;  // for bench/gather_variants.py: looks at the doorbell, and those that found nothing
  uint64_t empty;
#endif
  hw_step_t steps[HW_BATCH];
  hw_desc_t lines[HW_BATCH];
} worker_t;

typedef struct hw_pool {
  hw_device_t *device;
  hw_segment_t *segment;
  uint32_t workers;
  hw_word_t stop;

  // Under `claiming`.
  HW_LINE hw_word_t claiming;
  uint32_t gate;         // for which `now` and `claim_next` hold
  uint32_t claim_next;   // the next index to be claimed
  uint32_t cmd_tail;     // last seen
  uint32_t ticket_next;
  uint32_t claim_round;  // raised when claims made before are void

  HW_LINE hw_word_t turn;  // the ticket that may post now
  HW_LINE hd_counts_t now;  // the record in force; belongs to the ticket whose turn it is
  uint32_t done_head;       // last seen
  uint32_t reward_head;
  worker_t worker[];
} hw_pool_t;

// The rings as the registers have them: not enabled if they do not fit, which is recorded.
rings_t hw_read_rings(hw_device_t *device);
// Answer what can be answered now, at most a batch; how many lines that were.
uint32_t hw_execute(worker_t *worker);

#endif  // HW_POOL_H
