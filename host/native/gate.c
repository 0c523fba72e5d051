// SPDX-License-Identifier: Apache-2.0
//
// The gate and the lock. A host killed with either leaves a robust mutex behind, and the next one
// completes what was half-done.
#define _GNU_SOURCE
#include <errno.h>

#include "gate.h"
#include "link.h"
#include "progress.h"

static const int64_t GATE_SLICE_NS = 20ll * 1000 * 1000;

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

int hw_close_gate(hw_device_t *device, int64_t patience_ns) {
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
  hw_remote_configure(device->segment);
  lift_gate(device->segment);
  hw_unlock(device);
}
