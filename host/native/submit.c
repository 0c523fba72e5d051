// SPDX-License-Identifier: Apache-2.0
//
// Submission: write lines, publish the tail, ring the doorbell.
#include <string.h>

#include "fast_crc.h"
#include "queue.h"

static const uint64_t REPORT_NS = HW_PATIENCE_NS(1);

// What makes a call pointless: the worker is gone, or a word was found out of range.
static int obstacle(hw_device_t *device) {
  if (hw_is_corrupt(device)) {
    return HD_CORRUPT;
  }
  return hw_peer_gone(device) ? HD_GONE : 0;
}

// The command index up to which every slot is free, by the completions that were taken: a slot is
// free once its completion is posted [RING-009].
static uint32_t answered_to(const hw_queue_t *queue) {
  uint32_t index = queue->first_counts;
  for (int side = 0; side < queue->sides; ++side) {
    index += hw_get(queue->side[side].head_register);
  }
  return index;
}

// Of a remote worker's words only those of its report are sure to be what the doorbell sees, and a
// local one stores its word in memory some moments after the completions. 0 or HD_CORRUPT.
static int head_of_record(hw_queue_t *queue, uint32_t *head) {
  hd_counts_t counts;
  const uint32_t answered = answered_to(queue);
  const uint64_t start = queue->remote ? hw_now() : 0;
  for (;;) {
    if (hw_read_progress(queue->device, &counts)) {
      return HD_CORRUPT;
    }
    *head = counts.cmd_head;
    // A completion that was sent ahead of the report is followed by it at once.
    if (!queue->remote || answered - *head - 1u >= hw_most_ahead(queue->cmd_slots) ||
        hw_now() - start > REPORT_NS) {
      return 0;
    }
    hw_pause();
  }
}

static int64_t room(hw_queue_t *queue) {
  uint32_t head;
  if (queue->remote) {
    if (head_of_record(queue, &head)) {
      return HD_CORRUPT;
    }
  } else {
    head = hw_get(queue->cmd_head_word);
    // It moves from where it was last seen towards the tail.
    if (head - queue->word_seen > queue->cmd_tail - queue->word_seen) {
      return hw_fail(queue->device, HW_FAULT_CMD_HEAD, head, queue->word_seen, queue->cmd_tail);
    }
    queue->word_seen = head;
    if (answered_to(queue) - head - 1u < queue->cmd_slots && head_of_record(queue, &head)) {
      return HD_CORRUPT;
    }
  }
  if (head - queue->cmd_head > queue->cmd_tail - queue->cmd_head) {
    return hw_fail(queue->device, HW_FAULT_CMD_HEAD, head, queue->cmd_head, queue->cmd_tail);
  }
  queue->cmd_head = head;
  return queue->cmd_slots - (queue->cmd_tail - head);
}

static int64_t room_for(hw_queue_t *queue, uint32_t wanted) {
  const uint32_t known = queue->cmd_slots - (queue->cmd_tail - queue->cmd_head);
  return known < wanted ? room(queue) : known;
}

int64_t hq_room(hw_queue_t *queue) {
  hw_device_t *device = queue->device;
  if (hw_get(&queue->submitting.closed) || !hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const int64_t free_slots = room(queue);
  hw_leave(&device->callers);
  return free_slots;
}

// The doorbell of who alone rings it, and knows that there is room: a plain store, for a locked
// instruction would wait until the lines just written have reached the worker's CPU. 0 where it is not
// that simple.
static int ring(hw_queue_t *queue, uint32_t tail) {
  hw_device_t *device = queue->device;
  hw_segment_t *segment = device->segment;
  hw_word_t *moving = &device->index[0].moving;
  if (queue->remote) {
    return 0;
  }
  atomic_store_explicit(moving, 1, memory_order_relaxed);
  hw_light_fence();  // see stop_moving in registers.c
  const int simple = hw_get(&segment->enable) && hw_get(&segment->cmd_tail) == queue->cmd_tail;
  if (simple) {
    hw_put(&segment->cmd_tail, tail);
  }
  hw_put(moving, 0);
  if (simple) {
    hw_rouse(&segment->fenced, &segment->worker_wake, &segment->worker_sleeping);
  }
  return simple;
}

// Tail in memory first, then the doorbell [DB-005]. 0, or HD_REFUSED with everything as it was before.
static int publish(hw_queue_t *queue, uint32_t tail) {
  hw_put(queue->cmd_tail_word, tail);
  if (!ring(queue, tail) && !hw_doorbell(queue->device, tail)) {
    hw_put(queue->cmd_tail_word, queue->cmd_tail);
    return hw_is_corrupt(queue->device) ? HD_CORRUPT : HD_REFUSED;
  }
  queue->cmd_tail = tail;
  return 0;
}

static int64_t submit(hw_queue_t *queue, const void *lines, uint32_t count, int all) {
  const int hindrance = obstacle(queue->device);
  if (hindrance) {
    return hindrance;
  }
  const int64_t free_slots = room_for(queue, count);
  if (free_slots < 0) {
    return free_slots;
  }
  if (count > free_slots) {
    count = all ? 0 : (uint32_t)free_slots;
  }
  if (count == 0) {
    return 0;
  }
  const uint32_t at = queue->cmd_tail & (queue->cmd_slots - 1u);
  const uint32_t straight = count < queue->cmd_slots - at ? count : queue->cmd_slots - at;
  if (count == 1) {
    memcpy(queue->cmd + at, lines, HW_DESC_BYTES);
    __builtin_prefetch(&queue->cmd[(at + HW_AHEAD) & (queue->cmd_slots - 1u)], 1);
  } else {
    memcpy(queue->cmd + at, lines, (size_t)straight * HW_DESC_BYTES);
    memcpy(queue->cmd, (const uint8_t *)lines + (size_t)straight * HW_DESC_BYTES,
           (size_t)(count - straight) * HW_DESC_BYTES);
  }
  const int failed = publish(queue, queue->cmd_tail + count);
  return failed ? failed : (int64_t)count;
}

static int64_t counted_submit(hw_queue_t *queue, const void *lines, uint32_t count, int all) {
  if (!hw_enter_alone(&queue->submitting)) {
    return HD_CLOSED;
  }
  const int64_t taken = submit(queue, lines, count, all);
  hw_leave_alone(&queue->submitting);
  return taken;
}

int64_t hq_submit(hw_queue_t *queue, const void *lines, uint32_t count) {
  return counted_submit(queue, lines, count, 0);
}

int64_t hq_submit_all(hw_queue_t *queue, const void *lines, uint32_t count) {
  return counted_submit(queue, lines, count, 1);
}

static int submit_decode(hw_queue_t *queue, uint32_t rollout_id, uint64_t kv_offset,
                         uint64_t delta_offset, uint32_t prefix_id, uint32_t seq_len,
                         uint32_t max_tokens, uint64_t user_data) {
  const int hindrance = obstacle(queue->device);
  if (hindrance) {
    return hindrance;
  }
  const int64_t free_slots = room_for(queue, 1);
  if (free_slots <= 0) {
    return (int)free_slots;
  }
  hw_desc_t line = {0};
  line.opcode = HW_OPCODE_DECODE;
  line.flags = prefix_id ? HW_FLAG_COW_PREFIX : 0;
  line.rollout_id = rollout_id;
  line.kv_arena_id = queue->kv_arena_id;
  line.prefix_id = prefix_id;
  line.kv_offset = kv_offset;
  line.delta_offset = delta_offset;
  line.seq_len = seq_len;
  line.max_tokens = max_tokens;
  line.reserved0 = queue->group;
  line.user_data = user_data;
  line.checksum_or_cookie = kv_offset ^ delta_offset ^ (uint64_t)rollout_id << 32;
  if (queue->checked) {
    line.flags |= HW_FLAG_CHECKED;
    hw_worker_seal(&line, queue->cmd_tail);
  }
  queue->cmd[queue->cmd_tail & (queue->cmd_slots - 1u)] = line;
  __builtin_prefetch(&queue->cmd[(queue->cmd_tail + HW_AHEAD) & (queue->cmd_slots - 1u)], 1);
  const int failed = publish(queue, queue->cmd_tail + 1u);
  return failed ? failed : 1;
}

int hq_submit_decode(hw_queue_t *queue, uint32_t rollout_id, uint64_t kv_offset,
                     uint64_t delta_offset, uint32_t prefix_id, uint32_t seq_len,
                     uint32_t max_tokens, uint64_t user_data) {
  if (!hw_enter_alone(&queue->submitting)) {
    return HD_CLOSED;
  }
  const int taken = submit_decode(queue, rollout_id, kv_offset, delta_offset, prefix_id, seq_len,
                                  max_tokens, user_data);
  hw_leave_alone(&queue->submitting);
  return taken;
}

void hq_decode_fields(hw_queue_t *queue, uint32_t kv_arena_id, uint32_t group, int checked) {
  queue->kv_arena_id = kv_arena_id;
  queue->group = group;
  queue->checked = checked;
}

void hd_seal(void *lines, uint64_t count, uint32_t first_index) {
  uint8_t *at = lines;
  for (uint64_t line = 0; line < count; ++line, at += HW_DESC_BYTES) {
    hw_desc_t sealed;  // the caller's array need not be aligned to a line
    memcpy(&sealed, at, sizeof sealed);
    sealed.flags |= HW_FLAG_CHECKED;
    hw_worker_seal(&sealed, first_index + (uint32_t)line);
    memcpy(at, &sealed, sizeof sealed);
  }
}

void hd_routes(const void *lines, uint64_t count, uint32_t first_index, int require_checked,
               uint8_t *to_reward) {
  const uint8_t *at = lines;
  for (uint64_t line = 0; line < count; ++line, at += HW_DESC_BYTES) {
    hw_desc_t copy;
    memcpy(&copy, at, sizeof copy);
    const hw_step_t step = hw_worker_step(&copy, first_index + (uint32_t)line, require_checked);
    to_reward[line] = step.reward != 0;
  }
}
