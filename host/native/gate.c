// SPDX-License-Identifier: Apache-2.0
//
// The gate and the lock. Only threads of one process compete for the lock, as there is one host; a host
// killed with either leaves them taken, and the next one completes what was half-done. A robust mutex
// would do the same, but it is a list of pointers, which no side could check.
#include "gate.h"
#include "link.h"
#include "progress.h"

enum { SPINS = HW_SPINS(2000) };
enum { FREE, TAKEN, WAITED_FOR };  // the lock
static const int64_t GATE_SLICE_NS = 20ll * 1000 * 1000;
// Longer than anybody holds the lock, who waits for the workers in pieces of its patience.
static const int64_t LOCK_NS = HW_PATIENCE_NS(5000);

static void lift_gate(hw_segment_t *segment) {
  atomic_store(&segment->gate, (hw_get(&segment->gate) | 1u) + 1u);
  hw_futex_wake(&segment->gate);
}

int hw_lock(hw_device_t *device) {
  hw_word_t *lock = &device->segment->lock;
  uint32_t found = FREE;
  if (atomic_compare_exchange_strong(lock, &found, TAKEN)) {
    return 0;
  }
  const uint64_t start = hw_now();
  while ((found = atomic_exchange(lock, WAITED_FOR)) != FREE) {
    if ((int64_t)(hw_now() - start) > LOCK_NS) {
      return hw_fail(device, HW_FAULT_LOCK, found, FREE, FREE);
    }
    hw_futex_wait(lock, WAITED_FOR, GATE_SLICE_NS);
  }
  return 0;
}

void hw_unlock(hw_device_t *device) {
  if (atomic_exchange(&device->segment->lock, FREE) == WAITED_FOR) {
    hw_futex_wake(&device->segment->lock);
  }
}

void hw_recover(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  hw_put(&segment->lock, FREE);
  if (hw_get(&segment->gate) & 1u) {
    if (hw_get(&segment->resetting)) {
      hw_reset(device);
    }
    lift_gate(segment);
  }
}

int hw_close_gate(hw_device_t *device, int64_t patience_ns) {
  hw_segment_t *segment = device->segment;
  const uint64_t start = hw_now();
  const int failed = hw_lock(device);
  if (failed) {
    return failed;
  }
  const uint32_t closed = (hw_get(&segment->gate) + 1u) | 1u;
  atomic_store(&segment->gate, closed);
  atomic_fetch_add(&segment->worker_wake, 1);
  hw_futex_wake(&segment->worker_wake);
  for (uint32_t worker = 0; worker < HW_WORKERS_MAX; ++worker) {
    hw_ack_t *ack = &segment->ack[worker];
    for (uint32_t spins = 0; atomic_load(&ack->alive) && !hw_peer_gone(device);) {
      const uint32_t seen = hw_get(&ack->gate);
      if (seen == closed) {
        break;
      }
      if (++spins < SPINS) {
        hw_pause();
      } else {
        // A remote worker cannot wake anyone.
        hw_futex_wait(&ack->gate, seen, device->remote ? HW_NAP_NS : GATE_SLICE_NS);
        const int closed_meanwhile = (int)atomic_load(&device->callers.closed);
        if (closed_meanwhile || (int64_t)(hw_now() - start) > patience_ns) {
          hw_open_gate(device);
          return closed_meanwhile ? HD_CLOSED : HD_BUSY;
        }
      }
    }
  }
  return 0;
}

void hw_open_gate(hw_device_t *device) {
  hw_remote_configure(device);
  lift_gate(device->segment);
  hw_unlock(device);
}
