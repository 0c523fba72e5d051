// SPDX-License-Identifier: Apache-2.0
//
// Worker threads of the cpu device: how they start, stand still, sleep, wake and end. What they do
// with lines is execute.c.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "pool.h"
#include "progress.h"

enum { SPINS = HW_SPINS(3000), YIELDS = 20 };
// Each look at the doorbell takes its word out of the cache of a host that submits line by line, and the
// host's next store waits until it is back. So a worker that keeps finding a few lines at once looks
// less often: GATHER_STEP_NS later with every such look, up to GATHER_NS. A host that waits for each
// completion is not affected, for there the look behind a line finds nothing.
enum { FEW = 64, GATHER_STEP_NS = 16, GATHER_NS = 1000 };
// What an empty look does to that. bench/gather_variants.py measures the others beside this one.
enum { RESET, DECAY, TOLERATE, BACK_OFF };
#ifndef HW_GATHER
#define HW_GATHER RESET
#endif
enum { TOLERATED = 4, BACK_OFF_PAUSES = 8 };
static const int64_t SLEEP_NS = 100ll * 1000 * 1000;
static const uint32_t NO_GATE = 0xFFFFFFFFu;

rings_t hw_read_rings(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  const hd_geometry_t geometry = hw_geometry(segment);
  rings_t rings = {0};
  if (!hw_get(&segment->enable)) {
    return rings;
  }
  const int words = hw_get(&segment->publish) || hw_has_mode(segment, HW_CTRL_PUBLISH_TAILS_BIT);
  if (hw_check_rings(device, &geometry, words ? HW_RING_SLOTS_OFFSET : 0)) {
    return rings;
  }
  uint8_t *window = device->window;
  rings.enabled = 1;
  rings.cmd = hw_ring_lines(window, geometry.cmd_base);
  rings.done = hw_ring_lines(window, geometry.done_base);
  rings.cmd_mask = hw_slots(geometry.ring_log2, HW_RING_LOG2_CMD_LSB) - 1u;
  rings.done_slots = hw_slots(geometry.ring_log2, HW_RING_LOG2_DONE_LSB);
  rings.split = (int)geometry.split;
  if (rings.split) {
    rings.reward = hw_ring_lines(window, geometry.reward_base);
    rings.reward_slots = hw_slots(geometry.ring_log2, HW_RING_LOG2_REWARD_LSB);
  }
  if (words) {
    rings.cmd_head_word = hw_ring_word(window, geometry.cmd_base, HW_RING_HEAD_OFFSET);
    rings.done_tail_word = hw_ring_word(window, geometry.done_base, HW_RING_TAIL_OFFSET);
    rings.reward_tail_word =
        rings.split ? hw_ring_word(window, geometry.reward_base, HW_RING_TAIL_OFFSET) : NULL;
  }
  rings.require_checked = hw_has_mode(segment, HW_CTRL_REQUIRE_CHECKED_BIT);
  return rings;
}

// Record the first index by which published descriptors, or completions not taken, do not fit into the
// rings.
static void check_indices(hw_device_t *device, const rings_t *rings, const hd_counts_t *counts,
                          uint32_t done_head, uint32_t reward_head) {
  const uint32_t cmd_tail = hw_get(&device->segment->cmd_tail);
  if (cmd_tail - counts->cmd_head > rings->cmd_mask + 1u) {
    hw_fail(device, HW_FAULT_CMD_TAIL, cmd_tail, counts->cmd_head,
            counts->cmd_head + rings->cmd_mask + 1u);
  } else if (counts->done_tail - done_head > rings->done_slots) {
    hw_fail(device, HW_FAULT_DONE_HEAD, done_head, counts->done_tail - rings->done_slots,
            counts->done_tail);
  } else if (rings->split && counts->reward_tail - reward_head > rings->reward_slots) {
    hw_fail(device, HW_FAULT_REWARD_HEAD, reward_head, counts->reward_tail - rings->reward_slots,
            counts->reward_tail);
  }
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
  hw_device_t *device = pool->device;
  hw_spin_lock(&pool->claiming);
  if (pool->gate != gate) {
    pool->gate = gate;
    hw_clear_fault(device);  // if it is still there, it is found again
    pool->done_head = hw_get(&segment->done_head);
    pool->reward_head = hw_get(&segment->reward_head);
    const rings_t rings = hw_read_rings(device);
    if (hw_read_progress(device, &pool->now) == 0 && rings.enabled) {
      check_indices(device, &rings, &pool->now, pool->done_head, pool->reward_head);
    }
    pool->claim_next = pool->now.cmd_head;
    pool->cmd_tail = pool->now.cmd_head;
  }
  hw_spin_unlock(&pool->claiming);
  worker->rings = hw_read_rings(device);
  worker->gate = gate;
  worker->blocked = 0;
}

// Whether it is worth running. A sleeper looks after hw_fence_all.
static int something_to_do(worker_t *worker) {
  hw_segment_t *segment = worker->pool->segment;
  hd_counts_t counts;
  if (hw_get(&worker->pool->stop) || hw_get(&segment->gate) != worker->gate) {
    return 1;
  }
  if (!worker->rings.enabled || hw_get(&worker->pool->device->fault) || hw_read_progress(worker->pool->device, &counts) || counts.halted ||
      hw_get(&segment->cmd_tail) == counts.cmd_head) {
    return 0;
  }
  return !worker->blocked || hw_get(&segment->done_head) != worker->blocked_done_head ||
         hw_get(&segment->reward_head) != worker->blocked_reward_head;
}

// Spin, then give the core away, then sleep until roused: an idle worker costs next to nothing.
static void idle(worker_t *worker) {
  hw_segment_t *segment = worker->pool->segment;
  ++worker->idle;
  if (worker->idle < SPINS) {
    hw_pause();
    return;
  }
  hw_guard_leave();
  if (worker->idle < SPINS + YIELDS) {
    sched_yield();
  } else {
    const uint32_t wake = atomic_load(&segment->worker_wake);
    const uint32_t blocked = (uint32_t)worker->blocked;
    atomic_fetch_add(&segment->worker_sleeping, 1);
    atomic_fetch_add(&segment->worker_blocked, blocked);
    hw_fence_all();
    if (!something_to_do(worker)) {
      hw_futex_wait(&segment->worker_wake, wake, SLEEP_NS);
      worker->woken = 1;
    }
    atomic_fetch_sub(&segment->worker_blocked, blocked);
    atomic_fetch_sub(&segment->worker_sleeping, 1);
    worker->idle = SPINS;
  }
}

// Let a host that submits line by line get ahead.
static void gather(worker_t *worker, uint32_t lines) {
  if (lines >= FEW) {
    return;
  }
  const uint64_t wait_ns = worker->gathering;
  if (wait_ns < GATHER_NS) {
    worker->gathering += GATHER_STEP_NS;
  }
  for (const uint64_t start = wait_ns ? hw_now() : 0; wait_ns && hw_now() - start < wait_ns;) {
    hw_pause();
  }
}

// A look has found nothing.
static void found_nothing(worker_t *worker) {
  switch (HW_GATHER) {
    case DECAY:  // by a quarter: the looks between two lines of a host that waits for each bring it to 0
      worker->gathering -= (worker->gathering + 3u) / 4u;
      break;
    case TOLERATE:  // a few
      if (worker->idle >= TOLERATED) {
        worker->gathering = 0;
      }
      break;
    case BACK_OFF:  // and look again later, the more so the longer there is nothing
      worker->gathering -= (worker->gathering + 3u) / 4u;
      for (uint32_t pause = 0; pause < worker->idle && pause < BACK_OFF_PAUSES; ++pause) {
        hw_pause();
      }
      break;
    default:
      worker->gathering = 0;
      break;
  }
}

static void *work(void *argument) {
  worker_t *worker = argument;
  hw_segment_t *segment = worker->pool->segment;
  while (!hw_get(&worker->pool->stop)) {
    const uint32_t gate = atomic_load(&segment->gate);
    if (gate != worker->gate) {
      hw_guard_leave();
      pass_gate(worker, gate);
      worker->idle = 0;
      continue;
    }
    if (worker->rings.enabled && !hw_get(&worker->pool->device->fault) &&
        (!worker->blocked || something_to_do(worker))) {
      worker->blocked = 0;
      hw_guard_enter("worker");
      const uint32_t lines = hw_execute(worker);
#ifdef HW_COUNT_LOOKS
      ++worker->looks;
      worker->empty += lines == 0;
#endif
      if (lines) {
        worker->idle = 0;
        gather(worker, lines);
        if (worker->woken) {
          worker->woken = 0;
          sched_yield();  // the host that woke it may wait for this very core: see hw_rouse
        }
        continue;
      }
    }
    found_nothing(worker);
    idle(worker);
  }
  hw_guard_leave();
  atomic_store(&segment->ack[worker->number].alive, 0);
  hw_futex_wake(&segment->ack[worker->number].gate);
  return NULL;
}

int hd_unrecoverable(hw_device_t *device) {
  hd_counts_t counts;
  if (hw_read_progress(device, &counts)) {
    return HD_CORRUPT;
  }
  const rings_t rings = hw_read_rings(device);
  if (rings.enabled) {
    check_indices(device, &rings, &counts, hw_get(&device->segment->done_head),
                  hw_get(&device->segment->reward_head));
  }
  return hw_get(&device->fault) ? HD_CORRUPT : 0;
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
  atomic_store(&segment->worker_blocked, 0);
  if (hw_read_progress(device, &counts) == 0) {
    hw_publish(device, &counts);
  }
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

int hd_trace(hw_device_t *device, uint32_t worker, void *ring) {
  hw_pool_t *pool = device->pool;
  if (!pool || worker >= pool->workers) {
    return EINVAL;
  }
  atomic_store_explicit(&pool->worker[worker].trace, ring, memory_order_release);
  return 0;
}
