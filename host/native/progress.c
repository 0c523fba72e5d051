// SPDX-License-Identifier: Apache-2.0
//
// The record of progress and the reset state. See segment.h for why there are two records.
#include "progress.h"

#include "link.h"

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

int hd_counts(hw_device_t *device, hd_counts_t *counts) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  hw_snapshot(device->segment, counts);
  hw_leave(&device->callers);
  return 0;
}

// `resetting` brackets it, so that who finds it set redoes it.
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
