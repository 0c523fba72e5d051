// SPDX-License-Identifier: Apache-2.0
//
// The segment: its layout, its record of progress, its reset state, and the gate that makes the
// workers stand still while a host changes what they must not see half-done.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "segment.h"

#ifndef HW_SOURCE_HASH
#define HW_SOURCE_HASH "unknown"
#endif

static const int64_t GATE_PATIENCE_NS = 30ll * 1000 * 1000 * 1000;
static const int64_t GATE_SLICE_NS = 20ll * 1000 * 1000;

uint32_t hd_contract_hash(void) { return HW_CONTRACT_HASH; }
const char *hd_source_hash(void) { return HW_SOURCE_HASH; }
uint64_t hd_header_bytes(void) { return sizeof(hw_segment_t); }
uint32_t hd_segment_contract_hash(const void *segment) {
  return ((const hw_segment_t *)segment)->contract_hash;
}
uint64_t hd_window_offset(const void *segment) {
  return ((const hw_segment_t *)segment)->window_offset;
}
uint64_t hd_window_bytes(const void *segment) {
  return ((const hw_segment_t *)segment)->window_bytes;
}
uint32_t hd_first_index(const void *segment) {
  return ((const hw_segment_t *)segment)->first_index;
}

uint64_t hw_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void hw_futex_wait(hw_word_t *word, uint32_t expected, int64_t timeout_ns) {
  struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
  syscall(SYS_futex, word, FUTEX_WAIT, expected, &timeout, NULL, 0);
}

void hw_futex_wake(hw_word_t *word) {
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void hw_snapshot(hw_segment_t *segment, hd_counts_t *counts) {
  if (hw_get(&segment->remote)) {
    hw_remote_snapshot(segment, counts);
    return;
  }
  for (;;) {
    const uint32_t committed = hw_get(&segment->committed);
    hw_record_t *record = &segment->record[committed & 1u];
    counts->cmd_head = hw_get(&record->cmd_head);
    counts->done_tail = hw_get(&record->done_tail);
    counts->reward_tail = hw_get(&record->reward_tail);
    counts->descriptors = hw_get(&record->descriptors);
    counts->errors = hw_get(&record->errors);
    counts->halted = hw_get(&record->halted);
    counts->tokens = atomic_load_explicit(&record->tokens, memory_order_acquire);
    if (hw_get(&segment->committed) == committed) {
      return;
    }
  }
}

void hw_commit(hw_segment_t *segment, const hd_counts_t *counts) {
  if (hw_get(&segment->remote)) {
    hw_remote_commit(segment, counts);
    return;
  }
  const uint32_t next = atomic_load_explicit(&segment->committed, memory_order_relaxed) + 1u;
  hw_record_t *record = &segment->record[next & 1u];
  hw_put(&record->cmd_head, counts->cmd_head);
  hw_put(&record->done_tail, counts->done_tail);
  hw_put(&record->reward_tail, counts->reward_tail);
  hw_put(&record->descriptors, counts->descriptors);
  hw_put(&record->errors, counts->errors);
  hw_put(&record->halted, counts->halted);
  atomic_store_explicit(&record->tokens, counts->tokens, memory_order_release);
  hw_put(&segment->committed, next);
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

void hd_counts(hw_device_t *device, hd_counts_t *counts) { hw_snapshot(device->segment, counts); }

void hw_raise(hw_segment_t *segment, uint32_t events) {
  atomic_fetch_or(&segment->irq_status, events);
}

// The reset state [LIFE-001]. `resetting` brackets it, so that who finds it set redoes it.
void hw_reset(hw_segment_t *segment) {
  const uint32_t first = segment->first_index;
  const hd_counts_t counts = {first, first, first, 0, 0, 0, 0};
  hw_put(&segment->resetting, 1);
  hw_put(&segment->enable, 0);
  hw_put(&segment->mode, 0);
  hw_put(&segment->locked, 0);
  hw_put(&segment->publish, 0);
  hw_put(&segment->ring_log2, 0);
  for (int word = 0; word < 6; ++word) {
    hw_put(&segment->base[word], 0);
  }
  hw_put(&segment->irq_mask, 0);
  hw_put(&segment->tokens_high, 0);
  hw_put(&segment->status_errors, 0);
  hw_put(&segment->bad_doorbells, 0);
  hw_put(&segment->stalls, 0);
  hw_put(&segment->irq_status, 0);
  hw_put(&segment->cmd_tail, first);
  hw_put(&segment->done_head, first);
  hw_put(&segment->reward_head, first);
  hw_remote_reset(segment);
  hw_commit(segment, &counts);
  hw_put(&segment->resetting, 0);
}

int hd_format(void *memory, uint64_t segment_bytes, uint64_t window_offset,
              uint64_t window_bytes, uint32_t first_index) {
  hw_segment_t *segment = memory;
  pthread_mutexattr_t attributes;
  if (window_offset < sizeof *segment || window_offset > segment_bytes ||
      window_bytes > segment_bytes - window_offset) {
    return EINVAL;
  }
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  const int failed = pthread_mutex_init(&segment->lock, &attributes);
  pthread_mutexattr_destroy(&attributes);
  if (failed) {
    return failed;
  }
  segment->layout = HW_SEGMENT_LAYOUT;
  segment->contract_hash = HW_CONTRACT_HASH;
  segment->segment_bytes = segment_bytes;
  segment->window_offset = window_offset;
  segment->window_bytes = window_bytes;
  segment->first_index = first_index;
  hw_reset(segment);
  // The magic last: who sees it sees a segment that is ready.
  __atomic_store_n(&segment->magic, HW_SEGMENT_MAGIC, __ATOMIC_RELEASE);
  return 0;
}

const char *hd_refusal(const void *memory, uint64_t segment_bytes) {
  const hw_segment_t *segment = memory;
  if (segment_bytes < sizeof *segment ||
      __atomic_load_n(&segment->magic, __ATOMIC_ACQUIRE) != HW_SEGMENT_MAGIC) {
    return "it is no descring segment, or its creator has not finished it";
  }
  if (segment->layout != HW_SEGMENT_LAYOUT) {
    return "it was made by another version of descring (the layout differs)";
  }
  if (segment->contract_hash != HW_CONTRACT_HASH) {
    return "the contract hash differs";
  }
  if (segment->segment_bytes != segment_bytes || segment->window_offset > segment_bytes ||
      segment->window_bytes > segment_bytes - segment->window_offset) {
    return "its size is not the one it was made with";
  }
  return NULL;
}

hw_device_t *hd_open(void *memory) {
  hw_segment_t *segment = memory;
  hw_device_t *device = calloc(1, sizeof *device);
  hd_counts_t counts;
  if (!device) {
    return NULL;
  }
  hw_snapshot(segment, &counts);
  device->segment = segment;
  device->window = (uint8_t *)memory + segment->window_offset;
  device->lock_file = -1;
  hw_put(&device->cmd_head_seen, counts.cmd_head);
  return device;
}

void hd_close(hw_device_t *device) {
  hd_stop_workers(device);
  hd_leave_remote(device);
  hd_leave(device);
  free(device);
}

static void lift_gate(hw_segment_t *segment) {
  atomic_fetch_add(&segment->gate, 1);
  hw_futex_wake(&segment->gate);
}

// Take the lock; where its last holder was killed, first mend what it may have left half-done.
void hw_lock(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  if (pthread_mutex_lock(&segment->lock) == EOWNERDEAD) {
    pthread_mutex_consistent(&segment->lock);
    if (hw_get(&segment->gate) & 1u) {
      if (hw_get(&segment->resetting)) {
        hw_reset(segment);
      }
      lift_gate(segment);
    }
  }
}

void hw_unlock(hw_device_t *device) { pthread_mutex_unlock(&device->segment->lock); }

int hw_close_gate(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  const uint64_t start = hw_now();
  hw_lock(device);
  const uint32_t closed = atomic_fetch_add(&segment->gate, 1) + 1u;
  atomic_fetch_add(&segment->worker_wake, 1);
  hw_futex_wake(&segment->worker_wake);
  for (uint32_t worker = 0; worker < HW_WORKERS_MAX; ++worker) {
    hw_ack_t *ack = &segment->ack[worker];
    for (uint32_t spins = 0; atomic_load(&ack->alive) && !hw_peer_gone(device);) {
      const uint32_t seen = hw_get(&ack->gate);
      if (seen == closed) {
        break;
      }
      if (++spins < 2000) {
        hw_pause();
      } else {
        // A remote worker cannot wake anyone.
        hw_futex_wait(&ack->gate, seen, hw_get(&segment->remote) ? HW_NAP_NS : GATE_SLICE_NS);
        if ((int64_t)(hw_now() - start) > GATE_PATIENCE_NS) {
          hw_open_gate(device);
          return -1;
        }
      }
    }
  }
  return 0;
}

void hw_open_gate(hw_device_t *device) {
  hw_remote_configure(device->segment);
  lift_gate(device->segment);
  hw_unlock(device);
}
