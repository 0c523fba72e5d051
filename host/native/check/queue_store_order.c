// SPDX-License-Identifier: Apache-2.0
//
// The order in which a host's queue stores what the worker's process sees: lines, tail in memory,
// doorbell, wake-up [DB-005]; and of what it takes: its own copy, then the heads that give the slots
// back, then the wake-up [RING-010]. submit.c and completions.c are compiled into this program with
// their stores replaced by observers, each of which looks at memory as the worker would find it at
// that moment. Exit code 1, with what came too early.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "queue.h"

enum { SLOTS = 8, MOST = 8 };
static hw_queue_t queue;
static hw_device_t device;
static hw_segment_t segment;
static _Alignas(64) hw_desc_t cmd[SLOTS], done[SLOTS], given[MOST], taken[MOST];
static hw_word_t tail_word, head_word, cmd_head_word, done_tail_word;
static uint32_t next, count, tail_rung, slow;
static int roused, by_decode;
static unsigned checks;

static void fail(const char *what) {
  printf("index %u, %u lines, %s: %s\n", next, count, slow ? "doorbell by register" : "alone", what);
  exit(1);
}

// Every line below the new tail must be in its slot.
static void check_lines(uint32_t tail) {
  if (tail != next + count) fail("the tail is not the one behind the lines");
  for (uint32_t at = 0; at < count; ++at) {
    const hw_desc_t *line = &cmd[(next + at) % SLOTS];
    if (by_decode ? line->user_data != next + at + 1 : memcmp(line, &given[at], sizeof *line) != 0) {
      fail("a line is stored behind its tail");
    }
    ++checks;
  }
}

static void check_doorbell(uint32_t tail) {
  check_lines(tail);
  if (atomic_load(&tail_word) != tail) fail("the doorbell rings before the tail is in memory");
  if (roused) fail("the worker is woken before the doorbell");
  tail_rung = tail;
}

// The device may write a slot the moment that it is given back.
static void give_back(uint32_t head) {
  if (head != next + count) fail("the head is not the one behind the lines");
  for (uint32_t at = next; at != head; ++at) {
    memset(&done[at % SLOTS], 0xA5, sizeof *done);
  }
}

static void observe_put(hw_word_t *word, uint32_t value) {
  if (word == &tail_word) {
    check_lines(value);
    if (tail_rung == value) fail("the tail is stored behind the doorbell");
  } else if (word == &segment.cmd_tail) {
    check_doorbell(value);
  } else if (word == &segment.done_head || word == &head_word) {
    give_back(value);
    if (roused) fail("the worker is woken before it can see the room");
  }
  atomic_store_explicit(word, value, memory_order_release);
}

static int observe_doorbell(hw_device_t *rung, uint32_t tail) {
  (void)rung;
  check_doorbell(tail);
  atomic_store(&segment.cmd_tail, tail);
  return 1;
}

static void observe_rouse(hw_word_t *fenced, hw_word_t *wake, hw_word_t *sleeping) {
  (void)fenced, (void)wake, (void)sleeping;
  roused = 1;
}

#define hw_put observe_put
#define hw_doorbell observe_doorbell
#define hw_rouse observe_rouse
#include "completions.c"
#include "submit.c"

static void submit_from(uint32_t index) {
  queue.cmd_tail = queue.cmd_head = next = index;
  atomic_store(&segment.cmd_tail, index - slow);  // someone else's doorbell: no plain store
  atomic_store(&tail_word, index);
  atomic_store(&cmd_head_word, index);
  tail_rung = index, roused = 0;
  memset(cmd, 0, sizeof cmd);
  for (uint32_t at = 0; at < count; ++at) {
    memset(&given[at], (int)(index + at + 1), sizeof *given);
  }
  const int64_t done_lines = by_decode ? hq_submit_decode(&queue, 1, 2, 3, 0, 4, 5, next + 1)
                                       : hq_submit(&queue, given, count);
  if (done_lines != count) fail("not every line is submitted");
  if (tail_rung != next + count) fail("no doorbell rings");
  if (!slow && !roused) fail("the worker is not woken");
}

static void take_from(uint32_t index) {
  side_t *side = &queue.side[0];
  side->head = side->tail = next = index;
  atomic_store(&segment.done_head, index);
  atomic_store(&head_word, index);
  atomic_store(&done_tail_word, index + count);
  roused = 0;
  for (uint32_t at = 0; at < count; ++at) {
    memset(&done[(index + at) % SLOTS], (int)(at + 1), sizeof *done);
  }
  memset(taken, 0, sizeof taken);
  if (hq_poll(&queue, 0, taken, MOST, 0) != count) fail("not every completion is taken");
  for (uint32_t at = 0; at < count; ++at) {
    memset(&given[at], (int)(at + 1), sizeof *given);
    if (memcmp(&taken[at], &given[at], sizeof *given) != 0) {
      fail("a slot is given back before its completion is taken");
    }
    ++checks;
  }
  const uint32_t head = next + count;
  if (atomic_load(&segment.done_head) != head || atomic_load(&head_word) != head || !roused) {
    fail("the device is not told of the room");
  }
}

int main(void) {
  static const uint32_t INDICES[] = {0, 5, 0xFFFFFFFE};
  static const uint32_t COUNTS[] = {1, 2, 5, 8};
  device.segment = &segment;
  device.lock_file = -1;
  atomic_store(&segment.enable, 1);
  queue = (hw_queue_t){.device = &device, .cmd = cmd, .cmd_tail_word = &tail_word,
                       .cmd_head_word = &cmd_head_word, .cmd_slots = SLOTS, .sides = 1};
  queue.side[0] = (side_t){.lines = done, .tail_word = &done_tail_word, .head_word = &head_word,
                           .head_register = &segment.done_head, .slots = SLOTS};
  for (unsigned at = 0; at < sizeof INDICES / sizeof *INDICES; ++at) {
    for (unsigned size = 0; size < sizeof COUNTS / sizeof *COUNTS; ++size) {
      count = COUNTS[size];
      for (slow = 0; slow < 2; ++slow) {
        submit_from(INDICES[at]);
      }
      slow = 0;
      take_from(INDICES[at]);
    }
    count = 1, by_decode = 1;
    submit_from(INDICES[at]);
    by_decode = 0;
  }
  printf("good: %u lines\n", checks);
  return 0;
}
