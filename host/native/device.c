// SPDX-License-Identifier: Apache-2.0
//
// A device: the memory it is laid out in, the handle on it, and the end of all that it has running.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

int hd_format(void *memory, uint64_t segment_bytes, uint64_t window_offset,
              uint64_t window_bytes, uint32_t first_index) {
  hw_segment_t *segment = memory;
  if (window_offset < sizeof *segment || window_offset > segment_bytes ||
      window_bytes > segment_bytes - window_offset) {
    return EINVAL;
  }
  segment->layout = HW_SEGMENT_LAYOUT;
  segment->contract_hash = HW_CONTRACT_HASH;
  segment->segment_bytes = segment_bytes;
  segment->window_offset = window_offset;
  segment->window_bytes = window_bytes;
  segment->first_index = first_index;
  hw_reset(&(hw_device_t){.segment = segment, .first_index = first_index, .lock_file = -1});
  // The magic last: who sees it sees a segment that is ready.
  __atomic_store_n(&segment->magic, HW_SEGMENT_MAGIC, __ATOMIC_RELEASE);
  return 0;
}

hw_device_t *hd_open(void *memory, uint64_t segment_bytes) {
  hw_segment_t *segment = memory;
  hd_counts_t counts;
  if (hd_refusal(memory, segment_bytes)) {
    return NULL;
  }
  const uint64_t offset = segment->window_offset, window_bytes = segment->window_bytes;
  if (offset % HW_CACHE_LINE_BYTES != 0 || offset > segment_bytes ||
      window_bytes > segment_bytes - offset) {
    return NULL;  // it was changed behind the look above
  }
  hw_device_t *device = aligned_alloc(HW_CACHE_LINE_BYTES, sizeof *device);
  if (!device) {
    return NULL;
  }
  memset(device, 0, sizeof *device);
  device->segment = segment;
  device->window = (uint8_t *)memory + offset;
  device->window_bytes = window_bytes;
  device->first_index = segment->first_index;
  device->lock_file = -1;
  device->remote = hw_get(&segment->remote) != 0;
  if (!hw_fence_register()) {
    hw_put(&segment->fenced, 1);
  }
  hw_snapshot(device, &counts);  // of one that is corrupt the first call makes a report
  hw_put(&device->cmd_head_seen, counts.cmd_head);
  return device;
}

void hd_close(hw_device_t *device) {
  if (atomic_exchange(&device->callers.closed, 1)) {
    return;
  }
  atomic_fetch_add(&device->segment->host_wake, 1);
  hw_futex_wake(&device->segment->host_wake);
  hw_await_callers(&device->callers);
  hd_stop_workers(device);
  hd_leave_remote(device);
  hd_leave(device);
}

void hd_free(hw_device_t *device) { free(device); }
