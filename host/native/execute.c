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

static void count(hd_counts_t *now, const hw_step_t *step) {
  ++now->cmd_head;
  ++now->descriptors;
  now->tokens += step->tokens;
  now->errors += step->error != 0;
  now->halted |= step->stop;
}

// Make all that `now` says visible: the record first, then the words that a host polls, so that a
// host never sees a completion that a restarted worker would not know of.
static void publish(worker_t *worker) {
  hw_pool_t *pool = worker->pool;
  hw_segment_t *segment = pool->segment;
  const hd_counts_t *now = &pool->now;
  hw_commit(segment, now);
  hw_publish(pool->device, now);
  hw_raise(segment, HW_BIT(HW_IRQ_STATUS_COMPLETION_BIT) |
                        (now->halted ? HW_BIT(HW_IRQ_STATUS_HALTED_BIT) : 0u));
  hw_rouse(&segment->host_wake, &segment->host_sleeping);
}

static void note_block(worker_t *worker) {
  hw_pool_t *pool = worker->pool;
  worker->blocked = 1;
  worker->blocked_done_head = pool->done_head;
  worker->blocked_reward_head = pool->reward_head;
  atomic_fetch_add_explicit(&pool->segment->stalls, 1, memory_order_relaxed);
}

static uint32_t done_room(worker_t *worker, uint32_t wanted) {
  hw_pool_t *pool = worker->pool;
  const uint32_t slots = worker->rings.done_slots;
  if (slots - (pool->now.done_tail - pool->done_head) < wanted) {
    pool->done_head = hw_get(&pool->segment->done_head);
  }
  return slots - (pool->now.done_tail - pool->done_head);
}

static uint32_t reward_room(worker_t *worker) {
  hw_pool_t *pool = worker->pool;
  const uint32_t slots = worker->rings.reward_slots;
  if (slots == pool->now.reward_tail - pool->reward_head) {
    pool->reward_head = hw_get(&pool->segment->reward_head);
  }
  return slots - (pool->now.reward_tail - pool->reward_head);
}

// One worker, one completion ring: no copy but the one from ring to ring.
static uint32_t run_straight(worker_t *worker) {
  const rings_t *rings = &worker->rings;
  hd_counts_t *now = &worker->pool->now;
  uint32_t count_left = hw_get(&worker->pool->segment->cmd_tail) - now->cmd_head;
  if (count_left == 0) {
    return 0;
  }
  if (count_left > HW_BATCH) {
    count_left = HW_BATCH;
  }
  const uint32_t room = done_room(worker, count_left);
  if (room == 0) {
    note_block(worker);
    return 0;
  }
  if (count_left > room) {
    count_left = room;
  }
  const uint32_t first = now->cmd_head;
  while (count_left-- && !now->halted) {
    hw_desc_t line = rings->cmd[now->cmd_head & rings->cmd_mask];
    const hw_step_t step = hw_worker_step(&line, now->cmd_head, rings->require_checked);
    if (step.seal) {
      hw_worker_seal(&line, now->done_tail);
    }
    rings->done[now->done_tail & (rings->done_slots - 1u)] = line;
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
  for (uint32_t at = 0; at < lines; ++at) {
    worker->lines[at] = rings->cmd[(first + at) & rings->cmd_mask];
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
  uint32_t lines = hw_get(&pool->segment->cmd_tail) - pool->claim_next;
  if (lines > HW_BATCH) {
    lines = HW_BATCH;
  }
  if (lines == 0 || pool->gate != worker->gate) {
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
  uint32_t lines = hw_get(&pool->segment->cmd_tail) - pool->now.cmd_head;
  if (lines > HW_BATCH) {
    lines = HW_BATCH;
  }
  if (lines == 0) {
    return 0;
  }
  compute(worker, pool->now.cmd_head, lines);
  return post(worker, lines);
}

