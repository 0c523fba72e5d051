// SPDX-License-Identifier: Apache-2.0
//
// The record of progress and the reset state. See segment.h for why there are two records.
#include "progress.h"

#include "link.h"

// A reader meets a commit or two; one that still sees the record change after this long, or at a
// record that lasted no longer than its reading, meets a writer that is no worker.
static const int64_t STILL_NS = HW_PATIENCE_NS(200);

int hw_snapshot(hw_device_t *device, hd_counts_t *counts) {
  hw_segment_t *segment = device->segment;
  if (device->remote) {
    return hw_remote_snapshot(device->segment, counts);
  }
  uint64_t start = 0;
  for (uint32_t tries = 1;; ++tries) {
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
      return 0;
    }
    if (tries % 1024u == 0) {
      const uint64_t now = hw_now();
      if (start == 0) {
        start = now;
      } else if ((int64_t)(now - start) > STILL_NS) {
        return -1;
      }
    }
  }
}

int hw_read_progress(hw_device_t *device, hd_counts_t *counts) {
  hw_segment_t *segment = device->segment;
  if (hw_snapshot(device, counts)) {
    const uint32_t found = hw_get(&segment->committed);
    return hw_fail(device, device->remote ? HW_FAULT_REPORT : HW_FAULT_COMMITTED, found,
                   found, found);
  }
  // A completion for each descriptor [RING-006].
  const uint32_t posted = counts->done_tail + counts->reward_tail - device->first_index;
  if (counts->cmd_head != posted) {
    return hw_fail(device, HW_FAULT_RECORD, counts->cmd_head, posted, posted);
  }
  return 0;
}

void hw_commit(hw_device_t *device, const hd_counts_t *counts) {
  hw_segment_t *segment = device->segment;
  if (device->remote) {
    hw_remote_commit(device->segment, counts);
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

int hw_publish(hw_device_t *device, const hd_counts_t *counts) {
  hw_segment_t *segment = device->segment;
  // Only a locked configuration is known to have the words inside the window.
  const int asked = hw_get(&segment->locked) && hw_has_mode(segment, HW_CTRL_PUBLISH_TAILS_BIT);
  if (!asked && !hw_get(&segment->publish)) {
    return 0;
  }
  const hd_geometry_t geometry = hw_geometry(segment);
  if (hw_check_rings(device, &geometry, HW_RING_SLOTS_OFFSET)) {
    return HD_CORRUPT;
  }
  uint8_t *window = device->window;
  hw_put(hw_ring_word(window, geometry.done_base, HW_RING_TAIL_OFFSET), counts->done_tail);
  if (geometry.split) {
    hw_put(hw_ring_word(window, geometry.reward_base, HW_RING_TAIL_OFFSET), counts->reward_tail);
  }
  hw_put(hw_ring_word(window, geometry.cmd_base, HW_RING_HEAD_OFFSET), counts->cmd_head);
  return 0;
}

int hd_counts(hw_device_t *device, hd_counts_t *counts) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const int failed = hw_read_progress(device, counts);
  hw_leave(&device->callers);
  return failed;
}

// `resetting` brackets it, so that who finds it set redoes it.
void hw_reset(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  const uint32_t first = device->first_index;
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
  hw_put(&segment->seen_descriptors, 0);
  hw_remote_reset(device, first);
  hw_commit(device, &counts);
  hw_put(&segment->peer[HD_ROLE_WORKER].fault, HW_FAULT_NONE);
  hw_clear_fault(device);
  hw_put(&segment->resetting, 0);
}
