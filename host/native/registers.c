// SPDX-License-Identifier: Apache-2.0
//
// Registers, doorbell and life cycle of the cpu device: sections 6 and 7 of the contract. A
// register access runs in the caller's thread; CTRL is written with the gate closed.
#include "registers.h"

#include "gate.h"
#include "link.h"
#include "progress.h"

static const uint32_t MODE_BITS = HW_BIT(HW_CTRL_SPLIT_REWARD_BIT) |
                                  HW_BIT(HW_CTRL_REQUIRE_CHECKED_BIT) |
                                  HW_BIT(HW_CTRL_PUBLISH_TAILS_BIT);
static const uint32_t STATUS_ERRORS = HW_BIT(HW_STATUS_BAD_CONFIG_BIT) |
                                      HW_BIT(HW_STATUS_BAD_DOORBELL_BIT) |
                                      HW_BIT(HW_STATUS_BUS_ERROR_BIT);
static const uint32_t IRQ_BITS = HW_BIT(HW_IRQ_STATUS_COMPLETION_BIT) |
                                 HW_BIT(HW_IRQ_STATUS_HALTED_BIT) |
                                 HW_BIT(HW_IRQ_STATUS_ERROR_BIT);
static const uint32_t RING_LOG2_BITS = 0x00FFFFFFu;
static const int64_t MOVING_NS = HW_PATIENCE_NS(1000);

static void raise_error(hw_segment_t *segment, int status_bit) {
  atomic_fetch_or(&segment->status_errors, HW_BIT(status_bit));
  hw_raise(segment, HW_BIT(HW_IRQ_STATUS_ERROR_BIT));
}

static int configuration_is_good(hw_device_t *device) {
  const hd_geometry_t rings = hw_geometry(device->segment);
  const int words = hw_has_mode(device->segment, HW_CTRL_PUBLISH_TAILS_BIT);
  return hw_misfit(device, &rings, words ? HW_RING_SLOTS_OFFSET : 0) == 0;
}

// Let no queue of this host move an index from here on: `enable` is 0, and the one that has seen it
// set is waited for; -1 if it did not end, with `enable` as it was.
static int stop_moving(hw_device_t *device) {
  const uint32_t enable = hw_get(&device->segment->enable);
  hw_put(&device->segment->enable, 0);
  hw_fence_all();
  const uint64_t start = hw_now();
  for (int which = 0; which < 2; ++which) {
    while (hw_get(&device->index[which].moving)) {
      sched_yield();
      if ((int64_t)(hw_now() - start) > MOVING_NS) {
        hw_put(&device->segment->enable, enable);
        return -1;
      }
    }
  }
  return 0;
}

// With the gate closed.
static int control(hw_device_t *device, uint32_t value) {
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  if (value & HW_BIT(HW_CTRL_RESET_BIT)) {
    if (stop_moving(device)) {
      return HD_BUSY;
    }
    hw_reset(device);
    hw_put(&device->cmd_head_seen, device->first_index);
    return 0;
  }
  if (!hw_get(&segment->locked)) {
    hw_put(&segment->mode, value & MODE_BITS);
  }
  if (!(value & HW_BIT(HW_CTRL_ENABLE_BIT))) {
    hw_put(&segment->enable, 0);
  } else if (hw_get(&segment->locked) || configuration_is_good(device)) {
    hw_put(&segment->locked, 1);
    hw_put(&segment->enable, 1);
  } else {
    raise_error(segment, HW_STATUS_BAD_CONFIG_BIT);
  }
  if (hw_read_progress(device, &counts)) {
    return HD_CORRUPT;
  }
  if (value & HW_BIT(HW_CTRL_RESUME_BIT) && counts.halted) {
    counts.halted = 0;
    hw_commit(device, &counts);
  }
  return 0;
}

int hw_doorbell(hw_device_t *device, uint32_t tail) {
  hw_segment_t *segment = device->segment;
  uint32_t accepted = atomic_load(&segment->cmd_tail);
  for (;;) {
    uint32_t legal = tail == accepted;
    if (!legal && hw_get(&segment->enable)) {
      const uint32_t slots = hw_slots(hw_get(&segment->ring_log2), HW_RING_LOG2_CMD_LSB);
      uint32_t head = hw_get(&device->cmd_head_seen);
      if (tail - head > slots) {
        hd_counts_t counts;
        if (hw_read_progress(device, &counts)) {
          return 0;
        }
        head = counts.cmd_head;
        hw_put(&device->cmd_head_seen, head);
      }
      legal = tail - head <= slots && accepted - head <= tail - head;
    }
    if (!legal) {
      atomic_fetch_add(&segment->bad_doorbells, 1);
      raise_error(segment, HW_STATUS_BAD_DOORBELL_BIT);
      return 0;
    }
    if (tail != accepted) {
      hw_remote_ring(device, tail);
    }
    if (atomic_compare_exchange_strong(&segment->cmd_tail, &accepted, tail)) {
      hw_rouse(&segment->fenced, &segment->worker_wake, &segment->worker_sleeping);
      return 1;
    }
  }
}

// Move a completion ring's head over taken lines; a wrong value is ignored [RING-010].
static void move_head(hw_device_t *device, int reward, uint32_t head) {
  hw_segment_t *segment = device->segment;
  hw_word_t *word = reward ? &segment->reward_head : &segment->done_head;
  uint32_t present = atomic_load(word);
  hd_counts_t counts;
  if (hw_read_progress(device, &counts)) {
    return;
  }
  const uint32_t tail = reward ? counts.reward_tail : counts.done_tail;
  do {
    if (head - present > tail - present) {
      return;
    }
  } while (!atomic_compare_exchange_strong(word, &present, head));
  hw_rouse(&segment->fenced, &segment->worker_wake, &segment->worker_blocked);
}

static uint32_t read_control(hw_segment_t *segment) {
  return hw_get(&segment->mode) | (hw_get(&segment->enable) ? HW_BIT(HW_CTRL_ENABLE_BIT) : 0u);
}

static uint32_t read_status(hw_segment_t *segment, const hd_counts_t *counts) {
  uint32_t status = HW_BIT(HW_STATUS_READY_BIT) | hw_get(&segment->status_errors);
  if (counts->halted) {
    status |= HW_BIT(HW_STATUS_HALTED_BIT);
  } else if (hw_get(&segment->enable)) {
    status |= HW_BIT(HW_STATUS_RUNNING_BIT);
  }
  return status;
}

// IRQ_STATUS as it was, and clear these bits of it. A completion is an event from when it is in the
// record; the worker does not raise it (execute.c).
static int64_t read_events(hw_device_t *device, uint32_t clear) {
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  const int failed = hw_lock(device);
  if (failed) {
    return failed;
  }
  if (device->remote) {
    hw_remote_events(device);
  } else if (hw_snapshot(device, &counts) == 0 &&
             counts.descriptors != hw_get(&segment->seen_descriptors)) {
    hw_put(&segment->seen_descriptors, counts.descriptors);
    hw_raise(segment, HW_BIT(HW_IRQ_STATUS_COMPLETION_BIT));
  }
  const uint32_t events = atomic_fetch_and(&segment->irq_status, ~clear);
  hw_unlock(device);
  return events;
}

static int64_t read_register(hw_device_t *device, uint32_t offset) {
  hw_segment_t *segment = device->segment;
  hd_counts_t counts;
  switch (offset) {
    case HW_REG_ID: return HW_DEVICE_ID;
    case HW_REG_VERSION: return HW_CONTRACT_VERSION;
    case HW_REG_CONTRACT_HASH: return HW_CONTRACT_HASH;
    default: break;
  }
  if (hw_read_progress(device, &counts)) {
    return HD_CORRUPT;
  }
  switch (offset) {
    case HW_REG_CTRL: return read_control(segment);
    case HW_REG_STATUS: return read_status(segment, &counts);
    case HW_REG_CMD_HEAD: return counts.cmd_head;
    case HW_REG_CMD_TAIL: return hw_get(&segment->cmd_tail);
    case HW_REG_DONE_TAIL: return counts.done_tail;
    case HW_REG_DONE_HEAD: return hw_get(&segment->done_head);
    case HW_REG_REWARD_TAIL: return counts.reward_tail;
    case HW_REG_REWARD_HEAD: return hw_get(&segment->reward_head);
    case HW_REG_RING_LOG2: return hw_get(&segment->ring_log2);
    case HW_REG_CMD_BASE_LO: case HW_REG_CMD_BASE_HI:
    case HW_REG_DONE_BASE_LO: case HW_REG_DONE_BASE_HI:
    case HW_REG_REWARD_BASE_LO: case HW_REG_REWARD_BASE_HI:
      return hw_get(&segment->base[(offset - HW_REG_CMD_BASE_LO) / 4]);
    case HW_REG_IRQ_STATUS: return read_events(device, 0);
    case HW_REG_IRQ_MASK: return hw_get(&segment->irq_mask);
    case HW_REG_CNT_DESCRIPTORS: return counts.descriptors;
    case HW_REG_CNT_TOKENS_LO:
      hw_put(&segment->tokens_high, (uint32_t)(counts.tokens >> 32));
      return (uint32_t)counts.tokens;
    case HW_REG_CNT_TOKENS_HI: return hw_get(&segment->tokens_high);
    case HW_REG_CNT_ERRORS: return counts.errors;
    case HW_REG_CNT_STALL_CYCLES:
      return device->remote ? hw_remote_stalls(segment) : hw_get(&segment->stalls);
    case HW_REG_CNT_BAD_DOORBELLS: return hw_get(&segment->bad_doorbells);
    default: return 0;  // DOORBELL, which is write-only, and unknown addresses [DB-004]
  }
}

int64_t hd_read32(hw_device_t *device, uint32_t offset) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const int64_t value = read_register(device, offset);
  hw_leave(&device->callers);
  return value;
}

static int write_register(hw_device_t *device, uint32_t offset, uint32_t value,
                          int64_t patience_ns) {
  hw_segment_t *segment = device->segment;
  switch (offset) {
    case HW_REG_CTRL: {
      const int failed = hw_close_gate(device, patience_ns);
      if (failed) {
        return failed;
      }
      const int refused = control(device, value);
      hw_open_gate(device);
      return refused;
    }
    case HW_REG_STATUS:
      atomic_fetch_and(&segment->status_errors, ~(value & STATUS_ERRORS));
      return 0;
    case HW_REG_DOORBELL:
      hw_doorbell(device, value);
      return 0;
    case HW_REG_DONE_HEAD: case HW_REG_REWARD_HEAD:
      move_head(device, offset == HW_REG_REWARD_HEAD, value);
      return 0;
    case HW_REG_RING_LOG2:
    case HW_REG_CMD_BASE_LO: case HW_REG_CMD_BASE_HI:
    case HW_REG_DONE_BASE_LO: case HW_REG_DONE_BASE_HI:
    case HW_REG_REWARD_BASE_LO: case HW_REG_REWARD_BASE_HI:
      if (hw_lock(device)) {
        return HD_CORRUPT;
      }
      if (!hw_get(&segment->locked)) {  // [LIFE-006]
        if (offset == HW_REG_RING_LOG2) {
          hw_put(&segment->ring_log2, value & RING_LOG2_BITS);
        } else {
          hw_put(&segment->base[(offset - HW_REG_CMD_BASE_LO) / 4], value);
        }
      }
      hw_unlock(device);
      return 0;
    case HW_REG_IRQ_STATUS:
      return read_events(device, value) < 0 ? HD_CORRUPT : 0;
    case HW_REG_IRQ_MASK:
      hw_put(&segment->irq_mask, value & IRQ_BITS);
      return 0;
    default:
      return 0;  // read-only and unknown addresses [DB-004]
  }
}

int hd_write32(hw_device_t *device, uint32_t offset, uint32_t value, int64_t patience_ns) {
  if (!hw_enter(&device->callers)) {
    return HD_CLOSED;
  }
  const int failed = write_register(device, offset, value, patience_ns);
  hw_leave(&device->callers);
  return failed;
}
