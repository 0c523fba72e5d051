// SPDX-License-Identifier: Apache-2.0
//
// The order in which a worker stores what another process sees: a completion, the record behind the
// registers, the words in memory, the event, the wake-up [RING-004] [RING-013]. execute.c is compiled
// into this program with its stores replaced by observers, each of which looks at memory as another
// process would find it at that moment. Exit code 1, with what came too early.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "progress.h"

enum { SLOTS = 8, LINES = 6 };
enum stage { POSTED, COMMITTED, DONE_WORD, REWARD_WORD, HEAD_WORD, EVENT, ROUSED };
static const char *const NAMES[] = {"the completions", "the record", "the done ring's tail",
                                    "the reward ring's tail", "the command ring's head",
                                    "the event", "the wake-up"};

static hw_pool_t *pool;
static enum stage stage;
static int split, stops;
static hd_counts_t record;
static unsigned checks;

static void fail(const char *what) {
  printf("split %d, STOP %d: %s, behind %s\n", split, stops, what, NAMES[stage]);
  exit(1);
}

// Every completion that `tail` announces must be in its slot.
static void check_ring(const hw_desc_t *ring, uint32_t tail, uint32_t outcome) {
  for (uint32_t at = 0; at < tail; ++at) {
    if (!(ring[at].flags & (outcome | HW_FLAG_STOPPED))) {
      fail("a tail is stored before its completion");
    }
    ++checks;
  }
}

static void reach(enum stage next, enum stage least) {
  if (next <= stage || stage < least) {
    printf("split %d, STOP %d: %s comes behind %s\n", split, stops, NAMES[next], NAMES[stage]);
    exit(1);
  }
  stage = next;
}

static void observe_commit(hw_device_t *device, const hd_counts_t *counts) {
  (void)device;
  const rings_t *rings = &pool->worker[0].rings;
  reach(COMMITTED, POSTED);
  record = *counts;
  check_ring(rings->done, counts->done_tail, HW_FLAG_DONE);
  if (split) {
    check_ring(rings->reward, counts->reward_tail, HW_FLAG_NEEDS_REWARD);
  }
}

static void observe_put(hw_word_t *word, uint32_t value) {
  const rings_t *rings = &pool->worker[0].rings;
  if (word == rings->done_tail_word) {
    reach(DONE_WORD, COMMITTED);
    if (value != record.done_tail) fail("the done ring's tail is not the record's");
  } else if (word == rings->reward_tail_word) {
    reach(REWARD_WORD, DONE_WORD);
    if (!split) fail("a reward ring's tail without a reward ring");
    if (value != record.reward_tail) fail("the reward ring's tail is not the record's");
  } else if (word == rings->cmd_head_word) {
    reach(HEAD_WORD, split ? REWARD_WORD : DONE_WORD);
    if (value != record.cmd_head) fail("the command ring's head is not the record's");
  }
  atomic_store_explicit(word, value, memory_order_release);
}

static void observe_raise(hw_segment_t *segment, uint32_t events) {
  (void)segment;
  reach(EVENT, HEAD_WORD);
  if (events != HW_BIT(HW_IRQ_STATUS_HALTED_BIT) || !stops) fail("an event without a cause");
}

static void observe_rouse(hw_word_t *fenced, hw_word_t *wake, hw_word_t *sleeping) {
  (void)fenced, (void)wake, (void)sleeping;
  reach(ROUSED, stops ? EVENT : HEAD_WORD);
}

#define hw_commit observe_commit
#define hw_put observe_put
#define hw_raise observe_raise
#define hw_rouse observe_rouse
#include "execute.c"

static void run(void) {
  static _Alignas(64) hw_desc_t cmd[SLOTS], done[SLOTS], reward[SLOTS];
  static hw_word_t words[3];
  static hw_segment_t segment;
  static hw_device_t device;
  memset(cmd, 0, sizeof cmd), memset(done, 0, sizeof done), memset(reward, 0, sizeof reward);
  memset(&segment, 0, sizeof segment), memset(&device, 0, sizeof device);
  const size_t bytes = sizeof(hw_pool_t) + sizeof(worker_t);
  memset(pool, 0, bytes);
  device.segment = &segment;
  device.lock_file = -1;
  pool->device = &device;
  pool->segment = &segment;
  pool->workers = 1;
  worker_t *worker = &pool->worker[0];
  worker->pool = pool;
  worker->rings = (rings_t){.cmd = cmd, .done = done, .reward = reward, .cmd_head_word = &words[0],
                            .done_tail_word = &words[1], .reward_tail_word = split ? &words[2] : NULL,
                            .cmd_mask = SLOTS - 1, .done_slots = SLOTS, .reward_slots = SLOTS,
                            .enabled = 1, .split = split};
  for (int at = 0; at < LINES; ++at) {
    cmd[at].opcode = HW_OPCODE_DECODE;
    cmd[at].max_tokens = split && at % 2 ? 99 : 1;
  }
  if (stops) {
    cmd[LINES - 1].opcode = HW_OPCODE_STOP;
  }
  atomic_store(&segment.cmd_tail, LINES);
  stage = POSTED;
  if (hw_execute(worker) != LINES) fail("not every line was executed");
  if (stage != ROUSED) fail("nobody is told");
}

int main(void) {
  pool = aligned_alloc(HW_CACHE_LINE_BYTES, sizeof(hw_pool_t) + sizeof(worker_t));
  for (int mode = 0; mode < 4; ++mode) {
    split = mode & 1;
    stops = mode >> 1;
    run();
  }
  printf("good: %u completions\n", checks);
  return checks != 4 * LINES;
}
