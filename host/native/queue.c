// SPDX-License-Identifier: Apache-2.0
//
// The host's side of the rings: opening, closing, and what is under way.
// The device's indices are cached and only looked at again when the cached ones do not suffice.
#include <stdlib.h>
#include <string.h>

#include "queue.h"

// What lies in free slots would pass for a line of this life if an index were wrong: tag and checksum of
// an earlier life are right as well.
static void clear_free(hw_desc_t *lines, uint32_t slots, uint32_t head, uint32_t tail) {
  for (uint32_t at = tail; at != head + slots; ++at) {
    lines[at & (slots - 1u)] = (hw_desc_t){0};
  }
}

// 0, or HD_CORRUPT: more completions than the ring has slots.
static int open_side(hw_queue_t *queue, side_t *side, int reward, uint64_t base, uint32_t slots,
                     uint32_t tail) {
  hw_segment_t *segment = queue->device->segment;
  uint8_t *window = queue->device->window;
  side->lines = hw_ring_lines(window, base);
  side->tail_word = hw_ring_word(window, base, HW_RING_TAIL_OFFSET);
  side->head_word = hw_ring_word(window, base, HW_RING_HEAD_OFFSET);
  side->head_register = reward ? &segment->reward_head : &segment->done_head;
  side->tail_fault = reward ? HW_FAULT_REWARD_TAIL : HW_FAULT_DONE_TAIL;
  side->slots = slots;
  side->head = hw_get(side->head_register);
  side->tail = tail;
  if (tail - side->head > slots) {
    return hw_fail(queue->device, reward ? HW_FAULT_REWARD_HEAD : HW_FAULT_DONE_HEAD, side->head,
                   tail - slots, tail);
  }
  clear_free(side->lines, slots, side->head, tail);
  hw_put(side->head_word, side->head);
  return 0;
}

// With the gate closed.
static int lay_out(hw_queue_t *queue, const hd_geometry_t *geometry) {
  hw_device_t *device = queue->device;
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  if (hw_check_rings(device, geometry, HW_RING_SLOTS_OFFSET) || hw_read_progress(device, &counts)) {
    return HD_CORRUPT;
  }
  queue->remote = device->remote;
  queue->cmd = hw_ring_lines(device->window, geometry->cmd_base);
  queue->cmd_tail_word = hw_ring_word(device->window, geometry->cmd_base, HW_RING_TAIL_OFFSET);
  queue->cmd_head_word = hw_ring_word(device->window, geometry->cmd_base, HW_RING_HEAD_OFFSET);
  queue->cmd_slots = hw_slots(geometry->ring_log2, HW_RING_LOG2_CMD_LSB);
  queue->cmd_tail = hw_get(&segment->cmd_tail);
  queue->cmd_head = queue->word_seen = counts.cmd_head;
  if (queue->cmd_tail - queue->cmd_head > queue->cmd_slots) {
    return hw_fail(device, HW_FAULT_CMD_TAIL, queue->cmd_tail, queue->cmd_head,
                   queue->cmd_head + queue->cmd_slots);
  }
  clear_free(queue->cmd, queue->cmd_slots, queue->cmd_head, queue->cmd_tail);
  queue->sides = geometry->split ? 2 : 1;
  if (open_side(queue, &queue->side[0], 0, geometry->done_base,
                hw_slots(geometry->ring_log2, HW_RING_LOG2_DONE_LSB), counts.done_tail) ||
      (geometry->split &&
       open_side(queue, &queue->side[1], 1, geometry->reward_base,
                 hw_slots(geometry->ring_log2, HW_RING_LOG2_REWARD_LSB), counts.reward_tail))) {
    return HD_CORRUPT;
  }
  queue->side[0].replies = hw_get(&segment->remote_newest) ? segment : NULL;
  queue->first_counts =
      counts.cmd_head - counts.done_tail - (queue->sides > 1 ? counts.reward_tail : 0);
  hw_put(queue->cmd_tail_word, queue->cmd_tail);
  hw_put(&segment->publish, 1);
  return hw_publish(device, &counts);
}

static hw_queue_t *open_inside(hw_device_t *device, const hd_geometry_t *geometry,
                               int64_t patience_ns, int *failure) {
  hw_queue_t *queue = aligned_alloc(HW_CACHE_LINE_BYTES, sizeof *queue);
  if (!queue) {
    *failure = HD_NO_MEMORY;
    return NULL;
  }
  memset(queue, 0, sizeof *queue);
  queue->device = device;
  *failure = hw_close_gate(device, patience_ns);
  if (!*failure) {
    *failure = lay_out(queue, geometry);
    hw_open_gate(device);
  }
  if (*failure) {
    free(queue);
    return NULL;
  }
  return queue;
}

hw_queue_t *hq_open(hw_device_t *device, const hd_geometry_t *geometry, int64_t patience_ns,
                    int *failure) {
  if (!hw_enter(&device->callers)) {
    *failure = HD_CLOSED;
    return NULL;
  }
  hw_queue_t *queue = open_inside(device, geometry, patience_ns, failure);
  hw_leave(&device->callers);
  return queue;
}

void hq_close(hw_queue_t *queue) {
  hw_device_t *device = queue->device;
  atomic_store(&queue->submitting.closed, 1);
  atomic_store(&queue->taking.closed, 1);
  if (hw_enter(&device->callers)) {
    atomic_fetch_add(&device->segment->host_wake, 1);
    hw_futex_wake(&device->segment->host_wake);
    hw_leave(&device->callers);
  }
  hw_await_callers(&queue->submitting);
  hw_await_callers(&queue->taking);
}

void hq_free(hw_queue_t *queue) { free(queue); }

uint32_t hq_next_index(hw_queue_t *queue) { return queue->cmd_tail; }

uint32_t hq_head(hw_queue_t *queue, int reward) { return queue->side[reward].head; }

// One completion for each line, whichever ring it goes to.
uint32_t hq_in_flight(hw_queue_t *queue) {
  return queue->cmd_tail - queue->side[0].head - queue->side[1].head - queue->first_counts;
}
