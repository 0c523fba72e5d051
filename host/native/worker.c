// SPDX-License-Identifier: Apache-2.0
//
// Worker threads of the cpu device. One worker computes straight into the done ring. Several claim
// runs of lines in turn, compute them side by side, and post them in the same turn [RING-007].
//
// A worker holds back nothing: what it cannot post at once it forgets, and computes it again when
// there is room, because a completion is a pure function of its line. So between two batches there
// is no state but the record in the segment, and a worker may be stopped, or killed, at any point.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "segment.h"

enum { BATCH = 128, SPINS = 3000, YIELDS = 20 };
static const int64_t SLEEP_NS = 100ll * 1000 * 1000;
static const uint32_t NO_GATE = 0xFFFFFFFFu;

typedef struct rings {
  hw_desc_t *cmd;
  hw_desc_t *done;
  hw_desc_t *reward;
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
  int blocked;  // the last batch ended at a full ring, whose head stood at:
  uint32_t blocked_done_head;
  uint32_t blocked_reward_head;
  pthread_t thread;
  hw_step_t steps[BATCH];
  hw_desc_t lines[BATCH];
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
  uint32_t ticket_next;
  uint32_t claim_round;  // raised when claims made before are void

  HW_LINE hw_word_t turn;  // the ticket that may post now
  HW_LINE hd_counts_t now;  // the record in force; belongs to the ticket whose turn it is
  uint32_t done_head;       // last seen
  uint32_t reward_head;
  worker_t worker[];
} hw_pool_t;

static void take(hw_word_t *spin_lock) {
  while (atomic_exchange_explicit(spin_lock, 1, memory_order_acquire)) {
    for (int spin = 0; hw_get(spin_lock); ++spin) {
      if (spin < 100) {
        hw_pause();
      } else {
        sched_yield();  // its holder may want this very core
      }
    }
  }
}

static void let_go(hw_word_t *spin_lock) { hw_put(spin_lock, 0); }

static rings_t read_rings(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  const hd_geometry_t geometry = hw_geometry(segment);
  rings_t rings = {0};
  rings.enabled = (int)hw_get(&segment->enable);
  if (rings.enabled) {
    rings.cmd = hw_ring_lines(device->window, geometry.cmd_base);
    rings.done = hw_ring_lines(device->window, geometry.done_base);
    rings.cmd_mask = hw_slots(geometry.ring_log2, HW_RING_LOG2_CMD_LSB) - 1u;
    rings.done_slots = hw_slots(geometry.ring_log2, HW_RING_LOG2_DONE_LSB);
    rings.split = (int)geometry.split;
    if (rings.split) {
      rings.reward = hw_ring_lines(device->window, geometry.reward_base);
      rings.reward_slots = hw_slots(geometry.ring_log2, HW_RING_LOG2_REWARD_LSB);
    }
    rings.require_checked = hw_has_mode(segment, HW_CTRL_REQUIRE_CHECKED_BIT);
  }
  return rings;
}

void hw_publish(hw_device_t *device, const hd_counts_t *counts) {
  hw_segment_t *segment = device->segment;
  // Only a locked configuration is known to have the words inside the window.
  const int asked = hw_get(&segment->locked) && hw_has_mode(segment, HW_CTRL_PUBLISH_TAILS_BIT);
  if (!asked && !hw_get(&segment->publish)) {
    return;
  }
  const hd_geometry_t geometry = hw_geometry(segment);
  uint8_t *window = device->window;
  hw_put(hw_ring_word(window, geometry.done_base, HW_RING_TAIL_OFFSET), counts->done_tail);
  if (geometry.split) {
    hw_put(hw_ring_word(window, geometry.reward_base, HW_RING_TAIL_OFFSET), counts->reward_tail);
  }
  hw_put(hw_ring_word(window, geometry.cmd_base, HW_RING_HEAD_OFFSET), counts->cmd_head);
}

// Stand before a closed gate until it opens, then learn what changed behind it.
static void pass_gate(worker_t *worker, uint32_t gate) {
  hw_pool_t *pool = worker->pool;
  hw_segment_t *segment = pool->segment;
  hw_ack_t *ack = &segment->ack[worker->number];
  while (gate & 1u) {
    hw_put(&ack->gate, gate);
    hw_futex_wake(&ack->gate);
    for (int spin = 0; spin < SPINS && hw_get(&segment->gate) == gate; ++spin) {
      hw_pause();
    }
    if (hw_get(&segment->gate) == gate) {
      if (hw_get(&pool->stop)) {
        return;
      }
      hw_futex_wait(&segment->gate, gate, SLEEP_NS);
    }
    gate = hw_get(&segment->gate);
  }
  take(&pool->claiming);
  if (pool->gate != gate) {
    pool->gate = gate;
    hw_snapshot(segment, &pool->now);
    pool->claim_next = pool->now.cmd_head;
    pool->done_head = hw_get(&segment->done_head);
    pool->reward_head = hw_get(&segment->reward_head);
  }
  let_go(&pool->claiming);
  worker->rings = read_rings(pool->device);
  worker->gate = gate;
  worker->blocked = 0;
}

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
  if (count_left > BATCH) {
    count_left = BATCH;
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
  take(&pool->claiming);
  uint32_t lines = hw_get(&pool->segment->cmd_tail) - pool->claim_next;
  if (lines > BATCH) {
    lines = BATCH;
  }
  if (lines == 0 || pool->gate != worker->gate) {
    let_go(&pool->claiming);
    return 0;
  }
  const uint32_t first = pool->claim_next;
  const uint32_t ticket = pool->ticket_next++;
  const uint32_t round = pool->claim_round;
  pool->claim_next += lines;
  let_go(&pool->claiming);

  compute(worker, first, lines);
  for (int spin = 0; hw_get(&pool->turn) != ticket; ++spin) {
    if (spin < 200) {
      hw_pause();
    } else {
      sched_yield();
    }
  }
  uint32_t posted = 0;
  take(&pool->claiming);
  const int valid = round == pool->claim_round && !pool->now.halted;
  let_go(&pool->claiming);
  if (valid) {
    posted = post(worker, lines);
    if (posted < lines) {
      take(&pool->claiming);
      ++pool->claim_round;
      pool->claim_next = pool->now.cmd_head;
      let_go(&pool->claiming);
    }
  }
  hw_put(&pool->turn, ticket + 1u);
  return posted;
}

static uint32_t run(worker_t *worker) {
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
  if (lines > BATCH) {
    lines = BATCH;
  }
  if (lines == 0) {
    return 0;
  }
  compute(worker, pool->now.cmd_head, lines);
  return post(worker, lines);
}

// Whether it is worth running, from words that a sleeper may look at. Sequentially consistent: see
// hw_rouse.
static int something_to_do(worker_t *worker) {
  hw_segment_t *segment = worker->pool->segment;
  hd_counts_t counts;
  if (hw_get(&worker->pool->stop) || atomic_load(&segment->gate) != worker->gate) {
    return 1;
  }
  hw_snapshot(segment, &counts);
  if (!worker->rings.enabled || counts.halted || atomic_load(&segment->cmd_tail) == counts.cmd_head) {
    return 0;
  }
  return !worker->blocked || atomic_load(&segment->done_head) != worker->blocked_done_head ||
         atomic_load(&segment->reward_head) != worker->blocked_reward_head;
}

// Spin, then give the core away, then sleep until roused: an idle worker costs next to nothing.
static void idle(worker_t *worker) {
  hw_segment_t *segment = worker->pool->segment;
  ++worker->idle;
  if (worker->idle < SPINS) {
    hw_pause();
  } else if (worker->idle < SPINS + YIELDS) {
    sched_yield();
  } else {
    const uint32_t wake = atomic_load(&segment->worker_wake);
    atomic_fetch_add(&segment->worker_sleeping, 1);
    if (!something_to_do(worker)) {
      hw_futex_wait(&segment->worker_wake, wake, SLEEP_NS);
    }
    atomic_fetch_sub(&segment->worker_sleeping, 1);
    worker->idle = SPINS;
  }
}

static void *work(void *argument) {
  worker_t *worker = argument;
  hw_segment_t *segment = worker->pool->segment;
  while (!hw_get(&worker->pool->stop)) {
    const uint32_t gate = atomic_load(&segment->gate);
    if (gate != worker->gate) {
      pass_gate(worker, gate);
      worker->idle = 0;
      continue;
    }
    if (worker->rings.enabled && (!worker->blocked || something_to_do(worker))) {
      worker->blocked = 0;
      if (run(worker)) {
        worker->idle = 0;
        continue;
      }
    }
    idle(worker);
  }
  atomic_store(&segment->ack[worker->number].alive, 0);
  hw_futex_wake(&segment->ack[worker->number].gate);
  return NULL;
}

const char *hd_unrecoverable(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  hw_snapshot(segment, &counts);
  if (!hw_get(&segment->enable)) {
    return NULL;
  }
  const rings_t rings = read_rings(device);
  if (hw_get(&segment->cmd_tail) - counts.cmd_head > rings.cmd_mask + 1u) {
    return "the published tail and CMD_HEAD are further apart than the command ring is long";
  }
  if (counts.done_tail - hw_get(&segment->done_head) > rings.done_slots ||
      (rings.split && counts.reward_tail - hw_get(&segment->reward_head) > rings.reward_slots)) {
    return "head and tail of a completion ring are further apart than the ring is long";
  }
  if (counts.done_tail - segment->first_index + (counts.reward_tail - segment->first_index) !=
      counts.cmd_head - segment->first_index) {
    return "CMD_HEAD is not the sum of the completions posted";
  }
  return NULL;
}

int hd_start_workers(hw_device_t *device, uint32_t workers) {
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  if (workers == 0 || workers > HW_WORKERS_MAX || device->pool) {
    return EINVAL;
  }
  const size_t bytes = sizeof(hw_pool_t) + workers * sizeof(worker_t);
  hw_pool_t *pool = aligned_alloc(HW_CACHE_LINE_BYTES, bytes);
  if (!pool) {
    return ENOMEM;
  }
  memset(pool, 0, bytes);
  pool->device = device;
  pool->segment = segment;
  pool->gate = NO_GATE;
  device->pool = pool;
  // What a killed predecessor had committed but not yet published.
  atomic_store(&segment->worker_sleeping, 0);
  hw_snapshot(segment, &counts);
  hw_publish(device, &counts);
  for (uint32_t number = 0; number < HW_WORKERS_MAX; ++number) {
    atomic_store(&segment->ack[number].alive, number < workers);
  }
  pool->workers = workers;
  for (uint32_t number = 0; number < workers; ++number) {
    worker_t *worker = &pool->worker[number];
    worker->pool = pool;
    worker->number = number;
    worker->gate = NO_GATE;
    const int failed = pthread_create(&worker->thread, NULL, work, worker);
    if (failed) {
      pool->workers = number;
      for (uint32_t missing = number; missing < workers; ++missing) {
        atomic_store(&segment->ack[missing].alive, 0);
      }
      hd_stop_workers(device);
      return failed;
    }
  }
  return 0;
}

void hd_stop_workers(hw_device_t *device) {
  hw_pool_t *pool = device->pool;
  if (!pool) {
    return;
  }
  hw_put(&pool->stop, 1);
  atomic_fetch_add(&pool->segment->worker_wake, 1);
  hw_futex_wake(&pool->segment->worker_wake);
  for (uint32_t number = 0; number < pool->workers; ++number) {
    pthread_join(pool->worker[number].thread, NULL);
  }
  device->pool = NULL;
  free(pool);
}
