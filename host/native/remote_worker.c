// SPDX-License-Identifier: Apache-2.0
//
// A worker behind a bus, as the device's: what it is given to start with, the beat that keeps it
// alive, and how it ends.
#include <errno.h>

#include "gate.h"
#include "link.h"
#include "progress.h"

static const int64_t BEAT_NS = 20ll * 1000 * 1000;

static void *beat(void *argument) {
  hw_device_t *device = argument;
  while (hw_get(&device->watching)) {
    atomic_fetch_add(&device->segment->remote_beat, 1);
    hw_futex_wait(&device->watch_wake, 0, BEAT_NS);
  }
  return NULL;
}

int hd_serve_remote(hw_device_t *device, int newest, uint64_t patience_ns, uint64_t deadline_ns) {
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  if (device->pool || hw_get(&device->watching)) {
    return EBUSY;
  }
  hw_snapshot(device, &counts);
  if (!device->remote) {
    hw_put(&segment->remote, 1);
    device->remote = 1;
    hw_commit(device, &counts);
  }
  hw_put(&segment->remote_newest, newest && hw_link_stores_chunks_whole());
  segment->link = (hw_link_t){
      .window = (uint64_t)(uintptr_t)device->window,
      .doorbell = (uint64_t)(uintptr_t)&segment->cmd_tail,
      .heads = (uint64_t)(uintptr_t)&segment->done_head,
      .config = (uint64_t)(uintptr_t)segment->config,
      .newest = (uint64_t)(uintptr_t)segment->newest,
      .reply = (uint64_t)(uintptr_t)segment->reply,
      .report = (uint64_t)(uintptr_t)segment->report,
      .ack = (uint64_t)(uintptr_t)&segment->ack[0].gate,
      .ended = (uint64_t)(uintptr_t)&segment->remote_ended,
      .clock = (uint64_t)(uintptr_t)&segment->clock,
      .newest_is_told = hw_get(&segment->remote_newest),
      .patience_ns = patience_ns,
      .deadline_ns = deadline_ns,
  };
  hw_put(&segment->remote_stop, 0);
  hw_put(&segment->remote_ended, HW_ENDED_NOT);
  hw_remote_configure(device);
  atomic_store(&segment->ack[0].alive, 1);
  hw_put(&device->watching, 1);
  hw_put(&device->watch_wake, 0);
  const int failed = pthread_create(&device->watcher, NULL, beat, device);
  if (failed) {
    hw_put(&device->watching, 0);
  }
  return failed;
}

uint64_t hd_link(hw_device_t *device) { return (uint64_t)(uintptr_t)&device->segment->link; }

void hd_stop_remote(hw_device_t *device) { hw_put(&device->segment->remote_stop, 1); }

void hd_leave_remote(hw_device_t *device) {
  if (!device->remote || !hw_get(&device->watching)) {
    return;
  }
  hd_stop_remote(device);
  hw_put(&device->watching, 0);
  hw_put(&device->watch_wake, 1);
  hw_futex_wake(&device->watch_wake);
  pthread_join(device->watcher, NULL);
}

int hd_remote_ended(hw_device_t *device) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const uint32_t ended = hw_get(&device->segment->remote_ended);
  hw_leave(&device->callers);
  return (int)ended;
}

void hd_lose_remote(hw_device_t *device) {
  if (hw_enter(&device->callers)) {
    hw_put(&device->segment->remote_ended, HW_ENDED_LOST);
    hw_leave(&device->callers);
  }
}

int hd_trace_remote(hw_device_t *device, uint64_t rings, int64_t patience_ns) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const int failed = hw_close_gate(device, patience_ns);
  if (!failed) {
    hw_put(&device->segment->config[HW_CONFIG_TRACE], (uint32_t)rings);
    hw_put(&device->segment->config[HW_CONFIG_TRACE + 1], (uint32_t)(rings >> 32));
    hw_open_gate(device);
  }
  hw_leave(&device->callers);
  return failed;
}

int hd_read_clock(hw_device_t *device, int64_t patience_ns, hd_clock_reading_t *reading) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const int failed = hw_remote_read_clock(device, patience_ns, reading);
  hw_leave(&device->callers);
  return failed;
}
