// SPDX-License-Identifier: Apache-2.0
//
// The host's side of the rings: write lines, publish the tail, ring the doorbell; take completions.
// The device's indices are cached and only looked at again when the cached ones do not suffice.
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "fast_crc.h"
#include "gate.h"
#include "link.h"
#include "progress.h"
#include "registers.h"

enum { SPINS = HW_SPINS(4000), YIELDS = 20 };
// Slots ahead that a program which goes line by line has on their way: from the other CPU's cache
// one takes as long as a few lines.
enum { AHEAD = 8 };
static const int64_t SLEEP_NS = 50ll * 1000 * 1000;

typedef struct side {
  hw_desc_t *lines;
  hw_word_t *tail_word;  // in memory, the device's
  hw_word_t *head_word;  // in memory, ours
  hw_word_t *head_register;
  enum hw_fault tail_fault;
  hw_segment_t *replies;  // NULL unless a remote worker sends this ring's newest completion ahead
  uint32_t slots;
  uint32_t head;
  uint32_t tail;  // last seen
} side_t;

struct hw_queue {
  hw_callers_t submitting;
  hw_callers_t taking;
  hw_device_t *device;
  hw_desc_t *cmd;
  hw_word_t *cmd_tail_word;
  hw_word_t *cmd_head_word;
  uint32_t cmd_slots;
  uint32_t cmd_tail;
  uint32_t cmd_head;  // last seen
  uint32_t first_counts;  // CMD_HEAD less the completion rings' tails, which never changes
  uint32_t kv_arena_id;
  uint32_t group;
  int checked;
  int remote;
  int sides;
  side_t side[2];
};

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
  queue->cmd_head = counts.cmd_head;
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

// What makes a call pointless: the worker is gone, or a word was found out of range.
static int obstacle(hw_device_t *device) {
  if (hw_is_corrupt(device)) {
    return HD_CORRUPT;
  }
  return hw_peer_gone(device) ? HD_GONE : 0;
}

static int64_t room(hw_queue_t *queue) {
  uint32_t head;
  if (queue->remote) {
    // Of a remote worker's words only those of its report are sure to be what the doorbell sees.
    hd_counts_t counts;
    if (hw_read_progress(queue->device, &counts)) {
      return HD_CORRUPT;
    }
    head = counts.cmd_head;
  } else {
    head = hw_get(queue->cmd_head_word);
  }
  // It moves from where it was last seen towards the tail.
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
    __builtin_prefetch(&queue->cmd[(at + AHEAD) & (queue->cmd_slots - 1u)], 1);
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
  __builtin_prefetch(&queue->cmd[(queue->cmd_tail + AHEAD) & (queue->cmd_slots - 1u)], 1);
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

static int has_any(hw_device_t *device) {
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  if (hw_read_progress(device, &counts)) {
    return HD_CORRUPT;
  }
  return counts.done_tail != hw_get(&segment->done_head) ||
         counts.reward_tail != hw_get(&segment->reward_head) || counts.halted;
}

// Completions in the ring, or HD_CORRUPT. Of a remote worker a reply may have been taken before its
// tail was in memory.
static int64_t in_ring(hw_device_t *device, side_t *side) {
  const uint32_t tail = hw_get(side->tail_word);
  const uint32_t count = tail - side->head;
  if (count <= side->slots) {
    side->tail = tail;
    return count;
  }
  if (side->replies && side->head - tail <= side->slots) {
    return 0;
  }
  return hw_fail(device, side->tail_fault, tail, side->head, side->head + side->slots);
}

// What a waiter waits for: a completion in this ring, or with no side whatever hd_wait ends for.
static int64_t is_ready(hw_device_t *device, side_t *side) {
  if (!side) {
    return has_any(device);
  }
  const int64_t count = in_ring(device, side);
  return count == 0 && side->replies ? hw_remote_reply(side->replies, side->head, NULL) : count;
}

// Spin, yield, then sleep until the worker rouses the host or is gone, or `callers` is closed, which
// its closer says by raising host_wake.
static int64_t wait_for(hw_device_t *device, hw_callers_t *callers, side_t *side,
                        int64_t timeout_ns) {
  hw_segment_t *segment = device->segment;
  const uint64_t start = timeout_ns > 0 ? hw_now() : 0;
  for (uint32_t turn = 0;; ++turn) {
    const int64_t ready = is_ready(device, side);
    if (ready) {
      return ready;  // what was posted can be taken whatever was found out of range since
    }
    if (timeout_ns <= 0) {
      return hw_is_corrupt(device) ? HD_CORRUPT : 0;
    }
    if (hw_get(&callers->closed)) {
      return HD_CLOSED;
    }
    if (turn < SPINS) {
      hw_pause();
      continue;
    }
    const int64_t left = timeout_ns - (int64_t)(hw_now() - start);
    if (left <= 0) {
      return is_ready(device, side);
    }
    if (hw_is_corrupt(device)) {
      return HD_CORRUPT;
    }
    if (turn < SPINS + YIELDS) {
      sched_yield();
      continue;
    }
    if (hw_peer_gone(device)) {
      return is_ready(device, side);
    }
    const uint32_t wake = hw_get(&segment->host_wake);
    atomic_fetch_add(&segment->host_sleeping, 1);
    hw_fence_all();
    if (!is_ready(device, side) && !hw_get(&callers->closed) && !hw_is_corrupt(device)) {
      const int64_t longest = device->remote ? HW_NAP_NS : SLEEP_NS;
      hw_futex_wait(&segment->host_wake, wake, left < longest ? left : longest);
    }
    atomic_fetch_sub(&segment->host_sleeping, 1);
  }
}

int hd_wait(hw_device_t *device, int64_t timeout_ns) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const int64_t ready = wait_for(device, &device->callers, NULL, timeout_ns);
  hw_leave(&device->callers);
  return (int)ready;
}

int64_t hq_ready(hw_queue_t *queue, int reward) {
  hw_device_t *device = queue->device;
  if (hw_get(&queue->taking.closed) || !hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  int64_t ready = reward < queue->sides ? is_ready(device, &queue->side[reward]) : 0;
  if (ready == 0 && hw_is_corrupt(device)) {
    ready = HD_CORRUPT;
  }
  hw_leave(&device->callers);
  return ready;
}

// Move the head over taken lines: a plain store, as in ring(), unless a reset has moved it.
static void took(hw_queue_t *queue, side_t *side, uint32_t count) {
  hw_device_t *device = queue->device;
  hw_segment_t *segment = device->segment;
  hw_word_t *moving = &device->index[1].moving;
  atomic_store_explicit(moving, 1, memory_order_relaxed);
  hw_light_fence();
  if (hw_get(side->head_register) == side->head) {
    hw_put(side->head_register, side->head + count);
  }
  hw_put(moving, 0);
  side->head += count;
  hw_put(side->head_word, side->head);
  hw_rouse(&segment->fenced, &segment->worker_wake, &segment->worker_blocked);
}

static int64_t poll(hw_queue_t *queue, int reward, void *lines, uint32_t max,
                    int64_t timeout_ns) {
  if (reward >= queue->sides || max == 0) {
    return 0;
  }
  hw_device_t *device = queue->device;
  side_t *side = &queue->side[reward];
  const uint32_t known = side->tail - side->head;
  int64_t count = known <= side->slots ? known : 0;  // a reply may have been taken before its tail
  if (count < max) {
    count = in_ring(device, side);
  }
  if (count == 0 && timeout_ns > 0) {
    const int64_t ready = wait_for(device, &queue->taking, side, timeout_ns);
    if (ready < 0) {
      return ready;
    }
    count = in_ring(device, side);
  }
  if (count < 0) {
    return count;
  }
  if (count > AHEAD) {  // not one that the device still writes
    __builtin_prefetch(&side->lines[(side->head + AHEAD) & (side->slots - 1u)]);
  }
  if (count > max) {
    count = max;
  }
  if (count == 0) {
    if (side->replies && hw_remote_reply(side->replies, side->head, lines)) {
      took(queue, side, 1);
      return 1;
    }
    return hw_is_corrupt(device) ? HD_CORRUPT : 0;
  }
  const uint32_t at = side->head & (side->slots - 1u);
  const uint32_t straight = count < side->slots - at ? (uint32_t)count : side->slots - at;
  if (count == 1) {
    memcpy(lines, side->lines + at, HW_DESC_BYTES);
  } else {
    memcpy(lines, side->lines + at, (size_t)straight * HW_DESC_BYTES);
    memcpy((uint8_t *)lines + (size_t)straight * HW_DESC_BYTES, side->lines,
           (size_t)((uint32_t)count - straight) * HW_DESC_BYTES);
  }
  took(queue, side, (uint32_t)count);
  return count;
}

int64_t hq_wait(hw_queue_t *queue, int reward, int64_t timeout_ns) {
  if (!hw_enter_alone(&queue->taking)) {
    return HD_CLOSED;
  }
  const int64_t ready =
      reward < queue->sides
          ? wait_for(queue->device, &queue->taking, &queue->side[reward], timeout_ns)
          : 0;
  hw_leave_alone(&queue->taking);
  return ready;
}

int64_t hq_poll(hw_queue_t *queue, int reward, void *lines, uint32_t max, int64_t timeout_ns) {
  if (!hw_enter_alone(&queue->taking)) {
    return HD_CLOSED;
  }
  const int64_t taken = poll(queue, reward, lines, max, timeout_ns);
  hw_leave_alone(&queue->taking);
  return taken;
}
