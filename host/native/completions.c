// SPDX-License-Identifier: Apache-2.0
//
// Completions: wait for them, take them, give their slots back.
#include <sched.h>
#include <string.h>

#include "queue.h"

enum { SPINS = HW_SPINS(4000), YIELDS = 20 };
static const int64_t SLEEP_NS = 50ll * 1000 * 1000;

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
  if (side->replies && side->head - tail <= hw_most_ahead(side->slots)) {
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
  if (count > HW_AHEAD) {  // not one that the device still writes
    __builtin_prefetch(&side->lines[(side->head + HW_AHEAD) & (side->slots - 1u)]);
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
