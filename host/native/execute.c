// SPDX-License-Identifier: Apache-2.0
//
// What a worker does with lines. One worker computes straight into the done ring. Several claim
// runs of lines in turn, compute them side by side, and post them in the same turn [RING-007].
//
// A worker holds back nothing: what it cannot post at once it forgets, and computes it again when
// there is room, because a completion is a pure function of its line. So between two batches there
// is no state but the record in the segment, and a worker may be stopped, or killed, at any point.
#include "pool.h"
#include "progress.h"

enum { AHEAD = 8 };

// What happens to a line, for a worker that has a ring.
static inline void note(hw_trace_ring_t *ring, uint32_t event, const hw_desc_t *line) {
  if (ring) {
    hw_trace(ring, event, line->rollout_id, hw_leg(line->user_data), line->opcode, HWR_CLOCK_HOST, 0);
  }
}

static inline hw_trace_ring_t *ring_of(worker_t *worker) {
  return atomic_load_explicit(&worker->trace, memory_order_acquire);
}

static void count(hd_counts_t *now, const hw_step_t *step) {
  ++now->cmd_head;
  ++now->descriptors;
  now->tokens += step->tokens;
  now->errors += step->error != 0;
  now->halted |= step->stop;
}

// Make all that `now` says visible: the record first, then the words that a host polls, so that a
// host never sees a completion that a restarted worker would not know of. Plain stores only: a locked
// instruction would wait here until the host's CPU has given up the lines just written. So the
// completion event is left to who reads IRQ_STATUS, who finds it in the record.
static void publish(worker_t *worker) {
  hw_pool_t *pool = worker->pool;
  hw_segment_t *segment = pool->segment;
  const rings_t *rings = &worker->rings;
  const hd_counts_t *now = &pool->now;
  hw_commit(pool->device, now);
  if (rings->cmd_head_word) {
    hw_put(rings->done_tail_word, now->done_tail);
    if (rings->split) {
      hw_put(rings->reward_tail_word, now->reward_tail);
    }
    hw_put(rings->cmd_head_word, now->cmd_head);
  }
  if (now->halted) {
    hw_raise(segment, HW_BIT(HW_IRQ_STATUS_HALTED_BIT));
  }
  hw_rouse(&segment->fenced, &segment->host_wake, &segment->host_sleeping);
}

static void note_block(worker_t *worker) {
  hw_pool_t *pool = worker->pool;
  worker->blocked = 1;
  worker->blocked_done_head = pool->done_head;
  worker->blocked_reward_head = pool->reward_head;
  atomic_fetch_add_explicit(&pool->segment->stalls, 1, memory_order_relaxed);
}

// Free slots of a completion ring whose host took up to *seen when it was last looked at; 0, recorded,
// if its head is behind that or beyond the tail.
static uint32_t room(worker_t *worker, uint32_t slots, uint32_t tail, hw_word_t *head_word,
                     uint32_t *seen, uint32_t wanted, enum hw_fault word) {
  if (slots - (tail - *seen) < wanted) {
    const uint32_t head = hw_get(head_word);
    if (head - *seen > tail - *seen) {
      hw_fail(worker->pool->device, word, head, *seen, tail);
      return 0;
    }
    *seen = head;
  }
  return slots - (tail - *seen);
}

static uint32_t done_room(worker_t *worker, uint32_t wanted) {
  hw_pool_t *pool = worker->pool;
  return room(worker, worker->rings.done_slots, pool->now.done_tail, &pool->segment->done_head,
              &pool->done_head, wanted, HW_FAULT_DONE_HEAD);
}

static uint32_t reward_room(worker_t *worker) {
  hw_pool_t *pool = worker->pool;
  return room(worker, worker->rings.reward_slots, pool->now.reward_tail, &pool->segment->reward_head,
              &pool->reward_head, 1, HW_FAULT_REWARD_HEAD);
}

// Lines published from index `next` on, at most a batch; 0, recorded, if the tail is behind the one
// seen before or further ahead of `head` than the ring is long.
static uint32_t published(worker_t *worker, uint32_t next, uint32_t head) {
  hw_pool_t *pool = worker->pool;
  const uint32_t tail = hw_get(&pool->segment->cmd_tail);
  const uint32_t last = head + worker->rings.cmd_mask + 1u;
  if (tail - pool->cmd_tail > last - pool->cmd_tail) {
    hw_fail(pool->device, HW_FAULT_CMD_TAIL, tail, pool->cmd_tail, last);
    return 0;
  }
  pool->cmd_tail = tail;
  return tail - next < HW_BATCH ? tail - next : HW_BATCH;
}

// One worker, one completion ring: no copy but the one from ring to ring.
static uint32_t run_straight(worker_t *worker) {
  const rings_t *rings = &worker->rings;
  hd_counts_t *now = &worker->pool->now;
  uint32_t count_left = published(worker, now->cmd_head, now->cmd_head);
  if (count_left == 0) {
    return 0;
  }
  const uint32_t free_slots = done_room(worker, count_left);
  if (free_slots == 0) {
    note_block(worker);
    return 0;
  }
  if (count_left > free_slots) {
    count_left = free_slots;
  }
  const uint32_t first = now->cmd_head;
  hw_trace_ring_t *ring = ring_of(worker);
  while (count_left-- && !now->halted) {
    if (count_left >= AHEAD) {
      // From the host's cache, where a line takes as long to arrive as several take to compute; the slot
      // to be written has to be taken out of it as well. Not those that the host still writes.
      __builtin_prefetch(&rings->cmd[(now->cmd_head + AHEAD) & rings->cmd_mask]);
      __builtin_prefetch(&rings->done[(now->done_tail + AHEAD) & (rings->done_slots - 1u)], 1);
    }
    hw_desc_t line = rings->cmd[now->cmd_head & rings->cmd_mask];
    note(ring, HWR_TRACE_CONSUMED, &line);
    const hw_step_t step = hw_worker_step(&line, now->cmd_head, rings->require_checked);
    if (step.seal) {
      hw_worker_seal(&line, now->done_tail);
    }
    rings->done[now->done_tail & (rings->done_slots - 1u)] = line;
    note(ring, HWR_TRACE_PRODUCED, &line);
    ++now->done_tail;
    count(now, &step);
  }
  publish(worker);
  return now->cmd_head - first;
}

// Post the computed lines that there is room for, up to a STOP. In its turn only.
static uint32_t post(worker_t *worker, uint32_t computed) {
  const rings_t *rings = &worker->rings;
  hd_counts_t *now = &worker->pool->now;
  uint32_t posted = 0;
  hw_trace_ring_t *ring = ring_of(worker);
  while (posted < computed && !now->halted) {
    hw_desc_t *line = &worker->lines[posted];
    const hw_step_t *step = &worker->steps[posted];
    const int to_reward = rings->split && step->reward;
    if ((to_reward ? reward_room(worker) : done_room(worker, 1)) == 0) {
      note_block(worker);
      break;
    }
    uint32_t *tail = to_reward ? &now->reward_tail : &now->done_tail;
    if (step->seal) {
      hw_worker_seal(line, *tail);
    }
    if (to_reward) {
      rings->reward[*tail & (rings->reward_slots - 1u)] = *line;
    } else {
      rings->done[*tail & (rings->done_slots - 1u)] = *line;
    }
    note(ring, HWR_TRACE_PRODUCED, line);
    ++*tail;
    count(now, step);
    ++posted;
  }
  if (posted) {
    publish(worker);
  }
  return posted;
}

static void compute(worker_t *worker, uint32_t first, uint32_t lines) {
  const rings_t *rings = &worker->rings;
  hw_trace_ring_t *ring = ring_of(worker);
  for (uint32_t at = 0; at < lines; ++at) {
    worker->lines[at] = rings->cmd[(first + at) & rings->cmd_mask];
    note(ring, HWR_TRACE_CONSUMED, &worker->lines[at]);
    worker->steps[at] = hw_worker_step(&worker->lines[at], first + at, rings->require_checked);
  }
}

static uint32_t run_in_turn(worker_t *worker) {
  hw_pool_t *pool = worker->pool;
  hw_segment_t *segment = pool->segment;
  hw_record_t *record = &segment->record[hw_get(&segment->committed) & 1u];
  if (hw_get(&segment->cmd_tail) == hw_get(&record->cmd_head)) {
    return 0;  // spares the lock to a worker that would find nothing
  }
  hw_spin_lock(&pool->claiming);
  // CMD_HEAD belongs to another worker now, but it is not ahead of the tail seen last.
  const uint32_t lines =
      pool->gate == worker->gate ? published(worker, pool->claim_next, pool->cmd_tail) : 0;
  if (lines == 0) {
    hw_spin_unlock(&pool->claiming);
    return 0;
  }
  const uint32_t first = pool->claim_next;
  const uint32_t ticket = pool->ticket_next++;
  const uint32_t round = pool->claim_round;
  pool->claim_next += lines;
  hw_spin_unlock(&pool->claiming);

  compute(worker, first, lines);
  for (int spin = 0; hw_get(&pool->turn) != ticket; ++spin) {
    if (spin < 200) {
      hw_pause();
    } else {
      sched_yield();
    }
  }
  uint32_t posted = 0;
  hw_spin_lock(&pool->claiming);
  const int valid = round == pool->claim_round && !pool->now.halted;
  hw_spin_unlock(&pool->claiming);
  if (valid) {
    posted = post(worker, lines);
    if (posted < lines) {
      hw_spin_lock(&pool->claiming);
      ++pool->claim_round;
      pool->claim_next = pool->now.cmd_head;
      hw_spin_unlock(&pool->claiming);
    }
  }
  hw_put(&pool->turn, ticket + 1u);
  return posted;
}

uint32_t hw_execute(worker_t *worker) {
  hw_pool_t *pool = worker->pool;
  if (pool->workers > 1) {
    return run_in_turn(worker);
  }
  if (pool->now.halted) {
    return 0;
  }
  if (!worker->rings.split) {
    return run_straight(worker);
  }
  const uint32_t lines = published(worker, pool->now.cmd_head, pool->now.cmd_head);
  if (lines == 0) {
    return 0;
  }
  compute(worker, pool->now.cmd_head, lines);
  return post(worker, lines);
}

